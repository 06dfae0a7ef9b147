//! Windows say what they hold, [`windows`](crate::windows).

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};

use crate::windows::{WholeWindowExec, metered};

/// The rule. Comes behind all that look for windows.
#[derive(Debug)]
pub(super) struct OwnWindows;

impl PhysicalOptimizerRule for OwnWindows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let own =
                match (node.downcast_ref::<WindowAggExec>(), node.downcast_ref::<BoundedWindowAggExec>()) {
                    (Some(whole), _) => {
                        Some(Arc::new(WholeWindowExec::in_place_of(whole)) as Arc<dyn ExecutionPlan>)
                    }
                    (None, Some(bounded)) => metered(bounded)?,
                    (None, None) => None,
                };
            Ok(own.map_or_else(|| Transformed::no(node), Transformed::yes))
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "own_windows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}
