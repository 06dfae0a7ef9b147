//! The series of a part, one after the other, from all inputs that have rows of them.

use std::ops::Range;
use std::sync::Arc;

use isinglass_promql::EvalError;
use isinglass_promql::source::{SeriesSamples, SeriesStream};
use isinglass_store::View;

use super::floats::Floats;
use super::histograms::Histograms;
use super::kept::{Input, Keeping, Known, PartOf};
use super::scan::{Cursor, TableScan};
use super::series::{LabelsOf, Wanted};

/// What all parts of a selection read.
pub(super) struct Tables {
    pub(super) samples: TableScan,
    pub(super) histograms: TableScan,
    /// `None` = samples do not go through the cache.
    pub(super) keeping: Option<Arc<Keeping>>,
    /// Samples of this time and before are not wanted.
    pub(super) after_ms: i64,
    pub(super) start_times: bool,
    pub(super) latest: bool,
}

/// A part of a selection.
pub(super) struct Part {
    tables: Arc<Tables>,
    wanted: Arc<[Wanted]>,
    range: Range<usize>,
    labels: LabelsOf,
    /// Opened by the thread that reads them.
    inputs: Option<Inputs>,
    floats: Floats,
    histograms: Histograms,
}

struct Inputs {
    samples: Vec<Input>,
    histograms: Vec<Cursor>,
}

impl Part {
    pub(super) fn new(
        view: &Arc<View>,
        tables: &Arc<Tables>,
        wanted: &Arc<[Wanted]>,
        known: Option<Arc<Known>>,
        range: Range<usize>,
    ) -> Self {
        Self {
            tables: Arc::clone(tables),
            wanted: Arc::clone(wanted),
            range,
            labels: LabelsOf::new(view, known),
            inputs: None,
            floats: Floats::new(tables.start_times),
            histograms: Histograms::new(tables.after_ms),
        }
    }

    fn open(&mut self) -> Result<&mut Inputs, EvalError> {
        let inputs = match self.inputs.take() {
            Some(inputs) => inputs,
            None => {
                let part = PartOf { all: &self.wanted, range: self.range.clone() };
                let histograms = self.tables.histograms.cursors(part.series())?;
                // A float between two histograms says something of the second.
                let latest = self.tables.latest && histograms.is_empty();
                let samples = self.tables.samples.inputs(&part, self.tables.keeping.as_ref(), latest)?;
                Inputs { samples, histograms }
            }
        };
        Ok(self.inputs.insert(inputs))
    }

    /// The place of the next wanted series that has rows.
    fn next_place(&mut self) -> Result<Option<usize>, EvalError> {
        let inputs = self.open()?;
        let (samples, histograms) = (inputs.samples.iter(), inputs.histograms.iter());
        let least = samples.filter_map(Input::key).chain(histograms.filter_map(Cursor::key)).min();
        let Some(least) = least else { return Ok(None) };
        let left = &self.wanted[self.range.clone()];
        // Pages have rows of other series, too.
        let passed = match left.first() {
            Some(first) if first.key() >= least => 0,
            _ => left.partition_point(|one| one.key() < least),
        };
        let place = self.range.start + passed;
        self.range.start = self.range.end.min(place + 1);
        if place < self.range.end {
            return Ok(Some(place));
        }
        self.open()?.samples.iter_mut().for_each(Input::finish);
        Ok(None)
    }

    fn read(&mut self, key: (i64, i64)) -> Result<(), EvalError> {
        self.floats.clear();
        self.histograms.clear();
        let Some(inputs) = &mut self.inputs else { return Ok(()) };
        for input in &mut inputs.samples {
            input.take(key, &mut self.floats)?;
            if input.key().is_none() {
                input.finish();
            }
        }
        inputs.samples.retain(|input| input.key().is_some());
        self.floats.settle();
        for cursor in &mut inputs.histograms {
            cursor.take(key, |batch, rows| self.histograms.push(batch, rows))?;
        }
        inputs.histograms.retain(|cursor| cursor.key().is_some());
        self.histograms.settle(&mut self.floats);
        Ok(())
    }
}

impl SeriesStream for Part {
    fn next(&mut self) -> Result<Option<SeriesSamples<'_>>, EvalError> {
        let place = loop {
            let Some(place) = self.next_place()? else { return Ok(None) };
            self.read(self.wanted[place].key())?;
            let is_empty = self.floats.times().is_empty() && self.histograms.samples().is_empty();
            if !is_empty && self.labels.at(&self.wanted, place).is_some() {
                break place;
            }
        };
        let Some(labels) = self.labels.at(&self.wanted, place) else { return Ok(None) };
        let samples = self.floats.times().len() + self.histograms.samples().len();
        self.tables.samples.reads().count_series(samples);
        Ok(Some(SeriesSamples {
            labels,
            times: self.floats.times(),
            values: self.floats.values(),
            starts: self.floats.starts(),
            histograms: self.histograms.samples(),
        }))
    }
}
