//! Functions of each sample by itself.

use std::sync::Arc;

use super::{Boxed, Operator};
use crate::block::{ABSENT, Block, Row, is_absent};
use crate::calendar;
use crate::error::Result;
use crate::grid::Grid;
use crate::histogram::Histogram;
use crate::plan::{Map, MapFunction};

/// Applies a function to its input.
pub(super) struct MapOperator<'a> {
    function: MapFunction,
    input: Boxed<'a>,
    params: Vec<Arc<[f64]>>,
    grid: Grid,
}

impl<'a> MapOperator<'a> {
    pub(super) fn new(map: &Map, input: Boxed<'a>, params: &[Arc<[f64]>], grid: Grid) -> Self {
        Self { function: map.function, input, params: params.to_vec(), grid }
    }
}

impl Operator for MapOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        while let Some(mut block) = self.input.next()? {
            for row in 0..block.rows.len() {
                let (row, floats) = block.row_mut(row);
                row.drop_name = true;
                self.apply(row, floats);
            }
            block.retain_present();
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

impl MapOperator<'_> {
    fn apply(&self, row: &mut Row, floats: &mut [f64]) {
        match self.function {
            MapFunction::Float(function) => of_floats(row, floats, |value, _| function(value)),
            MapFunction::Negate => negate(row, floats),
            MapFunction::Clamp => self.clamp(row, floats, 0, 1),
            MapFunction::ClampMin => self.clamp(row, floats, 0, usize::MAX),
            MapFunction::ClampMax => self.clamp(row, floats, usize::MAX, 0),
            MapFunction::Round => {
                let nearest = |step| self.params.first().map_or(1.0, |param| param[step]);
                of_floats(row, floats, |value, step| round(value, nearest(step)));
            }
            MapFunction::Date(part) => {
                of_floats(row, floats, |value, _| calendar::part(part, value));
            }
            MapFunction::Timestamp => self.timestamp(row, floats),
            // What is brought has an operator of its own ([`super::brought`]).
            MapFunction::StartTimestamp | MapFunction::Brought(_) => {
                row.histograms = None;
                floats.fill(ABSENT);
            }
            MapFunction::HistogramCount => of_histograms(row, floats, |of| of.count),
            MapFunction::HistogramSum => of_histograms(row, floats, |of| of.sum),
            MapFunction::HistogramAvg => of_histograms(row, floats, Histogram::avg),
            MapFunction::HistogramStddev => of_histograms(row, floats, Histogram::stddev),
            MapFunction::HistogramStdvar => of_histograms(row, floats, Histogram::stdvar),
        }
    }

    /// With the parameters of these numbers as bounds; nothing comes where the lower bound is
    /// above the upper one. Infinite bounds hold NaN, too, as Go's `math.Min` and `math.Max` say.
    fn clamp(&self, row: &mut Row, floats: &mut [f64], min: usize, max: usize) {
        of_floats(row, floats, |value, step| {
            let min = self.params.get(min).map_or(f64::NEG_INFINITY, |param| param[step]);
            let max = self.params.get(max).map_or(f64::INFINITY, |param| param[step]);
            if max < min { ABSENT } else { larger(min, smaller(max, value)) }
        });
    }

    fn timestamp(&self, row: &mut Row, floats: &mut [f64]) {
        for (step, float) in floats.iter_mut().enumerate() {
            if !row.cell(*float, step).is_absent() {
                *float = self.grid.time(step) as f64 / 1e3;
            }
        }
        row.histograms = None;
    }
}

/// NaN where one is, but nothing is smaller than -Inf.
fn smaller(one: f64, other: f64) -> f64 {
    if one == f64::NEG_INFINITY || other == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    if one.is_nan() || other.is_nan() { f64::NAN } else { one.min(other) }
}

fn larger(one: f64, other: f64) -> f64 {
    -smaller(-one, -other)
}

/// Of floats; histograms go.
fn of_floats(row: &mut Row, floats: &mut [f64], function: impl Fn(f64, usize) -> f64) {
    row.histograms = None;
    for (step, float) in floats.iter_mut().enumerate() {
        if !is_absent(*float) {
            *float = function(*float, step);
        }
    }
}

/// Of histograms; floats go.
fn of_histograms(row: &mut Row, floats: &mut [f64], function: impl Fn(&Histogram) -> f64) {
    floats.fill(ABSENT);
    let Some(histograms) = row.histograms.take() else { return };
    for (float, histogram) in floats.iter_mut().zip(histograms) {
        if let Some(histogram) = histogram {
            *float = function(&histogram);
        }
    }
}

fn negate(row: &mut Row, floats: &mut [f64]) {
    for float in floats.iter_mut().filter(|float| !is_absent(**float)) {
        *float = -*float;
    }
    for histogram in row.histograms.iter_mut().flatten().flatten() {
        let mut negated = Histogram::clone(histogram);
        negated.mul(-1.0);
        *histogram = Arc::new(negated);
    }
}

/// To the nearest multiple, ties up. By the inverse, so that multiples such as 0.1 come out exact
/// more often (upstream does the same).
fn round(value: f64, nearest: f64) -> f64 {
    let inverse = 1.0 / nearest;
    (value * inverse + 0.5).floor() / inverse
}
