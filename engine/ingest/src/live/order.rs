//! Samples too far behind the newest of their series, and other values at its time.

use hashbrown::HashMap;
use isinglass_model::batch::{HistogramBatch, SampleBatch};
use isinglass_model::reason::code;
use isinglass_model::series::SeriesRef;
use isinglass_model::verdict::Verdicts;
use isinglass_store::Life;

use super::refusals::Refusals;
use crate::limits::TenantLimits;

/// A time in milliseconds, and the bits of the value at it; histograms have none.
type Last = (i64, Option<u64>);

/// The newest sample of each series; as many as there may be series.
#[derive(Default)]
pub(super) struct Order {
    /// The life of the tenant in which the series mean something.
    life: Life,
    last: Vec<Last>,
}

/// The newest samples of a request.
pub(super) type Newest = HashMap<SeriesRef, Last, ahash::RandomState>;

const NEVER: Last = (i64::MIN, None);

impl Order {
    pub(super) fn judge_samples(
        &self,
        life: Life,
        samples: &SampleBatch,
        limits: &TenantLimits,
        newest: &mut Newest,
    ) -> Verdicts {
        let mut refusals = Refusals::of(samples.len());
        for (row, series) in samples.series.iter().enumerate() {
            let value = Some(samples.value[row].to_bits());
            self.judge(life, row, *series, (samples.time_ms[row], value), limits, newest, &mut refusals);
        }
        refusals.into_verdicts()
    }

    pub(super) fn judge_histograms(
        &self,
        life: Life,
        histograms: &HistogramBatch,
        limits: &TenantLimits,
        newest: &mut Newest,
    ) -> Verdicts {
        let mut refusals = Refusals::of(histograms.len());
        for (row, histogram) in histograms.rows.iter().enumerate() {
            self.judge(life, row, histogram.series, (histogram.time_ms, None), limits, newest, &mut refusals);
        }
        refusals.into_verdicts()
    }

    #[expect(clippy::too_many_arguments, reason = "a row of a batch, and what it is held against")]
    fn judge(
        &self,
        life: Life,
        row: usize,
        series: SeriesRef,
        sample: Last,
        limits: &TenantLimits,
        newest: &mut Newest,
        refusals: &mut Refusals,
    ) {
        let max = limits.sample_behind_max_ms;
        let last = newest.entry(series).or_insert_with(|| self.last(life, series));
        let ((time, value), (newest, newest_value)) = (sample, *last);
        if time < newest.saturating_sub(max) {
            refusals.refuse(row, code::SAMPLE_OUT_OF_ORDER, || {
                let behind = newest.saturating_sub(time);
                format!("time {time} lies {behind} ms behind the newest sample of its series, the limit is {max} (sample_behind_max_ms)")
            });
        } else if time == newest && value != newest_value && value.is_some() && newest_value.is_some() {
            refusals.refuse(row, code::SAMPLE_DUPLICATE_TIMESTAMP, || {
                format!("the series has another value at time {time} (sample_behind_max_ms)")
            });
        } else if time >= newest {
            *last = sample;
        }
    }

    fn last(&self, life: Life, series: SeriesRef) -> Last {
        let known = if self.life == life { self.last.get(series.0 as usize) } else { None };
        known.copied().unwrap_or(NEVER)
    }

    /// These samples are stored.
    pub(super) fn advance(&mut self, life: Life, newest: &Newest) {
        if self.life != life {
            *self = Self { life, last: Vec::new() };
        }
        for (series, sample) in newest.iter().filter(|(_, sample)| **sample != NEVER) {
            let at = series.0 as usize;
            if at >= self.last.len() {
                self.last.resize(at + 1, NEVER);
            }
            if sample.0 >= self.last[at].0 {
                self.last[at] = *sample;
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.last.is_empty()
    }
}
