//! Filters on shown columns as filters on the columns of files.
//!
//! `trace_id = '0af7…'` compares text; files hold bytes and keep minima, maxima
//! and page indexes of bytes. Three steps turn one into the other:
//!
//! 1. every shown column is replaced by the expression that makes it, which is
//!    always right and prunes nothing: `hex(trace_id) = '0af7…'`;
//! 2. comparisons of a conversion with a constant become comparisons of what is
//!    inside: `trace_id = X'0AF7…'`, `time >= 1700000000000000000`; a number that cannot fail
//!    to be one is that number;
//! 3. filters that join and top-k operators fill while they run are rewritten the
//!    same way each time they change ([`Rewritten`]).
//!
//! Hex text of the wrong length or in upper case equals no id, as text does.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterTracking, InListExpr, IsNotNullExpr, IsNullExpr, Literal,
};
use datafusion::physical_expr_common::physical_expr::{snapshot_generation, snapshot_physical_expr};
use parking_lot::Mutex;

use super::convert::{UTC, unhex};
use super::expr::{Conversion, ShownExpr};
use crate::functions::StrictNumber;

/// Rewrites a filter on shown columns; `None` if a column has no counterpart in
/// files. `columns` are the expressions that make the shown columns.
pub(crate) fn to_files(
    filter: &Arc<dyn PhysicalExpr>,
    columns: &[Option<Arc<dyn PhysicalExpr>>],
) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let mut known = true;
    let replaced = Arc::clone(filter).transform_down(|node| {
        let Some(column) = node.downcast_ref::<Column>() else { return Ok(Transformed::no(node)) };
        match columns.get(column.index()).and_then(Option::as_ref) {
            // what it is made of are columns of files: do not look inside
            Some(made) => Ok(Transformed::new(
                Arc::clone(made),
                true,
                datafusion::common::tree_node::TreeNodeRecursion::Jump,
            )),
            None => {
                known = false;
                Ok(Transformed::no(node))
            }
        }
    })?;
    if !known {
        return Ok(None);
    }
    if DynamicFilterTracking::classify(&replaced.data).contains_dynamic_filter() {
        return Ok(Some(Arc::new(Rewritten::new(replaced.data))));
    }
    unwrap_conversions(replaced.data).map(Some)
}

/// Step 2: moves conversions from columns to constants wherever that is exact.
pub(crate) fn unwrap_conversions(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let moved = expr.transform_up(|node| {
        let unwrapped = if let Some(binary) = node.downcast_ref::<BinaryExpr>() {
            unwrap_comparison(binary)
        } else if let Some(list) = node.downcast_ref::<InListExpr>() {
            unwrap_list(list)?
        } else if let Some(test) = node.downcast_ref::<IsNullExpr>() {
            single(test.arg()).map(|(_, inner)| Arc::new(IsNullExpr::new(Arc::clone(inner))) as _)
        } else if let Some(test) = node.downcast_ref::<IsNotNullExpr>() {
            single(test.arg()).map(|(_, inner)| Arc::new(IsNotNullExpr::new(Arc::clone(inner))) as _)
        } else {
            StrictNumber::always(node.as_ref()).map(Arc::clone)
        };
        Ok(unwrapped.map_or_else(|| Transformed::no(Arc::clone(&node)), Transformed::yes))
    })?;
    Ok(moved.data)
}

/// A conversion of one thing that is null exactly where that thing is null.
fn single(expr: &Arc<dyn PhysicalExpr>) -> Option<(Conversion, &Arc<dyn PhysicalExpr>)> {
    let shown = expr.downcast_ref::<ShownExpr>()?;
    match (shown.conversion, shown.arguments.as_slice()) {
        (Conversion::Hex | Conversion::Nanos | Conversion::Micros, [inner]) => {
            Some((shown.conversion, inner))
        }
        _ => None,
    }
}

