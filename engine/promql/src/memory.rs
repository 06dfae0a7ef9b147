//! A source in memory: for tests, and for series that an evaluation makes itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::histogram::Histogram;
use crate::labels::Labels;
use crate::matching::Matchers;
use crate::source::{HistogramSample, Selection, SeriesSamples, SeriesStream, Source};

/// Series in memory.
#[derive(Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Arc<Stored>>,
}

#[derive(Debug, Clone, Default)]
struct Stored {
    times: Vec<i64>,
    values: Vec<f64>,
    starts: Vec<i64>,
    histograms: Vec<HistogramSample>,
}

impl MemorySource {
    /// Adds a float, or a stale marker; a float at its time is replaced. 0 = no start time.
    pub fn add_float(&mut self, labels: &Labels, time_ms: i64, start_ms: i64, value: f64) {
        let stored = self.stored(labels);
        let at = stored.times.partition_point(|time| *time < time_ms);
        if stored.times.get(at) == Some(&time_ms) {
            (stored.values[at], stored.starts[at]) = (value, start_ms);
        } else {
            stored.times.insert(at, time_ms);
            stored.values.insert(at, value);
            stored.starts.insert(at, start_ms);
        }
    }

    /// Adds a series of floats, times rising, in place of what there was of it.
    pub fn add_floats(&mut self, labels: &Labels, times: Vec<i64>, values: Vec<f64>) {
        debug_assert!(times.is_sorted() && times.len() == values.len(), "samples by time");
        let starts = vec![0; times.len()];
        let stored = self.stored(labels);
        (stored.times, stored.values, stored.starts) = (times, values, starts);
    }

    /// Adds a histogram.
    pub fn add_histogram(&mut self, labels: &Labels, time_ms: i64, start_ms: i64, histogram: Arc<Histogram>) {
        let stored = self.stored(labels);
        let at = stored.histograms.partition_point(|sample| sample.time_ms < time_ms);
        stored.histograms.insert(at, HistogramSample { time_ms, start_ms, histogram });
    }

    fn stored(&mut self, labels: &Labels) -> &mut Stored {
        Arc::make_mut(self.series.entry(labels.clone()).or_default())
    }
}

impl Source for MemorySource {
    fn select(&self, selection: &Selection, parts: usize) -> Result<Vec<Box<dyn SeriesStream>>> {
        let matchers = Matchers::new(&selection.matchers)?;
        let found = self.series.iter().filter(|(labels, _)| matchers.matches(labels));
        let found: Vec<_> = found.map(|(labels, stored)| (labels.clone(), Arc::clone(stored))).collect();
        let each = found.len().div_ceil(parts.max(1)).max(1);
        let stream = |part: &[(Labels, Arc<Stored>)]| {
            let series = part.to_vec().into_iter();
            let within = (selection.after_ms, selection.until_ms);
            Box::new(MemoryStream { series, within, current: None }) as Box<dyn SeriesStream>
        };
        Ok(found.chunks(each).map(stream).collect())
    }
}

struct MemoryStream {
    series: std::vec::IntoIter<(Labels, Arc<Stored>)>,
    within: (i64, i64),
    current: Option<(Labels, Arc<Stored>)>,
}

impl SeriesStream for MemoryStream {
    fn next(&mut self) -> Result<Option<SeriesSamples<'_>>> {
        let (after, until) = self.within;
        for (labels, stored) in self.series.by_ref() {
            let floats = cut(&stored.times, after, until, |time| *time);
            let histograms = cut(&stored.histograms, after, until, |sample| sample.time_ms);
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            let (labels, stored) = self.current.insert((labels, stored));
            return Ok(Some(SeriesSamples {
                labels,
                times: &stored.times[floats.clone()],
                values: &stored.values[floats.clone()],
                starts: &stored.starts[floats],
                histograms: &stored.histograms[histograms],
            }));
        }
        Ok(None)
    }
}

fn cut<T>(all: &[T], after: i64, until: i64, time: impl Fn(&T) -> i64) -> std::ops::Range<usize> {
    let start = all.partition_point(|one| time(one) <= after);
    start..all.partition_point(|one| time(one) <= until).max(start)
}
