//! A tree as text over many lines, as `/api/v1/format_query` gives it.

use super::ast::{Aggregate, Binary, Call, Expr, ExprKind};
use super::printer::{AggregateHead, Operator, SubquerySuffix};

/// Bytes of an expression that still stands on one line.
const LINE_BYTES_MAX: usize = 100;

/// An expression as people read it: what is longer than 100 bytes is split, its parts indented
/// by two spaces more.
pub fn pretty(expr: &Expr) -> String {
    at_level(expr, 0)
}

fn at_level(expr: &Expr, level: usize) -> String {
    let line = expr.to_string();
    match &expr.kind {
        // Prometheus does not indent a subquery that fits; its inner expression it does.
        ExprKind::Subquery(_) if line.len() <= LINE_BYTES_MAX => line,
        ExprKind::Subquery(subquery) => {
            format!("{}{}", at_level(&subquery.expr, level), SubquerySuffix(subquery))
        }
        ExprKind::Unary(unary) => {
            let sign = if unary.negative { '-' } else { '+' };
            format!("{}{sign}{}", indent(level), at_level(&unary.expr, level).trim())
        }
        ExprKind::Aggregate(aggregate) if line.len() > LINE_BYTES_MAX => split_aggregate(aggregate, level),
        ExprKind::Binary(binary) if line.len() > LINE_BYTES_MAX => split_binary(binary, level),
        ExprKind::Call(call) if line.len() > LINE_BYTES_MAX => split_call(call, level),
        ExprKind::Paren(inner) if line.len() > LINE_BYTES_MAX => bracketed("", [inner.as_ref()], level),
        _ => format!("{}{line}", indent(level)),
    }
}

fn indent(level: usize) -> String {
    "  ".repeat(level)
}

fn bracketed<'a>(head: &str, inner: impl IntoIterator<Item = &'a Expr>, level: usize) -> String {
    let inner: Vec<String> = inner.into_iter().map(|expr| at_level(expr, level + 1)).collect();
    format!("{indent}{head}(\n{}\n{indent})", inner.join(",\n"), indent = indent(level))
}

fn split_aggregate(aggregate: &Aggregate, level: usize) -> String {
    let inner = aggregate.param.iter().chain([&aggregate.expr]).map(AsRef::as_ref);
    bracketed(&AggregateHead(aggregate).to_string(), inner, level)
}

fn split_call(call: &Call, level: usize) -> String {
    bracketed(call.function.name, &call.args, level)
}

fn split_binary(binary: &Binary, level: usize) -> String {
    let (left, right) = (at_level(&binary.lhs, level + 1), at_level(&binary.rhs, level + 1));
    format!("{left}\n{}{}\n{right}", indent(level), Operator(binary))
}
