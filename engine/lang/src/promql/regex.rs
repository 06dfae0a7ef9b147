//! Patterns of label matchers.
//!
//! Prometheus has RE2's syntax, the crate `regex` a slightly different one. Here it is only
//! asked whether a pattern is one at all, and whether it matches the empty text; where the two
//! differ a pattern is let through, and who selects series judges it.

use regex_syntax::ast;

/// What is wrong with a pattern, as Go says it: ``missing closing ): `(` ``.
pub(super) fn fault_of(pattern: &str) -> Option<String> {
    let fault = match ast::parse::Parser::new().parse(pattern) {
        Ok(_) => return None,
        Err(fault) => fault,
    };
    let from = |start: usize| pattern.get(start..).unwrap_or_default();
    let at = fault.span().start.offset;
    let there = pattern.get(at..fault.span().end.offset).unwrap_or_default();
    let what = match fault.kind() {
        ast::ErrorKind::GroupUnclosed => format!("missing closing ): `{pattern}`"),
        ast::ErrorKind::GroupUnopened => format!("unexpected ): `{pattern}`"),
        ast::ErrorKind::ClassUnclosed => format!("missing closing ]: `{}`", from(at)),
        ast::ErrorKind::ClassRangeInvalid => format!("invalid character class range: `{there}`"),
        ast::ErrorKind::EscapeUnexpectedEof => "trailing backslash at end of expression: ``".into(),
        ast::ErrorKind::RepetitionMissing if !from(at).starts_with('{') => {
            format!("missing argument to repetition operator: `{}`", first_char(from(at)))
        }
        ast::ErrorKind::UnsupportedLookAround => format!("invalid or unsupported Perl syntax: `{there}`"),
        ast::ErrorKind::UnsupportedBackreference => format!("invalid escape sequence: `{there}`"),
        ast::ErrorKind::NestLimitExceeded(_) => "expression nests too deeply".into(),
        // Braces that are no repetition, escapes of RE2 alone, and the like.
        _ => return None,
    };
    Some(format!("error parsing regexp: {what}"))
}

fn first_char(text: &str) -> &str {
    text.get(..text.chars().next().map_or(0, char::len_utf8)).unwrap_or_default()
}

/// Whether a whole pattern matches the empty text; not known of one means no.
pub(super) fn matches_empty(pattern: &str) -> bool {
    regex::Regex::new(&format!("^(?s:{pattern})$")).is_ok_and(|regex| regex.is_match(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let cases = [
            ("", true),
            (".*", true),
            (".+", false),
            ("a|", true),
            ("(a|b)?", true),
            ("\\b", false),
            ("/api/{id}", false),
            ("[[:alpha:]]+", false),
        ];
        for (pattern, empty) in cases {
            assert_eq!((fault_of(pattern), matches_empty(pattern)), (None, empty), "{pattern}");
        }
    }

    #[test]
    fn no_patterns() {
        let cases = [
            ("(", "missing closing ): `(`"),
            (")", "unexpected ): `)`"),
            ("[a", "missing closing ]: `[a`"),
            ("a**", ""),
            ("*", "missing argument to repetition operator: `*`"),
            ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            ("\\", "trailing backslash at end of expression: ``"),
        ];
        for (pattern, wanted) in cases {
            let got = fault_of(pattern).unwrap_or_default();
            assert!(got.ends_with(wanted), "{pattern}: {got}");
        }
        assert!(fault_of(&"(".repeat(10_000)).is_some());
    }
}
