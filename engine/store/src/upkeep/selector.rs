//! Selectors as PromQL writes them: `name{label="a", other!="b", third=~"c.*", fourth!~"d"}`.
//!
//! A label that is not there counts as empty, a pattern must match the whole value, and a
//! selector that would match a series without any label is refused: all as in PromQL.

use isinglass_model::labels::METRIC_NAME;
use regex::{Regex, RegexBuilder};

/// Bytes of a selector.
const BYTES_MAX: usize = 4_096;
/// What one compiled pattern may take in memory.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Conditions that must all hold.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    matchers: Vec<Matcher>,
}

#[derive(Debug, Clone)]
struct Matcher {
    label: String,
    test: Test,
    /// Whether the test must fail.
    not: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Is(String),
    Matches(Regex),
}

impl Matcher {
    fn holds(&self, value: &str) -> bool {
        let found = match &self.test {
            Test::Is(wanted) => wanted == value,
            Test::Matches(pattern) => pattern.is_match(value),
        };
        found != self.not
    }
}

impl Selector {
    /// The error says what is wrong, and at which byte.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > BYTES_MAX {
            return Err(format!("has {} bytes, the limit is {BYTES_MAX}", text.len()));
        }
        let mut matchers = Vec::new();
        for (label, operator, value) in read(text)? {
            let test = match operator {
                "=" | "!=" => Test::Is(value),
                _ => Test::Matches(pattern(&value)?),
            };
            matchers.push(Matcher { label, test, not: operator.starts_with('!') });
        }
        if matchers.iter().all(|matcher| matcher.holds("")) {
            return Err("would match what has no labels at all; at least one condition must not".to_owned());
        }
        Ok(Self { matchers })
    }

    /// Whether all conditions hold for these labels, a missing one being empty.
    pub(super) fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.matchers.iter().all(|matcher| matcher.holds(label(&matcher.label).unwrap_or_default()))
    }
}

/// The labels of a log stream, `{a="b", c="d"}`; none if it says something else.
pub(super) fn labels_of_stream(text: &str) -> Vec<(String, String)> {
    let read = read(text).unwrap_or_default();
    let labels = read.into_iter().filter(|(_, operator, _)| *operator == "=");
    labels.map(|(name, _, value)| (name, value)).collect()
}

fn pattern(text: &str) -> Result<Regex, String> {
    let whole = format!("^(?s:{text})$");
    let built = RegexBuilder::new(&whole).size_limit(PATTERN_BYTES_MAX).build();
    built.map_err(|error| format!("pattern {text:?}: {}", error.to_string().replace('\n', " ")))
}

