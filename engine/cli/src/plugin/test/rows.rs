//! Rows of a case as the batch that a server would show.
//!
//! Columns that every row of a table has are filled in where a case does not name them: most
//! plugins look at two or three.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use arrow_array::builder::{FixedSizeBinaryBuilder, StringBuilder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Int16Array, Int32Array, Int64Array, RecordBatch};
use arrow_schema::Schema;
use isinglass_model::batch::{LogBatch, SampleBatch, SeriesBatch, SpanBatch};
use isinglass_model::columns::{Columns, Shape};
use isinglass_model::edits::{Editable, Rows};
use isinglass_model::kind::Kind;
use isinglass_model::labels::{LabelSet, Temporality};
use isinglass_model::series::SeriesRef;
use isinglass_model::tables::{Table, Type};
use toml::Value;
use toml::value::Datetime;

use super::attributes::{self, TABLES};
use super::nested::{self, LISTS};

/// Which columns the batches of a case have, however its rows are divided.
#[derive(Debug)]
pub(super) struct Layout {
    shape: Shape,
    columns: Vec<usize>,
    now_unix_nanos: i64,
}

impl Layout {
    pub(super) fn of(shape: Shape, rows: &[toml::Table], now_unix_nanos: i64) -> anyhow::Result<Self> {
        let mut columns = BTreeSet::new();
        if let Some(table) = table_of(shape) {
            columns.extend((0..table.columns.len()).filter(|at| !table.columns[*at].nullable));
            for (at, row) in rows.iter().enumerate() {
                let found = columns_of(table, row).with_context(|| format!("row {}", at + 1))?;
                columns.extend(found);
            }
        }
        Ok(Self { shape, columns: columns.into_iter().collect(), now_unix_nanos })
    }

    /// A batch of some of the rows, each with its number.
    pub(super) fn batch(&self, rows: &[(usize, &toml::Table)]) -> anyhow::Result<Box<dyn Columns>> {
        Ok(match self.shape {
            Shape::Samples => Box::new(self.samples(rows)?),
            Shape::Series => Box::new(series(rows)?),
            Shape::Logs => Box::new(self.logs(rows)?),
            Shape::Spans => Box::new(self.spans(rows)?),
        })
    }

    /// The same as transformers are shown it.
    pub(super) fn editable(&self, rows: &[(usize, &toml::Table)]) -> anyhow::Result<Box<dyn Editable>> {
        Ok(match self.shape {
            Shape::Samples => bail!("a transformer is not shown samples"),
            Shape::Series => Box::new(series(rows)?),
            Shape::Logs => Box::new(Rows::from(self.logs(rows)?)),
            Shape::Spans => Box::new(Rows::from(self.spans(rows)?)),
        })
    }

    /// Another row in the place of one: what every row must have it has too.
    pub(super) fn completed(&self, at: usize, row: &toml::Table, mut other: toml::Table) -> toml::Table {
        if let Some(table) = table_of(self.shape) {
            for (position, column) in table.columns.iter().enumerate().filter(|(_, column)| !column.nullable)
            {
                if let (false, Some(value)) =
                    (other.contains_key(column.name), self.value(table, position, at, row))
                {
                    other.insert(column.name.to_owned(), value);
                }
            }
        }
        other
    }

    fn spans(&self, rows: &[(usize, &toml::Table)]) -> anyhow::Result<SpanBatch> {
        Ok(SpanBatch { table: self.table(rows)?, attributes: Some(attributes::index(rows)?) })
    }

    fn samples(&self, rows: &[(usize, &toml::Table)]) -> anyhow::Result<SampleBatch> {
        let mut batch = SampleBatch::default();
        for (at, row) in rows {
            let known = row.keys().all(|key| ["time", "value"].contains(&key.as_str()));
            ensure!(known, "row {}: samples have a time and a value", at + 1);
            let time = row.get("time").map_or(Ok(self.now_unix_nanos), integer)?;
            let value = row.get("value").map_or(Some(0.0), number);
            let value = value.with_context(|| format!("row {}: its value is no number", at + 1))?;
            batch.push(SeriesRef(u32::try_from(*at)?), time.div_euclid(1_000_000), value, 0);
        }
        Ok(batch)
    }

