//! A rule that is too slow for many joins.
//!
//! `eliminate_cross_join` takes all inner joins of a plan apart and looks for the best next one
//! among all that are left, again below each of them: sixty took it twelve seconds, in which it
//! asked nobody whether to go on. Where there are many it is left out. Conditions still reach
//! their joins, by `push_down_filter`; only the order of tables stays as it is written.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Joins that may be taken apart.
const JOINS_MAX: usize = 16;

/// The rule, or one that leaves it out where there are many joins.
pub(super) fn wrap(rule: Arc<dyn OptimizerRule + Send + Sync>) -> Arc<dyn OptimizerRule + Send + Sync> {
    match rule.name() {
        "eliminate_cross_join" => Arc::new(FewJoins(rule)),
        _ => rule,
    }
}

#[derive(Debug)]
struct FewJoins(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for FewJoins {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        match joins(&plan)? > JOINS_MAX {
            true => Ok(Transformed::no(plan)),
            false => self.0.rewrite(plan, config),
        }
    }
}

fn joins(plan: &LogicalPlan) -> Result<usize> {
    let mut joins = 0;
    plan.apply_with_subqueries(|node| {
        joins += usize::from(matches!(node, LogicalPlan::Join(_)));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(joins)
}
