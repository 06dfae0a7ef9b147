//! Decoded rows of one file.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int32Array, RecordBatch};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, TimeUnit};
use isinglass_model::tables::{Table, Type};

use super::Group;
use super::ha::REPLICA_COLUMN;

/// What rows are sorted by before the time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prefix {
    /// Metric and series, or a trace id, in bits that compare as the columns do.
    Bits(u128),
    /// Service and stream.
    Texts(Arc<(Box<str>, Box<str>)>),
}

impl Prefix {
    /// Of a table that has both ids.
    pub(super) fn of_series(metric_id: i64, series_id: i64) -> Self {
        Self::Bits(u128::from(flip(metric_id)) << 64 | u128::from(flip(series_id)))
    }

    /// The metric and series id.
    pub(super) fn as_series(&self) -> (i64, i64) {
        let Self::Bits(bits) = self else { return (0, 0) };
        (unflip((bits >> 64) as u64), unflip(*bits as u64))
    }

    /// The same as people know it.
    pub(super) fn as_group(&self, table: &Table) -> Group<'_> {
        match self {
            Self::Texts(texts) => Group::Stream { service: &texts.0, stream: &texts.1 },
            Self::Bits(bits) => match table.sorted_by.first() {
                Some(&"trace_id") => Group::Trace(bits.to_be_bytes()),
                Some(&"metric_id") => {
                    let (metric_id, series_id) = self.as_series();
                    Group::Series { metric_id, series_id }
                }
                _ => Group::All,
            },
        }
    }
}

/// Signed order as unsigned order, and back.
fn flip(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

fn unflip(value: u64) -> i64 {
    (value ^ (1 << 63)).cast_signed()
}

/// Consecutive rows with one prefix.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) prefix: Prefix,
    /// The row after its last.
    pub(super) end: usize,
}

/// Rows in the order of the table.
#[derive(Debug)]
pub(super) struct Batch {
    /// By position in the table; `None` if all values are null.
    columns: Vec<Option<ArrayRef>>,
    /// Which replica wrote the row, in files on the way to one series.
    replica: Option<Int32Array>,
    times: ScalarBuffer<i64>,
    runs: Vec<Run>,
    bytes: usize,
}

