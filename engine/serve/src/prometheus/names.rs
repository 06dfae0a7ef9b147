//! Label names in a path.

/// The name that was escaped with `U__`, as Prometheus' `ValueEncodingEscaping` does: `__` is an
/// underscore, `_2e_` the character of that number. What is not well-formed stands for itself.
pub(super) fn unescaped(name: &str) -> String {
    name.strip_prefix("U__").and_then(decoded).unwrap_or_else(|| name.to_owned())
}

fn decoded(escaped: &str) -> Option<String> {
    let mut text = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find('_')?;
        match &rest[..end] {
            "" => text.push('_'),
            hex => text.push(char_of(hex)?),
        }
        rest = &rest[end + 1..];
    }
    text.push_str(rest);
    Some(text)
}

/// Five digits at most, as upstream reads no more.
fn char_of(hex: &str) -> Option<char> {
    let digits = hex.len() <= 5 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    char::from_u32(u32::from_str_radix(hex, 16).ok().filter(|_| digits)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__job", "job"),
            ("U__http_2e_method", "http.method"),
            ("U__a__b", "a_b"),
            ("U___3c0__2E_", "π."),
            ("U__a_", "U__a_"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_d800_", "U__a_d800_"),
            ("U__a_10ffff_", "U__a_10ffff_"),
            ("U_a", "U_a"),
        ] {
            assert_eq!(unescaped(escaped), name);
        }
    }
}
