//! Texts in JSON, as Prometheus escapes them.
//!
//! It does so in two ways: label sets are written as they are but for what JSON demands; all other
//! texts (errors, warnings, names of labels, string results) also have `<`, `>`, `&`, U+2028 and
//! U+2029 escaped, as Go does for the sake of HTML.

/// A text in quotes, escaped for HTML too.
pub(super) fn write_html(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut done = 0;
    for (at, char) in text.char_indices() {
        let unicode = match char {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => format!("\\u{:04x}", char as u32),
            char => match escape(char) {
                Some(escaped) => escaped,
                None => continue,
            },
        };
        out.extend_from_slice(&text.as_bytes()[done..at]);
        out.extend_from_slice(unicode.as_bytes());
        done = at + char.len_utf8();
    }
    out.extend_from_slice(&text.as_bytes()[done..]);
    out.push(b'"');
}

/// A text in quotes: escaped is what JSON demands, nothing more.
pub(super) fn write_plain(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&text.as_bytes()[done..at]);
        if let Some(escaped) = escape(char::from(byte)) {
            out.extend_from_slice(escaped.as_bytes());
        }
        done = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[done..]);
    out.push(b'"');
}

fn escape(char: char) -> Option<String> {
    Some(match char {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        char if (char as u32) < 0x20 => format!("\\u{:04x}", char as u32),
        _ => return None,
    })
}

/// Texts as an array, escaped for HTML too.
pub(super) fn write_html_array<'a>(texts: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (at, text) in texts.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_html(text, out);
    }
    out.push(b']');
}

/// Label sets as objects; names are sorted already.
pub(super) fn write_labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (name, value)) in labels.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_plain(name, out);
        out.push(b':');
        write_plain(value, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, plain: &str, html: &str) {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        write_plain(text, &mut one);
        write_html(text, &mut other);
        assert_eq!(String::from_utf8(one).unwrap(), plain);
        assert_eq!(String::from_utf8(other).unwrap(), html);
    }

    #[test]
    fn escapes() {
        check("", "\"\"", "\"\"");
        check("a<b>&c", r#""a<b>&c""#, r#""a\u003cb\u003e\u0026c""#);
        check("\u{2028}é\u{7f}", "\"\u{2028}é\u{7f}\"", "\"\\u2028é\u{7f}\"");
        check("\"\\\n\r\t\u{1}\u{8}", r#""\"\\\n\r\t\u0001\u0008""#, r#""\"\\\n\r\t\u0001\u0008""#);
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC{0,30}|[\\x00-\\x7f<>&\u{2028}]{0,20}") {
            for write in [write_plain, write_html] {
                let mut out = Vec::new();
                write(&text, &mut out);
                prop_assert_eq!(&serde_json::from_slice::<String>(&out).unwrap(), &text);
            }
        }
    }
}
