//! Which files to merge next.
//!
//! | level | files | span of time | when |
//! |---|---|---|---|
//! | 0 | as flushed | one UTC day at most | - |
//! | 1 | merged | one window of two hours | the window is over, late rows had their time |
//! | 2 | merged, heavier zstd | one UTC day | the day is over, late rows had their time |
//!
//! So a row is rewritten twice, a file never spans more than a day, and a query over an
//! hour reads few files of other hours. Rows that come later than that wait until there
//! are enough of them. A flush is cut at the borders of days; where it holds too many of
//! them (months of history that are sent at once) its file is merged with its like, by
//! number.

use std::collections::BTreeMap;

use isinglass_model::Kind;
use isinglass_model::tables::{Table, Type};

use super::config::CompactionConfig;
use crate::tables::DataFile;

/// Flushed files of a window that is not over yet are merged when there are so many.
const OPEN_FILES_MAX: usize = 16;

/// Late files wait for a merge with what is merged already until they are so many, or
/// hold a tenth of its bytes.
const LATE_FILES_MAX: usize = 16;

/// Files to merge into one of a level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Job {
    pub(super) inputs: Vec<DataFile>,
    pub(super) level: u8,
}

/// Lengths and the present in the unit of a table's time column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) now: i64,
    pub(super) day: i64,
    /// Two hours; a day where times are days.
    pub(super) window: i64,
    pub(super) late: i64,
}

impl Times {
    pub(super) fn new(kind: Kind, now_unix_ms: i64, late_ms: u64) -> Self {
        let per_ms = |ms: i64| in_unit(kind, ms);
        let day = per_ms(86_400_000);
        let late = i64::try_from(late_ms).unwrap_or(i64::MAX);
        Self { now: per_ms(now_unix_ms), day, window: (day / 12).max(1), late: per_ms(late) }
    }

    fn is_over(&self, end: i64) -> bool {
        self.now >= end.saturating_add(self.late)
    }
}

/// Milliseconds since 1970 in the unit of a table's time column: microseconds,
/// nanoseconds, days.
pub(super) fn in_unit(kind: Kind, ms: i64) -> i64 {
    let table = Table::of(kind);
    match table.position(table.time).map(|at| table.columns[at].ty) {
        Some(Type::Timestamp) => ms.saturating_mul(1_000),
        Some(Type::Date) => ms.div_euclid(86_400_000),
        _ => ms.saturating_mul(1_000_000),
    }
}

/// Files of samples by their day and level, those that span days by themselves.
pub(super) fn by_day<'a>(files: impl Iterator<Item = &'a DataFile>) -> Vec<Vec<DataFile>> {
    let times = Times::new(Kind::Samples, 0, 0);
    let mut days: BTreeMap<_, Vec<DataFile>> = BTreeMap::new();
    for file in files {
        let day = file.time.map(|(first, last)| (first.div_euclid(times.day), last.div_euclid(times.day)));
        days.entry((day, file.level)).or_default().push(file.clone());
    }
    days.into_values().collect()
}

/// The next merge of a table, the oldest day first; `None` if all is as it should be.
pub(super) fn next(files: &[DataFile], times: Times, config: &CompactionConfig) -> Option<Job> {
    let mut days: BTreeMap<i64, Vec<&DataFile>> = BTreeMap::new();
    let mut wide = Vec::new();
    for file in files {
        match file.time.map(|(first, last)| (first.div_euclid(times.day), last.div_euclid(times.day))) {
            Some((first, last)) if first == last => days.entry(first).or_default().push(file),
            _ => wide.push(file),
        }
    }
    days.iter()
        .find_map(|(day, files)| {
            if times.is_over((day + 1).saturating_mul(times.day)) {
                of_day(files, config)
            } else {
                of_windows(files, times, config)
            }
        })
        .or_else(|| of_wide(&wide, config))
}

/// A day that is over: all of it into files of level 2.
fn of_day(files: &[&DataFile], config: &CompactionConfig) -> Option<Job> {
    let (done, new): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.level >= 2);
    join(done, new, 2, config)
}

