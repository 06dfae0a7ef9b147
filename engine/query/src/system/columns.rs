//! Columns of system tables. Counts are BIGINT, times `Timestamp(ns, UTC)`.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow_schema::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use isinglass_model::Kind;
use isinglass_model::tables::{Table, Type};

static UTC: LazyLock<Arc<str>> = LazyLock::new(|| "UTC".into());

/// A column of a table: its name, and the array of its values.
pub(super) type Named = (&'static str, ArrayRef);

/// One batch of columns.
pub(super) fn batch(columns: Vec<Named>) -> Result<RecordBatch> {
    let schema = schema(&columns);
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Ok(RecordBatch::try_new(schema, arrays)?)
}

/// The schema of columns, with rows or without: so a table states them once.
pub(super) fn schema(columns: &[Named]) -> SchemaRef {
    let field = |(name, array): &Named| Field::new(*name, array.data_type().clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

pub(super) fn text<S: AsRef<str>>(name: &'static str, values: impl IntoIterator<Item = S>) -> Named {
    (name, Arc::new(StringArray::from_iter_values(values)))
}

pub(super) fn optional_text(name: &'static str, values: impl IntoIterator<Item = Option<String>>) -> Named {
    (name, Arc::new(values.into_iter().collect::<StringArray>()))
}

/// Counts; what does not fit is the largest that does.
pub(super) fn count<N: TryInto<i64>>(name: &'static str, values: impl IntoIterator<Item = N>) -> Named {
    let values = values.into_iter().map(|n| n.try_into().unwrap_or(i64::MAX));
    (name, Arc::new(Int64Array::from_iter_values(values)))
}

pub(super) fn optional_int(name: &'static str, values: impl IntoIterator<Item = Option<i64>>) -> Named {
    (name, Arc::new(values.into_iter().collect::<Int64Array>()))
}

pub(super) fn double(name: &'static str, values: impl IntoIterator<Item = f64>) -> Named {
    (name, Arc::new(Float64Array::from_iter_values(values)))
}

pub(super) fn flag(name: &'static str, values: impl IntoIterator<Item = bool>) -> Named {
    (name, Arc::new(BooleanArray::from_iter(values.into_iter().map(Some))))
}

/// Nanoseconds since 1970.
pub(super) fn time(name: &'static str, nanos: impl IntoIterator<Item = Option<i64>>) -> Named {
    let times = TimestampNanosecondArray::from_iter(nanos).with_timezone(Arc::clone(&UTC));
    (name, Arc::new(times))
}

/// The time column of a kind's files in nanoseconds.
pub(super) fn nanos(kind: Kind, value: i64) -> i64 {
    const DAY_NANOS: i64 = 86_400 * 1_000_000_000;
    let table = Table::of(kind);
    match table.position(table.time).map(|at| table.columns[at].ty) {
        Some(Type::Date) => value.saturating_mul(DAY_NANOS),
        Some(Type::Timestamp) => value.saturating_mul(1_000),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_all_kinds_are_nanoseconds() {
        for (kind, value) in [
            (Kind::Series, 19_675),
            (Kind::Samples, 1_699_920_000_000_000),
            (Kind::Exemplars, 1_699_920_000_000_000),
            (Kind::Logs, 1_699_920_000_000_000_000),
            (Kind::Spans, 1_699_920_000_000_000_000),
        ] {
            assert_eq!(nanos(kind, value), 1_699_920_000_000_000_000, "{kind}");
        }
    }
}
