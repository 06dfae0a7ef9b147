//! Instant vector selectors: at each step the latest sample that is not too old.

use isinglass_lang::promql::ast::Extension;

use super::{Boxed, Context, Operator, rows_of_a_block};
use crate::block::{Block, Row};
use crate::error::Result;
use crate::grid::Grid;
use crate::plan::{Leaf, Wanted};
use crate::source::{HistogramSample, Selection, SeriesSamples, SeriesStream};
use crate::value::is_stale;

/// Reads a part of a selection.
pub(super) struct Select<'a> {
    series: Box<dyn SeriesStream>,
    leaf: &'a Leaf,
    wanted: Wanted,
    grid: Grid,
    cx: &'a Context<'a>,
}

impl<'a> Select<'a> {
    pub(super) fn open(
        leaf: &'a Leaf,
        wanted: Wanted,
        grid: Grid,
        cx: &'a Context<'a>,
        parts: usize,
    ) -> Result<Vec<Boxed<'a>>> {
        let (first, last) = Context::ends(&grid, |time| leaf.reference(time));
        let beyond = if leaf.extension == Some(Extension::Smoothed) { cx.lookback_ms } else { 0 };
        let selection = Selection {
            matchers: leaf.matchers.clone(),
            after_ms: first.saturating_sub(cx.lookback_ms),
            until_ms: last.saturating_add(beyond),
            start_times: wanted == Wanted::StartTimestamp,
            latest: is_latest(leaf, &grid),
            step_ms: if grid.steps == 1 { 0 } else { grid.step_ms },
        };
        let parts = cx.source.select(&selection, parts)?;
        let select = |series| Box::new(Self { series, leaf, wanted, grid, cx }) as Boxed<'a>;
        Ok(parts.into_iter().map(select).collect())
    }
}

impl Operator for Select<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        self.cx.check()?;
        let mut block = Block::new(self.grid.steps);
        let rows = rows_of_a_block(self.grid.steps);
        let latest = is_latest(self.leaf, &self.grid);
        while block.rows.len() < rows {
            let Some(samples) = self.series.next()? else { break };
            self.cx.count(if latest { 1 } else { samples.times.len() + samples.histograms.len() })?;
            let mut compared = Vec::new();
            let samples = with_stats(samples, self.leaf.stats, &mut compared);
            let drop_name = self.wanted != Wanted::Value;
            block.push(Row { drop_name, ..Row::new(samples.labels.clone()) });
            let row = block.rows.len() - 1;
            let (row, floats) = block.row_mut(row);
            let at = Lookup { leaf: self.leaf, lookback_ms: self.cx.lookback_ms, grid: self.grid };
            if self.leaf.extension == Some(Extension::Smoothed) {
                super::window::smoothed_instant(&at, &samples, row, floats, self.cx);
            } else {
                at.fill(&samples, self.wanted, row, floats);
            }
            if !block.has_any(block.rows.len() - 1) {
                block.rows.pop();
                block.values.truncate(block.rows.len() * block.steps);
            }
        }
        Ok((!block.is_empty()).then_some(block))
    }
}

/// Whether one sample of a series is enough.
fn is_latest(leaf: &Leaf, grid: &Grid) -> bool {
    grid.steps == 1 && leaf.extension.is_none() && !leaf.stats
}

/// Where only counts and sums are wanted, histograms that do not say whether they were reset are
/// compared.
fn with_stats<'a>(
    samples: SeriesSamples<'a>,
    stats: bool,
    compared: &'a mut Vec<HistogramSample>,
) -> SeriesSamples<'a> {
    if !stats || samples.histograms.is_empty() {
        return samples;
    }
    compared.extend_from_slice(samples.histograms);
    super::window::compare_hints(compared);
    SeriesSamples { histograms: compared, ..samples }
}

/// Where a selector looks at each step.
pub(super) struct Lookup<'a> {
    pub(super) leaf: &'a Leaf,
    pub(super) lookback_ms: i64,
    pub(super) grid: Grid,
}

impl Lookup<'_> {
    fn fill(&self, samples: &SeriesSamples<'_>, wanted: Wanted, row: &mut Row, out: &mut [f64]) {
        if wanted == Wanted::Value && samples.histograms.is_empty() {
            return self.fill_floats(samples.times, samples.values, out);
        }
        let (mut floats, mut histograms) = (0, 0);
        for (step, out) in out.iter_mut().enumerate() {
            let until = self.leaf.reference(self.grid.time(step));
            let after = until.saturating_sub(self.lookback_ms);
            floats += advance(&samples.times[floats..], until, |time| *time);
            histograms += advance(&samples.histograms[histograms..], until, |one| one.time_ms);
            let float = floats.checked_sub(1).map(|at| (samples.times[at], at));
            let float = float.filter(|(time, _)| *time > after);
            let histogram = histograms.checked_sub(1).map(|at| &samples.histograms[at]);
            let histogram = histogram.filter(|one| one.time_ms > after);
            match (float, histogram) {
                (Some((time, at)), other) if other.is_none_or(|one| one.time_ms < time) => {
                    *out = of_float(samples, at, wanted, *out);
                }
                (_, Some(histogram)) => of_histogram(histogram, wanted, row, step, self, out),
                _ => {}
            }
        }
    }
}

impl Lookup<'_> {
    /// Of floats alone. A stale marker is the absent value already.
    fn fill_floats(&self, times: &[i64], values: &[f64], out: &mut [f64]) {
        let (mut until, step_ms) = match self.leaf.at_ms {
            Some(at_ms) => (at_ms.saturating_sub(self.leaf.offset_ms), 0),
            None => (self.leaf.reference(self.grid.start_ms), self.grid.step_ms),
        };
        let mut next = 0;
        for out in out {
            while times.get(next).is_some_and(|time| *time <= until) {
                next += 1;
            }
            if next > 0 && times[next - 1] > until.saturating_sub(self.lookback_ms) {
                *out = values[next - 1];
            }
            until += step_ms;
        }
    }
}

fn of_float(samples: &SeriesSamples<'_>, at: usize, wanted: Wanted, absent: f64) -> f64 {
    if is_stale(samples.values[at]) {
        return absent;
    }
    match wanted {
        Wanted::Value => samples.values[at],
        Wanted::Timestamp => samples.times[at] as f64 / 1e3,
        Wanted::StartTimestamp => match samples.starts.get(at) {
            Some(start) if *start != 0 => *start as f64 / 1e3,
            _ => absent,
        },
    }
}

fn of_histogram(
    sample: &HistogramSample,
    wanted: Wanted,
    row: &mut Row,
    step: usize,
    at: &Lookup<'_>,
    out: &mut f64,
) {
    match wanted {
        Wanted::Value => row.set_histogram(step, at.grid.steps, std::sync::Arc::clone(&sample.histogram)),
        Wanted::Timestamp => *out = sample.time_ms as f64 / 1e3,
        Wanted::StartTimestamp if sample.start_ms != 0 => *out = sample.start_ms as f64 / 1e3,
        Wanted::StartTimestamp => {}
    }
}

/// How many of the next samples are not later than a time. Steps are often closer to each other
/// than samples, so the first one decides most of the time.
#[inline]
fn advance<T>(rest: &[T], until: i64, time: impl Fn(&T) -> i64) -> usize {
    match rest.first() {
        Some(first) if time(first) <= until => {
            let near = rest.len().min(16);
            let within = rest[..near].iter().take_while(|one| time(one) <= until).count();
            if within < near { within } else { rest.partition_point(|one| time(one) <= until) }
        }
        _ => 0,
    }
}