    fn logs(&self, rows: &[(usize, &toml::Table)]) -> anyhow::Result<LogBatch> {
        let table = self.table(rows)?;
        let mut streams: Vec<String> = Vec::new();
        for (_, row) in rows {
            let stream = stream(row);
            if !streams.contains(&stream) {
                streams.push(stream);
            }
        }
        // In the order of the dictionary, which is that of first use.
        let stream_labels =
            streams.iter().map(|text| u32::try_from(text.matches("=\"").count()).unwrap_or(0));
        let bytes = rows.iter().map(|(_, row)| row.to_string().len()).sum();
        let attributes = Some(attributes::index(rows)?);
        Ok(LogBatch { table, attributes, stream_labels: stream_labels.collect(), bytes })
    }

    fn table(&self, rows: &[(usize, &toml::Table)]) -> anyhow::Result<RecordBatch> {
        let table = table_of(self.shape).context("this shape has no table")?;
        let mut arrays = Vec::new();
        for column in &self.columns {
            let name = table.columns[*column].name;
            let values =
                rows.iter().map(|(at, row)| self.value(table, *column, *at, row)).collect::<Vec<_>>();
            arrays.push(
                array(&table.columns[*column].ty, &values, self.now_unix_nanos)
                    .with_context(|| format!("column {name}"))?,
            );
        }
        let fields = self.columns.iter().map(|column| Arc::clone(table.batch_field(*column)));
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), arrays)?)
    }

    /// The value of a cell; what a row must have and a case leaves out is made up.
    fn value(&self, table: &Table, column: usize, at: usize, row: &toml::Table) -> Option<Value> {
        let column = &table.columns[column];
        if column.ty == Type::TextMap {
            let rest = attributes::unpromoted(row, table.kind, column.name);
            return (!rest.is_empty()).then_some(Value::Table(rest));
        }
        let given = row.get(column.name).cloned();
        let promoted = || attributes::promoted(row, table.kind, column.name);
        given.or_else(promoted).or_else(|| {
            Some(match (column.name, column.nullable, column.ty) {
                (_, true, _) => return None,
                ("time", ..) => Value::Integer(self.now_unix_nanos),
                ("stream", ..) => Value::String(stream(row)),
                ("kind", ..) => Value::String("unspecified".to_owned()),
                ("status", ..) => Value::String("unset".to_owned()),
                (.., Type::Id(width)) => {
                    Value::String(format!("{:0width$x}", at + 1, width = 2 * width as usize))
                }
                (.., Type::Text | Type::Dictionary) => Value::String(String::new()),
                _ => Value::Integer(0),
            })
        })
    }
}

pub(super) fn table_of(shape: Shape) -> Option<&'static Table> {
    match shape {
        Shape::Logs => Some(Table::of(Kind::Logs)),
        Shape::Spans => Some(Table::of(Kind::Spans)),
        Shape::Samples | Shape::Series => None,
    }
}

/// The columns that a row names, and those that its attributes are promoted to.
fn columns_of(table: &Table, row: &toml::Table) -> anyhow::Result<Vec<usize>> {
    let offered = |column: &usize| {
        use Type::{Bigint, Dictionary, Id, Integer, Smallint, Text};
        matches!(table.columns[*column].ty, Bigint | Dictionary | Id(_) | Integer | Smallint | Text)
    };
    let mut columns = Vec::new();
    for key in row.keys().filter(|key| !TABLES.contains(&key.as_str())) {
        let column =
            table.position(key).with_context(|| format!("there is no column {key:?} of {}", table.kind))?;
        let offered = offered(&column) || LISTS.contains(&key.as_str());
        ensure!(offered, "column {key:?} is not offered to plugins");
        columns.push(column);
    }
    for key in TABLES {
        let Some(given) = row.get(key) else { continue };
        let given = given.as_table().with_context(|| format!("{key} must be a table"))?;
        let found = attributes::promoted_of(table.kind, key)
            .iter()
            .filter(|promoted| given.contains_key(promoted.key));
        columns.extend(found.filter_map(|promoted| table.position(promoted.column)).filter(&offered));
        columns
            .extend(table.position(key).filter(|_| !attributes::unpromoted(row, table.kind, key).is_empty()));
    }
    Ok(columns)
}

