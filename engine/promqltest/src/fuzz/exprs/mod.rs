//! Random expressions over the series of [`series_set`](super::series::series_set).
//!
//! Types are right most of the time. Only what Prometheus 3.5 knows is written, see [`features`].

mod binary;
mod call;
pub mod features;
mod modifiers;
mod selector;
mod vector;

use super::random::Random;

/// Names and values of labels, and numbers, that expressions are made of.
mod words {
    pub(super) const LABELS: [&str; 6] = ["job", "instance", "env", "code", "le", "version"];
    pub(super) const NUMBERS: [&str; 14] =
        ["0", "1", "2", "3", "-1", "0.5", "0.25", "0.9", "1.5", "100", "-0.5", "1e3", "Inf", "NaN"];
    pub(super) const TEXTS: [&str; 8] = ["", "x", "api", "$1", "$1-$2", "é", "new", "${1}"];
}

/// A random expression. `times_ms` are the times that an `@` may name; range vectors and texts
/// come only where they may be the whole expression.
pub fn expression(random: &mut Random, times_ms: (i64, i64), range_query: bool) -> String {
    let depth = random.one_of(&[1, 2, 2, 3, 3, 4]);
    let mut writer = Writer { random, times_ms };
    match writer.random.below(100) {
        0..5 => writer.scalar(depth),
        5..8 if !range_query => writer.matrix(depth),
        8 => writer.text(),
        _ => writer.vector(depth),
    }
}

struct Writer<'a> {
    random: &'a mut Random,
    times_ms: (i64, i64),
}

impl Writer<'_> {
    fn scalar(&mut self, depth: usize) -> String {
        if depth == 0 || self.random.percent(60) {
            return self.random.pick(&words::NUMBERS).to_owned();
        }
        match self.random.below(8) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 => self.random.pick(&["5m", "1h30m", "0x1F", "1_000", "-Inf"]).to_owned(),
            3 => format!("-{}", self.scalar(depth - 1)),
            4 => format!("({})", self.scalar(depth - 1)),
            5 => self.scalar_operation(depth - 1),
            _ => format!("scalar({})", self.vector(depth - 1)),
        }
    }

    fn text(&mut self) -> String {
        quoted(self.random.pick(&words::TEXTS))
    }

    fn matrix(&mut self, depth: usize) -> String {
        if depth > 0 && self.random.percent(20) {
            return self.subquery(depth);
        }
        let kind = self.any_kind();
        let (selector, range) = (self.bare_selector(kind), self.range());
        format!("{selector}[{range}]{}", self.modifiers())
    }

    fn subquery(&mut self, depth: usize) -> String {
        let inner = match self.random.below(10) {
            0 => self.scalar(depth - 1),
            _ => self.vector(depth - 1),
        };
        let range = self.range();
        let step = self.random.pick(&["", "", "1m", "30s", "7s", "10m"]);
        format!("({inner})[{range}:{step}]{}", self.modifiers())
    }

    fn labels(&mut self) -> String {
        let count = self.random.one_of(&[0, 1, 1, 2, 3]);
        let labels: Vec<&str> = (0..count).map(|_| self.random.pick(&words::LABELS)).collect();
        labels.join(", ")
    }
}

/// A text in quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use isinglass_lang::promql::parse;

    use super::*;

    #[test]
    fn most_expressions_are_right() {
        let mut random = Random::new(7);
        let all: Vec<String> = (0..5000).map(|_| expression(&mut random, (0, 1000), true)).collect();
        let wrong: Vec<_> = all.iter().filter(|text| parse(text).is_err()).collect();
        assert!(wrong.len() < 500, "{}: {:#?}", wrong.len(), &wrong[..20]);
    }
}
