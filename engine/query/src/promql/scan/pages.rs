//! Which rows of a file may have wanted series and times: by row group, then by page.

use std::ops::Range;

use datafusion::parquet::arrow::arrow_reader::RowSelection;
use datafusion::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::Statistics;

use super::Span;
use crate::promql::facts::{Counters, add};
use crate::promql::series::Wanted;

/// The columns by which files are sorted.
pub(super) const KEY: [&str; 3] = ["metric_id", "series_id", "time"];

type Ends = (i64, i64);

/// What is to be read of a file.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    pub(super) row_groups: Vec<usize>,
    /// Of the rows of these row groups; `None` = all.
    pub(super) rows: Option<RowSelection>,
    rows_chosen: usize,
    row_groups_left_out: usize,
    rows_left_out: usize,
}

impl Chosen {
    /// What may have one of `wanted`, which are sorted, and a time of the span.
    pub(super) fn of(metadata: &ParquetMetaData, wanted: &[Wanted], span: Span) -> Self {
        let mut chosen = Self::default();
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let mut rows = 0;
        for (at, group) in metadata.row_groups().iter().enumerate() {
            let found = Group { metadata, at, group }.ranges(wanted, span);
            if found.is_empty() {
                chosen.row_groups_left_out += 1;
                continue;
            }
            chosen.row_groups.push(at);
            ranges.extend(found.into_iter().map(|range| rows + range.start..rows + range.end));
            rows += usize::try_from(group.num_rows()).unwrap_or_default();
        }
        chosen.rows_chosen = ranges.iter().map(ExactSizeIterator::len).sum();
        chosen.rows_left_out = rows - chosen.rows_chosen;
        if chosen.rows_left_out > 0 {
            chosen.rows = Some(RowSelection::from_consecutive_ranges(ranges.into_iter(), rows));
        }
        chosen
    }

    /// How many are to be read.
    pub(super) fn rows(&self) -> usize {
        self.rows_chosen
    }

    pub(super) fn count(&self, counters: &Counters) {
        add(&counters.row_groups, self.row_groups.len());
        add(&counters.row_groups_pruned, self.row_groups_left_out);
        add(&counters.rows_pruned, self.rows_left_out);
    }
}

struct Group<'a> {
    metadata: &'a ParquetMetaData,
    at: usize,
    group: &'a RowGroupMetaData,
}

/// A page: its rows, and the least and greatest value of its column if they are known.
struct Page {
    rows: Range<usize>,
    ends: Option<Ends>,
}

impl Group<'_> {
    /// Rows that may be wanted, counted from the first of the group.
    fn ranges(&self, wanted: &[Wanted], span: Span) -> Vec<Range<usize>> {
        let [metric, series, time] = KEY.map(|name| self.column(name));
        let whole = |column: Option<usize>| self.ends(column?);
        if !may_have(wanted, whole(metric), whole(series)) || !span.meets(whole(time)) {
            return Vec::new();
        }
        let rows = usize::try_from(self.group.num_rows()).unwrap_or_default();
        let pages = |column: Option<usize>| column.and_then(|column| self.pages(column, rows));
        let by_key = match (pages(metric), pages(series)) {
            (Some(metrics), Some(series)) if are_aligned(&metrics, &series) => {
                let both = metrics.into_iter().zip(series);
                let kept = both.filter(|(metric, series)| may_have(wanted, metric.ends, series.ends));
                joined(kept.map(|(metric, _)| metric.rows))
            }
            (Some(metrics), _) => {
                let kept = metrics.into_iter().filter(|page| may_have(wanted, page.ends, None));
                joined(kept.map(|page| page.rows))
            }
            _ => std::iter::once(0..rows).collect(),
        };
        match pages(time) {
            Some(times) => {
                let kept = times.into_iter().filter(|page| span.meets(page.ends));
                intersection(&by_key, &joined(kept.map(|page| page.rows)))
            }
            None => by_key,
        }
    }

    /// The place of a column among the leaves of the schema.
    fn column(&self, name: &str) -> Option<usize> {
        self.group.columns().iter().position(|column| column.column_path().parts() == [name])
    }

    fn ends(&self, column: usize) -> Option<Ends> {
        match self.group.column(column).statistics()? {
            Statistics::Int64(known) => Some((*known.min_opt()?, *known.max_opt()?)),
            _ => None,
        }
    }

    fn pages(&self, column: usize, rows: usize) -> Option<Vec<Page>> {
        let places = self.metadata.offset_index()?.get(self.at)?.get(column)?.page_locations();
        let index = self.metadata.column_index().and_then(|index| index.get(self.at)?.get(column));
        let ends = |page: usize| match index? {
            ColumnIndexMetaData::INT64(known) => Some((*known.min_value(page)?, *known.max_value(page)?)),
            _ => None,
        };
        let first = |page: usize| {
            places.get(page).map_or(rows, |place| usize::try_from(place.first_row_index).unwrap_or(rows))
        };
        let page =
            |page: usize| Page { rows: first(page)..first(page + 1).max(first(page)), ends: ends(page) };
        Some((0..places.len()).map(page).collect())
    }
}

