//! Log records or spans while they are transformed.

use std::ops::Range;
use std::sync::OnceLock;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use hashbrown::HashMap;

use super::columns::{self, Sparse};
use super::pairs::{self, Plan};
use super::space::{Listed, space};
use super::{Editable, Edits, Pairs, Spoilt, ascending, nested, stream};
use crate::batch::{AttributeIndex, LogBatch, SpanBatch, attribute_column, table_column};
use crate::columns::{Column, ColumnData, Columns, Encoding, Shape};
use crate::kind::Kind;
use crate::tables::promoted::{LOG, SPAN};
use crate::tables::{Table, Type};

const FLAT: [Pairs; 5] = [Pairs::Attributes, Pairs::Resource, Pairs::Scope, Pairs::Events, Pairs::Links];

/// A batch of log records or spans. Every column of its table, and per sort of keys and values
/// (`attr`, `resource`, `scope`, `event`, `link`) the columns `….offsets`, `….key` and `….value`;
/// attributes by key as well.
#[derive(Debug)]
pub struct Rows {
    table: &'static Table,
    batch: RecordBatch,
    /// Of log records.
    stream_labels: Vec<u32>,
    bytes: usize,
    attributes: Option<AttributeIndex>,
    changed: bool,
    /// `….value` as JSON text is made once, whoever asks.
    cached: [OnceLock<Option<Column>>; FLAT.len()],
}

impl From<LogBatch> for Rows {
    fn from(logs: LogBatch) -> Self {
        let LogBatch { table, attributes, stream_labels, bytes } = logs;
        Self::new(Kind::Logs, table, stream_labels, bytes, attributes)
    }
}

impl From<SpanBatch> for Rows {
    fn from(spans: SpanBatch) -> Self {
        let bytes = spans.bytes();
        Self::new(Kind::Spans, spans.table, Vec::new(), bytes, spans.attributes)
    }
}

impl Rows {
    fn new(
        kind: Kind,
        batch: RecordBatch,
        stream_labels: Vec<u32>,
        bytes: usize,
        attributes: Option<AttributeIndex>,
    ) -> Self {
        let table = Table::of(kind);
        Self { table, batch, stream_labels, bytes, attributes, changed: false, cached: Default::default() }
    }

    /// Back to what validators are shown.
    pub fn into_logs(self) -> LogBatch {
        let attributes = self.index();
        let Self { batch, stream_labels, bytes, .. } = self;
        LogBatch { table: batch, attributes, stream_labels, bytes }
    }

    /// Back to what validators are shown.
    pub fn into_spans(self) -> SpanBatch {
        let attributes = self.index();
        SpanBatch { table: self.batch, attributes }
    }

    /// Keeps the rows for which `keep` is true, and of dictionaries only what those use.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) -> Result<(), String> {
        let keep: BooleanArray = (0..self.batch.num_rows()).map(|row| Some(keep(row))).collect();
        let kept = filter_record_batch(&self.batch, &keep).map_err(|error| error.to_string())?;
        let rows = kept.num_rows();
        let dictionaries = self.table.columns.iter().filter(|column| column.ty == Type::Dictionary);
        let columns = dictionaries.filter_map(|column| {
            let array = kept.column_by_name(column.name)?;
            Some((column.name, columns::with_texts(column.ty, Some(array), rows, &Sparse::new())))
        });
        let batch = columns::replace(self.table, &kept, columns.collect())?;
        self.take(batch)
    }

    fn take(&mut self, batch: RecordBatch) -> Result<(), String> {
        if self.table.kind == Kind::Logs {
            self.stream_labels = self.count_labels(&batch)?;
        }
        self.batch = batch;
        self.changed = true;
        self.cached = Default::default();
        Ok(())
    }

    fn listed(&self, of: Pairs) -> Option<Listed<'_>> {
        space(self.table.kind, of).map(|space| Listed::of(&self.batch, space))
    }

    /// The attributes as validators want them.
    fn index(&self) -> Option<AttributeIndex> {
        if !self.changed {
            return self.attributes.clone();
        }
        let listed = self.listed(Pairs::Attributes)?;
        let column = |name, encoding| listed.column(name, encoding).map(|column| column.data);
        let offsets = column("offsets", Encoding::Values)?;
        let keys = column("key", Encoding::Dictionary)?;
        match (offsets, keys, column("value", Encoding::Lengths)?) {
            (
                ColumnData::Offsets(offsets),
                ColumnData::Dictionary { keys, values: key_values },
                ColumnData::U32(value_lengths),
            ) => Some(AttributeIndex { offsets, keys, key_values, value_lengths }),
            _ => None,
        }
    }

    fn count_labels(&self, batch: &RecordBatch) -> Result<Vec<u32>, String> {
        let dictionary = |batch: &RecordBatch| -> Option<Vec<String>> {
            let stream = batch.column_by_name("stream")?.as_dictionary_opt::<Int32Type>()?;
            let values = stream.values().as_string_opt::<i32>()?;
            Some(values.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
        };
        let known: HashMap<String, u32, ahash::RandomState> = dictionary(&self.batch)
            .unwrap_or_default()
            .into_iter()
            .zip(self.stream_labels.iter().copied())
            .collect();
        let texts = dictionary(batch).unwrap_or_default();
        texts
            .iter()
            .map(|text| known.get(text).map_or_else(|| stream::labels(text), |count| Ok(*count)))
            .collect()
    }
}

impl Columns for Rows {
    fn shape(&self) -> Shape {
        if self.table.kind == Kind::Spans { Shape::Spans } else { Shape::Logs }
    }

    fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        if name.contains(':') {
            let promoted = if self.table.kind == Kind::Spans { SPAN } else { LOG };
            return attribute_column(&self.batch, name, encoding, promoted);
        }
        if let Some((prefix, rest)) = name.split_once('.') {
            if let Some(at) = FLAT.iter().position(|of| of.prefix() == prefix) {
                let make = || self.listed(FLAT[at]).and_then(|listed| listed.column(rest, encoding));
                return match (rest, encoding) {
                    ("value", Encoding::Values) => self.cached[at].get_or_init(make).clone(),
                    _ => make(),
                };
            }
            if name == "stream.labels" {
                let stream = self.batch.column_by_name("stream")?.as_dictionary_opt::<Int32Type>()?;
                let count = |key: &i32| self.stream_labels.get(*key as usize).copied().unwrap_or(0);
                let counts: Vec<u32> = stream.keys().values().iter().map(count).collect();
                return Some(Column::new(ColumnData::U32(counts.into())));
            }
        }
        table_column(&self.batch, name, encoding)
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Editable for Rows {
    fn edit(&mut self, edits: &[(Range<usize>, Edits)]) -> Result<Vec<Spoilt>, String> {
        edits.iter().try_for_each(|(_, edits)| edits.check())?;
        let batch = self.with_pairs(&self.batch, edits)?;
        let batch = with_columns(self.table, &batch, edits)?;
        self.take(batch).map(|()| Vec::new())
    }
}

impl Rows {
    /// Keys and values first: their entries are those of the batch as the plugin saw it.
    fn with_pairs(
        &self,
        batch: &RecordBatch,
        edits: &[(Range<usize>, Edits)],
    ) -> Result<RecordBatch, String> {
        let mut columns = Vec::new();
        for of in
            [Pairs::Attributes, Pairs::Resource, Pairs::Scope, Pairs::Events, Pairs::Links, Pairs::Labels]
        {
            let mut pairs = edits
                .iter()
                .flat_map(|(rows, edits)| edits.pairs.iter().map(move |pairs| (rows, pairs)))
                .filter(|(_, pairs)| pairs.of == of)
                .peekable();
            if pairs.peek().is_none() {
                continue;
            }
            let space = space(self.table.kind, of)
                .ok_or_else(|| format!("{} have no {}", self.table.kind, of.prefix()))?;
            let listed = Listed::of(batch, space);
            let mut plan = Plan::default();
            for (rows, edits) in pairs {
                let offset = |row: usize| listed.entries.offsets[row] as usize;
                plan.add(edits, rows, &(offset(rows.start)..offset(rows.end)), true)?;
            }
            let edit = if space.nested { nested::edited } else { pairs::edited };
            columns.extend(edit(&listed, batch, &plan)?);
        }
        if columns.is_empty() { Ok(batch.clone()) } else { columns::replace(self.table, batch, columns) }
    }
}

fn with_columns(
    table: &'static Table,
    batch: &RecordBatch,
    edits: &[(Range<usize>, Edits)],
) -> Result<RecordBatch, String> {
    let mut texts: Vec<(&'static crate::tables::Column, Sparse<&str>)> = Vec::new();
    let mut numbers: Vec<(&'static crate::tables::Column, Sparse<i64>)> = Vec::new();
    for (rows, edits) in edits {
        for edit in &edits.texts {
            let column = columns::editable(table, &edit.column, true)?;
            edit.texts.pool.iter().try_for_each(|text| columns::check_text(column, text))?;
            let cells = edit.texts.checked(column.name, rows.len())?.map(|(row, text)| (row, Some(text)));
            add(&mut texts, column, rows, cells.collect(), &edit.nulls)?;
        }
        for edit in &edits.numbers {
            let column = columns::editable(table, &edit.column, false)?;
            if edit.at.len() != edit.values.len() {
                return Err(format!(
                    "{}: {} rows and {} values",
                    column.name,
                    edit.at.len(),
                    edit.values.len()
                ));
            }
            ascending(column.name, &edit.at, rows.len())?;
            edit.values.iter().try_for_each(|value| columns::check_number(column, *value))?;
            let cells = edit.at.iter().zip(&edit.values).map(|(row, value)| (*row as usize, Some(*value)));
            add(&mut numbers, column, rows, cells.collect(), &edit.nulls)?;
        }
    }
    if texts.is_empty() && numbers.is_empty() {
        return Ok(batch.clone());
    }
    let (old, count) = (|name: &str| batch.column_by_name(name), batch.num_rows());
    let texts =
        texts.iter().map(|(of, cells)| (of.name, columns::with_texts(of.ty, old(of.name), count, cells)));
    let numbers =
        numbers.iter().map(|(of, cells)| (of.name, columns::with_numbers(of.ty, old(of.name), count, cells)));
    columns::replace(table, batch, texts.chain(numbers).collect())
}

/// Adds the cells of a range of rows to those of the column.
fn add<T: Clone>(
    all: &mut Vec<(&'static crate::tables::Column, Sparse<T>)>,
    column: &'static crate::tables::Column,
    rows: &Range<usize>,
    cells: Sparse<T>,
    nulls: &[u32],
) -> Result<(), String> {
    ascending(column.name, nulls, rows.len())?;
    if !nulls.is_empty() && !column.nullable {
        return Err(format!("{} may not be null", column.name));
    }
    let mut merged: Sparse<T> = cells;
    merged.extend(nulls.iter().map(|row| (*row as usize, None)));
    merged.sort_by_key(|(row, _)| *row);
    if merged.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("{}: a row has a value and none", column.name));
    }
    let merged = merged.into_iter().map(|(row, cell)| (rows.start + row, cell));
    match all.iter_mut().find(|(known, _)| known.name == column.name) {
        Some((_, known)) => known.extend(merged),
        None => all.push((column, merged.collect())),
    }
    Ok(())
}
