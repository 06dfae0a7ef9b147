//! The series index as queries see it.

use std::ops::RangeInclusive;
use std::sync::Arc;

use isinglass_model::labels::{LabelSet, METRIC_NAME};
use isinglass_model::series::{MetricMeta, SeriesRef};

use super::matcher::{MatchOp, Matcher};
use super::selection::{Limited, SeriesSelection};
use super::table::SeriesTable;
use super::{listing, select};
use crate::StoreError;

/// A series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its ref in this process.
    pub series: SeriesRef,
    /// Hash of its metric name.
    pub metric_id: i64,
    /// Its id in the tables; unique within the tenant.
    pub series_id: i64,
    /// Its labels, `__name__` among them, and its temporality.
    pub labels: LabelSet,
}

/// A metric name that has series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The name.
    pub name: Arc<str>,
    /// Its hash, the first sort column of the metric tables.
    pub metric_id: i64,
    /// Type, unit and help; empty texts if nobody said.
    pub meta: Arc<MetricMeta>,
    /// How many series it has.
    pub series: usize,
}

/// Days since 1970-01-01 in UTC, the first and the last.
pub type Days = RangeInclusive<i32>;

/// The series of one tenant, all days. Shared with the writers: a series that
/// comes later than the view is in it, without samples in that view.
#[derive(Clone)]
pub struct SeriesIndex {
    pub(crate) table: Arc<SeriesTable>,
}

impl SeriesIndex {
    /// The series for which all matchers hold; every series if there is none.
    ///
    /// An expression that cannot be read or is beyond its limits is
    /// [`StoreError::Matcher`], which says which.
    pub fn select(&self, matchers: &[Matcher]) -> Result<SeriesSelection, StoreError> {
        let refs = select::select(&self.table, matchers)?;
        Ok(SeriesSelection::new(Arc::clone(&self.table), refs))
    }

    /// No series.
    pub fn none(&self) -> SeriesSelection {
        SeriesSelection::new(Arc::clone(&self.table), roaring::RoaringBitmap::new())
    }

    /// As [`Self::select`], of series written on one of these days.
    pub fn select_on(&self, matchers: &[Matcher], days: Option<Days>) -> Result<SeriesSelection, StoreError> {
        let selection = self.select(matchers)?;
        Ok(match days {
            Some(days) => selection.on(days),
            None => selection,
        })
    }

    /// Names of the labels of the series for which all matchers hold, sorted, at most `limit`.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        days: Option<Days>,
        limit: usize,
    ) -> Result<Limited<Arc<str>>, StoreError> {
        if matchers.is_empty() && days.is_none() {
            return Ok(listing::all_names(&self.table, limit));
        }
        Ok(self.select_on(matchers, days)?.label_names(limit))
    }

    /// Values of a label of the series for which all matchers hold, sorted, at most `limit`.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        days: Option<Days>,
        limit: usize,
    ) -> Result<Limited<String>, StoreError> {
        if matchers.is_empty() && days.is_none() {
            return Ok(listing::all_values(&self.table, name, limit));
        }
        Ok(self.select_on(matchers, days)?.label_values(name, limit))
    }

    /// The series for which all matchers hold, at most `limit`, in the order of their refs.
    pub fn series(
        &self,
        matchers: &[Matcher],
        days: Option<Days>,
        limit: usize,
    ) -> Result<Limited<Series>, StoreError> {
        Ok(self.select_on(matchers, days)?.series(limit))
    }

    /// Metrics that have series, sorted by name.
    pub fn metrics(&self) -> Vec<Metric> {
        self.table.metrics()
    }

    /// One metric, if it has series.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        self.table.metric(name)
    }

    /// Names of the labels that series of a metric have, sorted, without `__name__`. Kept
    /// with the metric, so that it costs nothing to ask.
    pub fn names_of_metric(&self, name: &str) -> Vec<Arc<str>> {
        self.table.names_of_metric(name)
    }

    /// The series of a metric, in the order in which they came.
    ///
    /// Makes all of them: [`Self::select`] is for who wants some.
    pub fn of_metric(&self, name: &str) -> Vec<Arc<Series>> {
        let matcher = Matcher::new(METRIC_NAME, MatchOp::Equal, name);
        // A name that is compared for equality has no limits.
        let Ok(selection) = self.select(&[matcher]) else { return Vec::new() };
        selection.series(usize::MAX).items.into_iter().map(Arc::new).collect()
    }

    /// Some series with their labels, in the order of the refs; those that were forgotten are
    /// left out.
    pub fn of_refs(&self, refs: &[SeriesRef]) -> Vec<Series> {
        self.table.series_of(refs)
    }

    /// The series with this id.
    pub fn by_id(&self, series_id: i64) -> Option<Arc<Series>> {
        self.table.series(self.table.by_id(series_id)?)
    }

    /// Every series.
    ///
    /// Makes all of them: [`Self::select`] is for who wants some.
    pub fn all(&self) -> Vec<Arc<Series>> {
        let all = self.select(&[]).map(|all| all.series(usize::MAX).items).unwrap_or_default();
        all.into_iter().map(Arc::new).collect()
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.table.indexed()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Debug for SeriesIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeriesIndex({} series)", self.len())
    }
}
