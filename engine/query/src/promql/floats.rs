//! Rows of `samples` as times and values.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int16Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, Int16Array, Int64Array, RecordBatch};
use isinglass_promql::EvalError;
use isinglass_promql::value::STALE;

use super::kept::Run;
use super::scan::{known, unreadable};
use crate::shown::convert::{power_of_ten, scaled};

/// Columns beside the key, start times last.
const COLUMNS: [&str; 4] = ["value", "value_int", "value_scale", "start_time"];

/// Columns that are read beside the key.
pub(super) fn columns(start_times: bool) -> &'static [&'static str] {
    if start_times { &COLUMNS } else { &COLUMNS[..3] }
}

/// The floats of one series. Buffers stay for the next one.
pub(super) struct Floats {
    with_starts: bool,
    times: Vec<i64>,
    values: Vec<f64>,
    /// As long as the others where they are wanted.
    starts: Vec<i64>,
    /// All that there is, while the others are empty: the samples of most series are one run.
    run: Option<(Arc<Run>, Range<usize>)>,
}

impl Floats {
    pub(super) fn new(with_starts: bool) -> Self {
        Self { with_starts, times: Vec::new(), values: Vec::new(), starts: Vec::new(), run: None }
    }

    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
        self.run = None;
    }

    pub(super) fn times(&self) -> &[i64] {
        self.run.as_ref().map_or(&self.times, |(run, range)| &run.times()[range.clone()])
    }

    pub(super) fn values(&self) -> &[f64] {
        self.run.as_ref().map_or(&self.values, |(run, range)| &run.values()[range.clone()])
    }

    /// Empty where none is known.
    pub(super) fn starts(&self) -> &[i64] {
        let starts = match &self.run {
            Some((run, range)) if self.with_starts => run.starts().get(range.clone()).unwrap_or_default(),
            _ => &self.starts,
        };
        if starts.iter().any(|start| *start != 0) { starts } else { &[] }
    }

    /// Adds samples of a run.
    pub(super) fn push_run(&mut self, run: &Arc<Run>, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        if self.times().is_empty() {
            self.run = Some((Arc::clone(run), range));
            return;
        }
        self.own();
        self.copy(run, range);
    }

    /// Copies a run, so that there can be more.
    fn own(&mut self) {
        if let Some((run, range)) = self.run.take() {
            self.copy(&run, range);
        }
    }

    fn copy(&mut self, run: &Run, range: Range<usize>) {
        self.times.extend_from_slice(&run.times()[range.clone()]);
        self.values.extend_from_slice(&run.values()[range.clone()]);
        if self.with_starts {
            self.starts.extend_from_slice(run.starts().get(range).unwrap_or_default());
            self.starts.resize(self.times.len(), 0);
        }
    }

    /// Adds rows of a batch.
    pub(super) fn push(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<(), EvalError> {
        self.own();
        push_millis(batch, "time", rows.clone(), &mut self.times)?;
        self.push_values(batch, rows.clone())?;
        if self.with_starts {
            match known(batch, "start_time") {
                Some(_) => push_millis(batch, "start_time", rows, &mut self.starts)?,
                None => self.starts.resize(self.times.len(), 0),
            }
        }
        Ok(())
    }

    /// Whether there is one after the first and before the second time.
    pub(super) fn any_between(&self, after_ms: i64, before_ms: i64) -> bool {
        let times = self.times();
        let next = times.partition_point(|time| *time <= after_ms);
        times.get(next).is_some_and(|time| *time < before_ms)
    }

    /// A marker that the series ended.
    pub(super) fn push_stale(&mut self, time_ms: i64) {
        self.own();
        self.times.push(time_ms);
        self.values.push(STALE);
        if self.with_starts {
            self.starts.push(0);
        }
    }

    /// The value of a row is `coalesce(value_int / pow(10, value_scale), value)`. The writer chooses
    /// one of the two for a run of samples, so mostly all rows have the same.
    fn push_values(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<(), EvalError> {
        let integers = integers(batch)?;
        if let Some((int, scale)) = &integers
            && are_valid(int, &rows)
            && are_valid(scale, &rows)
        {
            self.push_scaled(&int.values()[rows.clone()], &scale.values()[rows]);
            return Ok(());
        }
        let from = self.values.len();
        self.push_doubles(batch, rows.clone())?;
        if let Some((int, scale)) = integers {
            for (value, row) in self.values[from..].iter_mut().zip(rows) {
                if int.is_valid(row) && scale.is_valid(row) {
                    *value = scaled(int.value(row), scale.value(row));
                }
            }
        }
        Ok(())
    }

    fn push_scaled(&mut self, ints: &[i64], scales: &[i16]) {
        match scales {
            [scale, ..] if scales.iter().all(|other| other == scale) => {
                let power = power_of_ten(*scale);
                self.values.extend(ints.iter().map(|int| *int as f64 / power));
            }
            _ => self.values.extend(ints.iter().zip(scales).map(|(int, scale)| scaled(*int, *scale))),
        }
    }

    fn push_doubles(&mut self, batch: &RecordBatch, rows: Range<usize>) -> Result<(), EvalError> {
        let Some(column) = known(batch, "value") else {
            self.values.resize(self.values.len() + rows.len(), STALE);
            return Ok(());
        };
        let Some(column) = column.as_primitive_opt::<Float64Type>() else {
            return Err(other("value"));
        };
        let from = self.values.len();
        self.values.extend_from_slice(&column.values()[rows.clone()]);
        if !are_valid(column, &rows) {
            let values = self.values[from..].iter_mut().zip(rows);
            values.filter(|(_, row)| column.is_null(*row)).for_each(|(value, _)| *value = STALE);
        }
        Ok(())
    }

    /// Orders samples that came from several inputs; of those with one time the first stays.
    pub(super) fn settle(&mut self) {
        if self.times.is_sorted_by(|one, next| one < next) {
            return;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|at| self.times[*at]);
        order.dedup_by_key(|at| self.times[*at]);
        self.times = order.iter().map(|at| self.times[*at]).collect();
        self.values = order.iter().map(|at| self.values[*at]).collect();
        if self.with_starts {
            self.starts = order.iter().map(|at| self.starts[*at]).collect();
        }
    }
}

/// The columns of values that are integers, where the table has them.
fn integers(batch: &RecordBatch) -> Result<Option<(Int64Array, Int16Array)>, EvalError> {
    let (Some(int), Some(scale)) = (known(batch, "value_int"), known(batch, "value_scale")) else {
        return Ok(None);
    };
    let both = (int.as_primitive_opt::<Int64Type>(), scale.as_primitive_opt::<Int16Type>());
    let (Some(int), Some(scale)) = both else { return Err(other("value_int")) };
    Ok(Some((int.clone(), scale.clone())))
}

/// Whether no row of a range is null.
fn are_valid(column: &dyn Array, rows: &Range<usize>) -> bool {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    nulls.is_none_or(|nulls| nulls.inner().slice(rows.start, rows.len()).count_set_bits() == rows.len())
}

/// Times of rows in milliseconds since the epoch; null is 0.
pub(super) fn millis(
    batch: &RecordBatch,
    name: &'static str,
    rows: Range<usize>,
) -> Result<Vec<i64>, EvalError> {
    let mut times = Vec::with_capacity(rows.len());
    push_millis(batch, name, rows, &mut times)?;
    Ok(times)
}

fn push_millis(
    batch: &RecordBatch,
    name: &'static str,
    rows: Range<usize>,
    into: &mut Vec<i64>,
) -> Result<(), EvalError> {
    let column = batch.column_by_name(name);
    let Some(column) = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()) else {
        return Err(other(name));
    };
    let from = into.len();
    into.extend(column.values()[rows.clone()].iter().map(|micros| micros.div_euclid(1_000)));
    if !are_valid(column, &rows) {
        let times = into[from..].iter_mut().zip(rows);
        times.filter(|(_, row)| column.is_null(*row)).for_each(|(time, _)| *time = 0);
    }
    Ok(())
}

