//! A text that must be in whatever an expression matches.

use regex_syntax::hir::{Hir, HirKind};

/// The longest text that every match contains, as far as the expression is written one part after
/// the other; `None` if there is none.
pub(super) fn required(hir: &Hir) -> Option<Vec<u8>> {
    let mut texts = Texts::default();
    texts.walk(hir);
    texts.end();
    (!texts.longest.is_empty()).then_some(texts.longest)
}

#[derive(Default)]
struct Texts {
    /// What the parts so far end with.
    current: Vec<u8>,
    longest: Vec<u8>,
}

impl Texts {
    fn walk(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Literal(literal) => self.current.extend_from_slice(&literal.0),
            // They match no bytes, so what is on both sides meets.
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Capture(group) => self.walk(&group.sub),
            HirKind::Concat(parts) => parts.iter().for_each(|part| self.walk(part)),
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                self.end();
                self.walk(&repetition.sub);
                self.end();
            }
            HirKind::Class(_) | HirKind::Repetition(_) | HirKind::Alternation(_) => self.end(),
        }
    }

    /// What comes next may be anything.
    fn end(&mut self) {
        let text = std::mem::take(&mut self.current);
        if text.len() > self.longest.len() {
            self.longest = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_match_contains() {
        let check = |expression: &str, wanted: Option<&str>| {
            let hir = regex_syntax::parse(expression).unwrap();
            assert_eq!(required(&hir).as_deref(), wanted.map(str::as_bytes), "{expression}");
        };
        check("foo.*barbar", Some("barbar"));
        check("(foo)(?:bar)?", Some("foo"));
        check("(a)(b)c", Some("abc"));
        check("x(?:foo)+y", Some("foo"));
        check("x(?:foo)*y", Some("x"));
        check("a^b$c", Some("abc"));
        check("foo|bar", None);
        check("(?i)foo", None);
        check("(?i)foo-1", Some("-1"));
        check("[^a]+b.*", Some("b"));
        check("(?:a[bc]{2})", Some("a"));
        check(".*", None);
        check("", None);
        check("grü(ß|s)e", Some("grü"));
    }
}
