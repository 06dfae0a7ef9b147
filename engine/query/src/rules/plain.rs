//! Plans of one table and nothing but filters, groups, an order or a limit.
//!
//! A rule looks at every node of a plan for what it is about, twice, and half of DataFusion's rules
//! are about joins, unions, subqueries or windows, which most plans do not have and none of the
//! other rules makes of a plan like these. Planning is the part of a small query that is done by
//! one thread, so such plans go without those rules, and most are looked at once. Views are written
//! out before that, so what they are made of counts.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::PhysicalRule;

/// Rules of logical plans that have nothing to do.
const LOGICAL: [&str; 12] = [
    "rewrite_set_comparison",
    "optimize_unions",
    "unions_to_filter",
    "replace_distinct_aggregate",
    "eliminate_join",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
    "extract_equijoin_predicate",
    "eliminate_cross_join",
    "filter_null_join_keys",
    "eliminate_outer_join",
];

/// Rules of physical plans that have nothing to do.
const PHYSICAL: [&str; 5] =
    ["join_selection", "HashJoinBuffering", "WindowTopN", "LimitPushPastWindows", "own_windows"];

thread_local! {
    /// Whether the plan that this thread optimizes is plain.
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// What a plan, as it was written, needs of the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Needs {
    /// All rules, until they change nothing any more.
    #[default]
    All,
    /// It is plain.
    Plain,
    /// It is plain, and rules change nothing of it when they see it for a second time: that is
    /// about limits, and about what an aggregate without groups is of no rows.
    Once,
}

/// What a plan, as it was written, needs.
pub(crate) fn needs(plan: &LogicalPlan) -> Result<Needs> {
    let (mut plain, mut sorts, mut limits, mut ungrouped) = (true, false, false, false);
    plan.apply(|node| {
        match node {
            LogicalPlan::Aggregate(aggregate) => ungrouped |= aggregate.group_expr.is_empty(),
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_) => {}
            LogicalPlan::Sort(sort) => (sorts, limits) = (true, limits || sort.fetch.is_some()),
            LogicalPlan::Limit(_) => limits = true,
            _ => plain = false,
        }
        node.apply_expressions(|expr| {
            plain &= !expr.exists(|part| Ok(is_subquery(part)))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if plain { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    // `late_columns` makes a join of an order with a limit.
    let plain = plain && !(sorts && limits);
    Ok(match plain {
        false => Needs::All,
        true if limits || ungrouped => Needs::Plain,
        true => Needs::Once,
    })
}

fn is_subquery(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::ScalarSubquery(_)
            | Expr::OuterReferenceColumn(..)
    )
}

/// Optimizes a plan on this thread, with fewer rules if it is plain.
pub(crate) fn optimized(state: &mut SessionState, plan: &LogicalPlan, needs: Needs) -> Result<LogicalPlan> {
    PLAIN.set(needs != Needs::All);
    let _left = Left;
    if needs == Needs::Once {
        state.config_mut().options_mut().optimizer.max_passes = 1;
    }
    state.optimize(plan)
}

/// The thread optimizes no plain plan any more, also after a panic.
struct Left;

impl Drop for Left {
    fn drop(&mut self) {
        PLAIN.set(false);
    }
}

/// Rules for plain physical plans.
pub(super) fn physical(all: &[PhysicalRule]) -> Arc<[PhysicalRule]> {
    all.iter().filter(|rule| !PHYSICAL.contains(&rule.name())).cloned().collect()
}

/// The rule, or one that plain plans go without.
pub(super) fn wrap(rule: Arc<dyn OptimizerRule + Send + Sync>) -> Arc<dyn OptimizerRule + Send + Sync> {
    match LOGICAL.contains(&rule.name()) {
        true => Arc::new(NotPlain(rule)),
        false => rule,
    }
}

#[derive(Debug)]
struct NotPlain(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for NotPlain {
    fn name(&self) -> &str {
        self.0.name()
    }

    /// Without an order a rule is shown the root of a plan only.
    fn apply_order(&self) -> Option<ApplyOrder> {
        if PLAIN.get() { None } else { self.0.apply_order() }
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if PLAIN.get() { Ok(Transformed::no(plan)) } else { self.0.rewrite(plan, config) }
    }
}

#[cfg(test)]
mod tests;
