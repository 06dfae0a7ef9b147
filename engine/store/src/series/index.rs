//! The series index as queries see it.

use std::sync::Arc;

use isinglass_model::labels::LabelSet;
use isinglass_model::series::{MetricMeta, SeriesRef};

use super::table::SeriesTable;

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

/// The series of one tenant, all days. Shared with the writers: a series that
/// comes later than the view is in it, without samples in that view.
#[derive(Clone)]
pub struct SeriesIndex {
    pub(crate) table: Arc<SeriesTable>,
}

impl SeriesIndex {
    /// Metrics that have series, sorted by name.
    pub fn metrics(&self) -> Vec<Metric> {
        self.table.metrics()
    }

    /// One metric, if it has series.
    pub fn metric(&self, name: &str) -> Option<Metric> {
        self.table.metric(name)
    }

    /// The series of a metric, in the order in which they came.
    pub fn of_metric(&self, name: &str) -> Vec<Arc<Series>> {
        self.table.of_metric(name)
    }

    /// The series with this id.
    pub fn by_id(&self, series_id: i64) -> Option<Arc<Series>> {
        self.table.series(self.table.by_id(series_id)?)
    }

    /// Every series.
    pub fn all(&self) -> Vec<Arc<Series>> {
        self.table.all()
    }

    /// Number of series.
    pub fn len(&self) -> usize {
        self.table.len()
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
