//! What looks like an e-mail address, without a regular expression: a run of letters on both
//! sides of an `@`, with a point on the right.

/// The text with addresses masked; `None` = there is none.
pub(crate) fn masked(text: &str, mask: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out: Option<String> = None;
    let (mut from, mut look) = (0, 0);
    while let Some(at) = bytes[look..].iter().position(|byte| *byte == b'@').map(|at| look + at) {
        let start = (from..at).rev().take_while(|at| is_local(bytes[*at])).last();
        let end = (at + 1..bytes.len()).take_while(|at| is_domain(bytes[*at])).last().map(|end| end + 1);
        look = at + 1;
        if let (Some(start), Some(end)) = (start, end)
            && bytes[at + 1..end - 1].contains(&b'.')
        {
            let out = out.get_or_insert_with(String::new);
            out.push_str(&text[from..start]);
            out.push_str(mask);
            (from, look) = (end, end);
        }
    }
    out.map(|mut out| {
        out.push_str(&text[from..]);
        out
    })
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn addresses_and_nothing_else() {
        let masks = |text: &str, want: &str| assert_eq!(masked(text, "*").as_deref(), Some(want), "{text}");
        masks("ann.b+c@example.org", "*");
        masks("to <ann@example.org>, bob@x.de!", "to <*>, *!");
        masks("ü ann@example.org ü", "ü * ü");
        masks("a@b.c@d.e", "*@d.e");
        for text in ["", "@", "a@b", "@example.org", "a @ b.c", "user@host", "no address"] {
            assert_eq!(masked(text, "*"), None, "{text}");
        }
    }
}
