//! Values of attributes come from columns of their own where files have them.
//!
//! DataFusion takes `attributes['name']` out of whatever it stands in and puts it right above the
//! scan. There it becomes a column of the scan ([`crate::attributes`]); the map itself is not
//! read any more, unless something else wants it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use crate::attributes::Wanted;
use crate::shown::{Scanned, ShownExec};

/// The rule. Comes first: later ones change the scan, which is made anew here.
#[derive(Debug)]
pub(super) struct AttributeColumns;

impl PhysicalOptimizerRule for AttributeColumns {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let changed = plan.transform_down(|node| {
            let found = node.downcast_ref::<ProjectionExec>().and_then(|projection| {
                Some((projection, projection.input().downcast_ref::<ShownExec>()?.scanned()?))
            });
            let Some((projection, scanned)) = found else { return Ok(Transformed::no(node)) };
            Ok(match in_columns(projection, scanned)? {
                Some(changed) => Transformed::yes(changed),
                None => Transformed::no(node),
            })
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "attribute_columns"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same over a scan with columns of attributes, if there are any for what is asked.
fn in_columns(
    projection: &ProjectionExec,
    scanned: &Arc<dyn Scanned>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let mut found = Found { width: projection.input().schema().fields().len(), ..Found::default() };
    let replaced: Vec<Arc<dyn PhysicalExpr>> = projection
        .expr()
        .iter()
        .map(|projected| found.replace(&projected.expr, scanned.as_ref()))
        .collect::<Result<_>>()?;
    if found.wanted.is_empty() {
        return Ok(None);
    }
    let columns = found.columns(&replaced)?;
    let input = scanned.again(&columns, found.wanted.into())?;
    let schema = input.schema();
    let moved = replaced.into_iter().zip(projection.expr()).map(|(expr, projected)| {
        let expr = moved(expr, &columns, found.width, &schema)?;
        Ok(ProjectionExpr { expr, alias: projected.alias.clone() })
    });
    let projection = ProjectionExec::try_new(moved.collect::<Result<Vec<_>>>()?, input)?;
    Ok(Some(Arc::new(projection)))
}

#[derive(Default)]
struct Found {
    /// Columns of the scan as it is.
    width: usize,
    wanted: Vec<Wanted>,
}

impl Found {
    /// Values of attributes become columns behind those of the scan.
    fn replace(
        &mut self,
        expr: &Arc<dyn PhysicalExpr>,
        scanned: &dyn Scanned,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let replaced = Arc::clone(expr).transform_down(|node| {
            let Some(wanted) = scanned.attribute(&node)? else { return Ok(Transformed::no(node)) };
            let known = self.wanted.iter().position(|known| known.field.name() == wanted.field.name());
            let at = known.unwrap_or(self.wanted.len());
            let column = Column::new(wanted.field.name(), self.width + at);
            if known.is_none() {
                self.wanted.push(wanted);
            }
            Ok(Transformed::new(Arc::new(column) as _, true, TreeNodeRecursion::Jump))
        })?;
        Ok(replaced.data)
    }

    /// The columns of the scan that are still asked for, ascending.
    fn columns(&self, exprs: &[Arc<dyn PhysicalExpr>]) -> Result<Vec<usize>> {
        let mut columns = Vec::new();
        for expr in exprs {
            expr.apply(|node| {
                let column = node.downcast_ref::<Column>().map(Column::index);
                columns.extend(column.filter(|at| *at < self.width));
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        columns.sort_unstable();
        columns.dedup();
        Ok(columns)
    }
}

/// An expression with its columns where they are after only `columns` of `width` have stayed.
fn moved(
    expr: Arc<dyn PhysicalExpr>,
    columns: &[usize],
    width: usize,
    schema: &arrow_schema::Schema,
) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = expr.transform_down(|node| {
        let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
        let at = match column.index().checked_sub(width) {
            Some(attribute) => columns.len() + attribute,
            None => columns.partition_point(|at| *at < column.index()),
        };
        Ok(Transformed::yes(Arc::new(Column::new(schema.field(at).name(), at)) as _))
    })?;
    Ok(moved.data)
}
