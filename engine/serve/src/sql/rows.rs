//! Record batches as bytes of a format.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::RecordBatchOptions;
use arrow_ipc::writer::StreamWriter;
use arrow_json::writer::{JsonArray, LineDelimited, Writer, WriterBuilder};
use arrow_schema::{ArrowError, Field, Schema, SchemaRef};

use super::format::RowFormat;
use super::{csv, json};

/// Writes batches; what is written is taken out as it grows.
pub(super) struct RowWriter {
    schema: SchemaRef,
    form: Form,
}

enum Form {
    Json(Writer<Vec<u8>, JsonArray>),
    Ndjson(Writer<Vec<u8>, LineDelimited>),
    Csv { begun: bool, out: Vec<u8> },
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl RowWriter {
    pub(super) fn new(format: RowFormat, schema: &Schema) -> Result<Self, ArrowError> {
        let schema = with_unique_names(schema);
        let builder = || WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(json::factory());
        let form = match format {
            RowFormat::Json => Form::Json(builder().build(Vec::new())),
            RowFormat::Ndjson => Form::Ndjson(builder().build(Vec::new())),
            RowFormat::Csv => Form::Csv { begun: false, out: Vec::new() },
            RowFormat::Arrow => Form::Arrow(Box::new(StreamWriter::try_new(Vec::new(), &schema)?)),
        };
        Ok(Self { schema, form })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch =
            RecordBatch::try_new_with_options(Arc::clone(&self.schema), batch.columns().to_vec(), &options)?;
        match &mut self.form {
            Form::Json(writer) => writer.write(&batch),
            Form::Ndjson(writer) => writer.write(&batch),
            Form::Csv { begun, out } => csv::write(&batch, !std::mem::replace(begun, true), out),
            Form::Arrow(writer) => writer.write(&batch),
        }
    }

    /// What comes after the last row.
    pub(super) fn finish(&mut self) -> Result<(), ArrowError> {
        match &mut self.form {
            Form::Json(writer) => {
                writer.finish()?;
                writer.get_mut().push(b'\n');
                Ok(())
            }
            Form::Ndjson(writer) => writer.finish(),
            Form::Csv { begun: true, .. } => Ok(()),
            Form::Csv { begun: false, .. } => self.write(&RecordBatch::new_empty(Arc::clone(&self.schema))),
            Form::Arrow(writer) => writer.finish(),
        }
    }

    /// Takes what was written since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(match &mut self.form {
            Form::Json(writer) => writer.get_mut(),
            Form::Ndjson(writer) => writer.get_mut(),
            Form::Csv { out, .. } => out,
            Form::Arrow(writer) => writer.get_mut(),
        })
    }
}

