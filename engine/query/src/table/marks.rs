//! Rows of one metric within a time, found by the marks in the footers of merged files.
//!
//! A merged file has a day of each series, and its pages are as long as that: who wants an hour
//! would decode the day. Only footers in memory are asked: the first reader of a file does without.

use std::collections::HashSet;
use std::ops::Range;

use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::RowSelection;
use hashbrown::HashMap;
use isinglass_store::{DataFile, Marks, MarksWanted, View};

use super::scan::{Scan, object_meta};
use super::tokens::RowsWanted;
use super::{footers, prune};

/// Rows that a scan of one metric may want; all if it wants any time.
pub(crate) fn rows_by_marks(view: &View, scan: &Scan<'_>, footers: &FileMetadataCache) -> Result<RowsWanted> {
    let layout = scan.layout;
    let time = prune::time_range(layout, &scan.pruning);
    let (Some(metric_id), Some(time)) = (scan.metric_id, time) else { return Ok(RowsWanted::default()) };
    let series_ids = scan.series_ids.map(ascending);
    let wanted = MarksWanted { metric_id, series_ids: series_ids.as_deref(), time };
    let files = prune::files(&view.table(layout.table.kind).files, layout, &scan.pruning)?;
    let rows = files.into_iter().filter(|file| has_other_times(file, time)).filter_map(|file| {
        let rows = rows_of(file, &wanted, footers)?;
        Some((file.path.clone(), Some(rows).filter(RowSelection::selects_any)))
    });
    Ok(RowsWanted::of_files(rows.collect::<HashMap<_, _>>()))
}

fn ascending(series: &HashSet<i64>) -> Vec<i64> {
    let mut series: Vec<i64> = series.iter().copied().collect();
    series.sort_unstable();
    series
}

/// Whether a file has rows that are not of this time.
fn has_other_times(file: &DataFile, (first, last): (i64, i64)) -> bool {
    file.time.is_none_or(|(min, max)| min < first || max > last)
}

/// `None` where nothing is known, or nothing gained: rows that are looked up one by one cost more than
/// those that are read in whole pages.
fn rows_of(file: &DataFile, wanted: &MarksWanted<'_>, footers: &FileMetadataCache) -> Option<RowSelection> {
    let part = PartitionedFile::new_from_meta(object_meta(file));
    let marks = Marks::of(footers::cached(footers, &part)?.as_ref())?;
    let count = |ranges: &[Range<usize>]| ranges.iter().map(ExactSizeIterator::len).sum::<usize>();
    let ranges = marks.rows(wanted)?;
    let at_any_time = marks.rows(&MarksWanted { time: (i64::MIN, i64::MAX), ..*wanted })?;
    if 2 * count(&ranges) > count(&at_any_time) {
        return None;
    }
    Some(RowSelection::from_consecutive_ranges(ranges.into_iter(), usize::try_from(file.rows).ok()?))
}
