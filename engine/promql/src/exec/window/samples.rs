//! The samples of a series, and those of one window.

use super::{Out, WindowFunction};
use crate::error::Result;
use crate::exec::{Context, subquery};
use crate::grid::Grid;
use crate::histogram::{Histogram, compared_hint};
use crate::plan::{WindowInput, reference};
use crate::source::{HistogramSample, Selection, SeriesSamples};
use crate::value::{Point, Sample, Series, is_stale};

/// The samples of a series without stale markers.
#[derive(Debug, Default)]
pub(in crate::exec) struct Collected {
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
    /// Start times of floats, empty where none is known.
    pub(super) starts: Vec<i64>,
    pub(super) histograms: Vec<HistogramSample>,
    /// For each float the sum of what counters lost before it, filled when it is wanted.
    lost: std::cell::OnceCell<Vec<f64>>,
}

impl Collected {
    /// Takes the samples of a series over.
    pub(in crate::exec) fn take(&mut self, samples: &SeriesSamples<'_>) {
        self.clear();
        self.histograms.extend_from_slice(samples.histograms);
        if samples.values.iter().any(|value| is_stale(*value)) {
            for (at, (time, value)) in samples.times.iter().zip(samples.values).enumerate() {
                if !is_stale(*value) {
                    self.times.push(*time);
                    self.values.push(*value);
                    self.starts.extend(samples.starts.get(at));
                }
            }
        } else {
            self.times.extend_from_slice(samples.times);
            self.values.extend_from_slice(samples.values);
            self.starts.extend_from_slice(samples.starts);
        }
        if self.starts.iter().all(|start| *start == 0) {
            self.starts.clear();
        }
    }

    /// Compares histograms that do not say whether they were reset.
    pub(in crate::exec) fn compare_hints(&mut self) {
        compare_hints(&mut self.histograms);
    }

    pub(in crate::exec) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
        self.histograms.clear();
        self.lost.take();
    }

    /// Adds a float that is later than all.
    pub(in crate::exec) fn push_float(&mut self, time_ms: i64, value: f64) {
        self.times.push(time_ms);
        self.values.push(value);
    }

    /// Adds a histogram that is later than all.
    pub(in crate::exec) fn push_histogram(&mut self, sample: HistogramSample) {
        self.histograms.push(sample);
    }

    /// What rates need of floats whose start times say nothing: any window is then answered from
    /// its two ends.
    pub(super) fn steady(&self, function: WindowFunction, looks_around: bool) -> Option<&[f64]> {
        use WindowFunction as F;
        let fits = matches!(function, F::Rate | F::Increase | F::Delta);
        let plain = self.starts.is_empty() && self.histograms.is_empty() && !looks_around;
        (fits && plain).then(|| self.lost.get_or_init(|| lost(&self.values)).as_slice())
    }
}

/// Compares histograms that do not say whether they were reset with those before them.
pub(in crate::exec) fn compare_hints(histograms: &mut [HistogramSample]) {
    for at in 1..histograms.len() {
        let (before, sample) = (&histograms[at - 1].histogram, &histograms[at].histogram);
        let hint = compared_hint(before, sample);
        if hint != sample.reset_hint {
            let mut changed = Histogram::clone(sample);
            changed.reset_hint = hint;
            histograms[at].histogram = std::sync::Arc::new(changed);
        }
    }
}

/// Before each float, how much the counter had lost by then.
fn lost(values: &[f64]) -> Vec<f64> {
    let mut lost = 0.0;
    let mut before = f64::NEG_INFINITY;
    let add = |value: &f64| {
        if *value < before {
            lost += before;
        }
        before = *value;
        lost
    };
    values.iter().map(add).collect()
}

/// Where a window lies in the samples of a series. Windows only move on.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    floats: (usize, usize),
    histograms: (usize, usize),
}

impl Bounds {
    /// To the samples in `(after, until]`.
    pub(super) fn move_to(&mut self, samples: &Collected, after_ms: i64, until_ms: i64) {
        let time = |sample: &HistogramSample| sample.time_ms;
        advance(&samples.times, &mut self.floats, (after_ms, until_ms), |time| *time);
        advance(&samples.histograms, &mut self.histograms, (after_ms, until_ms), time);
    }

    pub(super) fn view<'a>(&self, of: &'a Collected, start_ms: i64, end_ms: i64) -> View<'a> {
        let floats = self.floats.0..self.floats.1;
        View {
            first: floats.start,
            times: &of.times[floats.clone()],
            values: &of.values[floats.clone()],
            starts: of.starts.get(floats).unwrap_or_default(),
            histograms: &of.histograms[self.histograms.0..self.histograms.1],
            start_ms,
            end_ms,
        }
    }
}

