//! What a text must be like.

use regex_lite::{Regex, RegexBuilder};

/// Bytes of a regular expression.
const REGEX_BYTES_MAX: usize = 1_024;
/// Bytes of what it is compiled to: repetitions multiply.
const PROGRAM_BYTES_MAX: usize = 256 << 10;
/// Groups within each other.
const NESTING_MAX: u32 = 50;

/// How the values of a policy are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MatchType {
    Strict,
    Glob,
    Regex,
}

impl MatchType {
    pub(crate) fn read(name: Option<&str>) -> Result<Self, String> {
        match name {
            None | Some("strict") => Ok(Self::Strict),
            Some("glob") => Ok(Self::Glob),
            Some("regex") => Ok(Self::Regex),
            Some(other) => Err(format!("match_type is \"{other}\", not strict, glob or regex")),
        }
    }
}

/// What a text must be.
#[derive(Debug, Clone)]
pub(crate) enum Pattern {
    Text(String),
    /// `*` stands for any text.
    Glob(String),
    /// Found anywhere in the text, in time that grows with the text and not faster.
    Regex(Regex),
}

impl Pattern {
    pub(crate) fn read(value: String, match_type: MatchType) -> Result<Self, String> {
        match match_type {
            MatchType::Strict => Ok(Self::Text(value)),
            MatchType::Glob => Ok(Self::Glob(value)),
            MatchType::Regex => regex(&value).map(Self::Regex),
        }
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Text(value) => value == text,
            Self::Glob(pattern) => glob(pattern, text),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Glob(text) => text,
            Self::Regex(regex) => regex.as_str(),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other) && self.text() == other.text()
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    if text.len() > REGEX_BYTES_MAX {
        let bytes = text.len();
        return Err(format!(
            "a regular expression of filter_policies has {bytes} bytes, the limit is {REGEX_BYTES_MAX}"
        ));
    }
    RegexBuilder::new(text)
        .size_limit(PROGRAM_BYTES_MAX)
        .nest_limit(NESTING_MAX)
        .build()
        .map_err(|error| format!("the regular expression \"{text}\" of filter_policies: {error}"))
}

/// Whether a text is what a pattern says, in which `*` stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, wanted) in [
            ("GET /", "GET /", true),
            ("GET *", "GET /", true),
            ("*", "", true),
            ("*health*", "GET /healthz", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("GET *", "PUT /", false),
            ("*z", "GET /healthz", true),
            ("**", "x", true),
        ] {
            assert_eq!(glob(pattern, text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn regular_expressions() {
        for (pattern, text, wanted) in [
            ("health", "GET /healthz", true),
            ("^health", "GET /healthz", false),
            ("^GET /(health|ready)z?$", "GET /ready", true),
            ("^(GET|PUT) /v[0-9]+/", "PUT /v12/x", true),
            ("(?i)^get", "GET /", true),
            ("^é.$", "éà", true),
            ("", "anything", true),
            (r"^\d+$", "17", true),
            (r"^\d+$", "१७", false),
        ] {
            assert_eq!(regex(pattern).unwrap().is_match(text), wanted, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_regular_expression_is_named() {
        let nested = "(".repeat(60) + &")".repeat(60);
        let long = "a".repeat(1_025);
        for (pattern, fault) in [
            ("(", "the regular expression \"(\" of filter_policies: "),
            (r"\p{Greek}", "of filter_policies: "),
            ("(a+){1000}{1000}", "of filter_policies: "),
            (&nested, "of filter_policies: "),
            (&long, "has 1025 bytes, the limit is 1024"),
        ] {
            let error = regex(pattern).unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }

    /// What takes some engines longer than anyone waits.
    #[test]
    fn time_grows_with_the_text_only() {
        let text = "a".repeat(10_000);
        assert!(!regex("^(a+)+$").unwrap().is_match(&(text.clone() + "b")));
        assert!(regex("^(a|a|a|a?)*$").unwrap().is_match(&text));
    }
}
