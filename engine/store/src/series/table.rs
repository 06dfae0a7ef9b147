//! The series table of one tenant.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};

use hashbrown::{HashMap, HashTable};
use isinglass_model::ids;
use isinglass_model::labels::LabelSet;
use isinglass_model::series::{Fingerprint, Judgement, MetricMeta, Refusal, ResolveError, SeriesRef};
use parking_lot::RwLock;

use super::days::Days;
use super::fingerprints::Fingerprints;
use super::grow::Grow;
use super::index::{Metric, Series};

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
    /// Whether a record or a table has it: then its labels stay for ever.
    stored: AtomicBool,
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
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    series: Vec<Arc<Series>>,
    by_labels: HashTable<SeriesRef>,
    by_id: HashMap<i64, SeriesRef, ahash::RandomState>,
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
    series: Vec<SeriesRef>,
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
            inner: RwLock::default(),
        }
    }

    pub(crate) fn salt(&self) -> u64 {
        self.salt
    }

    /// Series in memory.
    pub(crate) fn len(&self) -> usize {
        self.inner.read().series.len()
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
        let mut inner = self.inner.write();
        let wanted = ids::series_id(&labels);
        let series = match inner.find(wanted, &labels) {
            Some(series) => series,
            None if self.is_full(&inner) => {
                return Err(ResolveError::TooManySeries { limit: self.active_max });
            }
            None => {
                inner.active += 1;
                let id = inner.free_id(wanted);
                self.add(&mut inner, id, labels)
            }
        };
        self.fingerprints.insert(fingerprint, series);
        Ok(series)
    }

    fn is_full(&self, inner: &Inner) -> bool {
        inner.active >= self.active_max
            || inner.series.len() >= self.active_max.saturating_mul(TOTAL_PER_ACTIVE)
            || inner.label_bytes
                >= self.active_max.saturating_mul(LABEL_BYTES_PER_ACTIVE).max(4 * REFUSED_BYTES_MAX)
    }

    /// Adds a label set that is made of stored ones, or finds it. The cap does not apply.
    pub(crate) fn make(&self, labels: LabelSet) -> SeriesRef {
        let mut inner = self.inner.write();
        let wanted = ids::series_id(&labels);
        match inner.find(wanted, &labels) {
            Some(series) => series,
            None => {
                let id = inner.free_id(wanted);
                self.add(&mut inner, id, labels)
            }
        }
    }

    /// Adds a series that has its id already: it was read from the table `series`
    /// or from the WAL. Both are ours, so the cap does not apply.
    pub(crate) fn restore(&self, series_id: i64, labels: LabelSet) -> SeriesRef {
        let mut inner = self.inner.write();
        let series = match inner.by_id.get(&series_id) {
            Some(series) => *series,
            None => self.add(&mut inner, series_id, labels),
        };
        self.mark_stored(series);
        series
    }

    /// A record that is in the log holds the labels of this series.
    pub(crate) fn mark_stored(&self, series: SeriesRef) {
        if let Some(slot) = self.slots.get(series.0 as usize) {
            slot.stored.store(true, Ordering::Release);
        }
    }

    fn is_stored(&self, series: SeriesRef) -> bool {
        self.slots.get(series.0 as usize).is_none_or(|slot| slot.stored.load(Ordering::Acquire))
    }

    fn add(&self, inner: &mut Inner, series_id: i64, labels: LabelSet) -> SeriesRef {
        let series = SeriesRef(u32::try_from(inner.series.len()).unwrap_or(u32::MAX));
        let metric_id = ids::metric_id(labels.metric());
        if let Some(slot) = self.slots.at(series.0 as usize) {
            slot.metric_id.store(metric_id, Ordering::Relaxed);
            slot.series_id.store(series_id, Ordering::Relaxed);
        }
        let hash = ids::series_id(&labels).cast_unsigned();
        inner.label_bytes += labels.as_bytes().len();
        let Inner { series: all, by_labels, by_id, metrics, .. } = inner;
        match metrics.get_mut(labels.metric()) {
            Some(entry) => entry.series.push(series),
            None => {
                metrics.entry(labels.metric().into()).or_default().series.push(series);
            }
        }
        all.push(Arc::new(Series { series, metric_id, series_id, labels }));
        by_id.insert(series_id, series);
        by_labels.insert_unique(hash, series, |known| hash_of(all, *known));
        series
    }

    /// The ref of a stored id.
    pub(crate) fn by_id(&self, series_id: i64) -> Option<SeriesRef> {
        self.inner.read().by_id.get(&series_id).copied()
    }

    /// The refs of stored ids, under one lock; `None` where one is not known.
    pub(crate) fn refs(&self, series_ids: &[i64]) -> Vec<Option<SeriesRef>> {
        let inner = self.inner.read();
        series_ids.iter().map(|id| inner.by_id.get(id).copied()).collect()
    }

    pub(crate) fn series(&self, series: SeriesRef) -> Option<Arc<Series>> {
        self.inner.read().series.get(series.0 as usize).cloned()
    }

    /// Several at once, under one lock.
    pub(crate) fn series_of(&self, refs: impl Iterator<Item = SeriesRef>) -> Vec<Arc<Series>> {
        let inner = self.inner.read();
        refs.filter_map(|series| inner.series.get(series.0 as usize).cloned()).collect()
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
            inner.forget(oldest, self.is_stored(oldest));
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
        let with_series = inner.metrics.iter().filter(|(_, entry)| !entry.series.is_empty());
        with_series.map(|(name, entry)| inner.metric(name, entry)).collect()
    }

    pub(crate) fn metric(&self, name: &str) -> Option<Metric> {
        let inner = self.inner.read();
        let (name, entry) = inner.metrics.get_key_value(name)?;
        (!entry.series.is_empty()).then(|| inner.metric(name, entry))
    }

    pub(crate) fn of_metric(&self, name: &str) -> Vec<Arc<Series>> {
        let inner = self.inner.read();
        let refs = inner.metrics.get(name).map(|entry| entry.series.as_slice()).unwrap_or_default();
        refs.iter().filter_map(|series| inner.series.get(series.0 as usize).cloned()).collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Series>> {
        self.inner.read().series.clone()
    }
}

