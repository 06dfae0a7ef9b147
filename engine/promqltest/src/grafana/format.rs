//! How a variable's value is written into a query.

use super::variables::{Value, Variable};

/// What `${name:format}` can ask for. Grafana has more, for other languages and for links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As the Prometheus data source writes it where nothing is asked for.
    Prometheus,
    /// As it is; several with commas. Also `csv`.
    Raw,
    /// Escaped for JavaScript's regular expressions; several in brackets. A backslash of it is
    /// no escape of a PromQL string, so this is of use between backquotes alone.
    Regex,
    /// Several with `|`.
    Pipe,
    /// Several with commas in braces.
    Glob,
    /// Each in quotes of this kind, several with commas.
    Quoted(char),
}

impl Format {
    /// The format of a name, `None` if it is not one for queries.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "raw" | "csv" => Self::Raw,
            "regex" => Self::Regex,
            "pipe" => Self::Pipe,
            "glob" => Self::Glob,
            "singlequote" => Self::Quoted('\''),
            "doublequote" => Self::Quoted('"'),
            _ => return None,
        })
    }

    /// A variable's value as this format writes it. What stands for all is not escaped.
    pub fn write(self, variable: &Variable) -> String {
        match &variable.value {
            Value::All(text) => text.clone(),
            Value::One(one) => self.one(one, variable),
            Value::Many(many) => self.many(many, variable),
        }
    }

    fn one(self, value: &str, variable: &Variable) -> String {
        match self {
            Self::Prometheus if !variable.multi && !variable.include_all => prometheus_text(value),
            Self::Prometheus => prometheus_pattern(value),
            Self::Raw | Self::Pipe | Self::Glob => value.to_owned(),
            Self::Regex => regex(value),
            Self::Quoted(quote) => quoted(value, quote),
        }
    }

    fn many(self, values: &[String], variable: &Variable) -> String {
        let written: Vec<_> = values.iter().map(|value| self.one(value, variable)).collect();
        match self {
            Self::Prometheus | Self::Regex if written.len() != 1 => format!("({})", written.join("|")),
            Self::Pipe => written.join("|"),
            Self::Glob if written.len() > 1 => format!("{{{}}}", written.join(",")),
            _ => written.join(","),
        }
    }
}

/// A value that stands between the quotes of `=`.
fn prometheus_text(value: &str) -> String {
    value.replace('\\', r"\\").replace('\'', r"\\'")
}

/// A value that stands between the quotes of `=~`: escaped for the pattern, and that escape once
/// more for the string.
fn prometheus_pattern(value: &str) -> String {
    escaped(&value.replace('\\', r"\\\\"), "$^*{}[]+?.()|", r"\\")
}

fn regex(value: &str) -> String {
    escaped(value, r"\^$*+?.()|[]{}/", r"\")
}

fn escaped(value: &str, special: &str, escape: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for char in value.chars() {
        if special.contains(char) {
            text.push_str(escape);
        }
        text.push(char);
    }
    text
}

fn quoted(value: &str, quote: char) -> String {
    format!("{quote}{}{quote}", value.replace(quote, &format!("\\{quote}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value, multi: bool) -> Variable {
        Variable { value, multi, include_all: false }
    }

    fn check(format: &str, values: &[&str], wanted: &str) {
        let value = match values {
            [one] => Value::One((*one).to_owned()),
            many => Value::Many(many.iter().map(|&value| value.to_owned()).collect()),
        };
        let format = if format.is_empty() { Some(Format::Prometheus) } else { Format::of(format) };
        let written = format.map(|format| format.write(&of(value, true)));
        assert_eq!(written.as_deref(), Some(wanted), "{format:?} of {values:?}");
    }

    #[test]
    fn each_format_writes_as_grafana_does() {
        check("", &["a.b"], r"a\\.b");
        check("", &["a.b", "c"], r"(a\\.b|c)");
        check("", &[r"a\b"], r"a\\\\b");
        check("", &["$^*{}[]+?.()|"], r"\\$\\^\\*\\{\\}\\[\\]\\+\\?\\.\\(\\)\\|");
        check("", &["/api/v1"], "/api/v1");
        check("", &[], "()");
        check("regex", &["a.b/c"], r"a\.b\/c");
        check("regex", &["a.b", "c"], r"(a\.b|c)");
        check("pipe", &["a.b", "c"], "a.b|c");
        check("csv", &["a", "b"], "a,b");
        check("raw", &["a.b"], "a.b");
        check("glob", &["a", "b"], "{a,b}");
        check("glob", &["a"], "a");
        check("doublequote", &[r#"a"b"#, "c"], r#""a\"b","c""#);
        check("singlequote", &["it's"], r"'it\'s'");
        assert_eq!(Format::of("lucene"), None);
    }

    #[test]
    fn a_variable_of_one_value_is_a_text_and_not_a_pattern() {
        let write = |value: &str| Format::Prometheus.write(&of(Value::One(value.to_owned()), false));
        assert_eq!(write("a.b:9100"), "a.b:9100");
        assert_eq!(write(r"C:\x"), r"C:\\x");
        assert_eq!(write("it's"), r"it\\'s");
    }

    #[test]
    fn what_stands_for_all_is_written_as_it_is() {
        assert_eq!(Format::Prometheus.write(&of(Value::All(".*".to_owned()), true)), ".*");
    }
}
