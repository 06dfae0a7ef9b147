//! Finding rows by their marks.

use std::ops::Range;

use ::parquet::file::metadata::ParquetMetaData;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{KEY, Key, VERSION, flags, unzigzag};

/// Rows of which series and times.
#[derive(Debug, Clone, Copy)]
pub struct MarksWanted<'a> {
    /// Of this metric.
    pub metric_id: i64,
    /// Series, ascending; `None` = all.
    pub series_ids: Option<&'a [i64]>,
    /// From and to, both included, in microseconds.
    pub time: (i64, i64),
}

/// The marks of a file.
#[derive(Debug)]
pub struct Marks {
    content: Vec<u8>,
    /// Where the runs begin.
    start: usize,
    block_rows: u64,
    rows: u64,
}

impl Marks {
    /// Those in a footer; `None` if there are none that can be used.
    pub fn of(footer: &ParquetMetaData) -> Option<Self> {
        let entries = footer.file_metadata().key_value_metadata()?;
        let text = entries.iter().find(|entry| entry.key == KEY)?.value.as_ref()?;
        let marks = Self::parse(text)?;
        (u64::try_from(footer.file_metadata().num_rows()) == Ok(marks.rows)).then_some(marks)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let content = STANDARD_NO_PAD.decode(text).ok()?;
        let mut reader = Reader(&content);
        let version = reader.byte()?;
        let (block_rows, rows) = (reader.varint()?, reader.varint()?);
        let start = content.len() - reader.0.len();
        (version == VERSION && block_rows > 0).then_some(Self { content, start, block_rows, rows })
    }

    /// Ranges of rows in which all wanted ones are, ascending; `None` if the marks are damaged.
    pub fn rows(&self, wanted: &MarksWanted<'_>) -> Option<Vec<Range<usize>>> {
        let mut found = Found { ranges: Vec::new(), block_rows: self.block_rows, rows: self.rows };
        let mut reader = Reader(&self.content[self.start..]);
        let mut at = Position::default();
        // The last mark; its time only of the wanted metric.
        let mut open: Option<Key> = None;
        while !reader.0.is_empty() {
            let run = reader.run(&mut at)?;
            let first = (run.metric_id, run.series_id, run.first);
            if let Some(last) = open {
                let both = Between { from: last, to: first, is_next: run.is_next };
                found.push_if(both.may_have(wanted), run.mark.checked_sub(1)?);
            }
            let mut last = first;
            if run.metric_id == wanted.metric_id {
                let is_of_series = wanted.has(run.series_id);
                let mut times = Reader(run.times);
                let (mut time, mut step) = (run.first, 0_i64);
                for number in 1..run.marks {
                    step = step.wrapping_add(unzigzag(times.varint()?));
                    let to = time.wrapping_add(step);
                    let is_wanted = is_of_series && time <= wanted.time.1 && to >= wanted.time.0;
                    found.push_if(is_wanted, run.mark.checked_add(number)? - 1);
                    time = to;
                }
                last.2 = time;
            }
            open = Some(last);
            at.mark = run.mark.checked_add(run.marks)?;
        }
        if at.mark != self.rows.div_ceil(self.block_rows) {
            return None;
        }
        // Nothing is known of where the last block ends.
        let last = open.is_some_and(|(metric_id, _, _)| metric_id <= wanted.metric_id);
        found.push_if(last, at.mark.checked_sub(1)?);
        Some(found.ranges)
    }
}

impl MarksWanted<'_> {
    fn has(&self, series_id: i64) -> bool {
        self.series_ids.is_none_or(|ids| ids.binary_search(&series_id).is_ok())
    }

    fn has_in(&self, (first, last): (i64, i64)) -> bool {
        self.series_ids.is_none_or(|ids| {
            let at = ids.partition_point(|id| *id < first);
            ids.get(at).is_some_and(|id| *id <= last)
        })
    }
}

/// A block whose ends are of different series.
struct Between {
    from: Key,
    to: Key,
    /// There is no third one.
    is_next: bool,
}

impl Between {
    fn may_have(&self, wanted: &MarksWanted<'_>) -> bool {
        let (from, to) = (self.from, self.to);
        let ((first, last), metric_id) = (wanted.time, wanted.metric_id);
        if !(from.0..=to.0).contains(&metric_id) {
            return false;
        }
        if self.is_next {
            let tail = from.0 == metric_id && from.2 <= last && wanted.has(from.1);
            let head = to.0 == metric_id && to.2 >= first && wanted.has(to.1);
            return tail || head;
        }
        let low = if from.0 == metric_id { from.1 } else { i64::MIN };
        let high = if to.0 == metric_id { to.1 } else { i64::MAX };
        wanted.has_in((low, high))
    }
}

/// Rows found so far.
struct Found {
    ranges: Vec<Range<usize>>,
    block_rows: u64,
    rows: u64,
}

impl Found {
    /// Adds a block, which is after those before.
    fn push_if(&mut self, is_wanted: bool, block: u64) {
        if !is_wanted {
            return;
        }
        let start = block.saturating_mul(self.block_rows).min(self.rows);
        let range = start as usize..start.saturating_add(self.block_rows).min(self.rows) as usize;
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }
}

/// What runs are relative to.
#[derive(Default)]
struct Position {
    metric_id: i64,
    first: i64,
    mark: u64,
}

/// Marks of one series.
struct RunOf<'a> {
    metric_id: i64,
    series_id: i64,
    is_next: bool,
    /// Number of the first, and how many there are.
    mark: u64,
    marks: u64,
    first: i64,
    /// The others.
    times: &'a [u8],
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn run(&mut self, at: &mut Position) -> Option<RunOf<'a>> {
        let flags = self.byte()?;
        if flags & flags::METRIC != 0 {
            at.metric_id = self.bigint()?;
        }
        let series_id = self.bigint()?;
        let marks = self.varint().filter(|marks| *marks > 0)?;
        let bytes = usize::try_from(self.varint()?).ok()?;
        let (times, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        let mut times = Reader(times);
        at.first = at.first.wrapping_add(unzigzag(times.varint()?));
        let (metric_id, first, mark) = (at.metric_id, at.first, at.mark);
        let is_next = flags & flags::NEXT != 0;
        Some(RunOf { metric_id, series_id, is_next, mark, marks, first, times: times.0 })
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bigint(&mut self) -> Option<i64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i64::from_le_bytes(*bytes))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}
