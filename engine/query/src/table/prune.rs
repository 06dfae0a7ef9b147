//! Which files and unflushed batches can hold a wanted row.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int64Array};
use arrow_schema::DataType;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use isinglass_store::DataFile;

use super::layout::Layout;
use super::scan::raw_time;

/// What the Delta log says of a file.
pub(crate) fn statistics(file: &DataFile, layout: &Layout) -> Statistics {
    let mut known = Statistics::new_unknown(&layout.read);
    known.num_rows = Precision::Exact(usize::try_from(file.rows).unwrap_or(usize::MAX));
    known.total_byte_size = Precision::Inexact(usize::try_from(file.size_bytes).unwrap_or(usize::MAX));
    let mut set = |name: &str, range: Option<(i64, i64)>| {
        let (Some((min, max)), Some(at)) = (range, layout.read_position(name)) else { return };
        let ty = &layout.table.columns[at].ty;
        let (Some(min), Some(max)) = (raw_time(ty, min), raw_time(ty, max)) else { return };
        let column = &mut known.column_statistics[at];
        column.null_count = Precision::Exact(0);
        column.min_value = Precision::Exact(min);
        column.max_value = Precision::Exact(max);
    };
    set(layout.table.time, file.time);
    set("metric_id", file.metric_id);
    known
}

/// The files in which a row may fulfil all filters.
pub(crate) fn files<'a>(
    files: &'a [DataFile],
    layout: &Layout,
    filters: &[Arc<dyn PhysicalExpr>],
) -> Result<Vec<&'a DataFile>> {
    if filters.is_empty() || files.is_empty() {
        return Ok(files.iter().collect());
    }
    let predicate = PruningPredicateBuilder::new()
        .with_file_schema(Arc::clone(&layout.read))
        .try_build(conjunction(filters.iter().cloned()))?;
    let keep = predicate.prune(&Ranges { files, layout })?;
    Ok(files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect())
}

/// What the Delta log says of all files, a row per file.
struct Ranges<'a> {
    files: &'a [DataFile],
    layout: &'a Layout,
}

impl Ranges<'_> {
    /// One end of the range of a column in each file; null where it is unknown.
    fn ends(&self, column: &datafusion::common::Column, end: fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        let name = column.name();
        let range: fn(&DataFile) -> Option<(i64, i64)> = match name {
            "metric_id" => |file| file.metric_id,
            name if name == self.layout.table.time => |file| file.time,
            _ => return None,
        };
        let at = self.layout.read_position(name)?;
        let raw: Int64Array = self.files.iter().map(|file| range(file).map(end)).collect();
        let ty = self.layout.read.field(at).data_type();
        match ty {
            // days are narrower
            DataType::Date32 => arrow_cast::cast(&arrow_cast::cast(&raw, &DataType::Int32).ok()?, ty).ok(),
            _ => arrow_cast::cast(&raw, ty).ok(),
        }
    }
}

