//! Series with a value at each step: what operators hand each other.

use std::sync::Arc;

use crate::histogram::Histogram;
use crate::labels::Labels;
use crate::value::{STALE, is_stale};

/// No sample at a step. A stale marker is never a value that an operator sees, and no arithmetic
/// gives its bits: a signalling NaN comes out of any operation as a quiet one.
pub(crate) const ABSENT: f64 = STALE;

/// Whether there is no float at a step.
#[inline]
pub(crate) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// Some series of a vector.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// How many steps each row has.
    pub(crate) steps: usize,
    /// The series.
    pub(crate) rows: Vec<Row>,
    /// Floats: those of a row follow each other, [`ABSENT`] where there is none.
    pub(crate) values: Vec<f64>,
}

/// A series of a block.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its labels.
    pub(crate) labels: Labels,
    /// Its metric name goes at the end of the query.
    pub(crate) drop_name: bool,
    /// Native histograms by step, of a series that has any.
    pub(crate) histograms: Option<Histograms>,
}

/// Native histograms by step.
pub(crate) type Histograms = Box<[Option<Arc<Histogram>>]>;

/// A sample of a row at a step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Absent,
    Float(f64),
    Histogram(&'a Arc<Histogram>),
}

impl Block {
    pub(crate) fn new(steps: usize) -> Self {
        Self { steps, rows: Vec::new(), values: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a series whose values are all absent, and gives them.
    pub(crate) fn push(&mut self, row: Row) -> &mut [f64] {
        self.rows.push(row);
        let at = self.values.len();
        self.values.resize(at + self.steps, ABSENT);
        &mut self.values[at..]
    }

    /// The floats of a row.
    pub(crate) fn floats(&self, row: usize) -> &[f64] {
        &self.values[row * self.steps..][..self.steps]
    }

    pub(crate) fn floats_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.steps..][..self.steps]
    }

    /// A row and its floats, to be changed.
    pub(crate) fn row_mut(&mut self, row: usize) -> (&mut Row, &mut [f64]) {
        (&mut self.rows[row], &mut self.values[row * self.steps..][..self.steps])
    }

    /// The sample at a step.
    #[inline]
    pub(crate) fn cell(&self, row: usize, step: usize) -> Cell<'_> {
        self.rows[row].cell(self.values[row * self.steps + step], step)
    }

    /// Whether a row has a sample at any step.
    pub(crate) fn has_any(&self, row: usize) -> bool {
        self.floats(row).iter().any(|value| !is_absent(*value))
            || self.rows[row].histograms.as_ref().is_some_and(|all| all.iter().any(Option::is_some))
    }

    /// Keeps the rows that have a sample.
    pub(crate) fn retain_present(&mut self) {
        let mut kept = 0;
        for row in 0..self.rows.len() {
            if self.has_any(row) {
                self.keep(row, kept);
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    fn keep(&mut self, row: usize, at: usize) {
        if row != at {
            self.rows.swap(row, at);
            let from = row * self.steps;
            self.values.copy_within(from..from + self.steps, at * self.steps);
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
        self.values.truncate(rows * self.steps);
    }

    /// Adds the rows of another block.
    pub(crate) fn append(&mut self, mut other: Self) {
        debug_assert_eq!(self.steps, other.steps, "blocks of one grid");
        self.rows.append(&mut other.rows);
        self.values.append(&mut other.values);
    }

    /// The bytes that it holds, histograms and labels counted as if nobody shared them.
    pub(crate) fn bytes(&self) -> usize {
        let rows: usize = self.rows.iter().map(Row::bytes).sum();
        rows + self.values.capacity() * size_of::<f64>()
    }
}

impl Row {
    pub(crate) fn new(labels: Labels) -> Self {
        Self { labels, drop_name: false, histograms: None }
    }

    #[inline]
    pub(crate) fn cell(&self, float: f64, step: usize) -> Cell<'_> {
        if !is_absent(float) {
            return Cell::Float(float);
        }
        match &self.histograms {
            Some(histograms) => histograms[step].as_ref().map_or(Cell::Absent, Cell::Histogram),
            None => Cell::Absent,
        }
    }

    /// Puts a histogram at a step.
    pub(crate) fn set_histogram(&mut self, step: usize, steps: usize, histogram: Arc<Histogram>) {
        let all = self.histograms.get_or_insert_with(|| vec![None; steps].into());
        all[step] = Some(histogram);
    }

    /// Takes the histogram of a step away.
    pub(crate) fn clear_histogram(&mut self, step: usize) {
        if let Some(all) = &mut self.histograms {
            all[step] = None;
        }
    }

    fn bytes(&self) -> usize {
        let histograms = self.histograms.as_ref().map_or(0, |all| {
            let each = all.iter().flatten().map(|histogram| histogram_bytes(histogram));
            size_of_val(&all[..]) + each.sum::<usize>()
        });
        size_of::<Self>() + self.labels.as_bytes().len() + histograms
    }
}

fn histogram_bytes(histogram: &Histogram) -> usize {
    size_of::<Histogram>()
        + (histogram.positive.len() + histogram.negative.len()) * size_of::<f64>()
        + (histogram.positive_spans.len() + histogram.negative_spans.len()) * 8
}

impl Cell<'_> {
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}
