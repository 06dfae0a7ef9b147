//! Ways through a tree.

use super::ast::{Expr, ExprKind};

/// The expressions directly inside one, in the order of the text: of a range its selector, of
/// an aggregation its parameter and then what is aggregated.
pub fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Selector(_) => Vec::new(),
        ExprKind::Range(range) => vec![&range.selector],
        ExprKind::Subquery(subquery) => vec![&subquery.expr],
        ExprKind::Call(call) => call.args.iter().collect(),
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.iter().chain([&aggregate.expr]).map(AsRef::as_ref).collect()
        }
        ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        ExprKind::Unary(unary) => vec![&unary.expr],
        ExprKind::Paren(inner) => vec![inner],
    }
}

/// As [`children`], to be changed.
pub fn children_mut(expr: &mut Expr) -> Vec<&mut Expr> {
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::Text(_) | ExprKind::Selector(_) => Vec::new(),
        ExprKind::Range(range) => vec![&mut range.selector],
        ExprKind::Subquery(subquery) => vec![&mut subquery.expr],
        ExprKind::Call(call) => call.args.iter_mut().collect(),
        ExprKind::Aggregate(aggregate) => {
            aggregate.param.iter_mut().chain([&mut aggregate.expr]).map(AsMut::as_mut).collect()
        }
        ExprKind::Binary(binary) => vec![&mut binary.lhs, &mut binary.rhs],
        ExprKind::Unary(unary) => vec![&mut unary.expr],
        ExprKind::Paren(inner) => vec![inner],
    }
}

/// Visits an expression and all inside it, outer ones first.
pub fn walk<'a>(expr: &'a Expr, visit: &mut impl FnMut(&'a Expr)) {
    visit(expr);
    for child in children(expr) {
        walk(child, visit);
    }
}

/// As [`walk`], to be changed. What a visit puts in its place is visited instead of what was there.
pub fn walk_mut(expr: &mut Expr, visit: &mut impl FnMut(&mut Expr)) {
    visit(expr);
    for child in children_mut(expr) {
        walk_mut(child, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn outer_ones_first_in_the_order_of_the_text() {
        let text = "topk(3, rate(a[5m])) / -(b > bool 2)";
        let expr = parse(text).unwrap_or_else(|fault| panic!("{fault}"));
        let mut seen = Vec::new();
        walk(&expr, &mut |expr| seen.push(expr.to_string()));
        let inside = ["topk(3, rate(a[5m]))", "3", "rate(a[5m])", "a[5m]", "a"];
        let behind = ["-(b > bool 2)", "(b > bool 2)", "b > bool 2", "b", "2"];
        assert_eq!(seen, [&[text], &inside[..], &behind[..]].concat());
    }

    #[test]
    fn all_can_be_changed() {
        let mut expr =
            parse("topk(3, a) + 2 * sum(max_over_time(b[5m:]))").unwrap_or_else(|fault| panic!("{fault}"));
        walk_mut(&mut expr, &mut |expr| match &mut expr.kind {
            ExprKind::Number(number) => number.value += 1.0,
            ExprKind::Selector(selector) => selector.name = Some("c".into()),
            _ => {}
        });
        let wanted = "topk(4, c{__name__=\"a\"}) + 3 * sum(max_over_time(c{__name__=\"b\"}[5m:]))";
        assert_eq!(expr.to_string(), wanted);
    }
}