/// A column that is not of the type that it should have.
pub(super) fn other(name: &str) -> EvalError {
    unreadable(format_args!("the column {name} is missing or of another type"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, TimestampMicrosecondArray};

    use super::*;

    fn batch(rows: &[(i64, Option<f64>, Option<(i64, i16)>)]) -> RecordBatch {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.0 * 1_000));
        let columns: [(&str, ArrayRef); 4] = [
            ("time", Arc::new(times)),
            ("value", Arc::new(rows.iter().map(|row| row.1).collect::<Float64Array>())),
            ("value_int", Arc::new(rows.iter().map(|row| row.2.map(|v| v.0)).collect::<Int64Array>())),
            ("value_scale", Arc::new(rows.iter().map(|row| row.2.map(|v| v.1)).collect::<Int16Array>())),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
    }

    #[test]
    fn bits_of_all_forms() {
        let odd = f64::from_bits(0x7ff8_dead_0000_beef);
        let mut floats = Floats::new(true);
        let rows =
            [(-1, Some(odd), None), (0, None, Some((12_345, 2))), (1, None, None), (2, Some(-0.0), None)];
        floats.push(&batch(&rows), 0..4).unwrap();
        let bits: Vec<u64> = floats.values().iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits, [odd.to_bits(), 123.45_f64.to_bits(), STALE.to_bits(), (-0.0_f64).to_bits()]);
        assert_eq!((floats.times(), floats.starts()), ([-1, 0, 1, 2].as_slice(), [].as_slice()));
    }

    #[test]
    fn the_first_accepted_stays() {
        let mut floats = Floats::new(false);
        let of = |rows: &[(i64, f64)]| {
            batch(&rows.iter().map(|(time, value)| (*time, Some(*value), None)).collect::<Vec<_>>())
        };
        floats.push(&of(&[(3, 3.0), (5, 5.0), (5, 5.5)]), 0..3).unwrap();
        floats.push(&of(&[(1, 1.0), (3, 9.0), (4, 4.0)]), 0..3).unwrap();
        floats.settle();
        assert_eq!(floats.times(), [1, 3, 4, 5]);
        assert_eq!(floats.values(), [1.0, 3.0, 4.0, 5.0]);
    }
}
