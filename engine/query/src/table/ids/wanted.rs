//! Which ids rows must have.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, InListExpr, Literal};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};

/// A list of more ids is compared with rows only.
const IDS_MAX: usize = 64;

/// One of these ids in a column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    name: &'static str,
    ids: Vec<Vec<u8>>,
}

impl Wanted {
    /// What the filters want together of a column; `None` if any row may fulfil them.
    pub(super) fn of(filters: &[Arc<dyn PhysicalExpr>], column: usize, name: &'static str) -> Option<Self> {
        let parts = filters.iter().flat_map(split_conjunction);
        let ids = parts.filter_map(|part| ids_of(part, column)).min_by_key(Vec::len)?;
        (ids.len() <= IDS_MAX).then_some(Self { name, ids })
    }

    /// The column of a file.
    pub(super) fn leaf(&self, footer: &ParquetMetaData) -> Option<usize> {
        let schema = footer.file_metadata().schema_descr();
        let is_it = |leaf: &usize| {
            let root = schema.get_column_root(*leaf);
            root.is_primitive() && root.name() == self.name
        };
        (0..schema.num_columns()).find(is_it)
    }

    /// Whether one of them lies between the least and the greatest of a row group.
    pub(super) fn is_in_range(&self, column: &ColumnChunkMetaData) -> bool {
        let Some(statistics) = column.statistics() else { return true };
        let (Some(least), Some(greatest)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) else {
            return true;
        };
        self.ids.iter().any(|id| least <= id.as_slice() && id.as_slice() <= greatest)
    }

    /// Whether a filter has seen one of them, perhaps.
    pub(super) fn may_be_in(&self, filter: &Sbbf) -> bool {
        self.ids.iter().any(|id| filter.check(id.as_slice()))
    }
}

/// The ids that a filter lets through.
fn ids_of(filter: &Arc<dyn PhysicalExpr>, column: usize) -> Option<Vec<Vec<u8>>> {
    let is_it = |side: &Arc<dyn PhysicalExpr>| {
        side.downcast_ref::<Column>().is_some_and(|found| found.index() == column)
    };
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        let ids = list.list().iter().map(id_of);
        return (is_it(list.expr()) && !list.negated()).then(|| ids.collect())?;
    }
    let binary = filter.downcast_ref::<BinaryExpr>()?;
    if *binary.op() == Operator::Or {
        // Short lists come so.
        let (mut ids, more) = (ids_of(binary.left(), column)?, ids_of(binary.right(), column)?);
        ids.extend(more);
        return Some(ids);
    }
    if *binary.op() != Operator::Eq {
        return None;
    }
    let other = if is_it(binary.left()) {
        binary.right()
    } else if is_it(binary.right()) {
        binary.left()
    } else {
        return None;
    };
    Some(vec![id_of(other)?])
}

fn id_of(constant: &Arc<dyn PhysicalExpr>) -> Option<Vec<u8>> {
    match constant.downcast_ref::<Literal>()?.value() {
        ScalarValue::Binary(id)
        | ScalarValue::BinaryView(id)
        | ScalarValue::LargeBinary(id)
        | ScalarValue::FixedSizeBinary(_, id) => id.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::common::DFSchema;
    use datafusion::execution::SessionStateBuilder;
    use isinglass_model::Kind;

    use super::*;
    use crate::table::{Layout, pruning};

    #[test]
    fn ids_that_rows_must_have() {
        let layout = Layout::of(Kind::Spans);
        let schema = DFSchema::try_from(Arc::clone(&layout.shown)).unwrap();
        let session = SessionStateBuilder::new().with_default_features().build();
        let column = layout.read_position("trace_id").unwrap();
        let check = |condition: &str, want: &[&str]| {
            let condition = session.create_logical_expr(condition, &schema).unwrap();
            let filters = pruning(layout, std::slice::from_ref(&condition), &session).unwrap();
            let wanted =
                Wanted::of(&filters, column, "trace_id").map(|wanted| wanted.ids).unwrap_or_default();
            let wanted: Vec<String> = wanted.iter().map(hex::encode).collect();
            assert_eq!(wanted, want, "{condition}");
        };
        let (a, b) = ("0a".repeat(16), "0b".repeat(16));
        check(&format!("trace_id = '{a}'"), &[&a]);
        check(&format!("'{a}' = trace_id AND service = 'x'"), &[&a]);
        check(&format!("trace_id IN ('{a}', '{b}')"), &[&a, &b]);
        check(&format!("trace_id = '{a}' OR trace_id = '{b}'"), &[&a, &b]);
        check(&format!("trace_id NOT IN ('{a}', '{b}')"), &[]);
        check(&format!("trace_id != '{a}'"), &[]);
        check(&format!("trace_id = '{a}' OR service = 'x'"), &[]);
        check(&format!("span_id = '{}'", "0a".repeat(8)), &[]);
    }
}
