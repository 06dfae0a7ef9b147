//! Batches of metrics that know the labels of their series, which conditions of plugins ask for.

use std::ops::Range;

use isinglass_model::batch::{HistogramBatch, SampleBatch, SeriesBatch};
use isinglass_model::columns::{Column, Columns, Encoding, SeriesOfRows, Shape};
use isinglass_model::edits::{Editable, Edits, Spoilt};
use isinglass_model::labels::LabelSet;
use isinglass_model::series::SeriesRef;
use isinglass_store::Resolver;

/// Samples or histograms, and where the labels of their series are found.
pub(crate) struct Labelled<'a, B> {
    batch: &'a B,
    resolver: &'a Resolver,
}

impl<'a, B: OfSeries> Labelled<'a, B> {
    pub(crate) fn new(batch: &'a B, resolver: &'a Resolver) -> Self {
        Self { batch, resolver }
    }
}

/// A batch whose rows belong to series.
pub(crate) trait OfSeries: Columns {
    /// That of a row.
    fn series_of(&self, row: usize) -> SeriesRef;
}

impl OfSeries for SampleBatch {
    fn series_of(&self, row: usize) -> SeriesRef {
        self.series[row]
    }
}

impl OfSeries for HistogramBatch {
    fn series_of(&self, row: usize) -> SeriesRef {
        self.rows[row].series
    }
}

impl<B: OfSeries> Columns for Labelled<'_, B> {
    fn shape(&self) -> Shape {
        self.batch.shape()
    }

    fn rows(&self) -> usize {
        self.batch.rows()
    }

    fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        self.batch.column(name, encoding)
    }

    fn bytes(&self) -> usize {
        self.batch.bytes()
    }

    fn labels_of(&self, row: usize, read: &mut dyn FnMut(&LabelSet)) {
        if let Some(series) = self.resolver.series(self.batch.series_of(row)) {
            read(&series.labels);
        }
    }

    fn series(&self) -> Option<SeriesOfRows> {
        let series = (0..self.rows()).map(|row| self.batch.series_of(row)).collect();
        Some(SeriesOfRows { life: self.resolver.life().number(), series })
    }
}

/// Labels of exemplars, each with those of the series that it belongs to.
#[derive(Default)]
pub(crate) struct ExemplarLabels {
    pub(crate) own: SeriesBatch,
    pub(crate) of_series: Vec<LabelSet>,
}

impl Columns for ExemplarLabels {
    fn shape(&self) -> Shape {
        self.own.shape()
    }

    fn rows(&self) -> usize {
        self.own.rows()
    }

    fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        self.own.column(name, encoding)
    }

    fn bytes(&self) -> usize {
        self.own.bytes()
    }

    fn labels_of(&self, row: usize, read: &mut dyn FnMut(&LabelSet)) {
        read(&self.of_series[row]);
    }
}

impl Editable for ExemplarLabels {
    fn edit(&mut self, edits: &[(Range<usize>, Edits)]) -> Result<Vec<Spoilt>, String> {
        self.own.edit(edits)
    }
}