/// Whether a wanted series lies between these ends.
fn may_have(wanted: &[Wanted], metric: Option<Ends>, series: Option<Ends>) -> bool {
    let Some((first, last)) = metric else { return !wanted.is_empty() };
    // Of one metric series rise, too.
    let low = (first, series.filter(|_| first == last).map_or(i64::MIN, |(low, _)| low));
    let high = (last, series.filter(|_| first == last).map_or(i64::MAX, |(_, high)| high));
    let at = wanted.partition_point(|one| one.key() < low);
    wanted.get(at).is_some_and(|one| one.key() <= high)
}

fn are_aligned(one: &[Page], other: &[Page]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.rows == other.rows)
}

/// Ranges that rise, those that touch made one.
fn joined(ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut all: Vec<Range<usize>> = Vec::new();
    for range in ranges.filter(|range| !range.is_empty()) {
        match all.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => all.push(range),
        }
    }
    all
}

fn intersection(one: &[Range<usize>], other: &[Range<usize>]) -> Vec<Range<usize>> {
    let (mut a, mut b) = (0, 0);
    let mut both = Vec::new();
    while let (Some(x), Some(y)) = (one.get(a), other.get(b)) {
        let range = x.start.max(y.start)..x.end.min(y.end);
        if !range.is_empty() {
            both.push(range);
        }
        if x.end <= y.end { a += 1 } else { b += 1 }
    }
    both
}

#[cfg(test)]
mod tests {
    use isinglass_model::series::SeriesRef;

    use super::*;

    fn wanted(keys: &[(i64, i64)]) -> Vec<Wanted> {
        let of = |(metric_id, series_id): &(i64, i64)| Wanted {
            metric_id: *metric_id,
            series_id: *series_id,
            series: SeriesRef(0),
        };
        keys.iter().map(of).collect()
    }

    #[test]
    fn a_page_may_have_what_lies_between_its_ends() {
        let wanted = wanted(&[(1, 10), (3, -5), (3, 7)]);
        let check = |metric: Ends, series: Ends| may_have(&wanted, Some(metric), Some(series));
        assert!(check((1, 1), (0, 10)));
        assert!(!check((1, 1), (11, 99)));
        assert!(!check((2, 2), (0, 10)));
        assert!(check((1, 3), (98, 99)));
        assert!(check((2, 3), (98, 99)));
        assert!(!check((3, 3), (-4, 6)));
        assert!(may_have(&wanted, None, None));
        assert!(!may_have(&[], None, None));
    }

    #[test]
    fn ranges_meet() {
        assert_eq!(joined([0..5, 5..9, 9..9, 12..13].into_iter()), [0..9, 12..13]);
        assert_eq!(intersection(&[0..9, 12..20], &[3..4, 8..13, 19..30]), [3..4, 8..9, 12..13, 19..20]);
        assert!(intersection(&[0..9], &[]).is_empty());
    }
}