/// A day that goes on: each of its windows that is over into files of level 1.
fn of_windows(files: &[&DataFile], times: Times, config: &CompactionConfig) -> Option<Job> {
    let mut windows: BTreeMap<i64, Vec<&DataFile>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.level < 2) {
        let window = |time: i64| time.div_euclid(times.window);
        if let Some((first, last)) = file.time
            && window(first) == window(last)
        {
            windows.entry(window(first)).or_default().push(file);
        }
    }
    let in_windows = windows.iter().find_map(|(window, files)| {
        let (done, new): (Vec<_>, Vec<_>) = files.iter().partition(|file| file.level >= 1);
        let over = times.is_over((window + 1).saturating_mul(times.window));
        if over && done.len() + new.len() > 1 {
            join(done, new, 1, config)
        } else if new.len() >= OPEN_FILES_MAX {
            cut(new, 1, config)
        } else {
            None
        }
    });
    // A flush that fell on the border of two windows lies in neither.
    in_windows.or_else(|| {
        let loose: Vec<&DataFile> = files.iter().copied().filter(|file| file.level == 0).collect();
        (loose.len() >= 2 * OPEN_FILES_MAX).then(|| cut(loose, 1, config)).flatten()
    })
}

/// New files with what is merged already, if they are worth reading that again, else
/// with each other.
fn join(done: Vec<&DataFile>, new: Vec<&DataFile>, level: u8, config: &CompactionConfig) -> Option<Job> {
    let bytes = |files: &[&DataFile]| files.iter().map(|file| file.size_bytes).sum::<u64>();
    let (old, late) = (bytes(&done), bytes(&new));
    if new.is_empty() {
        // Parts that became small enough for one file.
        return (done.len() > 1 && old <= config.file_bytes).then(|| cut(done, level, config)).flatten();
    }
    if done.is_empty() {
        return cut(new, level, config);
    }
    let worth_it = late.saturating_mul(10) >= old || new.len() >= LATE_FILES_MAX;
    if worth_it && old + late <= config.job_bytes_max {
        return cut(done.into_iter().chain(new).collect(), level, config);
    }
    worth_it.then(|| cut(new, level, config)).flatten()
}

/// Files that span days: by number, small ones only.
fn of_wide(files: &[&DataFile], config: &CompactionConfig) -> Option<Job> {
    (0..2).find_map(|level| {
        let small = |file: &&&DataFile| file.level == level && file.size_bytes < config.file_bytes / 2;
        let alike: Vec<_> = files.iter().filter(small).copied().collect();
        (alike.len() >= OPEN_FILES_MAX / 2).then(|| cut(alike, level + 1, config)).flatten()
    })
}