/// (label, operator, value) in order; a name before the braces is `__name__`.
fn read(text: &str) -> Result<Vec<(String, &'static str, String)>, String> {
    let mut reader = Reader { text, at: 0 };
    let mut found = Vec::new();
    reader.space();
    let name = reader.word();
    if !name.is_empty() {
        found.push((METRIC_NAME.to_owned(), "=", name.to_owned()));
    }
    reader.space();
    if reader.take("{") {
        reader.space();
        while !reader.take("}") {
            let label = reader.word().to_owned();
            if label.is_empty() {
                return Err(reader.expected("a label or `}`"));
            }
            reader.space();
            let operator = ["=~", "!~", "!=", "="].into_iter().find(|operator| reader.take(operator));
            let operator = operator.ok_or_else(|| reader.expected("one of =, !=, =~, !~"))?;
            reader.space();
            found.push((label, operator, reader.quoted()?));
            reader.space();
            if !reader.take(",") && !reader.rest().starts_with('}') {
                return Err(reader.expected("`,` or `}`"));
            }
            reader.space();
        }
        reader.space();
    }
    if !reader.rest().is_empty() || found.is_empty() {
        return Err(reader.expected("a name or `{`"));
    }
    Ok(found)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expected(&self, what: &str) -> String {
        let found: String = self.rest().chars().take(8).collect();
        format!("byte {}: {what} expected, found {found:?}", self.at)
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        self.at += if there { token.len() } else { 0 };
        there
    }

    /// A name of a metric or label; those of OTLP may have dots.
    fn word(&mut self) -> &'a str {
        let of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '-' | '/');
        let rest = self.rest();
        let end = rest.find(|c| !of_word(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
        let quote = quote.ok_or_else(|| self.expected("a quoted value"))?;
        let start = self.at;
        self.at += 1;
        let mut value = String::new();
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            match c {
                c if c == quote => return Ok(value),
                '\\' if quote != '`' => value.push(self.escaped()?),
                c => value.push(c),
            }
        }
        Err(format!("byte {start}: the quoted value has no end"))
    }

    fn escaped(&mut self) -> Result<char, String> {
        let at = self.at;
        let c = self.rest().chars().next();
        self.at += c.map_or(0, char::len_utf8);
        let code = |text: &str| u32::from_str_radix(text, 16).ok().and_then(char::from_u32);
        let known = match c {
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some(c @ ('\\' | '"' | '\'')) => Some(c),
            Some('x') => {
                let digits = self.rest().get(..2).unwrap_or_default();
                self.at += digits.len();
                code(digits)
            }
            _ => None,
        };
        known.ok_or_else(|| format!("byte {at}: no such escape; there are \\n \\t \\r \\\\ \\\" \\' \\xHH"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], want: bool) {
        let parsed = Selector::parse(selector).unwrap();
        let found = parsed.matches(|name| labels.iter().find(|(n, _)| *n == name).map(|(_, value)| *value));
        assert_eq!(found, want, "{selector} {labels:?}");
    }

    #[test]
    fn matches_as_promql_does() {
        let labels = [("__name__", "debug_x"), ("env", "dev")];
        check("debug_x", &labels, true);
        check("debug_y", &labels, false);
        check(r#"debug_x{env="dev"}"#, &labels, true);
        check(r#"{__name__=~"debug_.*",env="dev"}"#, &labels, true);
        check(r#"{__name__=~"debug_", env="dev",}"#, &labels, false);
        check(r#"{__name__=~"debug_x|y"}"#, &labels, true);
        check(r#"debug_x{zone=""}"#, &labels, true);
        check(r#"debug_x{zone!=""}"#, &labels, false);
        check(r"debug_x{ env !~ 'prod|stag.*' }", &labels, true);
        check(r#"{a="q\"\\\x41"}"#, &[("a", "q\"\\A")], true);
        check("{a=`\\d`}", &[("a", "\\d")], true);
        check(r#"{service.name="ü"}"#, &[("service.name", "ü")], true);
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let fault = |text: &str| Selector::parse(text).unwrap_err();
        assert_eq!(fault("{a=b}"), "byte 3: a quoted value expected, found \"b}\"");
        assert_eq!(fault("{a\"b\"}"), "byte 2: one of =, !=, =~, !~ expected, found \"\\\"b\\\"}\"");
        assert_eq!(fault("{a=\"b"), "byte 3: the quoted value has no end");
        assert_eq!(fault("{a=\"b\" c=\"d\"}"), "byte 7: `,` or `}` expected, found \"c=\\\"d\\\"}\"");
        assert_eq!(fault("{a=\"b\"} x"), "byte 8: a name or `{` expected, found \"x\"");
        assert!(fault("{a=~\"(\"}").starts_with("pattern \"(\": "));
        for all in ["", "{}"] {
            assert!(fault(all).ends_with("a name or `{` expected, found \"\""), "{}", fault(all));
        }
        for all in ["{a=~\".*\"}", "{a!=\"b\"}"] {
            assert!(fault(all).starts_with("would match"), "{}", fault(all));
        }
        assert_eq!(fault(&"x".repeat(5_000)), "has 5000 bytes, the limit is 4096");
        assert!(fault("{a=~\"(x{1000}){1000}\"}").contains("size limit"));
    }

    #[test]
    fn streams_are_read_as_they_are_written() {
        let labels = labels_of_stream(r#"{service="shop", path="a\"b\n"}"#);
        assert_eq!(labels, [("service".into(), "shop".into()), ("path".into(), "a\"b\n".into())]);
        assert_eq!(labels_of_stream("whatever it is"), []);
    }
}
