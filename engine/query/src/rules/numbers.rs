//! `map['name']::double` in steps that can be answered next to the files.
//!
//! A cast fails where the text is no number, and so it must stay where the query has it: behind
//! the filter or in the branch of the `CASE` that keeps such texts away. Taken apart, the work
//! can be done anywhere and the failing alone stays ([`crate::functions::StrictNumber`]).

use arrow_schema::DataType;
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, TryCast};
use datafusion::optimizer::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::functions::{MapValue, Part, StrictNumber};

/// The rule. Comes before the one that moves values of maps towards the scan.
#[derive(Debug)]
pub(super) struct NumbersOfMaps;

impl OptimizerRule for NumbersOfMaps {
    fn name(&self) -> &str {
        "numbers_of_maps"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let rewritten = expr.transform_up(|node| Ok(in_steps(node)))?;
            Ok(if rewritten.transformed {
                rewritten.update_data(|expr| name.restore(expr))
            } else {
                rewritten
            })
        })
    }
}

fn in_steps(expr: Expr) -> Transformed<Expr> {
    let (value, strict) = match &expr {
        Expr::Cast(Cast { expr, field }) if field.data_type() == &DataType::Float64 => (expr, true),
        Expr::TryCast(TryCast { expr, field }) if field.data_type() == &DataType::Float64 => (expr, false),
        _ => return Transformed::no(expr),
    };
    let Some(arguments) = arguments(value) else { return Transformed::no(expr) };
    let part = |part| call(MapValue::function(part), arguments.clone());
    let number = part(Part::Number);
    Transformed::yes(match strict {
        true => call(StrictNumber::function(), vec![number, part(Part::NoNumber)]),
        false => number,
    })
}

/// Of `map['name']`.
fn arguments(expr: &Expr) -> Option<&Vec<Expr>> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let function = call.func.inner().downcast_ref::<MapValue>()?;
    (function.part == Part::Text).then_some(&call.args)
}

fn call(function: std::sync::Arc<datafusion::logical_expr::ScalarUDF>, arguments: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function, arguments))
}
