//! What the validators said of each series, and letting go of what they refused.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use isinglass_model::ids;
use isinglass_model::series::{Judgement, SeriesRef};

use super::table::{Inner, SeriesTable};

/// Bytes of refused label sets that are remembered for the text of the next refusal.
/// Beyond that the oldest are forgotten; that they are refused is not.
pub(super) const REFUSED_BYTES_MAX: usize = 4 << 20;

const KEEP: u32 = 1;
const REJECT: u32 = 2;

impl SeriesTable {
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

impl Inner {
    fn note_refused(&mut self, series: SeriesRef) {
        if let Some(labels) = self.loose.get(&series) {
            self.refused_bytes += labels.as_bytes().len();
            self.refused.push_back(series);
        }
    }
}
