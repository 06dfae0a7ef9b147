//! The series table of one tenant.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use hashbrown::HashMap;
use isinglass_model::ids;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::{Fingerprint, Judgement, MetricMeta, Refusal, ResolveError, SeriesRef};
use parking_lot::RwLock;

use super::days::Days;
use super::fingerprints::Fingerprints;
use super::grow::Grow;
use super::index::{Metric, Series};
use super::inverted::Inverted;
use super::sharded::Sharded;

/// Series in memory, as a multiple of the cap on active ones. Those read from
/// tables do not count as active until they are sent again.
const TOTAL_PER_ACTIVE: usize = 4;

/// Bytes of label sets, as a multiple of the cap on active series.
const LABEL_BYTES_PER_ACTIVE: usize = 1 << 10;

/// Bytes of refused label sets that are remembered for the text of the next refusal.
/// Beyond that the oldest are forgotten; that they are refused is not.
const REFUSED_BYTES_MAX: usize = 4 << 20;

/// What the hot path wants to know of a series.
#[derive(Default)]
struct Slot {
    metric_id: AtomicI64,
    series_id: AtomicI64,
    /// Generation of the chain's digest × 4 + state.
    verdict: AtomicU32,
    /// Where its labels are in the index, + 1, once a record or a table has it; from
    /// then on they stay for ever.
    position: AtomicU32,
}

const KEEP: u32 = 1;
const REJECT: u32 = 2;

/// All series of a tenant. Only grows.
pub(crate) struct SeriesTable {
    salt: u64,
    active_max: usize,
    pub(super) fingerprints: Fingerprints,
    slots: Grow<Slot>,
    pub(crate) days: Days,
    verdict_generation: AtomicU32,
    hasher: ahash::RandomState,
    inner: RwLock<Inner>,
}

/// Series that are labelled at a time under one read lock, so that writers wait for
/// some tens of microseconds at most.
pub(super) const AT_ONCE: usize = 256;

#[derive(Default)]
struct Inner {
    /// Refs given out.
    given: usize,
    by_id: Sharded,
    /// By the hash of their labels, series whose id is another.
    odd: HashMap<i64, Vec<SeriesRef>, ahash::RandomState>,
    /// Labels of series that no record or table has: they may be refused and forgotten,
    /// which the index does not know. Queries do not see them.
    loose: HashMap<SeriesRef, LabelSet, ahash::RandomState>,
    labels: Inverted,
    metrics: BTreeMap<Arc<str>, MetricEntry>,
    active: usize,
    label_bytes: usize,
    digest: String,
    /// Refused series whose labels are still here, in the order they were refused.
    refused: VecDeque<SeriesRef>,
    refused_bytes: usize,
    refusals: HashMap<SeriesRef, Arc<Refusal>, ahash::RandomState>,
}

#[derive(Default)]
struct MetricEntry {
    meta: Option<Arc<MetricMeta>>,
    /// How many series the index has of it.
    series: usize,
    /// Numbers of the label names of its series, sorted.
    names: Vec<u32>,
}

impl SeriesTable {
    pub(crate) fn new(salt: u64, active_max: usize) -> Self {
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
    ) -> Result<SeriesRef, ResolveError> {
        let wanted = ids::series_id(&labels);
        let mut inner = self.inner.write();
        let series = match self.find(&inner, wanted, &labels) {
            Some(series) => series,
            None if self.is_full(&inner) => {
                return Err(ResolveError::TooManySeries { limit: self.active_max });
            }
            None => {
                inner.active += 1;
                self.add_loose(&mut inner, wanted, labels)
            }
        };
        drop(inner);
        self.fingerprints.insert(fingerprint, series);
        Ok(series)
    }

    fn is_full(&self, inner: &Inner) -> bool {
        inner.active >= self.active_max
            || inner.given >= self.active_max.saturating_mul(TOTAL_PER_ACTIVE)
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
        self.index(&mut inner, series, &labels);
        series
    }

    /// A record that is in the log holds the labels of this series: from now on queries
    /// see it, and its labels stay.
    pub(crate) fn mark_stored(&self, series: SeriesRef) {
        if self.position(series).is_none() {
            self.index_loose(&mut self.inner.write(), series);
        }
    }

    fn is_stored(&self, series: SeriesRef) -> bool {
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
    fn hash_id(&self, series_id: i64) -> u64 {
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
            self.index(inner, series, &labels);
        }
    }