impl PruningStatistics for Ranges<'_> {
    fn min_values(&self, column: &datafusion::common::Column) -> Option<ArrayRef> {
        self.ends(column, |(min, _)| min)
    }

    fn max_values(&self, column: &datafusion::common::Column) -> Option<ArrayRef> {
        self.ends(column, |(_, max)| max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, _: &datafusion::common::Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(
        &self,
        _: &datafusion::common::Column,
        _: &std::collections::HashSet<ScalarValue>,
    ) -> Option<BooleanArray> {
        None
    }
}

/// The range of the time column that the filters leave, both ends included.
pub(crate) fn time_range(layout: &Layout, filters: &[Arc<dyn PhysicalExpr>]) -> Option<(i64, i64)> {
    let time = layout.read_position(layout.table.time)?;
    let (mut min, mut max) = (i64::MIN, i64::MAX);
    for part in filters.iter().flat_map(split_conjunction) {
        let Some((op, raw)) = bound_on(part, time) else { continue };
        match op {
            Operator::Eq => (min, max) = (min.max(raw), max.min(raw)),
            Operator::Gt => min = min.max(raw.saturating_add(1)),
            Operator::GtEq => min = min.max(raw),
            Operator::Lt => max = max.min(raw.saturating_sub(1)),
            Operator::LtEq => max = max.min(raw),
            _ => {}
        }
    }
    (min != i64::MIN || max != i64::MAX).then_some((min, max))
}

/// `column op constant`, whichever side the column stands on.
fn bound_on(filter: &Arc<dyn PhysicalExpr>, column: usize) -> Option<(Operator, i64)> {
    let binary = filter.downcast_ref::<BinaryExpr>()?;
    let is_column =
        |side: &Arc<dyn PhysicalExpr>| side.downcast_ref::<Column>().is_some_and(|c| c.index() == column);
    let (op, constant) = if is_column(binary.left()) {
        (*binary.op(), binary.right())
    } else if is_column(binary.right()) {
        (binary.op().swap()?, binary.left())
    } else {
        return None;
    };
    let raw = match constant.downcast_ref::<Literal>()?.value() {
        ScalarValue::Int64(Some(raw)) | ScalarValue::TimestampMicrosecond(Some(raw), _) => *raw,
        ScalarValue::Date32(Some(day)) => i64::from(*day),
        _ => return None,
    };
    Some((op, raw))
}

#[cfg(test)]
mod tests {
    use datafusion::physical_expr::expressions::lit;
    use isinglass_model::Kind;

    use super::*;

    fn file(name: &str, time: Option<(i64, i64)>, metric_id: Option<(i64, i64)>) -> DataFile {
        DataFile {
            path: name.into(),
            size_bytes: 10,
            rows: 1,
            time,
            metric_id,
            level: 0,
            accepted: 0,
            kept: None,
            crc32c: None,
            token_index_bytes: None,
            attribute_columns: Arc::default(),
        }
    }

    fn compare(layout: &Layout, name: &str, op: Operator, constant: ScalarValue) -> Arc<dyn PhysicalExpr> {
        let column = Arc::new(Column::new(name, layout.read_position(name).unwrap()));
        Arc::new(BinaryExpr::new(column, op, lit(constant)))
    }

    #[test]
    fn files_outside_the_range_are_not_opened() {
        let layout = Layout::of(Kind::Samples);
        let all = [
            file("old", Some((0, 1_000)), Some((1, 5))),
            file("new", Some((2_000, 3_000)), Some((1, 5))),
            file("other", Some((2_000, 3_000)), Some((7, 9))),
            file("unknown", None, None),
        ];
        let micros = |raw| raw_time(&Type::Timestamp, raw).unwrap();
        let check = |filters: &[Arc<dyn PhysicalExpr>], wanted: &[&str]| {
            let kept: Vec<_> =
                files(&all, layout, filters).unwrap().iter().map(|f| f.path.to_string()).collect();
            assert_eq!(kept, wanted);
        };
        check(&[], &["old", "new", "other", "unknown"]);
        let late = compare(layout, "time", Operator::Gt, micros(1_000));
        check(std::slice::from_ref(&late), &["new", "other", "unknown"]);
        let metric = compare(layout, "metric_id", Operator::Eq, ScalarValue::Int64(Some(3)));
        check(&[late, metric], &["new", "unknown"]);
    }

    #[test]
    fn ranges() {
        let layout = Layout::of(Kind::Logs);
        let nanos = |op, raw| compare(layout, "time", op, ScalarValue::Int64(Some(raw)));
        let both = [nanos(Operator::GtEq, 5), nanos(Operator::Lt, 9)];
        assert_eq!(time_range(layout, &both), Some((5, 8)));
        let joined: [Arc<dyn PhysicalExpr>; 1] = [conjunction(both)];
        assert_eq!(time_range(layout, &joined), Some((5, 8)));
        assert_eq!(time_range(layout, &[nanos(Operator::NotEq, 5)]), None);
    }

    use isinglass_model::tables::Type;
}
