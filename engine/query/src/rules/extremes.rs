//! Least and greatest values that are asked for together.
//!
//! `max(time)` without groups tells the scan what it has, and files that cannot have more are left
//! out. DataFusion does the same for several at once, `min(a)` and `max(b)`: a row is wanted if it
//! is below the one bound or above the other. An aggregate that has seen no value yet has no bound
//! and is left out of that, although it wants all rows: where the first files have no `b`, rows of
//! later ones that do are lost (55.2). So they tell only where there is one.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

/// The rule that hands filters down, or one that keeps those of aggregates back where there are
/// several.
pub(super) fn wrap(
    rule: Arc<dyn PhysicalOptimizerRule + Send + Sync>,
) -> Arc<dyn PhysicalOptimizerRule + Send + Sync> {
    match rule.name() {
        "FilterPushdown" | "FilterPushdown(Post)" => Arc::new(OneExtreme(rule)),
        _ => rule,
    }
}

#[derive(Debug)]
struct OneExtreme(Arc<dyn PhysicalOptimizerRule + Send + Sync>);

impl PhysicalOptimizerRule for OneExtreme {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if !has_several(&plan)? {
            return self.0.optimize(plan, config);
        }
        let mut config = config.clone();
        config.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
        self.0.optimize(plan, &config)
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn schema_check(&self) -> bool {
        self.0.schema_check()
    }
}

/// Whether there are several aggregates over the same rows without groups.
fn has_several(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut several = false;
    plan.apply(|node| {
        let aggregate = node.downcast_ref::<AggregateExec>();
        several |= aggregate.is_some_and(|aggregate| {
            aggregate.group_expr().is_true_no_grouping() && aggregate.aggr_expr().len() > 1
        });
        Ok(if several { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(several)
}