    fn index(&self, inner: &mut Inner, series: SeriesRef, labels: &LabelSet) {
        let position = inner.labels.insert(series.0, labels);
        inner.count(labels.metric(), position);
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

    /// What the chain said of a series.
    #[inline]
    pub(crate) fn judgement(&self, series: SeriesRef) -> Judgement {
        let verdict =
            self.slots.get(series.0 as usize).map_or(0, |slot| slot.verdict.load(Ordering::Acquire));
        if verdict / 4 != self.verdict_generation.load(Ordering::Acquire) {
            return Judgement::Pending;
        }
        match verdict % 4 {
            KEEP => Judgement::Keep,
            REJECT => {
                let refusal = self.inner.read().refusals.get(&series).cloned();
                refusal.map_or(Judgement::Pending, Judgement::Reject)
            }
            _ => Judgement::Pending,
        }
    }

    /// Notes verdicts under a digest of the chain; under a new one all earlier
    /// verdicts are void.
    pub(crate) fn judge(&self, verdicts: &[(SeriesRef, Judgement)], digest: &str) {
        let mut inner = self.inner.write();
        if inner.digest != digest {
            digest.clone_into(&mut inner.digest);
            inner.refusals.clear();
            self.verdict_generation.fetch_add(1, Ordering::AcqRel);
        }
        let generation = self.verdict_generation.load(Ordering::Acquire).wrapping_mul(4);
        for (series, judgement) in verdicts {
            let state = match judgement {
                Judgement::Pending => 0,
                Judgement::Keep => KEEP,
                Judgement::Reject(refusal) => {
                    let known = inner.refusals.insert(*series, Arc::clone(refusal)).is_some();
                    if !known && !self.is_stored(*series) {
                        inner.note_refused(*series);
                    }
                    REJECT
                }
            };
            if let Some(slot) = self.slots.get(series.0 as usize) {
                slot.verdict.store(generation + state, Ordering::Release);
            }
        }
        while inner.refused_bytes > REFUSED_BYTES_MAX
            && let Some(oldest) = inner.refused.pop_front()
        {
            self.forget(&mut inner, oldest);
        }
    }

    /// Notes what a metric family is. Families without series count against the
    /// cap on series, so that names alone cannot fill the memory.
    pub(crate) fn describe(&self, metric: &str, meta: &MetricMeta) {
        let known = |inner: &Inner| inner.metrics.get(metric).and_then(|e| e.meta.clone());
        if known(&self.inner.read()).is_some_and(|known| *known == *meta) {
            return;
        }
        let mut inner = self.inner.write();
        let room = inner.metrics.len() < self.active_max;
        match inner.metrics.get_mut(metric) {
            Some(entry) => entry.meta = Some(Arc::new(meta.clone())),
            None if room => {
                inner.metrics.entry(metric.into()).or_default().meta = Some(Arc::new(meta.clone()));
            }
            None => {}
        }
    }

    /// Type, unit and help of a metric, looked up under its family's name too:
    /// senders describe `latency`, not `latency_bucket`.
    pub(crate) fn meta(&self, metric: &str) -> Option<Arc<MetricMeta>> {
        self.inner.read().meta(metric)
    }

    /// Metrics that have series, sorted by name.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let inner = self.inner.read();
        let with_series = inner.metrics.iter().filter(|(_, entry)| entry.series > 0);
        with_series.map(|(name, entry)| inner.metric(name, entry)).collect()
    }

    pub(crate) fn metric(&self, name: &str) -> Option<Metric> {
        let inner = self.inner.read();
        let (name, entry) = inner.metrics.get_key_value(name)?;
        (entry.series > 0).then(|| inner.metric(name, entry))
    }

    /// Names of the labels that series of a metric have, sorted.
    pub(crate) fn names_of_metric(&self, metric: &str) -> Vec<Arc<str>> {
        let inner = self.inner.read();
        let numbers = inner.metrics.get(metric).map(|entry| entry.names.as_slice()).unwrap_or_default();
        let names = numbers.iter().filter_map(|number| inner.labels.name_at(*number));
        let mut names: Vec<Arc<str>> = names.map(|name| Arc::clone(&name.text)).collect();
        names.sort_unstable();
        names
    }

    /// Lets go of the labels of a refused series, unless it was stored under other
    /// validators. Its ref and its verdict stay.
    fn forget(&self, inner: &mut Inner, series: SeriesRef) {
        let Some(labels) = inner.loose.remove(&series) else {
            // Stored since it was refused: what it took is not counted here any more.
            let stored = self.position(series).and_then(|position| inner.labels.labels(position));
            let bytes = stored.map_or(0, |labels| labels.as_bytes().len());
            inner.refused_bytes = inner.refused_bytes.saturating_sub(bytes);
            return;
        };
        let bytes = labels.as_bytes().len();
        inner.refused_bytes = inner.refused_bytes.saturating_sub(bytes);
        inner.label_bytes = inner.label_bytes.saturating_sub(bytes);
        inner.active = inner.active.saturating_sub(1);
        let (hash, series_id) = (ids::series_id(&labels), self.ids(series).1);
        inner.by_id.remove(self.hash_id(series_id), series.0);
        if series_id != hash
            && let Some(of_hash) = inner.odd.get_mut(&hash)
        {
            of_hash.retain(|known| *known != series);
            if of_hash.is_empty() {
                inner.odd.remove(&hash);
            }
        }
    }
}

/// What OpenMetrics appends to the name of a family.
const FAMILY_SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];

impl Inner {
    fn note_refused(&mut self, series: SeriesRef) {
        if let Some(labels) = self.loose.get(&series) {
            self.refused_bytes += labels.as_bytes().len();
            self.refused.push_back(series);
        }
    }

    /// Counts a series of a metric, and notes its label names.
    fn count(&mut self, metric: &str, position: u32) {
        let Self { metrics, labels, .. } = self;
        if !metrics.contains_key(metric) {
            metrics.insert(metric.into(), MetricEntry::default());
        }
        let Some(entry) = metrics.get_mut(metric) else { return };
        entry.series += 1;
        let own = labels.name_number(METRIC_NAME);
        for name in labels.pairs(position).map(|pair| pair.name).filter(|name| Some(*name) != own) {
            if let Err(at) = entry.names.binary_search(&name) {
                entry.names.insert(at, name);
            }
        }
    }

    fn meta(&self, metric: &str) -> Option<Arc<MetricMeta>> {
        let of = |name: &str| self.metrics.get(name).and_then(|entry| entry.meta.clone());
        of(metric).or_else(|| {
            let mut families = FAMILY_SUFFIXES.iter().filter_map(|suffix| metric.strip_suffix(suffix));
            families.find_map(of)
        })
    }

    fn metric(&self, name: &Arc<str>, entry: &MetricEntry) -> Metric {
        Metric {
            name: Arc::clone(name),
            metric_id: ids::metric_id(name),
            meta: self.meta(name).unwrap_or_default(),
            series: entry.series,
        }
    }
}