impl Batch {
    /// Takes columns by name, so that files of an older release, which lack the
    /// last ones, and those of this one are the same. Checks the order after
    /// `previous`, the last key of the file so far.
    pub(super) fn of(
        table: &Table,
        rows: &RecordBatch,
        previous: Option<&(Prefix, i64)>,
    ) -> Result<Self, String> {
        let mut columns = vec![None; table.columns.len()];
        let mut replica = None;
        for (field, array) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            if field.name() == REPLICA_COLUMN {
                replica = Some(array.as_primitive_opt().ok_or("replicas are no INTEGER")?.clone());
                continue;
            }
            let at = table.position(field.name());
            let at = at.ok_or_else(|| format!("this release knows no column {}", field.name()))?;
            let expected = table.file_schema().field(at).data_type();
            if array.data_type() != expected {
                return Err(format!("column {} is {}, not {expected}", field.name(), array.data_type()));
            }
            columns[at] = Some(Arc::clone(array)).filter(|array| array.null_count() < array.len());
        }
        for (column, array) in table.columns.iter().zip(&columns) {
            if !column.nullable && array.as_ref().is_none_or(|array| array.null_count() > 0) {
                return Err(format!("column {} lacks values", column.name));
            }
        }
        let mut batch = Self {
            columns,
            replica,
            times: ScalarBuffer::from(Vec::new()),
            runs: Vec::new(),
            bytes: rows.get_array_memory_size(),
        };
        batch.times = times(batch.named(table, table.time)?)?;
        batch.runs = batch.cut(table)?;
        batch.check(previous)?;
        Ok(batch)
    }

    fn named(&self, table: &Table, name: &str) -> Result<&ArrayRef, String> {
        let column = table.position(name).and_then(|at| self.columns[at].as_ref());
        column.ok_or_else(|| format!("there is no column {name}"))
    }

    fn cut(&self, table: &Table) -> Result<Vec<Run>, String> {
        let columns: Vec<&str> = table.sorted_by.iter().copied().filter(|name| *name != table.time).collect();
        let rows = self.times.len();
        match *columns.as_slice() {
            [] => Ok(vec![Run { prefix: Prefix::Bits(0), end: rows }]),
            [id] if table.position(id).is_some_and(|at| table.columns[at].ty == Type::Id(16)) => {
                let ids = self.named(table, id)?.as_binary::<i32>();
                if (0..rows).any(|row| ids.value_length(row) != 16) {
                    return Err(format!("column {id} has ids that are not of 16 bytes"));
                }
                let bits = |row| ids.value(row).try_into().map_or(0, u128::from_be_bytes);
                Ok(runs(rows, |a, b| ids.value(a) == ids.value(b), |row| Prefix::Bits(bits(row))))
            }
            ["metric_id", "series_id"] => {
                let metric = self.named(table, "metric_id")?.as_primitive::<Int64Type>().values();
                let series = self.named(table, "series_id")?.as_primitive::<Int64Type>().values();
                let same = |a: usize, b: usize| series[a] == series[b] && metric[a] == metric[b];
                Ok(runs(rows, same, |row| Prefix::of_series(metric[row], series[row])))
            }
            [first, second] => {
                let first = self.named(table, first)?.as_string::<i32>();
                let second = self.named(table, second)?.as_string::<i32>();
                let same = |a, b| first.value(a) == first.value(b) && second.value(a) == second.value(b);
                let of = |row| Prefix::Texts(Arc::new((first.value(row).into(), second.value(row).into())));
                Ok(runs(rows, same, of))
            }
            ref other => Err(format!("no order for the columns {other:?}")),
        }
    }

    fn check(&self, previous: Option<&(Prefix, i64)>) -> Result<(), String> {
        let unsorted = || Err("the rows are not in the order of the table".to_owned());
        let first = self.runs.first().zip(self.times.first());
        if let Some((first, time)) = first
            && previous.is_some_and(|(prefix, last)| (prefix, last) > (&first.prefix, time))
        {
            return unsorted();
        }
        if self.runs.windows(2).any(|pair| pair[0].prefix >= pair[1].prefix) {
            return unsorted();
        }
        let mut from = 0;
        for run in &self.runs {
            if !self.times[from..run.end].is_sorted() {
                return unsorted();
            }
            from = run.end;
        }
        Ok(())
    }

    pub(super) fn rows(&self) -> usize {
        self.times.len()
    }

    /// A column by its position in the table; `None` if all values are null.
    pub(super) fn column(&self, at: usize) -> Option<&ArrayRef> {
        self.columns[at].as_ref()
    }

    pub(super) fn columns(&self) -> &[Option<ArrayRef>] {
        &self.columns
    }

    /// The replica that wrote a row, 0 if that has been chosen already.
    pub(super) fn replica(&self, row: usize) -> u32 {
        self.replica.as_ref().map_or(0, |replica| replica.value(row).cast_unsigned())
    }

    pub(super) fn times(&self) -> &[i64] {
        &self.times
    }

    pub(super) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The key of the last row.
    pub(super) fn last_key(&self) -> Option<(Prefix, i64)> {
        Some((self.runs.last()?.prefix.clone(), *self.times.last()?))
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn runs(rows: usize, same: impl Fn(usize, usize) -> bool, prefix: impl Fn(usize) -> Prefix) -> Vec<Run> {
    let mut runs = Vec::new();
    for row in 0..rows {
        if row + 1 == rows || !same(row, row + 1) {
            runs.push(Run { prefix: prefix(row), end: row + 1 });
        }
    }
    runs
}

fn times(array: &ArrayRef) -> Result<ScalarBuffer<i64>, String> {
    Ok(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().values().clone(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().values().clone()
        }
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect()
        }
        other => return Err(format!("time as {other}")),
    })
}
