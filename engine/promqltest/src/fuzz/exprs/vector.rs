//! Instant vectors.

use super::selector::Kind;
use super::{Writer, quoted, words};

/// Aggregations without a parameter; the usual ones are more likely.
const AGGREGATES: [&str; 11] =
    ["sum", "sum", "sum", "avg", "avg", "count", "min", "max", "group", "stddev", "stdvar"];

impl Writer<'_> {
    pub(super) fn vector(&mut self, depth: usize) -> String {
        let kind = self.any_kind();
        self.vector_of(kind, depth)
    }

    /// A vector whose samples are mostly of a kind.
    pub(super) fn vector_of(&mut self, kind: Kind, depth: usize) -> String {
        if depth == 0 {
            return self.selector(kind);
        }
        match self.random.below(100) {
            0..8 => self.selector(kind),
            8..34 => self.over_range(kind, depth - 1),
            34..52 => self.aggregate(kind, depth - 1),
            52..72 => self.operation(kind, depth - 1),
            72..86 => self.call(depth - 1),
            86..90 => self.of_histogram(depth - 1),
            90..93 => self.relabelled(kind, depth - 1),
            93..95 => format!("({})", self.vector_of(kind, depth - 1)),
            95 => format!("-{}", self.vector_of(kind, depth - 1)),
            96 => format!("vector({})", self.scalar(depth - 1)),
            97 => self.info(kind, depth - 1),
            _ => self.sorted(kind, depth - 1),
        }
    }

    fn aggregate(&mut self, kind: Kind, depth: usize) -> String {
        let (grouping, inner) = (self.grouping(kind), self.vector_of(kind, depth));
        match self.random.below(100) {
            0..65 => format!("{}{grouping}({inner})", self.random.pick(&AGGREGATES)),
            65..75 => {
                let count = self.random.pick(&["1", "2", "3", "10", "0", "-1", "1.9"]);
                format!("{}{grouping}({count}, {inner})", self.random.pick(&["topk", "bottomk"]))
            }
            75..80 => format!("limitk{grouping}({}, {inner})", self.random.pick(&["0", "1", "2", "5", "-1"])),
            80..84 => {
                let ratio = self.random.pick(&["0", "0.3", "0.5", "-0.5", "1", "-1", "2"]);
                format!("limit_ratio{grouping}({ratio}, {inner})")
            }
            84..91 => format!("quantile{grouping}({}, {inner})", self.scalar(depth.min(1))),
            91..98 => format!("count_values{grouping}({}, {inner})", self.label_text()),
            _ => format!("topk{grouping}({}, {inner})", self.scalar(depth.min(1))),
        }
    }

    /// Buckets are mostly grouped so that they stay a histogram.
    fn grouping(&mut self, kind: Kind) -> String {
        if self.random.percent(30) {
            return String::new();
        }
        let labels = self.labels();
        let word = self.random.pick(&["by", "by", "without"]);
        if kind == Kind::Classic && word == "by" {
            return format!(" by (le, {labels}) ");
        }
        format!(" {word} ({labels}) ")
    }

    fn label_text(&mut self) -> String {
        if self.random.percent(90) {
            return quoted(self.random.pick(&["value", "job", "code", "new"]));
        }
        quoted(self.random.pick(&["", "a b", "é", "__name__", "\\xff"]))
    }

    fn relabelled(&mut self, kind: Kind, depth: usize) -> String {
        let (inner, to) = (self.vector_of(kind, depth), self.label_text());
        let from = quoted(self.random.pick(&words::LABELS));
        if self.random.percent(50) {
            let replacement = quoted(self.random.pick(&words::TEXTS));
            let pattern =
                quoted(self.random.pick(&["(.*)", "(.).*", "a.*", "", "(", "([a-z]+):?(.*)", "(?P<n>.*)"]));
            return format!("label_replace({inner}, {to}, {replacement}, {from}, {pattern})");
        }
        let separator = quoted(self.random.pick(&["-", "", ","]));
        let mut sources = vec![from];
        if self.random.percent(50) {
            sources.push(quoted(self.random.pick(&words::LABELS)));
        }
        format!("label_join({inner}, {to}, {separator}, {})", sources.join(", "))
    }

    fn info(&mut self, kind: Kind, depth: usize) -> String {
        let inner = self.vector_of(kind, depth);
        match self.random.below(3) {
            0 => format!("info({inner})"),
            1 => format!("info({inner}, {{version=~\".+\"}})"),
            _ => format!("info({inner}, {{__name__=~\".*_info\", data!=\"x\"}})"),
        }
    }

    fn sorted(&mut self, kind: Kind, depth: usize) -> String {
        let inner = self.vector_of(kind, depth);
        if self.random.percent(50) {
            return format!("{}({inner})", self.random.pick(&["sort", "sort_desc"]));
        }
        let label = quoted(self.random.pick(&words::LABELS));
        format!("{}({inner}, {label})", self.random.pick(&["sort_by_label", "sort_by_label_desc"]))
    }

    fn of_histogram(&mut self, depth: usize) -> String {
        let kind = self.random.one_of(&[Kind::Classic, Kind::Native]);
        let inner = match self.random.below(3) {
            0 => self.vector_of(kind, depth),
            1 => format!("rate({}[{}])", self.bare_selector(kind), self.range()),
            _ => format!("sum by (le, job) (rate({}[{}]))", self.bare_selector(kind), self.range()),
        };
        if self.random.percent(70) {
            return format!("histogram_quantile({}, {inner})", self.scalar(depth.min(1)));
        }
        format!("histogram_fraction({}, {}, {inner})", self.scalar(0), self.scalar(0))
    }
}
