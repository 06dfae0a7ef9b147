//! What the chain said of each series, and letting go of what it does not keep.
//!
//! A label set is judged by validators; that is its state. Where there are transformers, it is
//! shown to them first when it comes over the wire; what they make of it is its arrival. A
//! label set that they make may come over the wire too, and is shown to them then.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use isinglass_model::ids;
use isinglass_model::series::{Judgement, Known, Refusal, SeriesRef};

use super::table::{Inner, SeriesTable};

/// Bytes of refused label sets that are remembered for the text of the next refusal.
/// Beyond that the oldest are forgotten; that they are refused is not.
pub(super) const REFUSED_BYTES_MAX: usize = 4 << 20;

const KEEP: u32 = 1;
const REJECT: u32 = 2;
const STATES: u32 = 4;

const UNCHANGED: u32 = 1;
const CHANGED: u32 = 2;
const GENERATION: u32 = 16;

/// What transformers make of a label set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// It stays as it is.
    Unchanged,
    /// It becomes another.
    Becomes(SeriesRef),
    /// It goes.
    Refused(Arc<Refusal>),
}

impl SeriesTable {
    /// What the chain said of a series.
    #[inline]
    pub(crate) fn judgement(&self, series: SeriesRef) -> Judgement {
        let verdict =
            self.slots.get(series.0 as usize).map_or(0, |slot| slot.verdict.load(Ordering::Acquire));
        if verdict / GENERATION != self.verdict_generation.load(Ordering::Acquire) {
            return Judgement::Pending;
        }
        match verdict % STATES {
            KEEP => Judgement::Keep,
            REJECT => {
                let refusal = self.inner.read().refusals.get(&series).cloned();
                refusal.map_or(Judgement::Pending, Judgement::Reject)
            }
            _ => Judgement::Pending,
        }
    }

    /// The series that rows of a label set go to that came over the wire, and what was said
    /// of that. Pending where not all of it is known: then it is the label set as it came.
    pub(crate) fn arrival(&self, series: SeriesRef) -> Known {
        let pending = Known { series, judgement: Judgement::Pending };
        let verdict =
            self.slots.get(series.0 as usize).map_or(0, |slot| slot.verdict.load(Ordering::Acquire));
        if verdict / GENERATION != self.verdict_generation.load(Ordering::Acquire) {
            return pending;
        }
        let known = |series| Known { series, judgement: self.judgement(series) };
        match verdict / STATES % STATES {
            UNCHANGED => known(series),
            CHANGED => {
                let arrival = self.inner.read().arrivals.get(&series).cloned();
                match arrival {
                    Some(Arrival::Refused(refusal)) => {
                        Known { series, judgement: Judgement::Reject(refusal) }
                    }
                    Some(Arrival::Becomes(other)) => Some(known(other))
                        .filter(|known| known.judgement != Judgement::Pending)
                        .unwrap_or(pending),
                    _ => pending,
                }
            }
            _ => pending,
        }
    }

    /// Whether its labels were let go of.
    pub(crate) fn is_forgotten(&self, series: SeriesRef) -> bool {
        !self.is_stored(series) && !self.inner.read().loose.contains_key(&series) && !self.is_stored(series)
    }

    /// Makes what was said under another digest of the chain void.
    pub(crate) fn judge_under(&self, digest: &str) {
        if self.inner.read().digest != digest {
            self.renew(&mut self.inner.write(), digest);
        }
    }

    fn renew(&self, inner: &mut Inner, digest: &str) {
        if inner.digest != digest {
            digest.clone_into(&mut inner.digest);
            inner.refusals.clear();
            inner.arrivals.clear();
            self.verdict_generation.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Notes what transformers made of label sets, under a digest of the chain.
    pub(crate) fn arrived(&self, arrivals: &[(SeriesRef, Arrival)], digest: &str) {
        let mut inner = self.inner.write();
        self.renew(&mut inner, digest);
        let generation = self.verdict_generation.load(Ordering::Acquire).wrapping_mul(GENERATION);
        for (series, arrival) in arrivals {
            let Some(slot) = self.slots.get(series.0 as usize) else { continue };
            let verdict = slot.verdict.load(Ordering::Acquire);
            let state = if verdict / GENERATION * GENERATION == generation { verdict % STATES } else { 0 };
            let of_arrival = match arrival {
                Arrival::Unchanged => UNCHANGED,
                _ => {
                    let known = inner.arrivals.insert(*series, arrival.clone()).is_some();
                    if !known && !self.is_stored(*series) {
                        inner.note_refused(*series);
                    }
                    CHANGED
                }
            };
            slot.verdict.store(generation + of_arrival * STATES + state, Ordering::Release);
        }
        self.let_go(&mut inner);
    }

    /// Notes verdicts under a digest of the chain; under a new one all earlier
    /// verdicts are void.
    pub(crate) fn judge(&self, verdicts: &[(SeriesRef, Judgement)], digest: &str) {
        let mut inner = self.inner.write();
        self.renew(&mut inner, digest);
        let generation = self.verdict_generation.load(Ordering::Acquire).wrapping_mul(GENERATION);
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
                let verdict = slot.verdict.load(Ordering::Acquire);
                let same = verdict / GENERATION * GENERATION == generation;
                let arrival = if same { verdict / STATES % STATES } else { 0 };
                slot.verdict.store(generation + arrival * STATES + state, Ordering::Release);
            }
        }
        self.let_go(&mut inner);
    }

    fn let_go(&self, inner: &mut Inner) {
        while inner.refused_bytes > REFUSED_BYTES_MAX
            && let Some(oldest) = inner.refused.pop_front()
        {
            self.forget(inner, oldest);
        }
    }

    fn judgement_in(&self, series: SeriesRef) -> u32 {
        let verdict =
            self.slots.get(series.0 as usize).map_or(0, |slot| slot.verdict.load(Ordering::Acquire));
        let current = verdict / GENERATION == self.verdict_generation.load(Ordering::Acquire);
        if current { verdict % STATES } else { 0 }
    }

    /// Lets go of the labels of a refused series, unless it was stored under other
    /// validators. Its ref and its verdict stay.
    fn forget(&self, inner: &mut Inner, series: SeriesRef) {
        if self.judgement_in(series) == KEEP {
            // Transformers made it of another one, and a request may be about to store it.
            let bytes = inner.loose.get(&series).map_or(0, |labels| labels.as_bytes().len());
            inner.refused_bytes = inner.refused_bytes.saturating_sub(bytes);
            return;
        }
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
        let (metric_id, series_id) = self.ids(series);
        inner.active.remove(metric_id);
        let hash = ids::series_id(&labels);
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

impl Inner {
    fn note_refused(&mut self, series: SeriesRef) {
        if let Some(labels) = self.loose.get(&series) {
            self.refused_bytes += labels.as_bytes().len();
            self.refused.push_back(series);
        }
    }
}
