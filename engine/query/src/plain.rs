//! Text leaves as plain text.
//!
//! Inside, text is a column of views. Readers of Arrow IPC know those less often than plain text,
//! and a view keeps the whole page alive that it points into. DataFusion can turn them by itself
//! (`expand_views_at_output`), with a projection of all columns on top of the plan that every rule
//! takes apart again: of the fifty columns of a `SELECT *` that was a fifth of planning.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

/// The same rows without views at the top.
pub(crate) fn plain(rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let before = rows.schema();
    let fields = before.fields().iter().map(field).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new_with_metadata(fields, before.metadata().clone()));
    if schema == before {
        return rows;
    }
    let of = Arc::clone(&schema);
    Box::pin(RecordBatchStreamAdapter::new(schema, rows.map(move |batch| cast(&batch?, &of))))
}

fn field(field: &Arc<Field>) -> Arc<Field> {
    let ty = match field.data_type() {
        DataType::Utf8View => DataType::LargeUtf8,
        DataType::BinaryView => DataType::LargeBinary,
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(ty))
}

fn cast(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| -> Result<ArrayRef> {
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        Ok(arrow_cast::cast(column, field.data_type())?)
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_>>()?, &options)?)
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryViewArray, Int64Array, LargeBinaryArray, LargeStringArray, StringViewArray};
    use futures::TryStreamExt;

    use super::*;

    async fn check(columns: Vec<(&str, ArrayRef)>, expected: Vec<(&str, ArrayRef)>) {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let rows = futures::stream::iter([Ok(batch.clone()), Ok(batch.slice(1, 1))]);
        let rows = plain(Box::pin(RecordBatchStreamAdapter::new(batch.schema(), rows)));
        let (schema, expected) = (rows.schema(), RecordBatch::try_from_iter(expected).unwrap());
        let found: Vec<RecordBatch> = rows.try_collect().await.unwrap();
        assert_eq!(schema, found[0].schema());
        assert_eq!(found, [expected.clone(), expected.slice(1, 1)]);
    }

    #[tokio::test]
    async fn views_become_plain_and_nothing_else() {
        let long = "longer than twelve bytes";
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        check(
            vec![
                ("n", Arc::clone(&numbers)),
                ("text", Arc::new(StringViewArray::from(vec![Some(long), None, Some("")]))),
                ("bytes", Arc::new(BinaryViewArray::from(vec![Some(long.as_bytes()), None, Some(b"x")]))),
            ],
            vec![
                ("n", Arc::clone(&numbers)),
                ("text", Arc::new(LargeStringArray::from(vec![Some(long), None, Some("")]))),
                ("bytes", Arc::new(LargeBinaryArray::from(vec![Some(long.as_bytes()), None, Some(b"x")]))),
            ],
        )
        .await;
        check(vec![("n", Arc::clone(&numbers))], vec![("n", numbers)]).await;
    }
}
