//! Variables, and texts in which they stand: `$name`, `${name}`, `${name:format}`, `[[name]]`,
//! `[[name:format]]`.

use std::collections::BTreeMap;

use super::format::Format;

/// What is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// One value.
    One(String),
    /// Several, or all that there are.
    Many(Vec<String>),
    /// What the dashboard's author wrote to stand for all, `allValue`. Variables in it count.
    All(String),
}

/// A variable with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// What is chosen.
    pub value: Value,
    /// Several can be chosen, so values are patterns.
    pub multi: bool,
    /// All can be chosen, so values are patterns.
    pub include_all: bool,
}

impl Variable {
    /// A variable of one value that is written as it is, as Grafana's own are.
    pub fn text(value: impl Into<String>) -> Self {
        Self { value: Value::One(value.into()), multi: false, include_all: false }
    }
}

/// Variables by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Variables(BTreeMap<String, Variable>);

/// How often what stands for all is looked through again; it could name itself.
const NESTED_MAX: usize = 4;

impl Variables {
    /// With one more, or another one of the name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, variable: Variable) -> Self {
        self.0.insert(name.into(), variable);
        self
    }

    /// A text with values in place of the variables. What is unknown, or has a format that is
    /// none of queries, stays as it is.
    pub fn expand(&self, text: &str) -> String {
        self.expand_within(text, NESTED_MAX)
    }

    /// The names in a text that are none of these variables.
    pub fn unknown<'a>(&self, text: &'a str) -> Vec<&'a str> {
        let references = pieces(text).into_iter().filter_map(|piece| match piece {
            Piece::Reference(reference) => Some(reference.name),
            Piece::Text(_) => None,
        });
        references.filter(|name| !self.0.contains_key(*name)).collect()
    }

    fn expand_within(&self, text: &str, nested_max: usize) -> String {
        let write = |piece| match piece {
            Piece::Text(text) => text.to_owned(),
            Piece::Reference(reference) => {
                self.value(&reference, nested_max).unwrap_or_else(|| reference.whole.to_owned())
            }
        };
        pieces(text).into_iter().map(write).collect()
    }

    fn value(&self, reference: &Reference<'_>, nested_max: usize) -> Option<String> {
        let variable = self.0.get(reference.name)?;
        let written = reference.format.map_or(Some(Format::Prometheus), Format::of)?.write(variable);
        match (&variable.value, nested_max.checked_sub(1)) {
            (Value::All(_), Some(nested_max)) => Some(self.expand_within(&written, nested_max)),
            _ => Some(written),
        }
    }
}

/// A part of a text.
enum Piece<'a> {
    Text(&'a str),
    Reference(Reference<'a>),
}

/// A variable as it is named in a text.
struct Reference<'a> {
    whole: &'a str,
    name: &'a str,
    format: Option<&'a str>,
}

fn pieces(mut text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(['$', '[']).map(|at| from + at) {
        let Some(reference) = reference(&text[at..]) else {
            from = at + 1;
            continue;
        };
        let (before, rest) = (&text[..at], &text[at + reference.whole.len()..]);
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Reference(reference));
        (text, from) = (rest, 0);
    }
    pieces.push(Piece::Text(text));
    pieces
}

/// The reference at the start of a text.
fn reference(text: &str) -> Option<Reference<'_>> {
    let (name, format, rest) = if let Some(inside) = text.strip_prefix("${") {
        named(inside, "}", |format| format.find('}'))?
    } else if let Some(inside) = text.strip_prefix("[[") {
        named(inside, "]]", |format| Some(word(format).len()))?
    } else {
        let name = word(text.strip_prefix('$')?);
        (name, None, &text[1 + name.len()..])
    };
    let whole = &text[..text.len() - rest.len()];
    (!name.is_empty()).then_some(Reference { whole, name, format })
}

/// Name, format and what follows of `name:format` and its closing bracket.
fn named<'a>(
    inside: &'a str,
    close: &str,
    format_len: impl Fn(&str) -> Option<usize>,
) -> Option<(&'a str, Option<&'a str>, &'a str)> {
    let name = word(inside);
    let rest = &inside[name.len()..];
    let Some(format) = rest.strip_prefix(':') else { return Some((name, None, rest.strip_prefix(close)?)) };
    let (format, rest) = format.split_at(format_len(format)?);
    Some((name, Some(format), rest.strip_prefix(close)?)).filter(|_| !format.is_empty())
}

fn word(text: &str) -> &str {
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn some() -> Variables {
        let many = |values: &[&str]| Value::Many(values.iter().map(|&value| value.to_owned()).collect());
        let multi = |value| Variable { value, multi: true, include_all: true };
        Variables::default()
            .with("one", Variable::text("x"))
            .with("job", multi(many(&["a.b", "c"])))
            .with("all", multi(Value::All("${one}.*".to_owned())))
            .with("loop", multi(Value::All("$loop".to_owned())))
    }

    fn check(text: &str, wanted: &str) {
        assert_eq!(some().expand(text), wanted, "{text}");
    }

    #[test]
    fn all_notations() {
        check("up{a=\"$one\"}", "up{a=\"x\"}");
        check("${one}_total [[one]]", "x_total x");
        check("$job ${job:pipe} [[job:csv]]", r"(a\\.b|c) a.b|c a.b,c");
        check("$all|${all:raw}", "x.*|x.*");
        check("$$one$", "$x$");
        check("[[[one]]]", "[x]");
    }

    #[test]
    fn what_is_no_variable_of_ours_stays() {
        for text in [
            "$1 $ones",
            "${one.field}",
            "${one:lucene}",
            "${one",
            "[[one",
            "[[one:]]",
            "${}",
            "${one:}",
            "a[5m]",
        ] {
            check(text, text);
        }
        check("é$oneé$", "éxé$");
        assert_eq!(some().unknown("$one $two ${three:raw} $1"), ["two", "three", "1"]);
    }

    #[test]
    fn what_names_itself_ends() {
        check("$loop", "$loop");
    }

    proptest! {
        #[test]
        fn any_text_can_be_expanded(text in r"([$\[\]{}:.a-c1é]|\$\{one|\$job|\[\[all){0,40}") {
            some().expand(&text);
        }

        #[test]
        fn without_marks_nothing_changes(text in r"[^$\[]*") {
            prop_assert_eq!(some().expand(&text), text);
        }
    }
}