#[inline]
fn advance<T>(all: &[T], bounds: &mut (usize, usize), (after, until): (i64, i64), time: impl Fn(&T) -> i64) {
    while all.get(bounds.0).is_some_and(|one| time(one) <= after) {
        bounds.0 += 1;
    }
    bounds.1 = bounds.1.max(bounds.0);
    while all.get(bounds.1).is_some_and(|one| time(one) <= until) {
        bounds.1 += 1;
    }
}

/// The samples of a window; of functions that look around it, those around it, too.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    /// The number of the first float in its series.
    pub(super) first: usize,
    pub(super) times: &'a [i64],
    pub(super) values: &'a [f64],
    /// Start times of floats, empty where none is known.
    pub(super) starts: &'a [i64],
    pub(super) histograms: &'a [HistogramSample],
    /// The window is later than this, milliseconds.
    pub(super) start_ms: i64,
    /// And up to this.
    pub(super) end_ms: i64,
}

impl View<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty() && self.histograms.is_empty()
    }

    pub(super) fn last(&self) -> Out {
        match (self.times.last(), self.histograms.last()) {
            (Some(time), Some(histogram)) if histogram.time_ms > *time => {
                Out::Shared(histogram.histogram.clone())
            }
            (Some(_), _) => Out::Float(self.values[self.values.len() - 1]),
            (None, Some(histogram)) => Out::Shared(histogram.histogram.clone()),
            (None, None) => Out::None,
        }
    }

    pub(super) fn first(&self) -> Out {
        match (self.times.first(), self.histograms.first()) {
            (Some(time), Some(histogram)) if histogram.time_ms < *time => {
                Out::Shared(histogram.histogram.clone())
            }
            (Some(_), _) => Out::Float(self.values[0]),
            (None, Some(histogram)) => Out::Shared(histogram.histogram.clone()),
            (None, None) => Out::None,
        }
    }

    pub(super) fn last_time(&self) -> i64 {
        let histogram = self.histograms.last().map(|sample| sample.time_ms);
        self.times.last().copied().max(histogram).unwrap_or_default()
    }

    pub(super) fn first_time(&self) -> i64 {
        let histogram = self.histograms.first().map(|sample| sample.time_ms);
        match (self.times.first().copied(), histogram) {
            (Some(one), Some(other)) => one.min(other),
            (one, other) => one.or(other).unwrap_or_default(),
        }
    }
}

/// The samples of a window themselves.
pub(super) fn matrix(
    input: &WindowInput,
    range_ms: i64,
    time_ms: i64,
    cx: &Context<'_>,
) -> Result<Vec<Series>> {
    let mut all = match input {
        WindowInput::Samples(leaf) => {
            let until_ms = leaf.reference(time_ms);
            let after_ms = until_ms.saturating_sub(range_ms);
            let matchers = leaf.matchers.clone();
            let selection = Selection { matchers, after_ms, until_ms, start_times: false, step_ms: 0 };
            selected(&selection, cx)?
        }
        WindowInput::Subquery(subquery) => {
            let end_ms = reference(time_ms, subquery.at_ms, subquery.offset_ms);
            match Grid::of_subquery(range_ms, subquery.step_ms, (end_ms, end_ms)) {
                Some(grid) => subquery::series(&subquery.plan, grid, cx)?,
                None => Vec::new(),
            }
        }
    };
    all.sort_by(|one, other| one.labels.cmp(&other.labels));
    Ok(all)
}

fn selected(selection: &Selection, cx: &Context<'_>) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    let mut held = cx.holds_nothing();
    for mut part in cx.source.select(selection, 1)? {
        let mut collected = Collected::default();
        while let Some(samples) = part.next()? {
            cx.count(samples.times.len() + samples.histograms.len())?;
            held.grow(samples.times.len() * size_of::<Point>())?;
            collected.take(&samples);
            let points = points(&collected);
            if !points.is_empty() {
                all.push(Series { labels: samples.labels.clone(), points });
            }
        }
    }
    Ok(all)
}

fn points(samples: &Collected) -> Vec<Point> {
    let floats = samples.times.iter().zip(&samples.values);
    let floats = floats.map(|(time, value)| Point { time_ms: *time, sample: Sample::Float(*value) });
    let histograms = samples
        .histograms
        .iter()
        .map(|one| Point { time_ms: one.time_ms, sample: Sample::Histogram(one.histogram.clone()) });
    let mut points: Vec<_> = floats.chain(histograms).collect();
    points.sort_by_key(|point| point.time_ms);
    points
}
