//! Functions of the samples of a window, `(t - range, t]`.
//!
//! | module | holds |
//! |---|---|
//! | [`samples`] | the samples of a series, and those of one window |
//! | [`rate`], [`instant`], [`extended`] | `rate` and its family |
//! | [`floats`], [`moments`], [`regression`] | functions of floats |
//! | [`histograms`], [`totals`] | sums, means and rates of histograms |
//! | [`sequence`] | `changes` and `resets` |
//! | [`sliding`] | the fast ways over floats |

mod extended;
mod floats;
mod histograms;
mod instant;
mod moments;
mod rate;
mod regression;
mod samples;
mod sequence;
mod sliding;
mod totals;

use std::sync::Arc;

pub(super) use extended::smoothed_instant;
pub(crate) use floats::{Average, quantile};
use isinglass_lang::promql::ast::{Extension, Span};
pub(crate) use moments::Moments;
use samples::{Bounds, View};
pub(super) use samples::{Collected, Live, compare_hints};
pub(crate) use totals::{MeanOfHistograms, SumOfHistograms};

use super::{Boxed, Context, Operator, rows_of_a_block, scalar};
use crate::annotations::{Annotations, for_metric};
use crate::block::{Block, Row, is_absent};
use crate::error::{EvalError, Result};
use crate::grid::Grid;
use crate::histogram::Histogram;
use crate::labels::Labels;
use crate::plan::{Leaf, Window, WindowFunction, reference};
use crate::source::{Selection, SeriesStream};

/// Windows that are evaluated before somebody asks whether the query has ended.
const STEPS_UNCHECKED: usize = 64;

/// Samples of such windows, likewise.
const SAMPLES_UNCHECKED: usize = 256 << 10;

/// A histogram takes about as long as so many floats.
const HISTOGRAM_SAMPLES: usize = 64;

/// What a function gives for a window.
#[derive(Debug)]
enum Out {
    None,
    Float(f64),
    Histogram(Histogram),
    /// A sample of the window as it is.
    Shared(Arc<Histogram>),
}

/// Whom the annotations of a window are about.
#[derive(Clone, Copy)]
struct Notes<'a> {
    annotations: &'a Annotations,
    labels: &'a Labels,
    span: Span,
}

impl Notes<'_> {
    fn warn(&self, text: &str) {
        let text = format!("{text}{}", for_metric(self.labels.metric_name()));
        self.annotations.warn(self.span, text);
    }

    fn warn_of(&self, text: &str) {
        let name = isinglass_lang::promql::quoted(self.labels.metric_name());
        self.annotations.warn(self.span, format!("{text} {name}"));
    }

    fn mixed(&self) {
        self.warn("encountered a mix of histograms and floats");
    }

    fn mixed_schemas(&self) {
        self.warn("vector contains a mix of histograms with exponential and custom buckets schemas");
    }

    fn ignored_histograms(&self) {
        let name = for_metric(self.labels.metric_name());
        let text = format!("ignored histograms in a range containing both floats and histograms{name}");
        self.annotations.info(self.span, text);
    }

    fn reconciled(&self, during: &str) {
        let text = format!("mismatched custom buckets were reconciled during {during}");
        self.annotations.info(self.span, text);
    }

    fn conflicting_resets(&self, during: &str) {
        let text = format!("conflicting counter resets during histogram {during}");
        self.annotations.warn(self.span, text);
    }
}

/// A window function and where it looks at each step.
pub(super) struct Kernel<'a> {
    window: &'a Window,
    params: Vec<Arc<[f64]>>,
    extension: Option<Extension>,
    at_ms: Option<i64>,
    offset_ms: i64,
    grid: Grid,
    cx: &'a Context<'a>,
}

impl<'a> Kernel<'a> {
    pub(super) fn new(
        window: &'a Window,
        (at_ms, offset_ms): (Option<i64>, i64),
        extension: Option<Extension>,
        grid: Grid,
        cx: &'a Context<'a>,
    ) -> Result<Self> {
        let params = scalar::all(&window.params, grid, cx)?;
        Ok(Self { window, params, extension, at_ms, offset_ms, grid, cx })
    }

    /// Ends the query where it has to.
    pub(super) fn check(&self) -> Result<()> {
        self.cx.check()
    }

    fn reference(&self, step: usize) -> i64 {
        reference(self.grid.time(step), self.at_ms, self.offset_ms)
    }

