//! A condition of SQL that somebody wrote, before it is put between parentheses.
//!
//! It may be any expression, but only that: one that closed the parentheses could name rows that
//! are not there, or name some twice. So what the parser might read in another way than this page
//! (comments, dollar and back quotes, strings with escapes) is refused as well.

/// What keeps it from being a condition; `None` = nothing.
pub(crate) fn fault(text: &str) -> Option<String> {
    let mut depth = 0_u32;
    let mut rest = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, c)) = rest.next() {
        let next = rest.peek().map(|(_, c)| *c);
        let refused = |what: &str| Some(format!("{what} at byte {at} cannot be part of a condition"));
        match c {
            '\'' if matches!(before, 'e' | 'E') => return refused("a string with escapes"),
            // Two quotes in it are one more string to us, and the same text.
            '\'' | '"' => {
                if !rest.by_ref().any(|(_, end)| end == c) {
                    return refused("a quote that is not closed");
                }
            }
            '(' => depth += 1,
            ')' => match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return refused("a closing parenthesis without an opening one"),
            },
            '-' if next == Some('-') => return refused("a comment"),
            '/' if matches!(next, Some('*' | '/')) => return refused("a comment"),
            '#' => return refused("a comment"),
            ';' | '$' | '`' | '\\' | '[' | '{' => {
                // Brackets quote names in some dialects; after a name they take an element.
                let element =
                    c == '[' && (before.is_alphanumeric() || matches!(before, '_' | '"' | ')' | ']'));
                if !element {
                    return refused(&format!("{c:?}"));
                }
            }
            _ => {}
        }
        before = c;
    }
    (depth > 0).then(|| format!("{depth} parentheses are not closed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_taken_as_they_are() {
        for text in [
            "reason = 'service_denied' and time > now() - interval '1 day'",
            "message like '%it''s -- (not a comment)%' or \"item\" is null",
            "reason in (select reason from rejected group by 1 having count(*) > 1)",
            "has_token(item, 'x') and (a or (b))",
            "regexp_like(message, '\\d+ bytes; $')",
            "attributes['k'] = 'v'",
        ] {
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_but_a_condition_is_taken() {
        for (text, wanted) in [
            ("true) union all select * from rejected where (true", "closing parenthesis"),
            ("(true", "1 parentheses are not closed"),
            ("reason = 'x", "not closed"),
            ("true -- )", "a comment"),
            ("true /* ) */", "a comment"),
            ("true # )", "a comment"),
            ("true; drop table x", "';'"),
            ("$$'$$ ) union all select 1 --'", "'$'"),
            ("`'` ) union all select 1 where ('' = '", "'`'"),
            ("['] ) union all select 1 where ('' = '", "'['"),
            ("E'\\' ) union all select 1 where (''='", "a string with escapes"),
        ] {
            let fault = fault(text).unwrap_or_else(|| panic!("{text}"));
            assert!(fault.contains(wanted), "{text}: {fault}");
        }
    }
}
