//! Rules for plans that DataFusion does not have.

mod attribute_columns;
mod extremes;
mod few_joins;
mod late;
mod narrow;
mod numbers;
mod own_groups;
mod own_windows;
mod plain;
mod timed;
mod unordered;

use std::sync::Arc;

use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

pub(crate) use plain::{Needs, needs, optimized};
use timed::Timed;

/// A rule for physical plans.
pub(crate) type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// DataFusion's rules that make types agree.
pub(crate) fn analyzer() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    Analyzer::new().rules.into_iter().map(|rule| Arc::new(Timed(rule)) as _).collect()
}

/// DataFusion's rules for logical plans, with ours where they belong.
pub(crate) fn logical() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn OptimizerRule + Send + Sync>> = vec![Arc::new(numbers::NumbersOfMaps)];
    rules.extend(Optimizer::new().rules.into_iter().map(few_joins::wrap));
    let filters = rules.iter().position(|rule| rule.name() == "push_down_filter");
    rules.insert(filters.map_or(rules.len(), |at| at + 1), Arc::new(late::LateColumns));
    rules.into_iter().map(|rule| plain::wrap(Arc::new(Timed(rule)))).collect()
}

/// Those of [`physical`] that plain plans need.
pub(crate) fn physical_of_plain(all: &[PhysicalRule]) -> Arc<[PhysicalRule]> {
    plain::physical(all)
}

/// DataFusion's rules for physical plans, with ours where they belong.
pub(crate) fn physical() -> Vec<PhysicalRule> {
    let mut rules: Vec<PhysicalRule> =
        vec![Arc::new(attribute_columns::AttributeColumns), Arc::new(unordered::UnorderedGroups)];
    rules.extend(PhysicalOptimizer::new().rules.into_iter().map(extremes::wrap));
    // The last one looks over what the others have done.
    rules.insert(rules.len() - 1, Arc::new(narrow::NarrowScans));
    rules.insert(rules.len() - 1, Arc::new(own_groups::OwnGroups));
    rules.insert(rules.len() - 1, Arc::new(own_windows::OwnWindows));
    rules.into_iter().map(|rule| Arc::new(Timed(rule)) as _).collect()
}
