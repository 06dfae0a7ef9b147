//! Window functions over an expression that is evaluated at times of its own.

use std::sync::Arc;

use super::open::parts as open_parts;
use super::window::{Collected, Kernel};
use super::{Boxed, Context, Operator};
use crate::block::{Block, Cell, Row};
use crate::error::Result;
use crate::grid::Grid;
use crate::histogram::{Histogram, ResetHint};
use crate::plan::{Subquery, Vector, Window, reference};
use crate::source::HistogramSample;
use crate::value::Series;

/// Operators that give the windows of a subquery.
pub(super) fn open<'a>(
    window: &'a Window,
    subquery: &'a Subquery,
    grid: Grid,
    cx: &'a Context<'a>,
    parts: usize,
) -> Result<Vec<Boxed<'a>>> {
    let times = (subquery.at_ms, subquery.offset_ms);
    let kernel = Arc::new(Kernel::new(window, times, None, grid, cx)?);
    let ends = Context::ends(&grid, |time| reference(time, times.0, times.1));
    let Some(inner) = Grid::of_subquery(window.range_ms, subquery.step_ms, ends) else {
        return Ok(Vec::new());
    };
    cx.check_steps(inner.steps)?;
    let inputs = open_parts(&subquery.plan, inner, cx, parts)?;
    let operator = |input| {
        let kernel = Arc::clone(&kernel);
        Box::new(SubqueryOperator { input, inner, grid, kernel }) as Boxed<'a>
    };
    Ok(inputs.into_iter().map(operator).collect())
}

struct SubqueryOperator<'a> {
    input: Boxed<'a>,
    /// The times at which the input is evaluated.
    inner: Grid,
    grid: Grid,
    kernel: Arc<Kernel<'a>>,
}

impl Operator for SubqueryOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        let mut collected = Collected::default();
        while let Some(input) = self.input.next()? {
            let mut block = Block::new(self.grid.steps);
            for row in 0..input.rows.len() {
                self.kernel.check()?;
                collect(&input, row, self.inner, &mut collected);
                let drop_name = input.rows[row].drop_name;
                let row = Row { drop_name, ..Row::new(input.rows[row].labels.clone()) };
                self.kernel.push(&mut block, row, &collected.pushed())?;
            }
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

fn collect(block: &Block, row: usize, grid: Grid, collected: &mut Collected) {
    collected.clear();
    for step in 0..grid.steps {
        let time_ms = grid.time(step);
        match block.cell(row, step) {
            Cell::Absent => {}
            Cell::Float(value) => collected.push_float(time_ms, value),
            Cell::Histogram(histogram) => {
                let histogram = without_hint(histogram);
                collected.push_histogram(HistogramSample { time_ms, start_ms: 0, histogram });
            }
        }
    }
}

/// Of steps that follow each other the samples need not: whether counts went down between them
/// is to be found out by comparing (prometheus#15987).
fn without_hint(histogram: &Arc<Histogram>) -> Arc<Histogram> {
    match histogram.reset_hint {
        ResetHint::Unknown | ResetHint::Gauge => Arc::clone(histogram),
        ResetHint::Reset | ResetHint::NotReset => {
            Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..Histogram::clone(histogram) })
        }
    }
}

/// The series of a plan with the points that they have.
pub(super) fn series(plan: &Vector, grid: Grid, cx: &Context<'_>) -> Result<Vec<Series>> {
    let (block, _held) = super::collect(plan, grid, cx)?;
    crate::engine::series_of(block, grid, cx)
}
