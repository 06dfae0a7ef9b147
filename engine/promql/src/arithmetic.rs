//! Arithmetic and comparison of two floats.

use isinglass_lang::promql::ast::BinaryOp;

/// What an operator gives for two floats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Outcome {
    /// A number.
    Number(f64),
    /// Whether a comparison holds.
    Holds(bool),
}

/// The function of an operator that gives a number for any two floats.
pub(crate) fn of_numbers(op: BinaryOp) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        BinaryOp::Add => |left, right| left + right,
        BinaryOp::Sub => |left, right| left - right,
        BinaryOp::Mul => |left, right| left * right,
        BinaryOp::Div => |left, right| left / right,
        BinaryOp::Mod => |left, right| left % right,
        BinaryOp::Pow => power,
        BinaryOp::Atan2 => f64::atan2,
        _ => return None,
    })
}

/// Applies an operator. Set operators and trims have nothing to do with floats: of floats, a trim
/// holds never.
#[inline]
pub(crate) fn floats(op: BinaryOp, left: f64, right: f64) -> Outcome {
    Outcome::Number(match op {
        BinaryOp::Add => left + right,
        BinaryOp::Sub => left - right,
        BinaryOp::Mul => left * right,
        BinaryOp::Div => left / right,
        BinaryOp::Mod => left % right,
        BinaryOp::Pow => power(left, right),
        BinaryOp::Atan2 => left.atan2(right),
        _ => return Outcome::Holds(holds(op, left, right)),
    })
}

#[expect(clippy::float_cmp, reason = "the language compares exactly")]
fn holds(op: BinaryOp, left: f64, right: f64) -> bool {
    match op {
        BinaryOp::Equal => left == right,
        BinaryOp::NotEqual => left != right,
        BinaryOp::Less => left < right,
        BinaryOp::LessOrEqual => left <= right,
        BinaryOp::Greater => left > right,
        BinaryOp::GreaterOrEqual => left >= right,
        _ => false,
    }
}

/// As Go's `math.Pow`: (-1)^±Inf is 1, which Rust's `powf` gives, too.
fn power(base: f64, exponent: f64) -> f64 {
    base.powf(exponent)
}

/// Of two scalars: comparisons give 0 or 1.
pub(crate) fn scalars(op: BinaryOp, left: f64, right: f64) -> f64 {
    match floats(op, left, right) {
        Outcome::Number(number) => number,
        Outcome::Holds(holds) => f64::from(u8::from(holds)),
    }
}