    /// Fills a row from the samples of a series.
    pub(super) fn fill(&self, samples: &Live<'_>, row: &mut Row, out: &mut [f64]) -> Result<()> {
        let keeps = matches!(self.window.function, WindowFunction::Last | WindowFunction::First);
        row.drop_name |= !keeps;
        if samples.histograms.is_empty() && samples.starts.is_empty() && self.extension.is_none() {
            let sliding = sliding::Sliding {
                times: samples.times,
                values: samples.values,
                first_end_ms: self.reference(0),
                step_ms: if self.at_ms.is_some() { 0 } else { self.grid.step_ms },
                range_ms: self.window.range_ms,
            };
            if sliding.fill(self.window.function, out) {
                return Ok(());
            }
        }
        self.fill_window_by_window(samples, row, out)
    }

    fn fill_window_by_window(&self, samples: &Live<'_>, row: &mut Row, out: &mut [f64]) -> Result<()> {
        let labels = row.labels.clone();
        let annotations = &self.cx.annotations;
        let notes = Notes { annotations, labels: &labels, span: self.window.span };
        let around = self.around();
        let (mut bounds, mut unchecked) = (Bounds::default(), 0);
        for (step, out) in out.iter_mut().enumerate() {
            // A window may be long, and there may be many in one series.
            if step % STEPS_UNCHECKED == 0 || unchecked > SAMPLES_UNCHECKED {
                self.cx.check()?;
                unchecked = 0;
            }
            let end_ms = self.reference(step);
            let start_ms = end_ms.saturating_sub(self.window.range_ms);
            let (after, until) = (start_ms.saturating_sub(around.0), end_ms.saturating_add(around.1));
            bounds.move_to(samples, after, until);
            let view = bounds.view(samples, start_ms, end_ms);
            if view.is_empty() {
                continue;
            }
            unchecked += view.times.len() + HISTOGRAM_SAMPLES * view.histograms.len();
            match self.evaluate(&view, step, &notes)? {
                Out::None => {}
                Out::Float(value) => *out = value,
                Out::Histogram(histogram) => {
                    row.set_histogram(step, self.grid.steps, Arc::new(histogram));
                }
                Out::Shared(histogram) => row.set_histogram(step, self.grid.steps, histogram),
            }
        }
        Ok(())
    }

    /// How far before and after its window a function looks, milliseconds.
    fn around(&self) -> (i64, i64) {
        match self.extension {
            None => (0, 0),
            Some(Extension::Anchored) => (self.cx.lookback_ms, 0),
            Some(Extension::Smoothed) => (self.cx.lookback_ms, self.cx.lookback_ms),
        }
    }

    fn param(&self, number: usize, step: usize) -> f64 {
        self.params.get(number).map_or(f64::NAN, |values| values[step])
    }

    fn evaluate(&self, view: &View<'_>, step: usize, notes: &Notes<'_>) -> Result<Out> {
        use WindowFunction as F;
        let function = self.window.function;
        if let Some(extension) = self.extension {
            return Ok(extended::evaluate(function, view, extension, self.window.range_ms, notes));
        }
        Ok(match function {
            F::Rate | F::Increase | F::Delta => {
                rate::extrapolated(view, function, self.window.range_ms, notes)
            }
            F::Irate | F::Idelta => instant::last_two(view, function == F::Irate, notes),
            F::Changes => sequence::changes(view),
            F::Resets => sequence::resets(view),
            F::Count => Out::Float((view.times.len() + view.histograms.len()) as f64),
            F::Present => Out::Float(1.0),
            F::Last => view.last(),
            F::First => view.first(),
            F::TimeOfLast => Out::Float(view.last_time() as f64 / 1e3),
            F::TimeOfFirst => Out::Float(view.first_time() as f64 / 1e3),
            F::Sum | F::Avg => histograms::sum_or_avg(view, function == F::Avg, notes),
            F::PredictLinear => regression::predict(view, self.grid.time(step), self.param(0, step), notes),
            F::DoubleExponential => self.smoothing(view, step, notes)?,
            F::Quantile => floats::of_floats(view, notes, |view| {
                let q = self.param(0, step);
                super::aggregate::warn_of_quantile(q, self.window.param_span, &self.cx.annotations);
                quantile(q, &mut view.values.to_vec())
            }),
            other => floats::evaluate(other, view, notes),
        })
    }

    fn smoothing(&self, view: &View<'_>, step: usize, notes: &Notes<'_>) -> Result<Out> {
        let (smoothing, trend) = (self.param(0, step), self.param(1, step));
        for (name, factor, short) in [("smoothing", smoothing, "sf"), ("trend", trend, "tf")] {
            if factor <= 0.0 || factor >= 1.0 {
                return Err(EvalError::execution(format!(
                    "invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}"
                )));
            }
        }
        Ok(regression::double_exponential(view, smoothing, trend, notes))
    }
}

