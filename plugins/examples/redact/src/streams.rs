//! Values of labels in the text of a log stream, `{a="b", c="d"}`.

/// The text with the values of some labels masked; `None` = it has none of them.
pub(crate) fn masked(text: &str, is_masked: impl Fn(&str) -> bool, mask: &str) -> Option<String> {
    let mut out = String::new();
    let mut changed = false;
    let mut rest = text;
    while let Some((name, behind)) = rest.split_once("=\"") {
        let value = &behind[..closing_quote(behind)?];
        out.push_str(name);
        out.push_str("=\"");
        if is_masked(name.trim_start_matches(['{', '"', ',', ' '])) {
            changed = true;
            out.push_str(mask);
        } else {
            out.push_str(value);
        }
        rest = &behind[value.len()..];
    }
    out.push_str(rest);
    changed.then_some(out)
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn only_the_values_that_are_meant() {
        let masks = |text| masked(text, |key| key == "user", "*");
        assert_eq!(masks(r#"{app="a", user="b\"}"}"#).as_deref(), Some(r#"{app="a", user="*"}"#));
        assert_eq!(masks(r#"{user="a"}"#).as_deref(), Some(r#"{user="*"}"#));
        assert_eq!(masks(r#"{app="user=\"x\""}"#), None);
        assert_eq!(masks("{}"), None);
    }
}
