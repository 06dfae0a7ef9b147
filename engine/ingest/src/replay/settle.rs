//! Samples of both sides, some at a time: compared, and drafted.

use isinglass_model::batch::SampleBatch;
use isinglass_store::{StoreError, StoredSample};

use super::compare::BySeries;
use super::run::{Run, SLICE_MS_MIN};
use super::{ReplayError, Sample};

impl Run<'_> {
    /// Stored samples from a time on, as many as fit, and up to where they are.
    pub(super) async fn slice(
        &mut self,
        from_ms: i64,
        end_ms: i64,
    ) -> Result<(Vec<StoredSample>, i64), ReplayError> {
        let limit = self.memory / size_of::<StoredSample>();
        loop {
            let until = end_ms.min(from_ms.saturating_add(self.slice_ms));
            let found = self.stored.samples_of(&self.replaced_ids, from_ms..until, limit).await;
            match found {
                Err(StoreError::Dense { .. }) if until - from_ms > SLICE_MS_MIN => {
                    self.slice_ms = ((until - from_ms) / 4).max(SLICE_MS_MIN);
                }
                found => return Ok((found?, until)),
            }
        }
    }

    /// Compares and drafts what is pending of the time before `end_ms`.
    pub(super) async fn settle(&mut self, end_ms: i64) -> Result<(), ReplayError> {
        while self.pending_from_ms < end_ms {
            let (stored, until) = self.slice(self.pending_from_ms, end_ms).await?;
            let stored = self.by_series(stored)?;
            // A stale marker lies right behind the last sample, which may be beyond.
            let (pending, later) = split(std::mem::take(&mut self.pending), until);
            self.pending = later;
            let Some(work) = self.work.as_ref() else { return Ok(()) };
            let mut replayed = BySeries::default();
            for (row, of) in pending.series.iter().enumerate() {
                let Some(labels) = work.derivation.series.get(of.0 as usize) else { continue };
                let sample = Sample {
                    time_ms: pending.time_ms[row],
                    value: pending.value[row],
                    start_ms: pending.start_ms_at(row),
                };
                replayed.entry(self.comparison.place(labels)?).or_default().push(sample);
            }
            replayed.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.time_ms));
            self.comparison.take(stored, replayed);
            if let Some(writing) = &mut self.writing {
                writing.add(pending, &work.derivation.series).await?;
            }
            self.pending_from_ms = until;
        }
        Ok(())
    }

    fn by_series(&mut self, samples: Vec<StoredSample>) -> Result<BySeries, ReplayError> {
        let mut by_series = BySeries::default();
        for sample in samples {
            let place = match self.places.get(&sample.series_id) {
                Some(place) => *place,
                None => {
                    let series = self.stored.series().by_id(sample.series_id);
                    let place = series.map(|series| self.comparison.place(&series.labels)).transpose()?;
                    self.places.insert(sample.series_id, place);
                    place
                }
            };
            if let Some(place) = place {
                by_series.entry(place).or_insert_with(Vec::new).push(sample.into());
            }
        }
        Ok(by_series)
    }
}

/// Samples before a time, and the others.
fn split(samples: SampleBatch, time_ms: i64) -> (SampleBatch, SampleBatch) {
    let (mut before, mut later) = (SampleBatch::default(), SampleBatch::default());
    for (row, series) in samples.series.iter().enumerate() {
        let time = samples.time_ms[row];
        let part = if time < time_ms { &mut before } else { &mut later };
        part.push(*series, time, samples.value[row], samples.start_ms_at(row));
    }
    (before, later)
}
