//! Quoted texts.

/// The text of a quoted text that begins here, and what follows its closing quote: Go's escapes in
/// `"…"` and `'…'`, none in `` `…` ``.
///
/// # Errors
///
/// No quote, no closing quote, an unknown escape, or bytes that are no UTF-8.
pub(crate) fn prefix(text: &str) -> Result<(String, &str), String> {
    let quote = text.chars().next().filter(|first| matches!(first, '"' | '\'' | '`'));
    let quote = quote.ok_or_else(|| format!("no quoted text at {text:?}"))?;
    let body = &text[1..];
    if quote == '`' {
        let (raw, rest) = body.split_once('`').ok_or_else(|| format!("no closing quote in {text:?}"))?;
        return Ok((raw.to_owned(), rest));
    }
    let mut bytes = Vec::new();
    let mut chars = body.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            _ if char == quote => {
                let unquoted = String::from_utf8(bytes).map_err(|_| format!("no UTF-8 in {text:?}"))?;
                return Ok((unquoted, &body[at + 1..]));
            }
            '\\' => {
                let length = escape(&body[at + 1..], &mut bytes)
                    .ok_or_else(|| format!("unknown escape in {text:?}"))?;
                // All of an escape is ASCII: as many characters as bytes.
                let _last = chars.nth(length - 1);
            }
            _ => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(format!("no closing quote in {text:?}"))
}

/// Appends what an escape stands for; how many bytes it takes after the backslash.
fn escape(text: &str, bytes: &mut Vec<u8>) -> Option<usize> {
    let first = *text.as_bytes().first()?;
    let (digits_from, digits, radix) = match first {
        b'x' => (1, 2, 16),
        b'u' => (1, 4, 16),
        b'U' => (1, 8, 16),
        b'0'..=b'7' => (0, 3, 8),
        _ => {
            bytes.push(simple_escape(first)?);
            return Some(1);
        }
    };
    let end = digits_from + digits;
    let number = u32::from_str_radix(text.get(digits_from..end)?, radix).ok()?;
    match first {
        b'u' | b'U' => {
            bytes.extend_from_slice(char::from_u32(number)?.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => bytes.push(u8::try_from(number).ok()?),
    }
    Some(end)
}

fn simple_escape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' | b'"' | b'\'' => byte,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let got = prefix(text).ok();
            assert_eq!(got.as_ref().map(|(text, rest)| (text.as_str(), *rest)), expected, "{text:?}");
        };
        check(r#""a\"b" rest"#, Some(("a\"b", " rest")));
        check(r"'it\'s é'", Some(("it's é", "")));
        check(r"`raw \n`,", Some(("raw \\n", ",")));
        check(r#""\n\t\x41\102\u00e9\U0001F600""#, Some(("\n\tABé😀", "")));
        check(r#""\xc3\xa9""#, Some(("é", "")));
        for wrong in
            ["", "a", "\"a", "`a", r#""\q""#, r#""\xff""#, r#""\777""#, r#""\ud800""#, "\"\\é\"", "\"\\"]
        {
            check(wrong, None);
        }
    }
}
