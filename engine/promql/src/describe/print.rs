//! A plan as text.

use std::fmt::Write as _;

use isinglass_lang::promql::ast::{AggregateOp, MatchOp, Matcher};
use isinglass_lang::promql::{format_duration, quoted};

use crate::labels::METRIC_NAME;
use crate::plan::{
    Aggregate, Classic, ClassicFunction, Leaf, Map, MapFunction, Matching, Plan, SortBy, Vector, Wanted,
    Window, WindowInput,
};

/// A node a line.
pub(super) fn plan(plan: &Plan) -> String {
    let mut printer = Printer { text: String::new(), depth: 0 };
    match plan {
        Plan::Scalar(_) => printer.line("Scalar"),
        Plan::Text(_) => printer.line("String"),
        Plan::Vector(vector) => printer.vector(vector),
        Plan::Matrix(input, range_ms) => {
            printer.line(&format!("Samples of {}", format_duration(*range_ms)));
            printer.below(|printer| printer.input(input));
        }
    }
    printer.text
}

struct Printer {
    text: String,
    depth: usize,
}

impl Printer {
    fn line(&mut self, text: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.text, "{:indent$}{text}", "", indent = 2 * self.depth);
    }

    fn below(&mut self, print: impl FnOnce(&mut Self)) {
        self.depth += 1;
        print(self);
        self.depth -= 1;
    }

    /// A node and what it reads.
    fn node(&mut self, text: &str, inputs: &[&Vector]) {
        self.line(text);
        self.below(|printer| inputs.iter().for_each(|input| printer.vector(input)));
    }

    fn vector(&mut self, vector: &Vector) {
        match vector {
            Vector::Select(leaf, wanted) => self.line(&select(leaf, *wanted)),
            Vector::Window(window) => self.window("Window", window),
            Vector::AbsentOverTime(window, _) => self.window("Absent over", window),
            Vector::Map(map) => self.node(&function(map), &[&map.input]),
            Vector::FromScalar(_) => self.line("Vector of a scalar"),
            Vector::WithScalar(both) => {
                let what = if both.op.is_comparison() { "Compare" } else { "Arithmetic" };
                self.node(&format!("{what} {} with a scalar", both.op.text()), &[&both.vector]);
            }
            Vector::Join(join) => {
                let text = format!("Join {}{}", join.op.text(), matching(&join.matching));
                self.node(&text, &[&join.left, &join.right]);
            }
            Vector::Set(set) => {
                let how = if set.on { "on" } else { "ignoring" };
                let text = format!("Set {} {how} ({})", set.op.text(), set.labels.join(", "));
                self.node(&text, &[&set.left, &set.right]);
            }
            Vector::Aggregate(of) => self.node(&aggregate(of), &[&of.input]),
            Vector::Absent(input, _) => self.node("Absent", &[input]),
            Vector::Classic(of) => self.node(classic(of), &[&of.input]),
            Vector::LabelReplace(of) => {
                self.node(&format!("Replace label {}", quoted(&of.to)), &[&of.input]);
            }
            Vector::LabelJoin(of) => self.node(&format!("Join labels into {}", quoted(&of.to)), &[&of.input]),
            Vector::Sort(of) => {
                let by = if matches!(of.by, SortBy::Value) { "value" } else { "labels" };
                let order = if of.descending { " descending" } else { "" };
                self.node(&format!("Sort by {by}{order}"), &[&of.input]);
            }
            Vector::Info(of) => {
                self.node(&format!("Info from {}", selector(&of.matchers)), &[&of.input]);
            }
            Vector::Invariant(inner) => self.node("Once for all steps", &[inner]),
        }
    }

    fn window(&mut self, what: &str, window: &Window) {
        let (name, range) = (snake(&format!("{:?}", window.function)), format_duration(window.range_ms));
        self.line(&format!("{what} {name} {range}"));
        self.below(|printer| printer.input(&window.input));
    }

    fn input(&mut self, input: &WindowInput) {
        match input {
            WindowInput::Samples(leaf) => self.line(&select(leaf, Wanted::Value)),
            WindowInput::Subquery(subquery) => {
                let times = times(subquery.offset_ms, subquery.at_ms);
                let step = format_duration(subquery.step_ms);
                self.node(&format!("Subquery every {step}{times}"), &[&subquery.plan]);
            }
        }
    }
}

