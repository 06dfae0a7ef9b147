//! Which series of a tenant are active, and how many there may be.

use hashbrown::HashMap;
use isinglass_model::ids;
use isinglass_model::series::{ResolveError, SeriesRef};
use roaring::RoaringBitmap;

/// How many series a tenant may have, and how much may be said of them. Series that are there
/// flow on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesLimits {
    /// Active ones; the cap of the store holds all the same.
    pub total: usize,
    /// Active ones of one metric.
    pub per_metric: usize,
    /// Bytes of the help and of the unit of a metric; what is longer is cut.
    pub metadata_bytes: usize,
}

impl SeriesLimits {
    /// Only the cap of the store.
    pub const NONE: Self = Self { total: usize::MAX, per_metric: usize::MAX, metadata_bytes: usize::MAX };

    /// The same under a cap on all series.
    pub(super) fn within(self, total: usize) -> Self {
        Self { total: self.total.min(total), ..self }
    }
}

/// Which series count: those that were sent since the start.
#[derive(Default)]
pub(super) struct Active {
    total: usize,
    of_metric: HashMap<i64, u32, ahash::RandomState>,
    /// Series that were read back and not sent again.
    asleep: RoaringBitmap,
}

impl Active {
    pub(super) fn add(&mut self, metric_id: i64) {
        self.total += 1;
        *self.of_metric.entry(metric_id).or_default() += 1;
    }

    /// Counts a series that was read back when it is sent again; the cap does not apply.
    pub(super) fn wake(&mut self, series: SeriesRef, metric_id: i64) {
        if self.asleep.remove(series.0) {
            self.add(metric_id);
        }
    }

    /// A series goes.
    pub(super) fn remove(&mut self, metric_id: i64) {
        self.total = self.total.saturating_sub(1);
        if let Some(series) = self.of_metric.get_mut(&metric_id) {
            *series -= 1;
            if *series == 0 {
                self.of_metric.remove(&metric_id);
            }
        }
    }

    /// Whether another series of a metric may be added.
    pub(super) fn check(&self, metric: &str, limits: SeriesLimits) -> Result<(), ResolveError> {
        if self.total >= limits.total {
            return Err(ResolveError::TooManySeries { limit: limits.total });
        }
        match self.of_metric(ids::metric_id(metric)) >= limits.per_metric {
            true => Err(ResolveError::TooManySeriesOfMetric {
                metric: metric.to_owned(),
                limit: limits.per_metric,
            }),
            false => Ok(()),
        }
    }

    /// Notes a series that was read back.
    pub(super) fn sleep(&mut self, series: SeriesRef) {
        self.asleep.insert(series.0);
    }

    fn of_metric(&self, metric_id: i64) -> usize {
        self.of_metric.get(&metric_id).map_or(0, |series| *series as usize)
    }
}
