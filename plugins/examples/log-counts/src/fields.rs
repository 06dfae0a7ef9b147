//! Fields of a line that is a JSON object or logfmt, found without reading all of it.

/// The value of a field, without its quotes. Escapes stay as they are; of a field that
/// comes twice the first counts.
pub(crate) fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let json = line.trim_start().starts_with('{');
    let mut from = 0;
    while let Some(found) = line[from..].find(name) {
        let (start, end) = (from + found, from + found + name.len());
        let (before, after) = (&line[..start], &line[end..]);
        let value = if json { of_json(before, after) } else { of_logfmt(before, after) };
        if value.is_some() {
            return value;
        }
        from = end;
    }
    None
}

fn of_json<'a>(before: &str, after: &'a str) -> Option<&'a str> {
    let before = before.strip_suffix('"')?.trim_end();
    let value = after.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim_start();
    before.ends_with(['{', ',']).then(|| text(value, &[',', '}', ']'])).flatten()
}

fn of_logfmt<'a>(before: &str, after: &'a str) -> Option<&'a str> {
    let begins = before.is_empty() || before.ends_with([' ', '\t', ',', '(', '[']);
    let value = after.strip_prefix('=')?;
    begins.then(|| text(value, &[' ', '\t', ',', ')', ']'])).flatten()
}

/// A value in quotes, or up to one of `ends`.
fn text<'a>(value: &'a str, ends: &[char]) -> Option<&'a str> {
    let Some(quoted) = value.strip_prefix('"') else {
        let end = value.find(ends).unwrap_or(value.len());
        return Some(value[..end].trim_end());
    };
    let mut escaped = false;
    let end = quoted.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    Some(&quoted[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_both_kinds() {
        for (line, name, value) in [
            ("status=500 took=1.5", "status", Some("500")),
            ("status=500 took=1.5", "took", Some("1.5")),
            ("a status=500", "tatus", None),
            ("msg=\"it \\\"works\\\" well\" x=1", "msg", Some("it \\\"works\\\" well")),
            ("xstatus=1, status=2, n=3", "status", Some("2")),
            ("status", "status", None),
            (r#"{"status": 500, "took":1.5}"#, "status", Some("500")),
            (r#"{"status": 500, "took":1.5}"#, "took", Some("1.5")),
            (r#"{"text":"\"status\": 1","status":"ok"}"#, "status", Some("ok")),
            (r#"{"a":{"status":1}}"#, "status", Some("1")),
            (r#"{"status":"#, "status", Some("")),
            (r#"{"status":"x"#, "status", None),
            ("é=ü", "é", Some("ü")),
        ] {
            assert_eq!(field(line, name), value, "{name} of {line}");
        }
    }
}
