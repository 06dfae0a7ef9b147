//! The rows of a flush, cut at the borders of UTC days.
//!
//! A flush around midnight holds two days, and one of history that is sent at once holds
//! many. A file that spans days would be read by queries for any of them, and could only be
//! merged with its like.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType};
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use super::{FilesError, Result};
use crate::tables::{SeriesRun, SortedRows, SortedSamples};

/// Days of one flush that get a file each. Of a flush that holds more, all rows go into one
/// file: it is better than thousands.
const DAYS_MAX: usize = 62;

const DAY_MS: i64 = 86_400_000;

/// Rows of each day, oldest first; nothing if there are no rows.
pub(super) fn split(kind: Kind, rows: SortedRows) -> Result<Vec<SortedRows>> {
    if rows.rows() == 0 {
        return Ok(Vec::new());
    }
    match rows {
        SortedRows::Samples(samples) => Ok(split_samples(samples)),
        SortedRows::Batches(batches) => split_batches(kind, batches),
    }
}

/// The days that there are, each with nothing yet.
fn distinct<T: Default>(days: impl Iterator<Item = i64>) -> BTreeMap<i64, T> {
    let (mut distinct, mut last) = (BTreeMap::new(), None);
    for day in days {
        // Nearly always the same as before.
        if last != Some(day) {
            distinct.entry(day).or_default();
            last = Some(day);
        }
    }
    distinct
}

fn split_samples(samples: SortedSamples) -> Vec<SortedRows> {
    let mut days = distinct::<SortedSamples>(samples.time_ms.iter().map(|time| time.div_euclid(DAY_MS)));
    if days.len() <= 1 || days.len() > DAYS_MAX {
        return vec![SortedRows::Samples(samples)];
    }
    let mut from = 0;
    for run in &samples.runs {
        let end = from + run.rows as usize;
        while from < end {
            let day = samples.time_ms[from].div_euclid(DAY_MS);
            // Times ascend within a run.
            let same = samples.time_ms[from..end].partition_point(|time| time.div_euclid(DAY_MS) <= day);
            days.entry(day).or_default().extend(&samples, run, from..from + same);
            from += same;
        }
    }
    days.into_values().map(SortedRows::Samples).collect()
}

impl SortedSamples {
    /// Adds rows of a run of `from`.
    fn extend(&mut self, from: &Self, run: &SeriesRun, rows: std::ops::Range<usize>) {
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        self.runs.push(SeriesRun { rows: count, ..*run });
        self.time_ms.extend_from_slice(&from.time_ms[rows.clone()]);
        self.value.extend_from_slice(&from.value[rows.clone()]);
        if let Some(start) = from.start_ms.get(rows) {
            self.start_ms.extend_from_slice(start);
        }
    }
}

fn split_batches(kind: Kind, batches: Vec<RecordBatch>) -> Result<Vec<SortedRows>> {
    let days_of = batches.iter().map(|batch| days_of(kind, batch)).collect::<Result<Vec<_>>>()?;
    let mut days = distinct::<Vec<RecordBatch>>(days_of.iter().flatten().copied());
    if days.len() <= 1 || days.len() > DAYS_MAX {
        return Ok(vec![SortedRows::Batches(batches)]);
    }
    for (batch, of_rows) in batches.into_iter().zip(&days_of) {
        for (day, rows) in &mut days {
            let mask: BooleanArray = of_rows.iter().map(|of_row| Some(of_row == day)).collect();
            match mask.true_count() {
                0 => {}
                all if all == batch.num_rows() => rows.push(batch.clone()),
                _ => rows.push(arrow_select::filter::filter_record_batch(&batch, &mask)?),
            }
        }
    }
    Ok(days.into_values().map(SortedRows::Batches).collect())
}