/// The oldest of these files, as many as one merge may read. One file alone is worth it
/// only for the last level's compression.
fn cut(mut files: Vec<&DataFile>, level: u8, config: &CompactionConfig) -> Option<Job> {
    files.sort_by(|a, b| (a.accepted, &a.path).cmp(&(b.accepted, &b.path)));
    let mut bytes = 0;
    let inputs: Vec<DataFile> = files
        .into_iter()
        .take_while(|file| {
            bytes += file.size_bytes;
            bytes <= config.job_bytes_max
        })
        .cloned()
        .collect();
    let worth_it = inputs.len() > 1 || inputs.iter().any(|file| level == 2 && file.level < 2);
    worth_it.then_some(Job { inputs, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    /// 2026-01-01 12:00.
    const NOON_MS: i64 = 1_767_268_800_000;
    const NOON: i64 = NOON_MS * 1_000;

    fn file(name: &str, level: u8, hours: (i64, i64), size_bytes: u64) -> DataFile {
        let time = Some((NOON + hours.0 * HOUR, NOON + hours.1 * HOUR - 1));
        let accepted = name.bytes().map(u64::from).sum();
        DataFile {
            path: name.into(),
            size_bytes,
            rows: 1,
            time,
            metric_id: None,
            level,
            accepted,
            kept: None,
            crc32c: None,
            token_index_bytes: None,
            attribute_columns: [].into(),
        }
    }

    /// Names of the inputs and the level of the next merge at noon.
    fn check(files: &[DataFile], want: Option<(&str, u8)>) {
        let config =
            CompactionConfig { file_bytes: 1_000, job_bytes_max: 5_000, ..CompactionConfig::default() };
        let job = next(files, Times::new(Kind::Samples, NOON_MS, config.late_ms), &config);
        let names = |job: &Job| {
            let mut names: Vec<_> = job.inputs.iter().map(|file| file.path.to_string()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(job.as_ref().map(|job| (names(job), job.level)), want.map(|(n, l)| (n.to_owned(), l)));
    }

    #[test]
    fn nothing_to_do() {
        check(&[], None);
        // one file of an hour that is over, two of one that is not
        check(&[file("a", 0, (-5, -4), 10), file("b", 0, (-1, 0), 10), file("c", 0, (-1, 0), 10)], None);
        // a day that is done
        check(&[file("a", 2, (-36, -13), 900), file("b", 2, (-36, -13), 900)], None);
    }

    #[test]
    fn a_window_that_is_over_becomes_one_file() {
        let files = [file("a", 0, (-6, -5), 10), file("b", 0, (-5, -4), 10), file("c", 0, (-4, -3), 10)];
        check(&files, Some(("a b", 1)));
    }

    #[test]
    fn many_files_of_a_window_that_goes_on_are_merged_too() {
        let files: Vec<_> = (0..16).map(|at| file(&format!("{at:02}"), 0, (-1, 0), 10)).collect();
        check(&files[..15], None);
        check(&files, Some(("00 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15", 1)));
    }

    #[test]
    fn a_day_that_is_over_becomes_files_of_the_last_level() {
        let files = [file("a", 1, (-30, -28), 10), file("b", 0, (-20, -19), 10)];
        check(&files, Some(("a b", 2)));
        check(&files[..1], Some(("a", 2)));
    }

    #[test]
    fn late_rows_wait_until_they_are_worth_it() {
        let day = file("a", 2, (-36, -13), 900);
        check(&[day.clone(), file("b", 0, (-20, -19), 80)], None);
        check(&[day.clone(), file("b", 0, (-20, -19), 90)], Some(("a b", 2)));
        let late: Vec<_> = (0..16).map(|at| file(&format!("b{at:02}"), 0, (-20, -19), 1)).collect();
        let files: Vec<_> = std::iter::once(day).chain(late).collect();
        assert!(next(&files, Times::new(Kind::Samples, NOON_MS, 0), &CompactionConfig::default()).is_some());
    }

    #[test]
    fn a_merge_reads_no_more_than_it_may() {
        let files = [file("a", 0, (-30, -28), 3_000), file("b", 0, (-28, -26), 3_000)];
        check(&files, Some(("a", 2)));
    }

    #[test]
    fn files_that_span_days_are_merged_by_number() {
        let files: Vec<_> = (0..8).map(|at| file(&format!("{at}"), 0, (-100, 0), 10)).collect();
        check(&files[..7], None);
        check(&files, Some(("0 1 2 3 4 5 6 7", 1)));
    }

    /// Merging to the end comes to an end, and a row is rewritten a few times at most.
    #[test]
    fn merging_ends() {
        let config = CompactionConfig::default();
        let mut files: Vec<_> =
            (0..500).map(|at| file(&format!("{at:03}"), 0, (at % 60 - 61, at % 60 - 60), 1 << 20)).collect();
        let mut merges = 0;
        while let Some(job) = next(&files, Times::new(Kind::Samples, NOON_MS, config.late_ms), &config) {
            let first = job.inputs.iter().filter_map(|file| file.time).map(|time| time.0).min().unwrap();
            let last = job.inputs.iter().filter_map(|file| file.time).map(|time| time.1).max().unwrap();
            files.retain(|file| !job.inputs.contains(file));
            let size_bytes = job.inputs.iter().map(|file| file.size_bytes).sum();
            let merged = file(&format!("m{merges}"), job.level, (0, 0), size_bytes);
            files.push(DataFile { time: Some((first, last)), ..merged });
            merges += 1;
            assert!(merges < 100, "no end");
        }
        assert!(files.len() < 20, "{}", files.len());
    }
}
