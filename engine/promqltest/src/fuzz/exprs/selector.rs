//! Instant selectors.

use super::{Writer, quoted, words};

/// What the samples of a metric are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Counter,
    Classic,
    Native,
}

const FLOATS: [&str; 8] =
    ["gauge_a", "gauge_b", "limit", "odd", "single", "solo", "target_info", "latency_sum"];
const COUNTERS: [&str; 3] = ["requests_total", "errors_total", "latency_count"];
const NATIVES: [&str; 4] = ["native", "native_gauge", "custom", "mixed"];

impl Writer<'_> {
    pub(super) fn any_kind(&mut self) -> Kind {
        self.random.one_of(&[
            Kind::Float,
            Kind::Float,
            Kind::Counter,
            Kind::Counter,
            Kind::Native,
            Kind::Classic,
        ])
    }

    pub(super) fn selector(&mut self, kind: Kind) -> String {
        let selector = self.bare_selector(kind);
        format!("{selector}{}", self.modifiers())
    }

    pub(super) fn bare_selector(&mut self, kind: Kind) -> String {
        match self.random.below(100) {
            0..3 => return self.by_name(),
            3 => return "missing".to_owned(),
            _ => {}
        }
        let name = match kind {
            Kind::Float => self.random.pick(&FLOATS),
            Kind::Counter => self.random.pick(&COUNTERS),
            Kind::Classic => "latency_bucket",
            Kind::Native => self.random.pick(&NATIVES),
        };
        if self.random.percent(70) { name.to_owned() } else { format!("{name}{{{}}}", self.matchers()) }
    }

    /// Selectors of several metrics, and of names that must be quoted.
    fn by_name(&mut self) -> String {
        let all = [
            "{__name__=~\"gauge_.\"}",
            "{__name__=~\"gauge_a|requests_total\"}",
            "{__name__=~\"native|gauge_a\", job=\"api\"}",
            "{\"ütf.8\"}",
            "{\"ütf.8\", \"a.b\"=\"c\"}",
            "{job=\"db\"}",
            "{__name__!=\"odd\", instance=\"a:80\"}",
            "{__name__=~\"native|custom|mixed\"}",
        ];
        self.random.pick(&all).to_owned()
    }

    pub(super) fn matchers(&mut self) -> String {
        let count = self.random.one_of(&[1, 1, 2]);
        (0..count).map(|_| self.matcher()).collect::<Vec<_>>().join(", ")
    }

    fn matcher(&mut self) -> String {
        let label = self.random.pick(&words::LABELS);
        let values = ["", "api", "db", "a:80", "200", "5", "+Inf", "zürich \"1\"", "日本\\x", "1"];
        let patterns = ["", ".*", ".+", "a.*", "api|db", "[ab]:80", "(?i:API)", "z.*", "d.+|", "\\\\+Inf|1"];
        match self.random.below(4) {
            0 | 1 => {
                let op = self.random.pick(&["=", "!="]);
                format!("{label}{op}{}", quoted(self.random.pick(&values)))
            }
            _ => {
                let op = self.random.pick(&["=~", "!~"]);
                format!("{label}{op}\"{}\"", self.random.pick(&patterns))
            }
        }
    }
}