/// The UTC day of each row, by the time column of its table.
fn days_of(kind: Kind, batch: &RecordBatch) -> Result<Vec<i64>> {
    const DAY_NANOS: i64 = DAY_MS * 1_000_000;
    let name = Table::of(kind).time;
    let problem = |what: &str| FilesError::Rows { kind, problem: format!("column {name} {what}") };
    let column = batch.column_by_name(name).ok_or_else(|| problem("is missing"))?;
    let days = |values: &[i64], day: i64| values.iter().map(|time| time.div_euclid(day)).collect();
    Ok(match column.data_type() {
        DataType::Int64 => days(column.as_primitive::<Int64Type>().values(), DAY_NANOS),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            days(column.as_primitive::<TimestampNanosecondType>().values(), DAY_NANOS)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            days(column.as_primitive::<TimestampMicrosecondType>().values(), DAY_MS * 1_000)
        }
        DataType::Date32 => {
            column.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect()
        }
        other => return Err(problem(&format!("is of type {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::batch_of;

    fn logs_at(nanos: &[i64]) -> RecordBatch {
        let time = arrow_array::Int64Array::from(nanos.to_vec());
        batch_of(Kind::Logs, vec![("time", std::sync::Arc::new(time))]).unwrap()
    }

    /// Rows of each file, in days since 1970 that are `at`.
    fn check_samples(at: &[i64], want: &[usize]) {
        let mut of_days = SortedSamples::default();
        for series_id in [1, 2] {
            let rows = u32::try_from(at.len()).unwrap();
            of_days.runs.push(SeriesRun { metric_id: 7, series_id, rows });
            of_days.time_ms.extend(at.iter().map(|day| day * DAY_MS + series_id));
            of_days.value.extend(at.iter().map(|day| *day as f64));
        }
        let files = split(Kind::Samples, SortedRows::Samples(of_days)).unwrap();
        let got: Vec<usize> = files.iter().map(SortedRows::rows).collect();
        assert_eq!(got, want.iter().map(|rows| rows * 2).collect::<Vec<_>>());
        for file in files {
            let SortedRows::Samples(samples) = file else { panic!("no samples") };
            assert_eq!(
                samples.runs.iter().map(|run| run.rows as usize).sum::<usize>(),
                samples.time_ms.len()
            );
            assert_eq!(samples.runs.iter().map(|run| run.series_id).collect::<Vec<_>>(), [1, 2]);
            let of_value = |(time, value): (&i64, &f64)| time.div_euclid(DAY_MS) == *value as i64;
            assert!(samples.time_ms.iter().zip(&samples.value).all(of_value), "values stay with their times");
        }
    }

    #[test]
    fn samples_of_several_days_become_a_file_each() {
        check_samples(&[3, 3, 3], &[3]);
        check_samples(&[-1, 0, 0, 5], &[1, 2, 1]);
        let many: Vec<i64> = (0..100).collect();
        check_samples(&many[..62], &[1; 62]);
    }

    #[test]
    fn too_many_days_stay_together() {
        let many = SortedSamples {
            runs: vec![SeriesRun { metric_id: 1, series_id: 1, rows: 63 }],
            time_ms: (0..63).map(|day| day * DAY_MS).collect(),
            value: vec![0.0; 63],
            start_ms: Vec::new(),
        };
        assert_eq!(split(Kind::Samples, SortedRows::Samples(many)).unwrap().len(), 1);
        assert!(split(Kind::Samples, SortedRows::Samples(SortedSamples::default())).unwrap().is_empty());
    }

    #[test]
    fn lines_of_several_days_become_a_file_each() {
        let day = DAY_MS * 1_000_000;
        let batches = vec![logs_at(&[0, day - 1]), logs_at(&[day, 1, 2 * day]), logs_at(&[2 * day + 5])];
        let files = split(Kind::Logs, SortedRows::Batches(batches)).unwrap();
        assert_eq!(files.iter().map(SortedRows::rows).collect::<Vec<_>>(), [3, 1, 2]);
    }
}
