//! Durations that depend on the query: `a[step() * 2]`.

use super::ast::{BinaryOp, Duration, DurationExpr, DurationKind, Expr, ExprKind, Span};
use super::duration::MILLIS_MAX;
use super::error::ParseError;
use super::walk;

/// Puts the value of every computed duration in its place.
///
/// `step_ms` is the step of the query, `range_ms` its end less its start; both are 0 in an instant
/// query.
///
/// # Errors
/// A window or a step of a subquery that is not above zero, a division by zero, and what is
/// beyond 292 years. The position is that of a text of one line, see [`ParseError::located`].
pub fn resolve_durations(expr: &mut Expr, step_ms: i64, range_ms: i64) -> Result<(), ParseError> {
    let query = Query { step_ms, range_ms };
    let mut fault = None;
    walk::walk_mut(expr, &mut |expr| {
        if fault.is_none() {
            fault = query.expr(expr).err();
        }
    });
    fault.map_or(Ok(()), Err)
}

struct Query {
    step_ms: i64,
    range_ms: i64,
}

type Resolved<T = ()> = Result<T, ParseError>;

impl Query {
    fn expr(&self, expr: &mut Expr) -> Resolved {
        match &mut expr.kind {
            ExprKind::Selector(selector) => self.offset(&mut selector.offset),
            ExprKind::Range(range) => self.positive(&mut range.range),
            ExprKind::Subquery(subquery) => {
                self.positive(&mut subquery.range)?;
                subquery.step.as_mut().map_or(Ok(()), |step| self.positive(step))?;
                self.offset(&mut subquery.offset)
            }
            _ => Ok(()),
        }
    }

    fn offset(&self, offset: &mut Option<Duration>) -> Resolved {
        if let Some(Duration::Computed(expr)) = offset {
            *offset = Some(Duration::Millis(self.millis(expr)?));
        }
        Ok(())
    }

    fn positive(&self, duration: &mut Duration) -> Resolved {
        let Duration::Computed(expr) = duration else { return Ok(()) };
        let millis = self.millis(expr)?;
        if millis <= 0 {
            return Err(ParseError::without_text(expr.span, "duration must be greater than 0"));
        }
        *duration = Duration::Millis(millis);
        Ok(())
    }

    /// Whole milliseconds, what is below one cut off.
    fn millis(&self, expr: &DurationExpr) -> Resolved<i64> {
        let millis = self.seconds(expr)? * 1_000.0;
        if millis.is_nan() || millis.abs() > MILLIS_MAX as f64 {
            return Err(ParseError::without_text(expr.span, "duration out of range"));
        }
        Ok(millis as i64)
    }

    fn seconds(&self, expr: &DurationExpr) -> Resolved<f64> {
        Ok(match &expr.kind {
            DurationKind::Number(number) => number.value,
            DurationKind::Step => self.step_ms as f64 / 1_000.0,
            DurationKind::Range => self.range_ms as f64 / 1_000.0,
            DurationKind::MinOf(one, other) => self.seconds(one)?.min(self.seconds(other)?),
            DurationKind::MaxOf(one, other) => self.seconds(one)?.max(self.seconds(other)?),
            DurationKind::Negated(inner) => -self.seconds(inner)?,
            DurationKind::Plus(inner) | DurationKind::Paren(inner) => self.seconds(inner)?,
            DurationKind::Binary(op, one, other) => {
                operation(*op, self.seconds(one)?, self.seconds(other)?, expr.span)?
            }
        })
    }
}

fn operation(op: BinaryOp, one: f64, other: f64, span: Span) -> Resolved<f64> {
    let fault = |message: &str| Err(ParseError::without_text(span, message));
    match op {
        BinaryOp::Add => Ok(one + other),
        BinaryOp::Sub => Ok(one - other),
        BinaryOp::Mul => Ok(one * other),
        BinaryOp::Div if other == 0.0 => fault("division by zero"),
        BinaryOp::Div => Ok(one / other),
        BinaryOp::Mod if other == 0.0 => fault("modulo by zero"),
        BinaryOp::Mod => Ok(one % other),
        BinaryOp::Pow => Ok(one.powf(other)),
        _ => fault("no operator of durations"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// Resolves in a query of a step of 5 s over a minute.
    fn check(text: &str, wanted: &str) {
        let mut expr = parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        let got = match resolve_durations(&mut expr, 5_000, 60_000) {
            Ok(()) => expr.to_string(),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(got, wanted, "{text}");
    }

    #[test]
    fn computed_durations_become_known() {
        check("a[step()]", "a[5s]");
        check("a[range() / 4 + 1ms]", "a[15s1ms]");
        check("a[29s+1s:((((8 - 2) / 3) * 7s) % 4) + 8000ms]", "a[30s:10s]");
        check("a[1 + (STep() - 5) * 2]", "a[1s]");
        check("a[max_of(min_of(step() + 1, 1h), 1ms)]", "a[6s]");
        check("a offset -(20 * 5s)", "a offset -1m40s");
        check("a offset (-2 ^ 2)", "a offset -4s");
        check("a offset (step() - 5)", "a");
        check(
            "sum(max_over_time(a[5m:] offset (2 ^ 3 ^ 1))) by (b) + rate(c[step()])",
            "sum by (b) (max_over_time(a[5m:] offset 8s)) + rate(c[5s])",
        );
    }

    #[test]
    fn what_has_no_value() {
        check("a[step() - 5]", "1:3: parse error: duration must be greater than 0");
        check("a[-(5m)]", "1:3: parse error: duration must be greater than 0");
        check("a[1m:step() - 1m]", "1:6: parse error: duration must be greater than 0");
        check("a[1 / (step() - 5)]", "1:3: parse error: division by zero");
        check("a[1 % (step() - 5)]", "1:3: parse error: modulo by zero");
        check("a[9e9 * 10]", "1:3: parse error: duration out of range");
        check("a offset -(9e9 * 10)", "1:10: parse error: duration out of range");
        check("a[(-1) ^ 0.5]", "1:3: parse error: duration out of range");
    }

    #[test]
    fn a_fault_finds_its_line() {
        let text = "a +\n b offset (1 % (step() - 5))";
        let mut expr = parse(text).expect("an expression");
        let fault = resolve_durations(&mut expr, 5_000, 0).expect_err("a fault").located(text);
        assert_eq!(fault.to_string(), "2:12: parse error: modulo by zero");
    }
}
