//! What a text in quotes says.

/// The text of a token that the lexer took for one, so every escape in it is whole.
///
/// Bytes that make no UTF-8, which `"\xff"` can name, become the replacement character:
/// labels and answers hold UTF-8 only.
pub(super) fn unquoted(token: &str) -> String {
    let inner = token.get(1..token.len().saturating_sub(1)).unwrap_or_default();
    if token.starts_with('`') || !inner.contains('\\') {
        return inner.into();
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        if char == '\\' {
            escape(&mut chars, &mut bytes);
        } else {
            push(char, &mut bytes);
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|fault| String::from_utf8_lossy(fault.as_bytes()).into_owned())
}

fn push(char: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(chars: &mut std::str::Chars<'_>, bytes: &mut Vec<u8>) {
    let Some(first) = chars.next() else { return };
    match first {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0c),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0b),
        '0'..='7' => bytes.push(digits(chars, 2, 8, first.to_digit(8).unwrap_or(0)).to_le_bytes()[0]),
        'x' => bytes.push(digits(chars, 2, 16, 0).to_le_bytes()[0]),
        'u' => push(character(digits(chars, 4, 16, 0)), bytes),
        'U' => push(character(digits(chars, 8, 16, 0)), bytes),
        other => push(other, bytes),
    }
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, base: u32, start: u32) -> u32 {
    chars
        .take(count)
        .fold(start, |value, char| value.wrapping_mul(base).wrapping_add(char.to_digit(base).unwrap_or(0)))
}

fn character(code: u32) -> char {
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let cases = [
            (r#""plain""#, "plain"),
            (r"'it\'s'", "it's"),
            (r"`raw \n`", r"raw \n"),
            (r#""\a\b\f\n\r\t\v\\\"""#, "\u{7}\u{8}\u{c}\n\r\t\u{b}\\\""),
            (r#""\x41\101\u00e9\U0001F600""#, "AA\u{e9}\u{1F600}"),
            (r#""\xc3\xa9 \xff""#, "\u{e9} \u{FFFD}"),
        ];
        for (token, wanted) in cases {
            assert_eq!(unquoted(token), wanted, "{token}");
        }
    }
}