/// The labels of a log record's stream as text.
fn stream(row: &toml::Table) -> String {
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let of_service = || format!("{{service_name=\"{}\"}}", text("service").unwrap_or_default());
    text("stream").map_or_else(of_service, str::to_owned)
}

fn series(rows: &[(usize, &toml::Table)]) -> anyhow::Result<SeriesBatch> {
    let mut batch = SeriesBatch::default();
    for (at, row) in rows {
        let labels = row.get("labels").and_then(Value::as_table).filter(|_| row.len() == 1);
        let labels =
            labels.with_context(|| format!("row {}: series have labels and nothing else", at + 1))?;
        let text = |(name, value): (&'_ String, &'_ Value)| Some((name.clone(), value.as_str()?.to_owned()));
        let owned: Option<Vec<_>> = labels.iter().map(text).collect();
        let owned = owned.with_context(|| format!("row {}: labels are text", at + 1))?;
        let mut pairs: Vec<_> = owned.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        batch.labels.push(LabelSet::new(&mut pairs, Temporality::default())?);
    }
    Ok(batch)
}

/// Cells of a column in the type of batches. `time` is that of what has none.
pub(super) fn array(ty: &Type, cells: &[Option<Value>], time: i64) -> anyhow::Result<ArrayRef> {
    let values = cells.iter().map(Option::as_ref);
    let integers =
        || values.clone().map(|value| value.map(integer).transpose()).collect::<anyhow::Result<Vec<_>>>();
    let texts =
        || values.clone().map(|value| value.map(text).transpose()).collect::<anyhow::Result<Vec<_>>>();
    Ok(match ty {
        Type::Bigint => Arc::new(Int64Array::from(integers()?)),
        Type::Integer => Arc::new(Int32Array::from(narrow::<i32>(integers()?)?)),
        Type::Smallint => Arc::new(Int16Array::from(narrow::<i16>(integers()?)?)),
        Type::Text => {
            let mut builder = StringBuilder::new();
            texts()?.into_iter().for_each(|text| builder.append_option(text));
            Arc::new(builder.finish())
        }
        Type::Dictionary => {
            let mut builder = StringDictionaryBuilder::<Int32Type>::new();
            texts()?.into_iter().for_each(|text| builder.append_option(text));
            Arc::new(builder.finish())
        }
        Type::Id(width) => {
            let mut builder = FixedSizeBinaryBuilder::new(*width);
            for text in texts()? {
                match text {
                    Some(text) => builder.append_value(id(text, *width)?)?,
                    None => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        Type::TextMap => attributes::maps(cells)?,
        Type::List(element) => nested::lists(element, cells, time)?,
        _ => bail!("it is not offered to plugins"),
    })
}

fn narrow<T: TryFrom<i64>>(values: Vec<Option<i64>>) -> anyhow::Result<Vec<Option<T>>> {
    let narrow = |value: Option<i64>| match value.map(T::try_from) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => bail!("{} is too large", value.unwrap_or_default()),
    };
    values.into_iter().map(narrow).collect()
}

fn text(value: &Value) -> anyhow::Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|value| value as f64))
}

/// A whole number, a time, or a duration such as `"20ms"` in nanoseconds.
fn integer(value: &Value) -> anyhow::Result<i64> {
    match value {
        Value::Integer(value) => Ok(*value),
        Value::Datetime(time) => nanos(time),
        Value::String(text) => {
            let time = humantime::parse_duration(text).with_context(|| format!("{text:?} is no duration"))?;
            Ok(i64::try_from(time.as_nanos())?)
        }
        other => bail!("{other} is no whole number, time or duration"),
    }
}

/// Nanoseconds since 1970 of a time with its offset.
pub(super) fn nanos(time: &Datetime) -> anyhow::Result<i64> {
    let text = time.to_string();
    let time = humantime::parse_rfc3339(&text).with_context(|| format!("{text} is no time in UTC (…Z)"))?;
    let since =
        time.duration_since(std::time::UNIX_EPOCH).with_context(|| format!("{text} is before 1970"))?;
    Ok(i64::try_from(since.as_nanos())?)
}

