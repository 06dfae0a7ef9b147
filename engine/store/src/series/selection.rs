//! Series that were selected.

use std::fmt;
use std::sync::Arc;

use isinglass_model::series::SeriesRef;
use roaring::RoaringBitmap;

use super::index::{Days, Series};
use super::listing;
use super::table::SeriesTable;

/// Some of what was asked for, and whether there was more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited<T> {
    /// At most as many as the limit.
    pub items: Vec<T>,
    /// Whether something was left out.
    pub cut: bool,
}

impl<T> Limited<T> {
    /// Takes up to `limit`.
    pub(super) fn of(mut items: impl Iterator<Item = T>, limit: usize) -> Self {
        let taken = items.by_ref().take(limit).collect();
        Self { items: taken, cut: items.next().is_some() }
    }
}

/// The values of one label of selected series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelColumn {
    /// The value of each series by its place in `values`, in the order of
    /// [`SeriesSelection::refs`]; `None` where the series lacks the label.
    pub keys: Vec<Option<u32>>,
    /// The distinct values.
    pub values: Vec<String>,
}

/// Series that were selected, in the order of their refs: that in which they came into
/// memory. It is the same for every query of a process.
#[derive(Clone)]
pub struct SeriesSelection {
    table: Arc<SeriesTable>,
    refs: RoaringBitmap,
}

impl SeriesSelection {
    pub(super) fn new(table: Arc<SeriesTable>, refs: RoaringBitmap) -> Self {
        Self { table, refs }
    }

    /// Of these those written on one of the days.
    pub fn on(self, days: Days) -> Self {
        let Self { table, refs } = self;
        let refs = match days.is_empty() {
            true => RoaringBitmap::new(),
            false => table.days.recorded(refs, *days.start(), *days.end()),
        };
        Self { table, refs }
    }

    /// Of these those whose place in the order of [`Self::refs`] says true.
    pub fn filter(self, stay: &[bool]) -> Self {
        let refs = self.refs.iter().zip(stay).filter(|(_, stay)| **stay).map(|(series, _)| series);
        Self { refs: RoaringBitmap::from_sorted_iter(refs).unwrap_or_default(), table: self.table }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.refs.len() as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.refs.is_empty()
    }

    /// Their refs, ascending.
    pub fn refs(&self) -> impl Iterator<Item = SeriesRef> + '_ {
        self.refs.iter().map(SeriesRef)
    }

    /// (metric_id, series_id) of each, in the order of [`Self::refs`]. Takes no lock.
    pub fn ids(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.refs().map(|series| self.table.ids(series))
    }

    /// The series with their labels, at most `limit`.
    pub fn series(&self, limit: usize) -> Limited<Series> {
        let refs: Limited<SeriesRef> = Limited::of(self.refs(), limit);
        Limited { items: self.table.series_of(&refs.items), cut: refs.cut }
    }

    /// The values of one label, without making the others.
    pub fn column(&self, name: &str) -> LabelColumn {
        listing::column(&self.table, &self.refs, name)
    }

    /// Names of their labels, sorted, at most `limit`.
    pub fn label_names(&self, limit: usize) -> Limited<Arc<str>> {
        listing::names(&self.table, &self.refs, limit)
    }

    /// Values of one of their labels, sorted, at most `limit`.
    pub fn label_values(&self, name: &str, limit: usize) -> Limited<String> {
        listing::values(&self.table, &self.refs, name, limit)
    }
}

impl fmt::Debug for SeriesSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeriesSelection({} series)", self.len())
    }
}
