//! Where one file has what is wanted of its attributes.

use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use isinglass_store::AttributeColumn;

use super::Wanted;
use crate::functions::Part;
use crate::lacking::Lacking;

/// Turns expressions on the columns of a scan into those on the columns of each file.
#[derive(Debug)]
pub(crate) struct InFiles(pub(crate) Arc<[Wanted]>);

impl PhysicalExprAdapterFactory for InFiles {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let others = Lacking.create(logical, Arc::clone(&physical))?;
        Ok(Arc::new(InFile { wanted: Arc::clone(&self.0), physical, others }))
    }
}

#[derive(Debug)]
struct InFile {
    wanted: Arc<[Wanted]>,
    physical: SchemaRef,
    /// What is to be done with all other columns.
    others: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for InFile {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let rewritten = expr.transform_down(|node| {
            if let Some(wanted) = self.wanted(&node) {
                return Ok(Transformed::new(self.found(wanted)?, true, TreeNodeRecursion::Jump));
            }
            if self.has_wanted(&node) {
                return Ok(Transformed::no(node));
            }
            Ok(Transformed::new(self.others.rewrite(node)?, true, TreeNodeRecursion::Jump))
        })?;
        Ok(rewritten.data)
    }
}

impl InFile {
    fn wanted(&self, node: &Arc<dyn PhysicalExpr>) -> Option<&Wanted> {
        let column = node.downcast_ref::<Column>()?;
        self.wanted.iter().find(|wanted| wanted.field.name() == column.name())
    }

    fn has_wanted(&self, node: &Arc<dyn PhysicalExpr>) -> bool {
        node.children().into_iter().any(|child| self.wanted(child).is_some() || self.has_wanted(child))
    }

    /// What makes it of the columns of this file.
    fn found(&self, wanted: &Wanted) -> Result<Arc<dyn PhysicalExpr>> {
        let name = AttributeColumn::name_of(&wanted.key);
        let Some((at, _)) = self.physical.column_with_name(&name) else {
            return self.others.rewrite(of_map(wanted));
        };
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, at));
        match (wanted.part, self.physical.field(at).data_type()) {
            (Part::Text, DataType::Utf8View) | (Part::Number, DataType::Float64) => Ok(column),
            (Part::NoNumber, DataType::Float64) => wanted.nowhere(),
            (_, DataType::Utf8 | DataType::Utf8View) => wanted.of_texts(column),
            // What a number was as text only the map knows.
            _ => self.others.rewrite(of_map(wanted)),
        }
    }
}

fn of_map(wanted: &Wanted) -> Arc<dyn PhysicalExpr> {
    Arc::clone(&wanted.of_map)
}

#[cfg(test)]
pub(super) mod tests;
