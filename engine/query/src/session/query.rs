//! The session of one query.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProviderList, Session};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, Result};
use datafusion::config::TableOptions;
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, TaskContext};
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::registry::ExtensionTypeRegistryRef;
use datafusion::logical_expr::{AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, WindowUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

use crate::rules::{self, Needs, PhysicalRule};

/// The schema of tables about tables.
const INFORMATION: &str = "information_schema";

/// Functions, rules and settings that all queries share, with memory and files of its own.
///
/// DataFusion's own state takes a runtime only while it is built, and building one registers every
/// function again: a tenth of the CPU of a small query.
pub(crate) struct QuerySession {
    pub(crate) state: SessionState,
    runtime: Arc<RuntimeEnv>,
    /// For plans that are plain.
    short: Arc<[PhysicalRule]>,
    needs: Needs,
}

impl QuerySession {
    pub(super) fn new(state: SessionState, runtime: Arc<RuntimeEnv>, short: Arc<[PhysicalRule]>) -> Self {
        Self { state, runtime, short, needs: Needs::All }
    }

    /// The same plan, made cheaper.
    pub(crate) fn optimized(&mut self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        self.needs = rules::needs(plan)?;
        rules::optimized(&mut self.state, plan, self.needs)
    }

    /// From an optimized plan to one that runs, and what it runs with.
    pub(crate) async fn physical(
        &self,
        plan: &LogicalPlan,
    ) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        let physical = self.state.query_planner().create_physical_plan(plan, self).await?;
        let context = if lists_functions(plan)? { self.task_ctx() } else { self.task_without_functions() };
        Ok((physical, context))
    }

    /// A plan has its functions in it.
    fn task_without_functions(&self) -> Arc<TaskContext> {
        Arc::new(TaskContext::new(
            None,
            self.state.session_id().to_owned(),
            self.state.config().clone(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            Arc::clone(&self.runtime),
        ))
    }
}

/// Whether a plan reads tables about tables and functions, which are made up while it runs.
fn lists_functions(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        found |=
            matches!(node, LogicalPlan::TableScan(scan) if scan.table_name.schema() == Some(INFORMATION));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

#[async_trait]
impl Session for QuerySession {
    fn session_id(&self) -> &str {
        self.state.session_id()
    }

    fn config(&self) -> &SessionConfig {
        self.state.config()
    }

    fn catalog_list(&self) -> Arc<dyn CatalogProviderList> {
        Arc::clone(self.state.catalog_list())
    }

    fn query_planner(&self) -> Arc<dyn QueryPlanner + Send + Sync> {
        Arc::clone(self.state.query_planner())
    }

    fn optimize(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        self.state.optimize(plan)
    }

    fn physical_optimizers(&self) -> &[PhysicalRule] {
        if self.needs == Needs::All { self.state.physical_optimizers() } else { &self.short }
    }

    async fn create_physical_plan(&self, plan: &LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.state.optimize(plan)?;
        self.state.query_planner().create_physical_plan(&plan, self).await
    }

    fn create_physical_expr(&self, expr: Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        self.state.create_physical_expr(expr, schema)
    }

    fn scalar_functions(&self) -> &HashMap<String, Arc<ScalarUDF>> {
        self.state.scalar_functions()
    }

    fn higher_order_functions(&self) -> &HashMap<String, Arc<HigherOrderUDF>> {
        self.state.higher_order_functions()
    }

    fn aggregate_functions(&self) -> &HashMap<String, Arc<AggregateUDF>> {
        self.state.aggregate_functions()
    }

    fn window_functions(&self) -> &HashMap<String, Arc<WindowUDF>> {
        self.state.window_functions()
    }

    fn extension_type_registry(&self) -> &ExtensionTypeRegistryRef {
        Session::extension_type_registry(&self.state)
    }

    fn runtime_env(&self) -> &Arc<RuntimeEnv> {
        &self.runtime
    }

    fn execution_props(&self) -> &ExecutionProps {
        self.state.execution_props()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn table_options(&self) -> &TableOptions {
        self.state.table_options()
    }

    fn table_options_mut(&mut self) -> &mut TableOptions {
        self.state.table_options_mut()
    }

    fn task_ctx(&self) -> Arc<TaskContext> {
        Arc::new(TaskContext::from(self as &dyn Session))
    }
}
