//! The samples of a series, and those of one window.

use std::sync::Arc;

use super::Out;
use crate::error::Result;
use crate::exec::{Context, subquery};
use crate::grid::Grid;
use crate::histogram::{Histogram, compared_hint};
use crate::plan::{WindowInput, reference};
use crate::source::{HistogramSample, Selection, SeriesSamples};
use crate::value::{Point, Sample, Series, is_stale};

/// The samples of a series without stale markers.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::exec) struct Live<'a> {
    pub(super) times: &'a [i64],
    pub(super) values: &'a [f64],
    /// Start times of floats, empty where none is known.
    pub(super) starts: &'a [i64],
    pub(super) histograms: &'a [HistogramSample],
}

/// Room for samples that cannot be used as they come.
#[derive(Debug, Default)]
pub(in crate::exec) struct Collected {
    times: Vec<i64>,
    values: Vec<f64>,
    starts: Vec<i64>,
    histograms: Vec<HistogramSample>,
}

impl Collected {
    /// The samples of a series without its stale markers; with `stats`, histograms are compared.
    pub(in crate::exec) fn live<'a>(&'a mut self, samples: &SeriesSamples<'a>, stats: bool) -> Live<'a> {
        self.clear();
        let mut live = Live {
            times: samples.times,
            values: samples.values,
            starts: samples.starts,
            histograms: samples.histograms,
        };
        if stats && !samples.histograms.is_empty() {
            self.histograms.extend_from_slice(samples.histograms);
            compare_hints(&mut self.histograms);
            live.histograms = &self.histograms;
        }
        // All are looked at: no branch, so several at a time.
        if samples.values.iter().fold(false, |any, value| any | is_stale(*value)) {
            for (at, (time, value)) in samples.times.iter().zip(samples.values).enumerate() {
                if !is_stale(*value) {
                    self.times.push(*time);
                    self.values.push(*value);
                    self.starts.extend(samples.starts.get(at));
                }
            }
            (live.times, live.values, live.starts) = (&self.times, &self.values, &self.starts);
        }
        if live.starts.iter().all(|start| *start == 0) {
            live.starts = &[];
        }
        live
    }

    /// What was pushed.
    pub(in crate::exec) fn pushed(&self) -> Live<'_> {
        Live { times: &self.times, values: &self.values, starts: &[], histograms: &self.histograms }
    }

    pub(in crate::exec) fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
        self.histograms.clear();
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
}

/// Compares histograms that do not say whether they were reset with those before them.
pub(in crate::exec) fn compare_hints(histograms: &mut [HistogramSample]) {
    for at in 1..histograms.len() {
        let (before, sample) = (&histograms[at - 1].histogram, &histograms[at].histogram);
        let hint = compared_hint(before, sample);
        if hint != sample.reset_hint {
            let mut changed = Histogram::clone(sample);
            changed.reset_hint = hint;
            histograms[at].histogram = Arc::new(changed);
        }
    }
}

/// Where a window lies in the samples of a series. Windows only move on.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    floats: (usize, usize),
    histograms: (usize, usize),
}

impl Bounds {
    /// To the samples in `(after, until]`.
    pub(super) fn move_to(&mut self, samples: &Live<'_>, after_ms: i64, until_ms: i64) {
        let time = |sample: &HistogramSample| sample.time_ms;
        advance(samples.times, &mut self.floats, (after_ms, until_ms), |time| *time);
        advance(samples.histograms, &mut self.histograms, (after_ms, until_ms), time);
    }

    pub(super) fn view<'a>(&self, of: &Live<'a>, start_ms: i64, end_ms: i64) -> View<'a> {
        let floats = self.floats.0..self.floats.1;
        View {
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
                Out::Shared(Arc::clone(&histogram.histogram))
            }
            (Some(_), _) => Out::Float(self.values[self.values.len() - 1]),
            (None, Some(histogram)) => Out::Shared(Arc::clone(&histogram.histogram)),
            (None, None) => Out::None,
        }
    }

    pub(super) fn first(&self) -> Out {
        match (self.times.first(), self.histograms.first()) {
            (Some(time), Some(histogram)) if histogram.time_ms < *time => {
                Out::Shared(Arc::clone(&histogram.histogram))
            }
            (Some(_), _) => Out::Float(self.values[0]),
            (None, Some(histogram)) => Out::Shared(Arc::clone(&histogram.histogram)),
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
    let all = match input {
        WindowInput::Samples(leaf) => {
            let until_ms = leaf.reference(time_ms);
            let after_ms = until_ms.saturating_sub(range_ms);
            let matchers = leaf.matchers.clone();
            let selection =
                Selection { matchers, after_ms, until_ms, start_times: false, latest: false, step_ms: 0 };
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
    crate::order::sorted_by(all, |one, other| one.labels.cmp(&other.labels), || cx.check())
}

fn selected(selection: &Selection, cx: &Context<'_>) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    let mut held = cx.holds_nothing();
    for mut part in cx.source.select(selection, 1)? {
        let mut collected = Collected::default();
        while let Some(samples) = part.next()? {
            cx.count(samples.times.len() + samples.histograms.len())?;
            held.grow(samples.times.len() * size_of::<Point>())?;
            let points = points(&collected.live(&samples, false));
            if !points.is_empty() {
                all.push(Series { labels: samples.labels.clone(), points });
            }
        }
    }
    Ok(all)
}

fn points(samples: &Live<'_>) -> Vec<Point> {
    let floats = samples.times.iter().zip(samples.values);
    let floats = floats.map(|(time, value)| Point { time_ms: *time, sample: Sample::Float(*value) });
    let histograms = samples
        .histograms
        .iter()
        .map(|one| Point { time_ms: one.time_ms, sample: Sample::Histogram(Arc::clone(&one.histogram)) });
    let mut points: Vec<_> = floats.chain(histograms).collect();
    points.sort_by_key(|point| point.time_ms);
    points
}
