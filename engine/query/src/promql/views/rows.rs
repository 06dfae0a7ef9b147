//! Rows as series.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampNanosecondArray};
use arrow_cast::cast;
use arrow_schema::DataType;
use hashbrown::HashMap;
use isinglass_model::ErrorKind;
use isinglass_promql::labels::METRIC_NAME;
use isinglass_promql::{Labels, MemorySource};

use super::read::{TIME, VALUE};
use crate::error::QueryError;
use crate::shown::convert::nanos_type;

/// Samples of a series in any order.
type Samples = Vec<(i64, f64)>;

/// The series of a view. Rows without a time or value are none; of two rows of a series with one
/// time the later one counts.
pub(super) fn series_of(name: &str, batches: &[RecordBatch]) -> Result<MemorySource, QueryError> {
    let mut series: HashMap<Labels, Samples> = HashMap::new();
    for batch in batches {
        let columns = Columns::of(batch)?;
        for row in 0..batch.num_rows() {
            if columns.time.is_valid(row) && columns.value.is_valid(row) {
                let sample = (columns.time.value(row).div_euclid(1_000_000), columns.value.value(row));
                series.entry(columns.labels(name, row)).or_default().push(sample);
            }
        }
    }
    let mut source = MemorySource::default();
    for (labels, mut samples) in series {
        samples.sort_by_key(|(time_ms, _)| *time_ms);
        samples.reverse();
        samples.dedup_by_key(|(time_ms, _)| *time_ms);
        samples.reverse();
        let (times, values) = samples.into_iter().unzip();
        source.add_floats(&labels, times, values);
    }
    Ok(source)
}

struct Columns {
    time: TimestampNanosecondArray,
    value: Float64Array,
    /// By name.
    labels: Vec<(String, StringArray)>,
}

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, QueryError> {
        let missing =
            |name: &str| QueryError::new(ErrorKind::Internal, format!("the column {name} is missing"));
        let column = |name: &str, ty: &DataType| -> Result<ArrayRef, QueryError> {
            let column = batch.column_by_name(name).ok_or_else(|| missing(name))?;
            if column.data_type() == ty {
                return Ok(Arc::clone(column));
            }
            cast(column, ty).map_err(|error| QueryError::new(ErrorKind::Rejected, error.to_string()))
        };
        let mut labels = Vec::new();
        for field in batch.schema_ref().fields() {
            let name = field.name();
            if name != TIME && name != VALUE {
                let texts = column(name, &DataType::Utf8)?;
                labels.push((name.clone(), texts.as_string::<i32>().clone()));
            }
        }
        labels.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(Self {
            time: column(TIME, &nanos_type())?.as_primitive::<TimestampNanosecondType>().clone(),
            value: column(VALUE, &DataType::Float64)?.as_primitive::<Float64Type>().clone(),
            labels,
        })
    }

    fn labels(&self, name: &str, row: usize) -> Labels {
        let own = self.labels.iter().filter(|(_, texts)| texts.is_valid(row));
        let own = own.map(|(label, texts)| (label.as_str(), texts.value(row)));
        Labels::new(own.chain([(METRIC_NAME, name)]))
    }
}
