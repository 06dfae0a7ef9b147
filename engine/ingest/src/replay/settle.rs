//! Samples and native histograms of both sides, some at a time: compared, and drafted.

use std::ops::Range;

use isinglass_model::labels::LabelSet;
use isinglass_store::{StoreError, StoredHistogram, StoredSample};

use super::compare::{BySeries, Comparison};
use super::histogram::Histogram;
use super::pending::Pending;
use super::run::{Run, SLICE_MS_MIN};
use super::{ReplayError, Sample};

/// What is stored of a time.
pub(super) struct Slice {
    pub(super) samples: Vec<StoredSample>,
    pub(super) histograms: Vec<StoredHistogram>,
    /// The first millisecond after it.
    pub(super) until_ms: i64,
}

impl Run<'_> {
    /// What is stored from a time on, as much as fits.
    pub(super) async fn slice(&mut self, from_ms: i64, end_ms: i64) -> Result<Slice, ReplayError> {
        loop {
            let until_ms = end_ms.min(from_ms.saturating_add(self.slice_ms));
            match self.stored_within(from_ms..until_ms).await {
                Err(StoreError::Dense { .. }) if until_ms - from_ms > SLICE_MS_MIN => {
                    self.slice_ms = ((until_ms - from_ms) / 4).max(SLICE_MS_MIN);
                }
                found => {
                    let (samples, histograms) = found?;
                    return Ok(Slice { samples, histograms, until_ms });
                }
            }
        }
    }

    async fn stored_within(
        &self,
        time_ms: Range<i64>,
    ) -> Result<(Vec<StoredSample>, Vec<StoredHistogram>), StoreError> {
        let limit = self.memory / size_of::<StoredSample>();
        let samples = self.stored.samples_of(&self.replaced_ids, time_ms.clone(), limit).await?;
        let left = self.memory.saturating_sub(samples.len() * size_of::<StoredSample>());
        let histograms = self.stored.histograms_of(&self.replaced_ids, time_ms, left).await?;
        Ok((samples, histograms))
    }

    /// Compares and drafts what is pending of the time before `end_ms`.
    pub(super) async fn settle(&mut self, end_ms: i64) -> Result<(), ReplayError> {
        while self.pending_from_ms < end_ms {
            let stored = self.slice(self.pending_from_ms, end_ms).await?;
            let until = stored.until_ms;
            let stored = self.by_series(stored)?;
            // A stale marker lies right behind the last sample, which may be beyond.
            let (pending, later) = std::mem::take(&mut self.pending).split(until);
            self.pending = later;
            let Some(work) = self.work.as_ref() else { return Ok(()) };
            let replayed = made_by_series(&pending, &work.derivation.series, &mut self.comparison)?;
            self.comparison.take(stored, replayed);
            if let Some(writing) = &mut self.writing {
                writing.add(pending, &work.derivation.series).await?;
            }
            self.pending_from_ms = until;
        }
        Ok(())
    }

    fn by_series(&mut self, stored: Slice) -> Result<BySeries, ReplayError> {
        let mut by_series = BySeries::default();
        for sample in stored.samples {
            if let Some(place) = self.place_of(sample.series_id, false)? {
                by_series.samples.entry(place).or_default().push(sample.into());
            }
        }
        for histogram in stored.histograms {
            if let Some(place) = self.place_of(histogram.series_id, true)? {
                by_series.histograms.entry(place).or_default().push(histogram.into());
            }
        }
        Ok(by_series)
    }

    /// The place of a stored series; `None` if nobody knows its labels.
    fn place_of(&mut self, series_id: i64, native: bool) -> Result<Option<usize>, ReplayError> {
        if let Some(place) = self.places.get(&(series_id, native)) {
            return Ok(*place);
        }
        let comparison = &mut self.comparison;
        let series = self.stored.series().by_id(series_id);
        let place = series.map(|series| match native {
            true => comparison.native_place(&series.labels),
            false => comparison.place(&series.labels),
        });
        let place = place.transpose()?;
        self.places.insert((series_id, native), place);
        Ok(place)
    }
}

/// What was made, in the order of time.
fn made_by_series(
    pending: &Pending,
    series: &[LabelSet],
    comparison: &mut Comparison,
) -> Result<BySeries, ReplayError> {
    let mut made = BySeries::default();
    let Pending { samples, histograms, .. } = pending;
    for (row, of) in samples.series.iter().enumerate() {
        let Some(labels) = series.get(of.0 as usize) else { continue };
        let (time_ms, value, start_ms) = (samples.time_ms[row], samples.value[row], samples.start_ms_at(row));
        let place = comparison.place(labels)?;
        made.samples.entry(place).or_default().push(Sample { time_ms, value, start_ms });
    }
    for row in histograms {
        let Some(labels) = series.get(row.series.0 as usize) else { continue };
        made.histograms.entry(comparison.native_place(labels)?).or_default().push(Histogram::from(row));
    }
    made.samples.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.time_ms));
    made.histograms.values_mut().for_each(|histograms| histograms.sort_by_key(|one| one.time_ms));
    Ok(made)
}
