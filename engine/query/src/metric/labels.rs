//! Label columns, made while rows pass by: one lookup a run of rows.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_schema::{DataType, Schema};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use hashbrown::HashMap;
use isinglass_store::{LabelColumn, SeriesSelection};

use super::columns::label_type;
use crate::shown::convert::bigints;

type ById = HashMap<i64, u32, ahash::RandomState>;

/// Series of a metric and where each stands in them.
#[derive(Debug)]
pub(crate) struct SeriesRows {
    series: SeriesSelection,
    by_id: ById,
}

impl SeriesRows {
    pub(crate) fn new(series: SeriesSelection) -> Self {
        let by_id = series.ids().zip(0_u32..).map(|((_, series_id), row)| (series_id, row)).collect();
        Self { series, by_id }
    }
}

/// The values of one label, a row per series.
#[derive(Debug)]
struct LabelValues {
    keys: Vec<Option<i32>>,
    values: ArrayRef,
}

impl LabelValues {
    fn of(series: &SeriesSelection, name: &str) -> Self {
        let LabelColumn { keys, values } = series.column(name);
        let key = |key: u32| i32::try_from(key).unwrap_or(i32::MAX);
        let keys = keys.into_iter().map(|found| found.map(key)).collect();
        Self { keys, values: Arc::new(StringArray::from(values)) }
    }
}

/// The values of one label, a row per series, for filters on labels.
pub(crate) fn per_series(series: &SeriesSelection, name: &str) -> Result<ArrayRef> {
    let LabelValues { keys, values } = LabelValues::of(series, name);
    let keys: Int32Array = keys.into_iter().collect();
    Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
}

/// A label column made from `series_id`.
#[derive(Clone)]
pub(crate) struct LabelExpr {
    name: Arc<str>,
    series_id: Arc<dyn PhysicalExpr>,
    series: Arc<SeriesRows>,
    values: Arc<LabelValues>,
}

impl LabelExpr {
    pub(crate) fn new(name: &str, series_id: Arc<dyn PhysicalExpr>, series: &Arc<SeriesRows>) -> Self {
        let values = Arc::new(LabelValues::of(&series.series, name));
        Self { name: name.into(), series_id, series: Arc::clone(series), values }
    }

    fn of(&self, ids: &[i64]) -> Result<ArrayRef> {
        let mut keys = Vec::with_capacity(ids.len());
        let mut valid = BooleanBufferBuilder::new(ids.len());
        for run in ids.chunk_by(|a, b| a == b) {
            let row = self.series.by_id.get(&run[0]);
            let key = row.and_then(|row| self.values.keys.get(*row as usize).copied().flatten());
            keys.resize(keys.len() + run.len(), key.unwrap_or_default());
            valid.append_n(run.len(), key.is_some());
        }
        let nulls = NullBuffer::new(valid.finish());
        let keys = Int32Array::try_new(keys.into(), (nulls.null_count() > 0).then_some(nulls))?;
        Ok(Arc::new(DictionaryArray::try_new(keys, Arc::clone(&self.values.values))?))
    }
}

impl fmt::Debug for LabelExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LabelExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label({}, {})", self.name, self.series_id)
    }
}

impl PartialEq for LabelExpr {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.series_id.eq(&other.series_id)
            && Arc::ptr_eq(&self.series, &other.series)
    }
}

impl Eq for LabelExpr {}

impl Hash for LabelExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.series_id.hash(state);
    }
}

impl PhysicalExpr for LabelExpr {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(label_type())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let ids = self.series_id.evaluate(batch)?.into_array(batch.num_rows())?;
        self.of(bigints(&ids)?.values()).map(ColumnarValue::Array)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.series_id]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 1]>::try_from(children) {
            Ok([series_id]) => Ok(Arc::new(Self { series_id, ..Self::clone(&self) })),
            Err(_) => exec_err!("{self} has one argument"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a row is of one of many series: one search a run of rows.
#[derive(Debug, Clone)]
pub(crate) struct SeriesSet {
    series_id: Arc<dyn PhysicalExpr>,
    sorted: Arc<[i64]>,
}

impl SeriesSet {
    pub(crate) fn new(series_id: Arc<dyn PhysicalExpr>, ids: impl IntoIterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = ids.into_iter().collect();
        sorted.sort_unstable();
        Self { series_id, sorted: sorted.into() }
    }
}

impl fmt::Display for SeriesSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} among {} series", self.series_id, self.sorted.len())
    }
}

impl PartialEq for SeriesSet {
    fn eq(&self, other: &Self) -> bool {
        self.series_id.eq(&other.series_id) && self.sorted == other.sorted
    }
}

impl Eq for SeriesSet {}

impl Hash for SeriesSet {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.series_id.hash(state);
        self.sorted.hash(state);
    }
}

impl PhysicalExpr for SeriesSet {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let ids = self.series_id.evaluate(batch)?.into_array(batch.num_rows())?;
        let ids = bigints(&ids)?.values();
        let mut keep = BooleanBufferBuilder::new(ids.len());
        for run in ids.chunk_by(|a, b| a == b) {
            keep.append_n(run.len(), self.sorted.binary_search(&run[0]).is_ok());
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::new(keep.finish(), None))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.series_id]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match <[_; 1]>::try_from(children) {
            Ok([series_id]) => Ok(Arc::new(Self { series_id, sorted: Arc::clone(&self.sorted) })),
            Err(_) => exec_err!("{self} has one argument"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
