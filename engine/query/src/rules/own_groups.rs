//! Groups by texts and times are made by a node of our own, [`PartialGroupsExec`].

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

use crate::groups::PartialGroupsExec;

/// The rule. Comes behind all that look for aggregations.
#[derive(Debug)]
pub(super) struct OwnGroups;

impl PhysicalOptimizerRule for OwnGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let groups = match node.downcast_ref::<AggregateExec>() {
                Some(aggregate) => PartialGroupsExec::in_place_of(aggregate)?,
                None => None,
            };
            Ok(groups.map_or_else(|| Transformed::no(node), |groups| Transformed::yes(Arc::new(groups) as _)))
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "own_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