/// `select a.time, b.time` has two columns `time`; an object cannot. The second
/// is called `time_2`. All columns count as nullable: how a plan derives that
/// is no business of a client.
fn with_unique_names(schema: &Schema) -> SchemaRef {
    let mut taken: HashSet<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut seen = HashSet::new();
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let mut name = field.name().clone();
        if !seen.insert(name.clone()) {
            name = (2_u32..)
                .map(|n| format!("{}_{n}", field.name()))
                .find(|n| !taken.contains(n))
                .unwrap_or(name);
            taken.insert(name.clone());
            seen.insert(name.clone());
        }
        fields.push(Field::new(name, field.data_type().clone(), true));
    }
    Arc::new(Schema::new(fields))
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{ListBuilder, StringBuilder};
    use arrow_array::types::Int32Type;
    use arrow_array::{
        ArrayRef, DictionaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
        TimestampNanosecondArray,
    };
    use arrow_ipc::reader::StreamReader;

    use super::*;

    fn batch() -> RecordBatch {
        let mut tags = ListBuilder::new(StringBuilder::new());
        tags.append_value([Some("a,b"), None]);
        tags.append_null();
        tags.append_value([Some("\"c\"")]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("time", Arc::new(TimestampNanosecondArray::from(vec![1_000, 0, 1]).with_timezone("UTC"))),
            ("day", Arc::new(TimestampMicrosecondArray::from(vec![1_500_000, 0, 1]).with_timezone("UTC"))),
            ("n", Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(-1)]))),
            ("value", Arc::new(Float64Array::from(vec![0.1, f64::NAN, f64::NEG_INFINITY]))),
            (
                "service",
                Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("x"), None, Some("y \"z\"")])),
            ),
            ("tags", Arc::new(tags.finish())),
            ("n", Arc::new(StringArray::from(vec!["", "b", "c,d"]))),
        ];
        let fields: Vec<Field> =
            columns.iter().map(|(name, c)| Field::new(*name, c.data_type().clone(), true)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, c)| c).collect())
            .unwrap()
    }

    fn rendered(format: RowFormat, batches: &[RecordBatch]) -> Vec<u8> {
        let mut writer = RowWriter::new(format, batch().schema_ref()).unwrap();
        let mut bytes = Vec::new();
        for batch in batches {
            writer.write(batch).unwrap();
            bytes.extend(writer.take());
        }
        writer.finish().unwrap();
        bytes.extend(writer.take());
        bytes
    }

    fn text(format: RowFormat, batches: &[RecordBatch]) -> String {
        String::from_utf8(rendered(format, batches)).unwrap()
    }

    const ROWS: [&str; 3] = [
        r#"{"time":"1970-01-01T00:00:00.000001Z","day":"1970-01-01T00:00:01.500Z","n":9223372036854775807,"value":0.1,"service":"x","tags":["a,b",null],"n_2":""}"#,
        r#"{"time":"1970-01-01T00:00:00Z","day":"1970-01-01T00:00:00Z","n":null,"value":"NaN","service":null,"tags":null,"n_2":"b"}"#,
        r#"{"time":"1970-01-01T00:00:00.000000001Z","day":"1970-01-01T00:00:00.000001Z","n":-1,"value":"-Infinity","service":"y \"z\"","tags":["\"c\""],"n_2":"c,d"}"#,
    ];

    #[test]
    fn json() {
        assert_eq!(text(RowFormat::Json, &[]), "[]\n");
        assert_eq!(text(RowFormat::Json, &[batch()]), format!("[{}]\n", ROWS.join(",")));
        assert_eq!(
            text(RowFormat::Json, &[batch().slice(0, 1), batch().slice(1, 2)]),
            format!("[{}]\n", ROWS.join(","))
        );
    }

    #[test]
    fn ndjson() {
        assert_eq!(text(RowFormat::Ndjson, &[]), "");
        assert_eq!(
            text(RowFormat::Ndjson, &[batch().slice(0, 1), batch().slice(1, 2)]),
            ROWS.join("\n") + "\n"
        );
    }

    #[test]
    fn csv() {
        let header = "time,day,n,value,service,tags,n_2\n";
        assert_eq!(text(RowFormat::Csv, &[]), header);
        let rows = "1970-01-01T00:00:00.000001Z,1970-01-01T00:00:01.500Z,9223372036854775807,0.1,x,\"[\"\"a,b\"\",null]\",\n\
                    1970-01-01T00:00:00Z,1970-01-01T00:00:00Z,,NaN,,,b\n\
                    1970-01-01T00:00:00.000000001Z,1970-01-01T00:00:00.000001Z,-1,-inf,\"y \"\"z\"\"\",\"[\"\"\\\"\"c\\\"\"\"\"]\",\"c,d\"\n";
        assert_eq!(
            text(RowFormat::Csv, &[batch().slice(0, 2), batch().slice(2, 1)]),
            format!("{header}{rows}")
        );
    }

    #[test]
    fn arrow() {
        let bytes = rendered(RowFormat::Arrow, &[batch().slice(0, 1), batch().slice(1, 2)]);
        let read: Vec<_> = StreamReader::try_new(&bytes[..], None).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(read[1].column(6).as_ref(), batch().slice(1, 2).column(6).as_ref());
        assert_eq!(read[0].schema().field(6).name(), "n_2");
    }
}
