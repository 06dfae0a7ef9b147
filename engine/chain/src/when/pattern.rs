//! An exact text, or one in which `*` stands for any text.

/// What a value must be. `\` takes its meaning from the character behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(String),
    Glob { start: String, middle: Vec<String>, end: String },
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = vec![String::new()];
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let literal = match c {
                '*' => {
                    parts.push(String::new());
                    continue;
                }
                '\\' => rest
                    .next()
                    .ok_or_else(|| format!("pattern {text:?} ends with a backslash; write \\\\"))?,
                other => other,
            };
            if let Some(part) = parts.last_mut() {
                part.push(literal);
            }
        }
        let start = parts.remove(0);
        Ok(match parts.pop() {
            None => Self::Exact(start),
            Some(end) => Self::Glob { start, middle: parts, end },
        })
    }

    /// Whether a value is so. One that is absent is so only if nothing but an empty text is.
    pub(super) fn fits(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Exact(text), value) => text == value.unwrap_or_default(),
            (Self::Glob { .. }, None) => false,
            (Self::Glob { start, middle, end }, Some(value)) => {
                let Some(mut rest) = value.strip_prefix(start.as_str()) else { return false };
                for part in middle {
                    // The first place leaves most for the others.
                    match rest.find(part.as_str()) {
                        Some(at) => rest = &rest[at + part.len()..],
                        None => return false,
                    }
                }
                rest.ends_with(end.as_str())
            }
        }
    }
}