fn hash_of(series: &[Arc<Series>], of: SeriesRef) -> u64 {
    series.get(of.0 as usize).map_or(0, |series| ids::series_id(&series.labels).cast_unsigned())
}

/// What OpenMetrics appends to the name of a family.
const FAMILY_SUFFIXES: [&str; 6] = ["_bucket", "_count", "_sum", "_total", "_info", "_created"];

impl Inner {
    fn find(&self, hash: i64, labels: &LabelSet) -> Option<SeriesRef> {
        let same = |known: &SeriesRef| self.series.get(known.0 as usize).is_some_and(|s| s.labels == *labels);
        self.by_labels.find(hash.cast_unsigned(), same).copied()
    }

    /// The wanted id, or the next one that no other label set has.
    fn free_id(&self, wanted: i64) -> i64 {
        let mut id = wanted;
        while self.by_id.contains_key(&id) {
            id = id.wrapping_add(1);
        }
        id
    }

    fn note_refused(&mut self, series: SeriesRef) {
        if let Some(entry) = self.series.get(series.0 as usize) {
            self.refused_bytes += entry.labels.as_bytes().len();
            self.refused.push_back(series);
        }
    }

    /// Lets go of the labels of a refused series, unless it was stored under other
    /// validators. Its ref and its verdict stay.
    fn forget(&mut self, series: SeriesRef, stored: bool) {
        let Some(entry) = self.series.get(series.0 as usize).cloned() else {
            return;
        };
        let bytes = entry.labels.as_bytes().len();
        self.refused_bytes = self.refused_bytes.saturating_sub(bytes);
        let Ok(nothing) = LabelSet::new(&mut [], entry.labels.temporality()) else {
            return;
        };
        if stored {
            return;
        }
        self.label_bytes = self.label_bytes.saturating_sub(bytes);
        self.active = self.active.saturating_sub(1);
        self.by_id.remove(&entry.series_id);
        let hash = ids::series_id(&entry.labels).cast_unsigned();
        if let Ok(known) = self.by_labels.find_entry(hash, |known| *known == series) {
            known.remove();
        }
        let metric = entry.labels.metric();
        if let Some(of_metric) = self.metrics.get_mut(metric) {
            of_metric.series.retain(|known| *known != series);
            if of_metric.series.is_empty() && of_metric.meta.is_none() {
                self.metrics.remove(metric);
            }
        }
        self.series[series.0 as usize] = Arc::new(Series { labels: nothing, ..(*entry).clone() });
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
            series: entry.series.len(),
        }
    }
}
