//! The series table of one tenant.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use hashbrown::HashMap;
use isinglass_model::ids;
use isinglass_model::labels::{LabelSet, Temporality};
use isinglass_model::series::{Fingerprint, Refusal, ResolveError, SeriesRef};
use parking_lot::RwLock;

use super::active::{Active, SeriesLimits};
use super::answers::Answers;
use super::days::Days;
use super::fingerprints::Fingerprints;
use super::grow::Grow;
use super::index::Series;
use super::inverted::Inverted;
use super::metrics::MetricEntry;
use super::sharded::Sharded;
use super::verdicts::{Arrival, REFUSED_BYTES_MAX};

/// Series in memory, as a multiple of the cap on active ones. Those read from
/// tables do not count as active until they are sent again.
const TOTAL_PER_ACTIVE: usize = 4;

/// Bytes of label sets, as a multiple of the cap on active series.
const LABEL_BYTES_PER_ACTIVE: usize = 1 << 10;

/// What the hot path wants to know of a series.
#[derive(Default)]
pub(super) struct Slot {
    pub(super) metric_id: AtomicI64,
    pub(super) series_id: AtomicI64,
    /// Generation of the chain's digest × 16 + arrival × 4 + state.
    pub(super) verdict: AtomicU32,
    /// Where its labels are in the index, + 1, once a record or a table has it; from
    /// then on they stay for ever.
    pub(super) position: AtomicU32,
}

/// All series of a tenant. Only grows.
pub(crate) struct SeriesTable {
    pub(super) salt: u64,
    pub(super) active_max: usize,
    pub(super) fingerprints: Fingerprints,
    pub(super) slots: Grow<Slot>,
    pub(crate) days: Days,
    pub(super) verdict_generation: AtomicU32,
    pub(super) hasher: ahash::RandomState,
    pub(super) inner: RwLock<Inner>,
    /// What expressions on labels found, and the number of this table there.
    pub(super) answers: Arc<Answers>,
    pub(super) number: u64,
}

/// Series that are labelled at a time under one read lock, so that writers wait for
/// some tens of microseconds at most.
pub(super) const AT_ONCE: usize = 256;

#[derive(Default)]
pub(super) struct Inner {
    /// Refs given out.
    pub(super) given: usize,
    pub(super) by_id: Sharded,
    /// By the hash of their labels, series whose id is another.
    pub(super) odd: HashMap<i64, Vec<SeriesRef>, ahash::RandomState>,
    /// Labels of series that no record or table has: they may be refused and forgotten,
    /// which the index does not know. Queries do not see them.
    pub(super) loose: HashMap<SeriesRef, LabelSet, ahash::RandomState>,
    pub(super) labels: Inverted,
    pub(super) metrics: BTreeMap<Arc<str>, MetricEntry>,
    pub(super) active: Active,
    pub(super) label_bytes: usize,
    pub(super) digest: String,
    /// Refused series whose labels are still here, in the order they were refused.
    pub(super) refused: VecDeque<SeriesRef>,
    pub(super) refused_bytes: usize,
    pub(super) refusals: HashMap<SeriesRef, Arc<Refusal>, ahash::RandomState>,
    /// What transformers made of series that they did not leave as they arrived.
    pub(super) arrivals: HashMap<SeriesRef, Arrival, ahash::RandomState>,
}

impl SeriesTable {
    /// With room of its own for answers.
    #[cfg(test)]
    pub(crate) fn new(salt: u64, active_max: usize) -> Self {
        Self::with_answers(salt, active_max, Answers::new(active_max))
    }

