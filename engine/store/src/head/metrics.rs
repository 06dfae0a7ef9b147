//! Native histograms and exemplars as record batches of their tables.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float64Builder, Int16Builder, Int32Builder,
    MapBuilder, MapFieldNames, StringBuilder, StringDictionaryBuilder,
};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Float64Array, Int64Array, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields};
use isinglass_model::Kind;
use isinglass_model::batch::{ExemplarBatch, HistogramBatch, HistogramRow};
use isinglass_model::series::SeriesRef;
use isinglass_model::tables::metrics::BUCKET_SPAN;
use isinglass_model::tables::{Type, batch_type};

use super::read::{batch_of, timestamps};
use crate::StoreError;
use crate::series::SeriesTable;

/// Rows of `histograms`.
pub(crate) fn histogram_rows(batch: &HistogramBatch, table: &SeriesTable) -> Result<RecordBatch, StoreError> {
    let rows = &batch.rows;
    let (metric, series) = ids(table, rows.iter().map(|row| row.series));
    let start: Vec<i64> = rows.iter().map(|row| row.start_ms).collect();
    let known = NullBuffer::from_iter(start.iter().map(|start| *start != 0));
    let mut schema = Int16Builder::with_capacity(rows.len());
    let mut float = BooleanBuilder::with_capacity(rows.len());
    let mut hint = StringDictionaryBuilder::<Int32Type>::new();
    for row in rows {
        schema.append_value(row.schema);
        float.append_value(row.float);
        hint.append_value(row.reset_hint);
    }
    let doubles = |value: fn(&HistogramRow) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(value).collect::<Float64Array>())
    };
    let live = |row: &HistogramRow| row.count.is_some();
    batch_of(
        Kind::Histograms,
        vec![
            ("metric_id", metric),
            ("series_id", series),
            ("time", Arc::new(timestamps(rows.iter().map(|row| row.time_ms).collect(), None))),
            ("start_time", Arc::new(timestamps(start, Some(known)))),
            ("count", doubles(|row| row.count)),
            ("sum", doubles(|row| row.sum)),
            ("schema", Arc::new(schema.finish())),
            ("zero_threshold", doubles(|row| row.count.map(|_| row.zero_threshold))),
            ("zero_count", doubles(|row| row.count.map(|_| row.zero_count))),
            ("positive_spans", span_lists(rows, live, |row| &row.positive_spans)?),
            ("positive_buckets", double_lists(rows, live, |row| &row.positive_buckets)?),
            ("negative_spans", span_lists(rows, live, |row| &row.negative_spans)?),
            ("negative_buckets", double_lists(rows, live, |row| &row.negative_buckets)?),
            (
                "custom_bounds",
                double_lists(
                    rows,
                    |row| live(row) && !row.custom_bounds.is_empty(),
                    |row| &row.custom_bounds,
                )?,
            ),
            ("reset_hint", Arc::new(hint.finish())),
            ("float", Arc::new(float.finish())),
            ("min", doubles(|row| row.min)),
            ("max", doubles(|row| row.max)),
        ],
    )
}

/// Rows of `exemplars`.
pub(crate) fn exemplar_rows(batch: &ExemplarBatch, table: &SeriesTable) -> Result<RecordBatch, StoreError> {
    let rows = batch.len();
    let (metric, series) = ids(table, batch.series.iter().copied());
    let mut trace = FixedSizeBinaryBuilder::with_capacity(rows, 16);
    let mut span = FixedSizeBinaryBuilder::with_capacity(rows, 8);
    let mut attributes = map_builder();
    for row in 0..rows {
        append_id(&mut trace, batch.trace_id.get(row).and_then(Option::as_ref).map(|id| &id[..]))?;
        append_id(&mut span, batch.span_id.get(row).and_then(Option::as_ref).map(|id| &id[..]))?;
        let entries = batch.attributes.get(row).map(Vec::as_slice).unwrap_or_default();
        for (name, value) in entries {
            attributes.keys().append_value(name);
            attributes.values().append_value(value);
        }
        attributes.append(!entries.is_empty())?;
    }
    batch_of(
        Kind::Exemplars,
        vec![
            ("metric_id", metric),
            ("series_id", series),
            ("time", Arc::new(timestamps(batch.time_ms.clone(), None))),
            ("value", Arc::new(Float64Array::from(batch.value.clone()))),
            ("trace_id", Arc::new(trace.finish())),
            ("span_id", Arc::new(span.finish())),
            ("attributes", Arc::new(attributes.finish())),
        ],
    )
}

/// A builder of `map<string, string>` as the tables have it.
pub(crate) fn map_builder() -> MapBuilder<StringBuilder, StringBuilder> {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new())
}

fn append_id(builder: &mut FixedSizeBinaryBuilder, id: Option<&[u8]>) -> Result<(), StoreError> {
    match id {
        Some(id) => builder.append_value(id)?,
        None => builder.append_null(),
    }
    Ok(())
}

fn ids(table: &SeriesTable, refs: impl Iterator<Item = SeriesRef>) -> (ArrayRef, ArrayRef) {
    let (metric, series): (Vec<i64>, Vec<i64>) = refs.map(|series| table.ids(series)).unzip();
    (Arc::new(Int64Array::from(metric)), Arc::new(Int64Array::from(series)))
}

fn double_lists(
    rows: &[HistogramRow],
    valid: impl Fn(&HistogramRow) -> bool,
    of: fn(&HistogramRow) -> &Vec<f64>,
) -> Result<ArrayRef, StoreError> {
    let mut values = Float64Builder::new();
    rows.iter().filter(|row| valid(row)).for_each(|row| values.append_slice(of(row)));
    let lengths = rows.iter().map(|row| if valid(row) { of(row).len() } else { 0 });
    list(&Type::Double, lengths, Arc::new(values.finish()), rows.iter().map(&valid))
}

fn span_lists(
    rows: &[HistogramRow],
    valid: impl Fn(&HistogramRow) -> bool,
    of: fn(&HistogramRow) -> &Vec<(i32, i32)>,
) -> Result<ArrayRef, StoreError> {
    let (mut offset, mut length) = (Int32Builder::new(), Int32Builder::new());
    for span in rows.iter().filter(|row| valid(row)).flat_map(of) {
        offset.append_value(span.0);
        length.append_value(span.1);
    }
    let DataType::Struct(fields) = batch_type(&Type::Struct(BUCKET_SPAN)) else {
        return Err(StoreError::Internal("bucket spans are not a struct".into()));
    };
    let spans = struct_of(fields, vec![Box::new(offset), Box::new(length)])?;
    let lengths = rows.iter().map(|row| if valid(row) { of(row).len() } else { 0 });
    list(&Type::Struct(BUCKET_SPAN), lengths, spans, rows.iter().map(&valid))
}

fn struct_of(fields: Fields, builders: Vec<Box<dyn ArrayBuilder>>) -> Result<ArrayRef, StoreError> {
    let columns = builders.into_iter().map(|mut builder| builder.finish()).collect();
    Ok(Arc::new(StructArray::try_new(fields, columns, None)?))
}

fn list(
    element: &Type,
    lengths: impl Iterator<Item = usize>,
    values: ArrayRef,
    valid: impl Iterator<Item = bool>,
) -> Result<ArrayRef, StoreError> {
    let field = Arc::new(Field::new("element", batch_type(element), false));
    let validity = NullBuffer::from_iter(valid);
    Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, Some(validity))?))
}
