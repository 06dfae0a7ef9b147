//! Rules for physical plans that DataFusion does not have.

mod unordered;

use std::sync::Arc;

use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

/// DataFusion's rules, with ours where they belong.
pub(crate) fn physical() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> =
        vec![Arc::new(unordered::UnorderedGroups)];
    rules.extend(PhysicalOptimizer::new().rules);
    rules
}
