//! Columns that only a filter needs do not leave the scan.
//!
//! A filter that files answer leaves the plan, and what stays in its place is a projection that
//! drops the columns that it compared. They would still be decoded a second time, kept and put
//! together for every row that passed, since a projection does not go through [`ShownExec`] by
//! itself.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr, remove_unnecessary_projections};
use hashbrown::HashSet;

use crate::shown::{ShownColumn, ShownExec};

/// The rule. Comes after all filters have found their place: what is made here takes none.
#[derive(Debug)]
pub(super) struct NarrowScans;

impl PhysicalOptimizerRule for NarrowScans {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_up(|node| {
            let narrow = match node.downcast_ref::<ProjectionExec>() {
                Some(projection) => narrow(projection)?,
                None => None,
            };
            Ok(narrow.map_or_else(|| Transformed::no(node), Transformed::yes))
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "narrow_scans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same projection over fewer columns, if it drops some.
fn narrow(projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(shown) = projection.input().downcast_ref::<ShownExec>() else { return Ok(None) };
    let exprs = projection.expr().iter().map(|column| &column.expr);
    let used: HashSet<usize> = exprs.flat_map(collect_columns).map(|column| column.index()).collect();
    let schema = shown.schema();
    if used.is_empty() || used.len() == schema.fields().len() {
        return Ok(None);
    }
    let kept: Vec<usize> = (0..schema.fields().len()).filter(|at| used.contains(at)).collect();
    let shown = only(shown, &kept)?;
    let exprs = projection.expr().iter().map(|column| {
        let expr = reassign_expr_columns(Arc::clone(&column.expr), &shown.schema())?;
        Ok(ProjectionExpr { expr, alias: column.alias.clone() })
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs, shown)?)))
}

/// Some of the shown columns, over a scan of no more than they are made of.
fn only(shown: &ShownExec, kept: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    let exprs = exprs(shown)?;
    let exprs: Vec<_> = kept.iter().filter_map(|at| exprs.get(*at)).collect();
    let [input] =
        <[_; 1]>::try_from(shown.children()).or_else(|_| internal_err!("ShownExec has one child"))?;
    let input = scan_of(input, &exprs)?;
    let columns = exprs.iter().map(|expr| {
        let expr = reassign_expr_columns(Arc::clone(expr), &input.schema())?;
        Ok(ShownColumn { expr, in_files: false })
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let schema = Arc::new(shown.schema().project(kept)?);
    Ok(Arc::new(ShownExec::try_new(input, columns, schema)?))
}

/// What makes each shown column.
fn exprs(shown: &ShownExec) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
    let mut exprs = Vec::with_capacity(shown.schema().fields().len());
    shown.apply_expressions(&mut |expr| {
        exprs.push(Arc::clone(expr));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(exprs)
}

/// The columns of some expressions, dropped from all scans below that read more.
fn scan_of(
    input: &Arc<dyn ExecutionPlan>,
    exprs: &[&Arc<dyn PhysicalExpr>],
) -> Result<Arc<dyn ExecutionPlan>> {
    let mut columns: Vec<Column> = exprs.iter().flat_map(|expr| collect_columns(expr)).collect();
    columns.sort_unstable_by_key(Column::index);
    columns.dedup();
    let columns = columns.into_iter().map(|column| {
        let alias = column.name().to_owned();
        ProjectionExpr { expr: Arc::new(column), alias }
    });
    let projection: Arc<dyn ExecutionPlan> =
        Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), Arc::clone(input))?);
    Ok(projection.transform_down(remove_unnecessary_projections)?.data)
}
