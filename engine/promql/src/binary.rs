//! An operator on two samples, floats or histograms.

use std::sync::Arc;

use isinglass_lang::promql::ast::{BinaryOp, Span};

use crate::annotations::Annotations;
use crate::arithmetic::{self, Outcome};
use crate::block::Cell;
use crate::histogram::{Histogram, HistogramError, ResetHint};

/// Whether the result is something else than a sample of the left side, so that its name goes.
/// What a comparison or a trim leaves is still the same metric.
pub(crate) fn changes_meaning(op: BinaryOp) -> bool {
    !op.is_comparison() && !matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower)
}

/// A sample on a side of an operator.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Float(f64),
    Histogram(Arc<Histogram>),
}

impl Operand {
    pub(crate) fn of(cell: Cell<'_>) -> Option<Self> {
        match cell {
            Cell::Absent => None,
            Cell::Float(float) => Some(Self::Float(float)),
            Cell::Histogram(histogram) => Some(Self::Histogram(Arc::clone(histogram))),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// An operator and its sides.
pub(crate) struct Sides<'a> {
    pub(crate) op: BinaryOp,
    pub(crate) bool_modifier: bool,
    pub(crate) left: Operand,
    pub(crate) right: Operand,
    /// Where the operation stands.
    pub(crate) span: Span,
    pub(crate) annotations: &'a Annotations,
}

/// The result, `None` where there is none. A comparison gives `keeps` (the left side where that is
/// `None`) where it holds, or 0 and 1.
pub(crate) fn apply(sides: &Sides<'_>, keeps: Option<Operand>) -> Option<Operand> {
    let outcome = match (&sides.left, &sides.right) {
        (Operand::Float(left), Operand::Float(right)) => match sides.op {
            BinaryOp::TrimUpper | BinaryOp::TrimLower => return sides.incompatible(),
            op => match arithmetic::floats(op, *left, *right) {
                Outcome::Number(number) => return Some(Operand::Float(number)),
                Outcome::Holds(holds) => holds,
            },
        },
        (Operand::Histogram(left), Operand::Histogram(right)) => match sides.op {
            BinaryOp::Add | BinaryOp::Sub => return sides.sum(left, right),
            BinaryOp::Equal => left.equals(right),
            BinaryOp::NotEqual => !left.equals(right),
            _ => return sides.incompatible(),
        },
        (Operand::Histogram(histogram), Operand::Float(number)) => {
            return sides.scaled(histogram, *number);
        }
        (Operand::Float(number), Operand::Histogram(histogram)) => match sides.op {
            BinaryOp::Mul => return Some(changed(histogram, |of| of.mul(*number))),
            _ => return sides.incompatible(),
        },
    };
    if sides.bool_modifier {
        return Some(Operand::Float(f64::from(u8::from(outcome))));
    }
    outcome.then(|| keeps.unwrap_or_else(|| sides.left.clone()))
}

fn changed(histogram: &Histogram, change: impl FnOnce(&mut Histogram)) -> Operand {
    let mut copy = histogram.clone();
    change(&mut copy);
    Operand::Histogram(Arc::new(copy))
}

impl Sides<'_> {
    fn scaled(&self, histogram: &Histogram, number: f64) -> Option<Operand> {
        match self.op {
            BinaryOp::Mul => Some(changed(histogram, |of| of.mul(number))),
            BinaryOp::Div => Some(changed(histogram, |of| of.div(number))),
            BinaryOp::TrimUpper => Some(Operand::Histogram(Arc::new(histogram.trim_upper(number)))),
            BinaryOp::TrimLower => Some(Operand::Histogram(Arc::new(histogram.trim_lower(number)))),
            _ => self.incompatible(),
        }
    }

    fn sum(&self, left: &Histogram, right: &Histogram) -> Option<Operand> {
        let adds = self.op == BinaryOp::Add;
        let doing = if adds { "addition" } else { "subtraction" };
        let mut sum = left.clone();
        match if adds { sum.add(right) } else { sum.sub(right) } {
            Ok(added) => {
                if added.counter_reset_collision {
                    let text = format!("conflicting counter resets during histogram {doing}");
                    self.annotations.warn(self.span, text);
                }
                if added.custom_buckets_reconciled {
                    let text = format!("mismatched custom buckets were reconciled during {doing}");
                    self.annotations.info(self.span, text);
                }
                if !adds {
                    // A difference may go down.
                    sum.reset_hint = ResetHint::Gauge;
                }
                sum.compact(0);
                Some(Operand::Histogram(Arc::new(sum)))
            }
            Err(HistogramError::IncompatibleSchemas) => {
                let op = self.op.text();
                let text = format!("incompatible bucket layout encountered for binary operator {op}");
                self.annotations.warn(self.span, text);
                None
            }
            Err(_) => self.incompatible(),
        }
    }

    fn incompatible(&self) -> Option<Operand> {
        let (left, right) = (self.left.kind(), self.right.kind());
        let text = format!(
            "incompatible sample types encountered for binary operator {:?}: {left} {} {right}",
            self.op.text(),
            self.op.text(),
        );
        self.annotations.info(self.span, text);
        None
    }
}
