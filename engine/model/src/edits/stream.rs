//! The text of a log stream's labels: `{a="b", c="d"}`, names sorted and each once.

/// How many labels a stream's text has, the service's name not counted; an error if it is not
/// written as decode writes it.
pub(super) fn labels(text: &str) -> Result<u32, String> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let fault = || format!("{:?} is no stream", text.chars().take(64).collect::<String>());
    let mut rest = inner.ok_or_else(fault)?;
    let (mut last, mut count) = ("", 0);
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").ok_or_else(fault)?;
        let word = |c: char| c.is_ascii_alphanumeric() || "_.:/-".contains(c) || !c.is_ascii();
        if name <= last || !name.chars().all(word) {
            return Err(fault());
        }
        let end = closing_quote(value).filter(|end| *end > 0).ok_or_else(fault)?;
        (last, count) = (name, count + u32::from(name != "service_name"));
        rest = &value[end + 1..];
        if !rest.is_empty() {
            rest = rest.strip_prefix(", ").filter(|rest| !rest.is_empty()).ok_or_else(fault)?;
        }
    }
    if last.is_empty() { Err(fault()) } else { Ok(count) }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' if !escaped => return Some(at),
            0..0x20 => return None,
            _ => escaped = byte == b'\\' && !escaped,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::labels;

    #[test]
    fn only_what_decode_would_write() {
        for (text, count) in [(r#"{a="b"}"#, 1), (r#"{a="b", service_name="x\"}", z="ü"}"#, 2)] {
            assert_eq!(labels(text), Ok(count), "{text}");
        }
        let bad = [
            "",
            "{}",
            "{a=\"b\",c=\"d\"}",
            "{b=\"x\", a=\"y\"}",
            "{a=\"x\", a=\"y\"}",
            "{a=\"x}",
            "{=\"x\"}",
        ];
        for text in
            bad.into_iter().chain(["{a=\"\"}", "{a=\"x\"}}", "{a=\"x\", }", "{a b=\"x\"}", "{a=\"\n\"}"])
        {
            assert!(labels(text).is_err(), "{text}");
        }
    }
}
