//! Operations of two sides.

use super::Writer;
use super::selector::Kind;

const ARITHMETIC: [&str; 9] = ["+", "+", "-", "*", "/", "/", "%", "^", "atan2"];
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];
const SETS: [&str; 3] = ["and", "or", "unless"];

/// Labels that mostly tell the series of a metric from each other.
const KEYS: [&str; 4] = ["job, instance", "job, instance, env", "job, instance, code", "instance"];

impl Writer<'_> {
    pub(super) fn scalar_operation(&mut self, depth: usize) -> String {
        let (lhs, rhs) = (self.scalar(depth), self.scalar(depth));
        if self.random.percent(30) {
            return format!("{lhs} {} bool {rhs}", self.random.pick(&COMPARISONS));
        }
        format!("({lhs}) {} {rhs}", self.random.pick(&ARITHMETIC))
    }

    pub(super) fn operation(&mut self, kind: Kind, depth: usize) -> String {
        match self.random.below(10) {
            0..4 => self.with_scalar(kind, depth),
            4..6 => self.of_sets(kind, depth),
            _ => self.of_vectors(kind, depth),
        }
    }

    fn operator(&mut self) -> String {
        match self.random.below(10) {
            0..6 => self.random.pick(&ARITHMETIC).to_owned(),
            6..8 => self.random.pick(&COMPARISONS).to_owned(),
            _ => format!("{} bool", self.random.pick(&COMPARISONS)),
        }
    }

    fn with_scalar(&mut self, kind: Kind, depth: usize) -> String {
        let (vector, scalar) = (self.vector_of(kind, depth), self.scalar(depth.min(2)));
        let operator = self.operator();
        if self.random.percent(50) {
            format!("{vector} {operator} {scalar}")
        } else {
            format!("{scalar} {operator} {vector}")
        }
    }

    fn of_sets(&mut self, kind: Kind, depth: usize) -> String {
        let (lhs, rhs) = (self.side(kind, depth), self.side(kind, depth));
        let matching = match self.random.below(3) {
            0 => self.pairing(),
            _ => String::new(),
        };
        format!("{lhs} {}{matching} {rhs}", self.random.pick(&SETS))
    }

    fn of_vectors(&mut self, kind: Kind, depth: usize) -> String {
        let (lhs, rhs) = (self.side(kind, depth), self.side(kind, depth));
        let matching = match self.random.below(10) {
            0..4 => String::new(),
            4..7 => self.pairing(),
            _ => self.group_matching(),
        };
        format!("{lhs} {}{matching} {rhs}", self.operator())
    }

    /// Mostly of the same kind as the other side, sometimes the sum of few labels.
    fn side(&mut self, kind: Kind, depth: usize) -> String {
        match self.random.below(10) {
            0 => self.vector(depth),
            1 | 2 => format!("sum by ({}) ({})", self.random.pick(&KEYS), self.vector_of(kind, depth)),
            _ => format!("({})", self.vector_of(kind, depth)),
        }
    }

    fn pairing(&mut self) -> String {
        let labels = if self.random.percent(70) { self.random.pick(&KEYS).to_owned() } else { self.labels() };
        match self.random.below(10) {
            0..7 => format!(" on ({labels})"),
            _ => format!(" ignoring ({labels}, code)"),
        }
    }

    fn group_matching(&mut self) -> String {
        let pairing = self.pairing();
        let include = self.random.pick(&["", "", "()", "(version)", "(env, code)", "(new)"]);
        format!("{pairing} {}{include}", self.random.pick(&["group_left", "group_right"]))
    }
}