    pub(crate) fn with_answers(salt: u64, active_max: usize, answers: Arc<Answers>) -> Self {
        Self {
            salt,
            active_max,
            fingerprints: Fingerprints::new(
                active_max.saturating_mul(TOTAL_PER_ACTIVE).saturating_add(1 << 16),
            ),
            slots: Grow::new(),
            days: Days::default(),
            verdict_generation: AtomicU32::new(0),
            hasher: ahash::RandomState::default(),
            inner: RwLock::default(),
            number: answers.table(),
            answers,
        }
    }

    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    /// Refs given out, so one more than the highest.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().given
    }

    /// Series that queries see.
    pub(super) fn indexed(&self) -> usize {
        self.labels(|labels| labels.all().len() as usize)
    }

    /// Looks into the index over labels. To be left again in microseconds: writers wait.
    pub(super) fn labels<R>(&self, look: impl FnOnce(&Inverted) -> R) -> R {
        look(&self.inner.read().labels)
    }

    /// As [`Self::labels`], to change what only makes answers faster.
    pub(super) fn labels_mut<R>(&self, change: impl FnOnce(&mut Inverted) -> R) -> R {
        change(&mut self.inner.write().labels)
    }

    /// Where the labels of a series are in the index.
    #[inline]
    pub(super) fn position(&self, series: SeriesRef) -> Option<u32> {
        self.slots.get(series.0 as usize)?.position.load(Ordering::Acquire).checked_sub(1)
    }

    /// (metric_id, series_id); zeros for a ref that this table never gave out.
    #[inline]
    pub(crate) fn ids(&self, series: SeriesRef) -> (i64, i64) {
        self.slots.get(series.0 as usize).map_or((0, 0), |slot| {
            (slot.metric_id.load(Ordering::Relaxed), slot.series_id.load(Ordering::Relaxed))
        })
    }

    /// Adds a label set that a sender wrote, or finds it.
    pub(crate) fn intern(
        &self,
        fingerprint: Fingerprint,
        labels: LabelSet,
        limits: SeriesLimits,
    ) -> Result<SeriesRef, ResolveError> {
        let wanted = ids::series_id(&labels);
        let mut inner = self.inner.write();
        let series = match self.find(&inner, wanted, &labels) {
            Some(series) => {
                inner.active.wake(series, self.ids(series).0);
                series
            }
            None => {
                if self.is_full(&inner) {
                    return Err(ResolveError::TooManySeries { limit: self.active_max });
                }
                inner.active.check(labels.metric(), limits.within(self.active_max))?;
                inner.active.add(ids::metric_id(labels.metric()));
                self.add_loose(&mut inner, wanted, labels)
            }
        };
        drop(inner);
        self.fingerprints.insert(fingerprint, series);
        Ok(series)
    }

    fn is_full(&self, inner: &Inner) -> bool {
        inner.given >= self.active_max.saturating_mul(TOTAL_PER_ACTIVE)
            || inner.label_bytes
                >= self.active_max.saturating_mul(LABEL_BYTES_PER_ACTIVE).max(4 * REFUSED_BYTES_MAX)
    }

    /// Adds a label set that is made of stored ones, or finds it. The cap does not apply.
    pub(crate) fn make(&self, labels: LabelSet) -> SeriesRef {
        let wanted = ids::series_id(&labels);
        let mut inner = self.inner.write();
        match self.find(&inner, wanted, &labels) {
            Some(series) => series,
            None => self.add_loose(&mut inner, wanted, labels),
        }
    }

    /// Adds a series that has its id already: it was read from the table `series`
    /// or from the WAL. Both are ours, so the cap does not apply.
    pub(crate) fn restore(&self, series_id: i64, labels: LabelSet) -> SeriesRef {
        if let Some(known) = self.by_id(series_id) {
            self.mark_stored(known);
            return known;
        }
        let hash = ids::series_id(&labels);
        let mut inner = self.inner.write();
        if let Some(known) = self.find_id(&inner, series_id) {
            self.index_loose(&mut inner, known);
            return known;
        }
        let series = self.add(&mut inner, series_id, hash, &labels);
        inner.active.sleep(series);
        self.index(&mut inner, series, labels);
        series
    }

    /// A record that is in the log holds the labels of this series: from now on queries
    /// see it, and its labels stay.
    pub(crate) fn mark_stored(&self, series: SeriesRef) {
        if self.position(series).is_none() {
            self.index_loose(&mut self.inner.write(), series);
        }
    }

    pub(super) fn is_stored(&self, series: SeriesRef) -> bool {
        self.position(series).is_some()
    }

    fn find(&self, inner: &Inner, hash: i64, labels: &LabelSet) -> Option<SeriesRef> {
        let same = |series: &SeriesRef| match self.position(*series) {
            Some(position) => inner.labels.is(position, labels),
            None => inner.loose.get(series).is_some_and(|known| known == labels),
        };
        let odd = || inner.odd.get(&hash)?.iter().copied().find(same);
        self.find_id(inner, hash).filter(same).or_else(odd)
    }

    fn find_id(&self, inner: &Inner, series_id: i64) -> Option<SeriesRef> {
        let is_it = |number| self.ids(SeriesRef(number)).1 == series_id;
        inner.by_id.find(self.hash_id(series_id), is_it).map(SeriesRef)
    }

    /// Salted, so that nobody outside can make all ids fall into one place.
    pub(super) fn hash_id(&self, series_id: i64) -> u64 {
        self.hasher.hash_one(series_id)
    }

    /// The wanted id, or the next one that no other label set has.
    fn free_id(&self, inner: &Inner, wanted: i64) -> i64 {
        let mut id = wanted;
        while self.find_id(inner, id).is_some() {
            id = id.wrapping_add(1);
        }
        id
    }

    fn add_loose(&self, inner: &mut Inner, hash: i64, labels: LabelSet) -> SeriesRef {
        let id = self.free_id(inner, hash);
        let series = self.add(inner, id, hash, &labels);
        inner.loose.insert(series, labels);
        series
    }

    fn add(&self, inner: &mut Inner, series_id: i64, hash: i64, labels: &LabelSet) -> SeriesRef {
        let series = SeriesRef(u32::try_from(inner.given).unwrap_or(u32::MAX));
        if let Some(slot) = self.slots.at(series.0 as usize) {
            slot.metric_id.store(ids::metric_id(labels.metric()), Ordering::Relaxed);
            slot.series_id.store(series_id, Ordering::Relaxed);
        }
        inner.given += 1;
        inner.label_bytes += labels.as_bytes().len();
        let hash_of = |number| self.hash_id(self.ids(SeriesRef(number)).1);
        inner.by_id.insert(self.hash_id(series_id), series.0, hash_of);
        if series_id != hash {
            inner.odd.entry(hash).or_default().push(series);
        }
        series
    }

    fn index_loose(&self, inner: &mut Inner, series: SeriesRef) {
        if let Some(labels) = inner.loose.remove(&series) {
            self.index(inner, series, labels);
        }
    }

    fn index(&self, inner: &mut Inner, series: SeriesRef, labels: LabelSet) {
        let metric: Arc<str> = labels.metric().into();
        let position = inner.labels.insert(series.0, labels);
        inner.count(&metric, position);
        if let Some(slot) = self.slots.get(series.0 as usize) {
            slot.position.store(position + 1, Ordering::Release);
        }
    }

    /// The ref of a stored id.
    pub(crate) fn by_id(&self, series_id: i64) -> Option<SeriesRef> {
        self.find_id(&self.inner.read(), series_id)
    }

    /// The refs of stored ids, under one lock; `None` where one is not known.
    pub(crate) fn refs(&self, series_ids: &[i64]) -> Vec<Option<SeriesRef>> {
        let inner = self.inner.read();
        series_ids.iter().map(|id| self.find_id(&inner, *id)).collect()
    }

    pub(crate) fn series(&self, series: SeriesRef) -> Option<Arc<Series>> {
        self.series_in(&self.inner.read(), series).map(Arc::new)
    }

    /// Several, in their order; those that are not there are left out.
    pub(crate) fn series_of(&self, refs: &[SeriesRef]) -> Vec<Series> {
        let mut found = Vec::with_capacity(refs.len());
        for some in refs.chunks(AT_ONCE) {
            let inner = self.inner.read();
            found.extend(some.iter().filter_map(|series| self.series_in(&inner, *series)));
        }
        found
    }

    /// The series of a range of refs, some at a time.
    pub(crate) fn chunks(&self, refs: std::ops::Range<usize>) -> impl Iterator<Item = Vec<Series>> + '_ {
        let refs = refs.filter_map(|at| u32::try_from(at).ok());
        self.chunks_of(refs)
    }

    /// The series of refs, some at a time.
    pub(crate) fn chunks_of(&self, refs: impl IntoIterator<Item = u32>) -> impl Iterator<Item = Vec<Series>> {
        let mut refs = refs.into_iter().map(SeriesRef);
        std::iter::from_fn(move || {
            let some: Vec<SeriesRef> = refs.by_ref().take(AT_ONCE).collect();
            (!some.is_empty()).then(|| self.series_of(&some))
        })
    }

    /// A series that was forgotten has no labels.
    fn series_in(&self, inner: &Inner, series: SeriesRef) -> Option<Series> {
        if series.0 as usize >= inner.given {
            return None;
        }
        let labels = match self.position(series) {
            Some(position) => inner.labels.labels(position)?,
            None => match inner.loose.get(&series) {
                Some(labels) => labels.clone(),
                None => LabelSet::new(&mut [], Temporality::Unspecified).ok()?,
            },
        };
        let (metric_id, series_id) = self.ids(series);
        Some(Series { series, metric_id, series_id, labels })
    }
}
