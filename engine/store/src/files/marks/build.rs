//! Making marks while a file is written.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{BLOCK_ROWS, Key, MARKS_A_SERIES_MIN, VERSION, flags, zigzag};

/// The marks of the rows so far.
#[derive(Debug, Default)]
pub(in crate::files) struct Builder {
    rows: u64,
    /// The last row.
    last: Option<Key>,
    /// A row came after one that it should be before.
    is_unsorted: bool,
    /// How often the series changed since the last mark.
    changes: u32,
    /// Marks of the last series that has one.
    run: Option<Run>,
    /// Marks of those before, encoded.
    done: Vec<u8>,
    /// The metric and the first time of the last run in `done`.
    before: (i64, i64),
    runs: usize,
    marks: usize,
}

#[derive(Debug)]
struct Run {
    series: (i64, i64),
    is_next: bool,
    times: Vec<i64>,
}

impl Builder {
    /// Takes rows, which follow those before.
    pub(in crate::files) fn push(&mut self, rows: &RecordBatch) -> Result<(), &'static str> {
        let bigint = |name| rows.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let time = rows.column_by_name("time");
        let time = time.and_then(|time| time.as_primitive_opt::<TimestampMicrosecondType>());
        let (Some(metric), Some(series), Some(time)) = (bigint("metric_id"), bigint("series_id"), time)
        else {
            return Err("rows of samples lack a key column");
        };
        let (metric, series, time) = (metric.values(), series.values(), time.values());
        let key = |row: usize| (metric[row], series[row], time[row]);
        let mut at = 0;
        while at < time.len() {
            let into = (self.rows % BLOCK_ROWS as u64) as usize;
            let end = time.len().min(at + BLOCK_ROWS - into);
            self.pass(key(at));
            if into == 0 {
                self.mark(key(at));
            }
            let is_one = |ids: &[i64]| ids[at..end].iter().all(|id| *id == ids[at]);
            if is_one(metric) && is_one(series) {
                self.is_unsorted |= !time[at..end].is_sorted();
                self.last = Some(key(end - 1));
            } else {
                (at + 1..end).for_each(|row| self.pass(key(row)));
            }
            self.rows += (end - at) as u64;
            at = end;
        }
        Ok(())
    }

    fn pass(&mut self, key: Key) {
        let is_same = self.last.is_some_and(|last| (last.0, last.1) == (key.0, key.1));
        self.changes += u32::from(!is_same);
        self.is_unsorted |= self.last.is_some_and(|last| last > key);
        self.last = Some(key);
    }

    fn mark(&mut self, (metric_id, series_id, time): Key) {
        let (series, changes) = ((metric_id, series_id), std::mem::take(&mut self.changes));
        self.marks += 1;
        match &mut self.run {
            Some(run) if run.series == series => run.times.push(time),
            _ => {
                self.end_run();
                self.run = Some(Run { series, is_next: changes == 1, times: vec![time] });
            }
        }
    }

    fn end_run(&mut self) {
        let Some(Run { series: (metric_id, series_id), is_next, times }) = self.run.take() else { return };
        let has_metric = self.runs == 0 || metric_id != self.before.0;
        let first = times.first().copied().unwrap_or_default();
        let mut encoded = Vec::with_capacity(2 * times.len() + 8);
        varint(&mut encoded, zigzag(first.wrapping_sub(self.before.1)));
        let (mut last, mut step) = (first, 0_i64);
        for time in &times[1..] {
            let now = time.wrapping_sub(last);
            varint(&mut encoded, zigzag(now.wrapping_sub(step)));
            (last, step) = (*time, now);
        }
        let next = if is_next { flags::NEXT } else { 0 };
        self.done.push(next | if has_metric { flags::METRIC } else { 0 });
        if has_metric {
            self.done.extend_from_slice(&metric_id.to_le_bytes());
        }
        self.done.extend_from_slice(&series_id.to_le_bytes());
        varint(&mut self.done, times.len() as u64);
        varint(&mut self.done, encoded.len() as u64);
        self.done.extend_from_slice(&encoded);
        self.before = (metric_id, first);
        self.runs += 1;
    }

    /// The text for the footer; none if it is not worth its place, or if rows did not ascend.
    pub(in crate::files) fn finish(mut self) -> Option<String> {
        self.end_run();
        if self.is_unsorted || self.marks < self.runs.saturating_mul(MARKS_A_SERIES_MIN).max(2) {
            return None;
        }
        let mut content = vec![VERSION];
        varint(&mut content, BLOCK_ROWS as u64);
        varint(&mut content, self.rows);
        content.extend_from_slice(&self.done);
        Some(STANDARD_NO_PAD.encode(content))
    }
}

fn varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}
