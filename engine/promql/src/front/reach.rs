//! From when to when an expression looks for samples.

use isinglass_lang::promql::ast::{
    At, Duration, DurationExpr, DurationKind, Expr, ExprKind, Extension, Selector,
};
use isinglass_lang::promql::functions::own;
use isinglass_lang::promql::walk;

use crate::engine::Options;

/// Spans of time in which samples can change the value of an expression at a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// From and to, relative to the time of evaluation, milliseconds.
    relative: Option<(i64, i64)>,
    /// Spans that `@` fixes.
    fixed: Vec<(i64, i64)>,
}

/// Whether a value at a time depends on where the query begins or ends.
pub(super) fn depends_on_range(expr: &Expr) -> bool {
    let mut depends = false;
    walk(expr, &mut |expr| {
        depends |= match &expr.kind {
            // What a function that was brought gives may be another thing tomorrow.
            ExprKind::Call(call) => {
                matches!(call.function.name, "start" | "end" | "range") || own(call.function.name).is_none()
            }
            ExprKind::Selector(selector) => {
                selector.at.is_some_and(is_an_end) || selector.offset.as_ref().is_some_and(of_range)
            }
            ExprKind::Range(range) => of_range(&range.range),
            ExprKind::Subquery(subquery) => {
                let durations = [Some(&subquery.range), subquery.step.as_ref(), subquery.offset.as_ref()];
                subquery.at.is_some_and(is_an_end) || durations.into_iter().flatten().any(of_range)
            }
            _ => false,
        };
    });
    depends
}

fn is_an_end(at: At) -> bool {
    matches!(at, At::Start | At::End)
}

fn of_range(duration: &Duration) -> bool {
    match duration {
        Duration::Millis(_) => false,
        Duration::Computed(computed) => names_range(computed),
    }
}

fn names_range(computed: &DurationExpr) -> bool {
    match &computed.kind {
        DurationKind::Range => true,
        DurationKind::Number(_) | DurationKind::Step => false,
        DurationKind::MinOf(one, other)
        | DurationKind::MaxOf(one, other)
        | DurationKind::Binary(_, one, other) => names_range(one) || names_range(other),
        DurationKind::Negated(inner) | DurationKind::Plus(inner) | DurationKind::Paren(inner) => {
            names_range(inner)
        }
    }
}

impl Reach {
    /// Of an expression whose durations are known; `None` where a duration is not.
    pub(super) fn of(expr: &Expr, options: &Options) -> Option<Self> {
        match &expr.kind {
            ExprKind::Selector(selector) => Self::of_selector(selector, 0, options),
            ExprKind::Range(range) => match &range.selector.bare().kind {
                ExprKind::Selector(selector) => Self::of_selector(selector, millis(&range.range)?, options),
                _ => None,
            },
            ExprKind::Subquery(subquery) => {
                let inner = Self::of(&subquery.expr, options)?;
                let offset_ms = optional(subquery.offset.as_ref())?;
                let window = (-millis(&subquery.range)?, 0);
                inner.under(window, offset_ms, fixed_time(subquery.at)?)
            }
            ExprKind::Call(call) if call.function.name == "info" => {
                // Its info series are looked up where its first argument is.
                let mut reach = Self::of(call.args.first()?, options)?;
                reach.widen(options.lookback_ms);
                Some(reach)
            }
            _ => {
                let mut reach = Self::default();
                for child in isinglass_lang::promql::children(expr) {
                    reach.join(Self::of(child, options)?);
                }
                Some(reach)
            }
        }
    }

    fn of_selector(selector: &Selector, range_ms: i64, options: &Options) -> Option<Self> {
        let before = match (range_ms, selector.extension) {
            (0, _) => options.lookback_ms,
            (range_ms, None) => range_ms,
            (range_ms, Some(_)) => range_ms.saturating_add(options.lookback_ms),
        };
        let smoothed = selector.extension == Some(Extension::Smoothed);
        let after = if smoothed { options.lookback_ms } else { 0 };
        let offset_ms = optional(selector.offset.as_ref())?;
        let here = Self { relative: Some((0, 0)), fixed: Vec::new() };
        here.under((-before, after), offset_ms, fixed_time(selector.at)?)
    }