fn select(leaf: &Leaf, wanted: Wanted) -> String {
    let what = match wanted {
        Wanted::Value => "Select",
        Wanted::Timestamp => "Times of",
        Wanted::StartTimestamp => "Start times of",
    };
    let stats = if leaf.stats { " (counts and sums)" } else { "" };
    format!("{what} {}{}{stats}", selector(&leaf.matchers), times(leaf.offset_ms, leaf.at_ms))
}

fn times(offset_ms: i64, at_ms: Option<i64>) -> String {
    let at = at_ms.map_or(String::new(), |at| format!(" @ {:.3}", at as f64 / 1e3));
    let sign = if offset_ms < 0 { "-" } else { "" };
    match offset_ms {
        0 => at,
        offset => format!("{at} offset {sign}{}", format_duration(offset.saturating_abs())),
    }
}

/// `name{a="b"}`
fn selector(matchers: &[Matcher]) -> String {
    let is_name = |matcher: &&Matcher| matcher.label == METRIC_NAME && matcher.op == MatchOp::Equal;
    let name = matchers.iter().find(is_name);
    let others = matchers.iter().filter(|matcher| Some(*matcher) != name);
    let written: Vec<String> = others
        .map(|matcher| format!("{}{}{}", matcher.label, matcher.op.text(), quoted(&matcher.value)))
        .collect();
    let name = name.map_or("", |name| name.value.as_str());
    if written.is_empty() && !name.is_empty() {
        return name.to_owned();
    }
    format!("{name}{{{}}}", written.join(", "))
}

fn matching(matching: &Matching) -> String {
    use isinglass_lang::promql::ast::Cardinality;
    let mut text = String::new();
    if matching.on || !matching.labels.is_empty() {
        let how = if matching.on { "on" } else { "ignoring" };
        text = format!(" {how} ({})", matching.labels.join(", "));
    }
    match matching.cardinality {
        Cardinality::ManyToOne => text.push_str(" group_left"),
        Cardinality::OneToMany => text.push_str(" group_right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => {}
    }
    text
}

fn aggregate(of: &Aggregate) -> String {
    let name = of.op.text();
    let label = if of.op == AggregateOp::CountValues { quoted(&of.label) } else { String::new() };
    let label = if label.is_empty() { label } else { format!(" {label}") };
    match (of.without, of.grouping.is_empty()) {
        (false, true) => format!("Aggregate {name}{label}"),
        (false, false) => format!("Aggregate {name}{label} by ({})", of.grouping.join(", ")),
        (true, _) => format!("Aggregate {name}{label} without ({})", of.grouping.join(", ")),
    }
}

fn classic(of: &Classic) -> &'static str {
    match of.function {
        ClassicFunction::Quantile => "Quantile of histograms",
        ClassicFunction::Fraction => "Fraction of histograms",
        ClassicFunction::Quantiles(_) => "Quantiles of histograms",
    }
}

/// Functions of numbers are pointers, which have no name.
fn function(map: &Map) -> String {
    match map.function {
        MapFunction::Brought(name) => format!("Function {name} of each sample"),
        MapFunction::Float(_) => "Function of each sample".to_owned(),
        other => format!("Function {}", snake(&format!("{other:?}"))),
    }
}

/// `TimeOfFirst` as `time_of_first`; what is in brackets behind it is left out.
fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for char in name.chars().take_while(|char| char.is_ascii_alphanumeric()) {
        if char.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(char.to_ascii_lowercase());
    }
    text
}