fn unwrap_comparison(binary: &BinaryExpr) -> Option<Arc<dyn PhysicalExpr>> {
    let (side, op, constant) = if let Some(literal) = binary.right().downcast_ref::<Literal>() {
        (binary.left(), *binary.op(), literal.value())
    } else {
        let literal = binary.left().downcast_ref::<Literal>()?;
        (binary.right(), binary.op().swap()?, literal.value())
    };
    let (inner, op, constant) = match single(side) {
        Some((Conversion::Hex, inner)) => (inner, op, hex_bound(constant, op)?),
        Some((Conversion::Nanos, inner)) => (inner, op, nanos_constant(constant)?),
        Some((Conversion::Micros, inner)) => {
            let (op, micros) = micros_bound(op, constant)?;
            (inner, op, micros)
        }
        _ => return None,
    };
    is_comparison(op)
        .then(|| Arc::new(BinaryExpr::new(Arc::clone(inner), op, Arc::new(Literal::new(constant)))) as _)
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

/// Hex digits in pairs keep order and prefixes, so ranges of text are ranges of
/// bytes; a different number of digits cannot be equal, which text knows already.
fn hex_bound(constant: &ScalarValue, op: Operator) -> Option<ScalarValue> {
    let bytes = unhex(constant.try_as_str()??)?;
    is_comparison(op).then_some(ScalarValue::Binary(Some(bytes)))
}

fn nanos_constant(constant: &ScalarValue) -> Option<ScalarValue> {
    match constant {
        ScalarValue::TimestampNanosecond(Some(nanos), _) => Some(ScalarValue::Int64(Some(*nanos))),
        _ => None,
    }
}

/// A bound in nanoseconds as one in microseconds that lets the same
/// microseconds pass.
fn micros_bound(op: Operator, constant: &ScalarValue) -> Option<(Operator, ScalarValue)> {
    let ScalarValue::TimestampNanosecond(Some(nanos), _) = constant else { return None };
    let (floor, whole) = (nanos.div_euclid(1_000), nanos.rem_euclid(1_000) == 0);
    let op = match op {
        // between two microseconds nothing is equal, and both bounds are the lower one
        Operator::Eq | Operator::NotEq if !whole => return None,
        Operator::GtEq if !whole => Operator::Gt,
        Operator::Lt if !whole => Operator::LtEq,
        op => op,
    };
    Some((op, ScalarValue::TimestampMicrosecond(Some(floor), Some(Arc::clone(&UTC)))))
}

fn unwrap_list(list: &InListExpr) -> Result<Option<Arc<dyn PhysicalExpr>>> {
    let Some((conversion, inner)) = single(list.expr()) else { return Ok(None) };
    let mut constants: Vec<Arc<dyn PhysicalExpr>> = Vec::with_capacity(list.len());
    for entry in list.list() {
        let Some(literal) = entry.downcast_ref::<Literal>() else { return Ok(None) };
        let constant = match conversion {
            Conversion::Hex => hex_bound(literal.value(), Operator::Eq),
            Conversion::Nanos => nanos_constant(literal.value()),
            Conversion::Micros => micros_bound(Operator::Eq, literal.value()).map(|(_, bound)| bound),
            Conversion::Value | Conversion::Nested(_) => None,
        };
        match constant {
            Some(constant) => constants.push(Arc::new(Literal::new(constant))),
            None => return Ok(None),
        }
    }
    let schema = schema_of(inner, conversion);
    Ok(Some(Arc::new(InListExpr::try_new(Arc::clone(inner), constants, list.negated(), &schema)?)))
}

/// A schema in which the columns of `inner` have the type that files give them.
fn schema_of(inner: &Arc<dyn PhysicalExpr>, conversion: Conversion) -> Schema {
    let ty = match conversion {
        Conversion::Hex => DataType::Binary,
        Conversion::Micros => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&UTC))),
        _ => DataType::Int64,
    };
    let index = inner.downcast_ref::<Column>().map_or(0, Column::index);
    Schema::new(vec![Field::new("column", ty, true); index + 1])
}

/// Step 3: a filter that changes while the query runs.
///
/// Pruning takes a [`PhysicalExpr::snapshot`]: what the filter says now, with
/// conversions moved to its constants. Rows are filtered with the same, computed
/// once a change.
#[derive(Debug)]
pub(crate) struct Rewritten {
    filter: Arc<dyn PhysicalExpr>,
    current: Mutex<Option<(u64, Arc<dyn PhysicalExpr>)>>,
}

impl Rewritten {
    fn new(filter: Arc<dyn PhysicalExpr>) -> Self {
        Self { filter, current: Mutex::new(None) }
    }

    fn current(&self) -> Result<Arc<dyn PhysicalExpr>> {
        let generation = snapshot_generation(&self.filter);
        if let Some((of, current)) = &*self.current.lock()
            && *of == generation
        {
            return Ok(Arc::clone(current));
        }
        let current = unwrap_conversions(snapshot_physical_expr(Arc::clone(&self.filter))?)?;
        // A change in between is seen as a higher generation at the next call.
        *self.current.lock() = Some((generation, Arc::clone(&current)));
        Ok(current)
    }
}

impl PartialEq for Rewritten {
    fn eq(&self, other: &Self) -> bool {
        self.filter.eq(&other.filter)
    }
}

impl Eq for Rewritten {}

impl Hash for Rewritten {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.filter.hash(state);
    }
}

impl fmt::Display for Rewritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.current() {
            Ok(current) if snapshot_generation(&self.filter) > 1 => write!(f, "dynamic({current})"),
            _ => write!(f, "dynamic({})", self.filter),
        }
    }
}

impl PhysicalExpr for Rewritten {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.current()?.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.filter]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let filter = children.into_iter().next().unwrap_or_else(|| Arc::clone(&self.filter));
        Ok(Arc::new(Self::new(filter)))
    }

    fn snapshot(&self) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        self.current().map(Some)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