    /// Of what is looked up within a window, moved by an offset, at a fixed time if there is one.
    fn under(mut self, (from, to): (i64, i64), offset_ms: i64, at_ms: Option<i64>) -> Option<Self> {
        if let Some((inner_from, inner_to)) = self.relative.take() {
            let from = inner_from.saturating_add(from).saturating_sub(offset_ms);
            let to = inner_to.saturating_add(to).saturating_sub(offset_ms);
            match at_ms {
                Some(at) => self.fixed.push((at.saturating_add(from), at.saturating_add(to))),
                None => self.relative = Some((from, to)),
            }
        }
        Some(self)
    }

    fn join(&mut self, other: Self) {
        self.relative = match (self.relative, other.relative) {
            (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
            (one, other) => one.or(other),
        };
        self.fixed.extend(other.fixed);
    }

    fn widen(&mut self, before_ms: i64) {
        for span in self.fixed.iter_mut().chain(&mut self.relative) {
            span.0 = span.0.saturating_sub(before_ms);
        }
    }

    /// The spans that values from one time to another look at.
    pub(super) fn spans(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = (i64, i64)> {
        let relative =
            self.relative.map(|(from, to)| (from_ms.saturating_add(from), to_ms.saturating_add(to)));
        self.fixed.clone().into_iter().chain(relative)
    }
}

fn millis(duration: &Duration) -> Option<i64> {
    match duration {
        Duration::Millis(millis) => Some(*millis),
        Duration::Computed(_) => None,
    }
}

fn optional(duration: Option<&Duration>) -> Option<i64> {
    duration.map_or(Some(0), millis)
}

/// `Some(None)` without an `@`; `None` where it names an end of the query.
fn fixed_time(at: Option<At>) -> Option<Option<i64>> {
    match at {
        None => Some(None),
        Some(At::Time(time_ms)) => Some(Some(time_ms)),
        Some(At::Start | At::End) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, relative: Option<(i64, i64)>, fixed: &[(i64, i64)]) {
        let expr = isinglass_lang::promql::parse(text).unwrap();
        let reach = Reach::of(&expr, &Options::default()).unwrap();
        assert_eq!((reach.relative, reach.fixed.as_slice()), (relative, fixed), "{text}");
    }

    #[test]
    fn where_expressions_look() {
        check("1 + time()", None, &[]);
        check("a", Some((-300_000, 0)), &[]);
        check("a offset 1m", Some((-360_000, -60_000)), &[]);
        check("a offset -1m", Some((-240_000, 60_000)), &[]);
        check("rate(a[10m])", Some((-600_000, 0)), &[]);
        check("rate(a[10m] anchored)", Some((-900_000, 0)), &[]);
        check("rate(a[10m] smoothed)", Some((-900_000, 300_000)), &[]);
        check("a @ 1000", None, &[(700_000, 1_000_000)]);
        check("a + rate(b[1h])", Some((-3_600_000, 0)), &[]);
        check("sum(a @ 1000 offset 1m) + b", Some((-300_000, 0)), &[(640_000, 940_000)]);
        check("max_over_time(a[10m:1m])", Some((-900_000, 0)), &[]);
        check("max_over_time(a[10m:1m] offset 1m)", Some((-960_000, -60_000)), &[]);
        check("max_over_time(a[10m:1m] @ 1000)", None, &[(100_000, 1_000_000)]);
        check("info(a)", Some((-600_000, 0)), &[]);
    }

    #[test]
    fn what_depends_on_the_whole_range() {
        let check = |text: &str, wanted: bool| {
            let expr = isinglass_lang::promql::parse(text).unwrap();
            assert_eq!(depends_on_range(&expr), wanted, "{text}");
        };
        for text in ["a @ start()", "sum(a @ end())", "rate(a[range()])", "a offset range()", "end() + 1"] {
            check(text, true);
        }
        for text in ["a", "a @ 5", "rate(a[step() + 1])", "time()"] {
            check(text, false);
        }
    }
}