pub(super) fn id(text: &str, width: i32) -> anyhow::Result<Vec<u8>> {
    let digits = text.len() == 2 * width as usize && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(digits, "{text:?} is no id of {width} bytes in hex");
    let byte = |at: usize| Ok(u8::from_str_radix(&text[at..at + 2], 16)?);
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use isinglass_model::columns::{ColumnData, Encoding};

    use super::*;

    fn rows(text: &str) -> Vec<toml::Table> {
        let file: toml::Table = toml::from_str(text).unwrap();
        file["rows"].as_array().unwrap().iter().map(|row| row.as_table().unwrap().clone()).collect()
    }

    fn batch(shape: Shape, text: &str) -> anyhow::Result<Box<dyn Columns>> {
        let rows = rows(text);
        let layout = Layout::of(shape, &rows, 1_000_000_000)?;
        layout.batch(&rows.iter().enumerate().collect::<Vec<_>>())
    }

    #[test]
    fn spans_are_as_decode_makes_them() {
        let text = "[[rows]]\nservice = \"shop\"\nduration = \"20ms\"\nparent_span_id = \"0102030405060708\"\n\
                    attributes = { \"http.request.method\" = \"GET\", \"http.response.status_code\" = 200, odd = true }\n\
                    [[rows]]\nservice = \"cart\"\ntime = 1970-01-01T00:00:02Z\nresource = { \"host.name\" = \"a\" }\n";
        let batch = batch(Shape::Spans, text).unwrap();
        let column = |name: &str| batch.column(name, Encoding::Dictionary).map(|column| column.data);
        let Some(ColumnData::I64(times)) = column("time") else { panic!("times") };
        assert_eq!(times[..], [1_000_000_000, 2_000_000_000]);
        let Some(ColumnData::I64(durations)) = column("duration") else { panic!("durations") };
        assert_eq!(durations[..], [20_000_000, 0]);
        assert!(matches!(column("http_response_status_code"), Some(ColumnData::I64(_))));
        assert!(matches!(column("host_name"), Some(ColumnData::Dictionary { .. })));
        assert!(column("trace_state").is_none(), "no row names it");
        let Some(ColumnData::Offsets(offsets)) = column("attr.offsets") else { panic!("offsets") };
        assert_eq!(offsets[..], [0, 3, 3]);
        let lengths = batch.column("attr.value", Encoding::Lengths).unwrap().data;
        let ColumnData::U32(lengths) = lengths else { panic!("lengths") };
        assert_eq!(lengths[..], [3, 3, 4]);
    }

    #[test]
    fn a_part_of_the_rows_has_all_columns() {
        let rows = rows("[[rows]]\nservice = \"a\"\nseverity = \"warn\"\n[[rows]]\nservice = \"b\"\n");
        let layout = Layout::of(Shape::Logs, &rows, 0).unwrap();
        let part = layout.logs(&[(1, &rows[1])]).unwrap();
        let severity = part.table.column_by_name("severity").unwrap();
        assert_eq!((severity.len(), severity.null_count()), (1, 1));
        assert_eq!(part.table.column_by_name("stream").unwrap().as_dictionary::<Int32Type>().len(), 1);
        assert_eq!(part.stream_labels, [1]);
    }

    #[test]
    fn faults_are_named() {
        let check = |shape: Shape, text: &str, fault: &str| {
            let error = format!("{:#}", batch(shape, text).map(|_| ()).unwrap_err());
            assert!(error.contains(fault), "{error}");
        };
        check(Shape::Spans, "[[rows]]\nsurprise = 1\n", "row 1: there is no column \"surprise\" of spans");
        check(Shape::Spans, "[[rows]]\nevents = 1\n", "column events: 1 is no list of tables");
        check(Shape::Spans, "[[rows]]\nevents = [{ x = 1 }]\n", "column events: number 1: x is not known");
        check(Shape::Spans, "[[rows]]\nlinks = [{ span_id = \"1\" }]\n", "\"1\" is no id of 8 bytes in hex");
        check(Shape::Spans, "[[rows]]\ntrace_id = \"12\"\n", "\"12\" is no id of 16 bytes in hex");
        check(Shape::Logs, "[[rows]]\nbody = 1\n", "column body: 1 is no text");
        check(Shape::Logs, "[[rows]]\nseverity_number = 99999\n", "99999 is too large");
        check(Shape::Series, "[[rows]]\nname = \"a\"\n", "series have labels and nothing else");
        check(Shape::Samples, "[[rows]]\nvalue = \"a\"\n", "its value is no number");
    }
}
