//! Groups that follow the order of files only in part are counted in any order.
//!
//! Files of `logs` are sorted by service, and DataFusion keeps that order for `GROUP BY service,
//! minute`: groups of a service go on as soon as the next one begins. But several threads read
//! several parts of the order, and whoever merges them waits for the first part to end before it
//! takes from the second: two threads did the work of one. A hash table of all groups is small
//! next to that. Where the order covers all of the groups, as in `GROUP BY trace_id`, it stays:
//! there may be as many groups as rows, and memory matters more.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::physical_plan::{FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::{ExecutionPlan, InputOrderMode};

/// The rule. Comes before those that add sorts and merges for the order that is declared.
#[derive(Debug)]
pub(super) struct UnorderedGroups;

impl PhysicalOptimizerRule for UnorderedGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let partly = node.downcast_ref::<AggregateExec>().is_some_and(|groups| {
                matches!(groups.input_order_mode(), InputOrderMode::PartiallySorted(_))
            });
            if !partly {
                return Ok(Transformed::no(node));
            }
            let children = node
                .children()
                .into_iter()
                .map(|child| unordered(Arc::clone(child)))
                .collect::<Result<_>>()?;
            node.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
                .map(Transformed::yes)
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "unordered_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same plan over files that promise no order.
fn unordered(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        let files = node
            .downcast_ref::<DataSourceExec>()
            .and_then(|scan| scan.data_source().downcast_ref::<FileScanConfig>())
            .filter(|files| !files.output_ordering.is_empty());
        let Some(files) = files else { return Ok(Transformed::no(node)) };
        let files = FileScanConfigBuilder::from(files.clone()).with_output_ordering(Vec::new()).build();
        Ok(Transformed::yes(DataSourceExec::from_data_source(files) as _))
    })?;
    Ok(changed.data)
}
