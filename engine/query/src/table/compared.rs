//! Comparisons of text with constants, where files have the text as dictionaries.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};

use super::footers::dictionary_type;

/// Columns of text that filters ask for nothing but whether they are some constants.
pub(super) fn columns<'a>(
    filters: &'a [Arc<dyn PhysicalExpr>],
    read: &'a Schema,
) -> Result<HashSet<&'a str>> {
    let (mut compared, mut otherwise) = (HashSet::new(), HashSet::new());
    for filter in filters {
        filter.apply(|node| {
            if let Some((column, ..)) = node.downcast_ref::<BinaryExpr>().and_then(comparison)
                && let Some(column) = column.downcast_ref::<Column>()
            {
                compared.insert(column.index());
                return Ok(TreeNodeRecursion::Jump);
            }
            otherwise.extend(node.downcast_ref::<Column>().map(Column::index));
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let fields =
        compared.into_iter().filter(|at| !otherwise.contains(at)).filter_map(|at| read.fields().get(at));
    let texts = fields.filter(|field| field.data_type() == &DataType::Utf8View);
    Ok(texts.map(|field| field.name().as_str()).collect())
}

/// `thing = 'text'` or `thing <> 'text'`, whichever side it stands on.
fn comparison(binary: &BinaryExpr) -> Option<(&Arc<dyn PhysicalExpr>, Operator, &str)> {
    let op = *binary.op();
    if !matches!(op, Operator::Eq | Operator::NotEq) {
        return None;
    }
    let text = |side: &Arc<dyn PhysicalExpr>| side.is::<Literal>();
    let (thing, constant) = match (text(binary.left()), text(binary.right())) {
        (false, true) => (binary.left(), binary.right()),
        (true, false) => (binary.right(), binary.left()),
        _ => return None,
    };
    Some((thing, op, constant.downcast_ref::<Literal>()?.value().try_as_str()??))
}

/// Compares keys where the adapter below would make text of them first.
#[derive(Debug)]
pub(super) struct ByKeys(pub(super) Arc<dyn PhysicalExprAdapterFactory>);

impl PhysicalExprAdapterFactory for ByKeys {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let has_keys =
            physical.fields().iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)));
        let below = self.0.create(logical, physical)?;
        Ok(if has_keys { Arc::new(Adapter(below)) } else { below })
    }
}

#[derive(Debug)]
struct Adapter(Arc<dyn PhysicalExprAdapter>);

impl PhysicalExprAdapter for Adapter {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let adapted = self.0.rewrite(expr)?;
        let compared = adapted.transform_up(|node| {
            let of_keys = node.downcast_ref::<BinaryExpr>().and_then(of_keys);
            Ok(of_keys.map_or_else(|| Transformed::no(node), Transformed::yes))
        })?;
        Ok(compared.data)
    }
}

/// `CAST(keys AS text) = 'text'` as `keys = 'text'`.
fn of_keys(binary: &BinaryExpr) -> Option<Arc<dyn PhysicalExpr>> {
    let (thing, op, text) = comparison(binary)?;
    let cast = thing.downcast_ref::<CastExpr>().filter(|cast| cast.cast_type() == &DataType::Utf8View)?;
    // Only text that is read as a dictionary is cast to text.
    let keys = cast.expr().downcast_ref::<Column>()?;
    let DataType::Dictionary(key, _) = dictionary_type() else { return None };
    let text = ScalarValue::Dictionary(key, Box::new(ScalarValue::Utf8(Some(text.to_owned()))));
    Some(Arc::new(BinaryExpr::new(Arc::new(keys.clone()), op, Arc::new(Literal::new(text)))))
}

#[cfg(test)]
mod tests;
