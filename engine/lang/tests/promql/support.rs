//! Trees without what a printer does not keep.

use isinglass_lang::promql::ast::{Duration, DurationExpr, DurationKind, Expr, ExprKind, Span};
use isinglass_lang::promql::walk_mut;

/// The same tree without positions, the matchers of each selector by their text.
pub(crate) fn bare(mut expr: Expr) -> Expr {
    walk_mut(&mut expr, &mut |expr| {
        expr.span = Span::default();
        match &mut expr.kind {
            ExprKind::Selector(selector) => {
                selector.matchers.sort_by_key(ToString::to_string);
                bare_durations(selector.offset.as_mut());
            }
            ExprKind::Range(range) => bare_duration(&mut range.range),
            ExprKind::Subquery(subquery) => {
                bare_duration(&mut subquery.range);
                bare_durations(subquery.step.as_mut().into_iter().chain(subquery.offset.as_mut()));
            }
            // NaN is not itself.
            ExprKind::Number(number) if number.value.is_nan() => number.value = -4_711.0,
            _ => {}
        }
    });
    expr
}

fn bare_durations<'a>(durations: impl IntoIterator<Item = &'a mut Duration>) {
    durations.into_iter().for_each(bare_duration);
}

fn bare_duration(duration: &mut Duration) {
    if let Duration::Computed(expr) = duration {
        bare_duration_expr(expr);
    }
}

fn bare_duration_expr(expr: &mut DurationExpr) {
    expr.span = Span::default();
    match &mut expr.kind {
        DurationKind::Number(_) | DurationKind::Step | DurationKind::Range => {}
        DurationKind::MinOf(one, other)
        | DurationKind::MaxOf(one, other)
        | DurationKind::Binary(_, one, other) => {
            bare_duration_expr(one);
            bare_duration_expr(other);
        }
        DurationKind::Negated(inner) | DurationKind::Plus(inner) | DurationKind::Paren(inner) => {
            bare_duration_expr(inner);
        }
    }
}
