//! Filters of one file, the cheapest first.
//!
//! Filters are asked one after the other, each only of rows that the ones before let pass. DataFusion
//! can order them by the bytes of their columns, but a service of which a page has one in eight rows
//! leaves as many pieces of pages behind, and the next filter decodes all of them anyway. Numbers are
//! compared many at a time, and those that are large or equal to something are few. So numbers come
//! first, then text that is read as keys, then times, whose pages are left out before, then all other
//! things, and calls of functions. What is computed comes last, too: a filter before it may be what
//! keeps a divisor from being zero.

use std::sync::Arc;

use arrow_schema::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};

/// Orders what the adapter below made of filters.
#[derive(Debug)]
pub(super) struct CheapFirst(pub(super) Arc<dyn PhysicalExprAdapterFactory>);

impl PhysicalExprAdapterFactory for CheapFirst {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let below = self.0.create(logical, Arc::clone(&physical))?;
        Ok(Arc::new(InFile { physical, below }))
    }
}

#[derive(Debug)]
struct InFile {
    physical: SchemaRef,
    below: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for InFile {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        let adapted = self.below.rewrite(expr)?;
        let filters = split_conjunction(&adapted);
        let costs: Vec<Cost> = filters.iter().map(|filter| self.cost(filter)).collect();
        if costs.is_sorted() {
            return Ok(adapted);
        }
        let mut order: Vec<usize> = (0..filters.len()).collect();
        order.sort_by_key(|at| costs[*at]);
        Ok(conjunction(order.into_iter().map(|at| Arc::clone(filters[at]))))
    }
}

/// What the dearest part of a filter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cost {
    Numbers,
    Keys,
    Times,
    Others,
    Calls,
}

impl InFile {
    fn cost(&self, filter: &Arc<dyn PhysicalExpr>) -> Cost {
        let mut cost = Cost::Numbers;
        let walked = filter.apply(|node| {
            cost = cost.max(self.cost_of_node(node));
            Ok(TreeNodeRecursion::Continue)
        });
        if walked.is_ok() { cost } else { Cost::Calls }
    }

    fn cost_of_node(&self, node: &Arc<dyn PhysicalExpr>) -> Cost {
        if let Some(column) = node.downcast_ref::<Column>() {
            return match self.physical.fields().get(column.index()).map(|field| field.data_type()) {
                Some(DataType::Timestamp(..)) => Cost::Times,
                Some(DataType::Dictionary(..)) => Cost::Keys,
                Some(ty) if ty.is_primitive() || *ty == DataType::Boolean => Cost::Numbers,
                _ => Cost::Others,
            };
        }
        let is_comparison = node.downcast_ref::<BinaryExpr>().is_some_and(compares)
            || node.is::<Literal>()
            || node.is::<InListExpr>()
            || node.is::<NotExpr>()
            || node.is::<IsNullExpr>()
            || node.is::<IsNotNullExpr>();
        if is_comparison { Cost::Numbers } else { Cost::Calls }
    }
}

/// Whether nothing is computed: that costs more, and may fail.
fn compares(binary: &BinaryExpr) -> bool {
    use Operator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    matches!(binary.op(), And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

#[cfg(test)]
mod tests {
    use arrow_schema::{Field, Schema, TimeUnit};
    use datafusion::common::ScalarValue;
    use datafusion::physical_expr::expressions::{CastExpr, binary, col, lit};
    use datafusion::physical_expr_adapter::DefaultPhysicalExprAdapterFactory;

    use super::*;

    fn schema() -> SchemaRef {
        let keys = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        Arc::new(Schema::new(vec![
            Field::new("number", DataType::Int64, true),
            Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("keys", keys, true),
            Field::new("text", DataType::Utf8View, true),
        ]))
    }

    fn filter(name: &str) -> Arc<dyn PhysicalExpr> {
        let schema = schema();
        let of = |name: &str| col(name, &schema).unwrap();
        let null = |name: &str| {
            lit(ScalarValue::try_new_null(schema.field_with_name(name).unwrap().data_type()).unwrap())
        };
        match name {
            "call" => {
                let cast = Arc::new(CastExpr::new(of("number"), DataType::Utf8View, None));
                binary(cast, Operator::Eq, lit(ScalarValue::Utf8View(Some("1".to_owned()))), &schema).unwrap()
            }
            "quotient" => {
                let quotient = binary(of("number"), Operator::Divide, of("number"), &schema).unwrap();
                binary(quotient, Operator::Gt, null("number"), &schema).unwrap()
            }
            "either" => binary(filter("number"), Operator::Or, filter("text"), &schema).unwrap(),
            name => binary(of(name), Operator::Eq, null(name), &schema).unwrap(),
        }
    }

    fn check(given: &[&str], wanted: &[&str]) {
        let filters = |names: &[&str]| conjunction(names.iter().map(|name| filter(name)));
        let factory = CheapFirst(Arc::new(DefaultPhysicalExprAdapterFactory));
        let adapter = factory.create(schema(), schema()).unwrap();
        let found = adapter.rewrite(filters(given)).unwrap();
        assert_eq!(found.to_string(), filters(wanted).to_string(), "{given:?}");
    }

    #[test]
    fn the_cheapest_come_first() {
        check(&["call", "text", "keys", "time", "number"], &["number", "keys", "time", "text", "call"]);
        check(&["keys", "either", "number"], &["number", "keys", "either"]);
        check(&["text", "either"], &["text", "either"]);
        check(&["either", "text"], &["either", "text"]);
        check(&["quotient", "text", "number"], &["number", "text", "quotient"]);
        check(&["number"], &["number"]);
    }

    #[test]
    fn columns_that_are_shown_stay_columns() {
        let schema = schema();
        let adapter = CheapFirst(Arc::new(DefaultPhysicalExprAdapterFactory))
            .create(schema.clone(), schema.clone())
            .unwrap();
        let column = col("text", &schema).unwrap();
        assert_eq!(&adapter.rewrite(Arc::clone(&column)).unwrap(), &column);
    }
}