/// Reads a part of a selection through a window function.
pub(super) struct WindowOperator<'a> {
    series: Box<dyn SeriesStream>,
    /// Only counts and sums of histograms are wanted.
    stats: bool,
    kernel: Arc<Kernel<'a>>,
    collected: Collected,
}

impl<'a> WindowOperator<'a> {
    pub(super) fn open(
        window: &'a Window,
        leaf: &'a Leaf,
        grid: Grid,
        cx: &'a Context<'a>,
        parts: usize,
    ) -> Result<Vec<Boxed<'a>>> {
        let times = (leaf.at_ms, leaf.offset_ms);
        let kernel = Arc::new(Kernel::new(window, times, leaf.extension, grid, cx)?);
        let parts = cx.source.select(&kernel.selection(leaf), parts)?;
        let operator = |series| {
            let kernel = Arc::clone(&kernel);
            let (stats, collected) = (leaf.stats, Collected::default());
            Box::new(Self { series, stats, kernel, collected }) as Boxed<'a>
        };
        Ok(parts.into_iter().map(operator).collect())
    }
}

impl Kernel<'_> {
    fn selection(&self, leaf: &Leaf) -> Selection {
        let (first, last) = Context::ends(&self.grid, |time| leaf.reference(time));
        let around = self.around();
        Selection {
            matchers: leaf.matchers.clone(),
            after_ms: first.saturating_sub(self.window.range_ms).saturating_sub(around.0),
            until_ms: last.saturating_add(around.1),
            start_times: self.cx.start_times,
            latest: false,
            step_ms: 0,
        }
    }

    /// The row of a series goes into a block, if it has a sample anywhere.
    pub(super) fn push(&self, block: &mut Block, row: Row, samples: &Live<'_>) -> Result<()> {
        block.push(row);
        let at = block.rows.len() - 1;
        let (row, floats) = block.row_mut(at);
        self.fill(samples, row, floats)?;
        let any_float = floats.iter().any(|value| !is_absent(*value));
        if any_float || row.histograms.is_some() {
            if any_float {
                self.note_no_counter(&row.labels);
            }
            return Ok(());
        }
        block.rows.pop();
        block.values.truncate(at * block.steps);
        Ok(())
    }

    /// By its name, a metric should not be rated.
    fn note_no_counter(&self, labels: &Labels) {
        use WindowFunction as F;
        let name = labels.metric_name();
        let fits = ["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end));
        if !matches!(self.window.function, F::Rate | F::Increase) || name.is_empty() || fits {
            return;
        }
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        let name = isinglass_lang::promql::quoted(name);
        self.cx.annotations.info(self.window.span, format!("{text} {name}"));
    }
}

impl Operator for WindowOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        let kernel = Arc::clone(&self.kernel);
        kernel.cx.check()?;
        let mut block = Block::new(kernel.grid.steps);
        let rows = rows_of_a_block(kernel.grid.steps);
        while block.rows.len() < rows {
            let Some(samples) = self.series.next()? else { break };
            kernel.cx.count(samples.times.len() + samples.histograms.len())?;
            let row = Row::new(samples.labels.clone());
            kernel.push(&mut block, row, &self.collected.live(&samples, self.stats))?;
        }
        Ok((!block.is_empty()).then_some(block))
    }
}

/// The samples of a window themselves, at one time.
pub(crate) fn matrix(
    input: &crate::plan::WindowInput,
    range_ms: i64,
    time_ms: i64,
    cx: &Context<'_>,
) -> Result<Vec<crate::value::Series>> {
    samples::matrix(input, range_ms, time_ms, cx)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of the floats of a window, by its definition.
    pub(super) fn of_floats(function: WindowFunction, view: &View<'_>, range_ms: i64) -> Option<f64> {
        use WindowFunction as F;
        let annotations = Annotations::default();
        let labels = Labels::empty();
        let notes = Notes { annotations: &annotations, labels: &labels, span: Span::default() };
        let out = match function {
            F::Rate | F::Increase | F::Delta => rate::extrapolated(view, function, range_ms, &notes),
            F::Irate | F::Idelta => instant::last_two(view, function == F::Irate, &notes),
            F::Changes => sequence::changes(view),
            F::Resets => sequence::resets(view),
            F::Count => Out::Float(view.values.len() as f64),
            F::Present => Out::Float(1.0),
            F::Last => view.last(),
            F::First => view.first(),
            F::TimeOfLast => Out::Float(view.last_time() as f64 / 1e3),
            F::TimeOfFirst => Out::Float(view.first_time() as f64 / 1e3),
            F::Sum | F::Avg => histograms::sum_or_avg(view, function == F::Avg, &notes),
            other => floats::evaluate(other, view, &notes),
        };
        match out {
            Out::Float(value) => Some(value),
            _ => None,
        }
    }
}
