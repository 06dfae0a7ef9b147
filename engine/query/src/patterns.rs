//! Regular expressions of a plan.
//!
//! Matching takes time linear in the text, times the size of the program that a pattern is
//! compiled into. `(a{1000}){1000}` is a program of a million steps; a pattern that differs from row
//! to row is a program a row, which kernels keep until the batch is done. So a pattern is a
//! constant, and its program is small.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan, Operator};
use isinglass_model::ErrorKind;
use regex::RegexBuilder;

use crate::error::QueryError;

/// Refuses patterns that are no constants, or whose program has more than `bytes_max`.
pub(crate) fn check(plan: &LogicalPlan, bytes_max: usize) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Some((pattern, flags)) = pattern_of(part) {
                    check_pattern(pattern, flags, bytes_max)?;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

/// The pattern of an expression that has one, and its flags.
fn pattern_of(expr: &Expr) -> Option<(&Expr, Option<&Expr>)> {
    match expr {
        Expr::BinaryExpr(binary) => {
            let matches = matches!(
                binary.op,
                Operator::RegexMatch
                    | Operator::RegexIMatch
                    | Operator::RegexNotMatch
                    | Operator::RegexNotIMatch
            );
            matches.then_some((binary.right.as_ref(), None))
        }
        Expr::SimilarTo(like) => Some((like.pattern.as_ref(), None)),
        Expr::ScalarFunction(call) => {
            let flags = match call.name() {
                "regexp_like" | "regexp_match" => 2,
                "regexp_count" | "regexp_replace" => 3,
                "regexp_instr" => 5,
                _ => return None,
            };
            Some((call.args.get(1)?, call.args.get(flags)))
        }
        _ => None,
    }
}

fn check_pattern(pattern: &Expr, flags: Option<&Expr>, bytes_max: usize) -> Result<()> {
    let Some(value) = constant(pattern) else {
        let message = format!("a regular expression is a constant text, {pattern} is not");
        return Err(QueryError::new(ErrorKind::Rejected, message).into());
    };
    let Some(Some(pattern)) = value.try_as_str() else { return Ok(()) };
    let flags = flags.and_then(constant).and_then(|flags| flags.try_as_str().flatten()).unwrap_or_default();
    let compiled = RegexBuilder::new(pattern)
        .case_insensitive(flags.contains('i'))
        .size_limit(bytes_max)
        .dfa_size_limit(bytes_max)
        .build();
    match compiled {
        Err(regex::Error::CompiledTooBig(_)) => {
            let limit = match bytes_max {
                small if small < 1 << 20 => format!("{} KiB", small >> 10),
                large => format!("{} MiB", large >> 20),
            };
            let shown: String = pattern.chars().take(60).collect();
            let message = format!("the regular expression {shown:?} is compiled into more than {limit}");
            Err(QueryError::new(ErrorKind::Rejected, message).into())
        }
        // What is no pattern is reported by who compiles it.
        _ => Ok(()),
    }
}

fn constant(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Cast(cast) => constant(&cast.expr),
        Expr::Alias(alias) => constant(&alias.expr),
        _ => None,
    }
}
