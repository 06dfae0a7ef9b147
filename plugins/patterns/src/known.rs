//! A pattern of the configuration.

use crate::ANY;

/// Texts that must come in this order, with something between them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    text: String,
    parts: Vec<String>,
}

impl Known {
    pub(crate) fn read(text: String) -> Result<Self, String> {
        if text.split(ANY).all(|part| part.trim().is_empty()) {
            return Err(format!("has {text:?}, which would fit everything"));
        }
        Ok(Self::of(text))
    }

    /// The same, of any text.
    pub(crate) fn of(text: String) -> Self {
        let parts = text.split(ANY).map(str::to_owned).collect();
        Self { text, parts }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a line is this pattern. Each `<_>` is as short as it can be, and not empty;
    /// the last one takes the rest.
    pub(crate) fn fits(&self, line: &str) -> bool {
        let Some((first, others)) = self.parts.split_first() else { return false };
        let Some(mut rest) = line.strip_prefix(first.as_str()) else { return false };
        let Some((last, between)) = others.split_last() else { return rest.is_empty() };
        for part in between {
            let Some(after) = behind(rest, part) else { return false };
            rest = after;
        }
        rest.len() > last.len() && rest.ends_with(last.as_str())
    }
}

/// What follows `part` where it comes first, not at the beginning.
fn behind<'a>(text: &'a str, part: &str) -> Option<&'a str> {
    let skipped = text.chars().next()?.len_utf8();
    let at = text[skipped..].find(part)?;
    Some(&text[skipped + at + part.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits() {
        for (pattern, line, fits) in [
            ("user <_> logged in", "user bob logged in", true),
            ("user <_> logged in", "user bob the builder logged in", true),
            ("user <_> logged in", "user  logged in", false),
            ("user <_> logged in", "a user bob logged in", false),
            ("user <_> logged in", "user bob logged in twice", false),
            ("<_> took <_>", "GET took 5ms", true),
            ("<_> took <_>", "took 5ms", false),
            ("done", "done", true),
            ("done", "done.", false),
            ("é<_>é", "éxé", true),
            ("é<_>é", "éé", false),
        ] {
            assert_eq!(Known::read(pattern.to_owned()).unwrap().fits(line), fits, "{pattern:?} of {line:?}");
        }
        assert_eq!(
            Known::read("<_> <_>".to_owned()).unwrap_err(),
            "has \"<_> <_>\", which would fit everything"
        );
    }
}
