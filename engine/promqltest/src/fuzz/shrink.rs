//! The smallest query and series set that still differ.

use isinglass_lang::promql::ast::{Aggregate, Expr, ExprKind, Selector, Subquery};
use isinglass_lang::promql::{children, children_mut, parse};

use super::query::Query;
use crate::backend::LoadedSeries;
use crate::http::Window;

/// So many attempts at most.
const ATTEMPTS_MAX: usize = 400;

/// A query that still differs and is no longer than the first: parts of the expression are put in
/// the place of the whole, modifiers go, the times become one.
pub fn shrink_query(query: &Query, mut differs: impl FnMut(&Query) -> bool) -> Query {
    let mut smallest = query.clone();
    let mut attempts = 0;
    'again: loop {
        for candidate in smaller(&smallest) {
            attempts += 1;
            if attempts > ATTEMPTS_MAX {
                return smallest;
            }
            if differs(&candidate) {
                smallest = candidate;
                continue 'again;
            }
        }
        return smallest;
    }
}

/// Series that still differ: halves are left out, then quarters, down to single series.
pub fn shrink_series(
    series: &[LoadedSeries],
    mut differs: impl FnMut(&[LoadedSeries]) -> bool,
) -> Vec<LoadedSeries> {
    let mut kept = series.to_vec();
    let mut width = kept.len().div_ceil(2);
    while width > 0 {
        let mut at = 0;
        while at < kept.len() {
            let end = (at + width).min(kept.len());
            let candidate = [&kept[..at], &kept[end..]].concat();
            if differs(&candidate) { kept = candidate } else { at = end }
        }
        width = if width == 1 { 0 } else { width.div_ceil(2) };
    }
    kept
}

fn smaller(query: &Query) -> Vec<Query> {
    let mut all = Vec::new();
    if let Ok(expr) = parse(&query.text) {
        let texts = smaller_exprs(&expr).into_iter().map(|expr| expr.to_string());
        let texts = texts.filter(|text| text.len() < query.text.len() && parse(text).is_ok());
        all.extend(texts.map(|text| query.with_text(text)));
    }
    let Window { start_ms, end_ms, step_ms } = query.window;
    if end_ms > start_ms {
        let steps = (end_ms - start_ms) / step_ms.max(1);
        let middle_ms = start_ms + (steps + 1) / 2 * step_ms;
        let windows = [(start_ms, middle_ms - 1), (middle_ms, end_ms)];
        let windows =
            windows.into_iter().filter(|(start_ms, _)| *start_ms > query.window.start_ms || steps > 0);
        all.extend(windows.map(|(start_ms, end_ms)| Query {
            window: Window { start_ms, end_ms, step_ms },
            ..query.clone()
        }));
    }
    if query.lookback_ms.is_some() {
        all.push(Query { lookback_ms: None, ..query.clone() });
    }
    all
}

/// Smaller expressions, those that leave most out first.
fn smaller_exprs(expr: &Expr) -> Vec<Expr> {
    let mut all: Vec<Expr> = children(expr).into_iter().cloned().collect();
    all.extend(without_modifiers(expr));
    for at in 0..children(expr).len() {
        let inner = smaller_exprs(children(expr)[at]);
        all.extend(inner.into_iter().map(|inner| {
            let mut whole = expr.clone();
            if let Some(child) = children_mut(&mut whole).into_iter().nth(at) {
                *child = inner;
            }
            whole
        }));
    }
    all
}

fn without_modifiers(expr: &Expr) -> Vec<Expr> {
    let mut all = Vec::new();
    let mut try_kind = |kind: ExprKind| all.push(Expr { kind, span: expr.span });
    match &expr.kind {
        ExprKind::Selector(selector) => {
            try_kind(ExprKind::Selector(Selector { offset: None, ..selector.clone() }));
            try_kind(ExprKind::Selector(Selector { at: None, ..selector.clone() }));
            for at in 0..selector.matchers.len() {
                let mut fewer = selector.clone();
                drop(fewer.matchers.remove(at));
                try_kind(ExprKind::Selector(fewer));
            }
        }
        ExprKind::Subquery(subquery) => {
            try_kind(ExprKind::Subquery(Subquery { offset: None, ..subquery.clone() }));
            try_kind(ExprKind::Subquery(Subquery { at: None, ..subquery.clone() }));
            try_kind(ExprKind::Subquery(Subquery { step: None, ..subquery.clone() }));
        }
        ExprKind::Aggregate(aggregate) => {
            let fewer = Aggregate { grouping: Vec::new(), ..aggregate.clone() };
            try_kind(ExprKind::Aggregate(Aggregate { without: false, ..fewer }));
        }
        _ => {}
    }
    all
}

#[cfg(test)]
mod tests {
    use isinglass_promql::Labels;

    use super::*;

    #[test]
    fn what_does_not_matter_goes() {
        let query = Query {
            text: "sum by (job) (rate(a{b=\"c\"}[5m] offset 1m)) + 2 * max(d)".to_owned(),
            window: Window { start_ms: 0, end_ms: 100_000, step_ms: 10_000 },
            lookback_ms: Some(1),
        };
        let smallest =
            shrink_query(&query, |query| query.text.contains("rate(") && query.window.end_ms >= 50_000);
        assert_eq!(smallest.text, "rate(a[5m])");
        assert_eq!(smallest.lookback_ms, None);
        assert!(smallest.window.end_ms - smallest.window.start_ms < 10_000, "{smallest}");
    }

    #[test]
    fn series_that_do_not_matter_go() {
        let series =
            |name: usize| LoadedSeries { labels: Labels::new([("n", name.to_string())]), points: Vec::new() };
        let all: Vec<_> = (0..50).map(series).collect();
        let wanted = [series(3), series(40)];
        let kept = shrink_series(&all, |some| wanted.iter().all(|one| some.contains(one)));
        assert_eq!(kept, wanted);
    }
}
