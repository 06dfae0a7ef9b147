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
