//! `system.cardinality` and `system.label_values`: what the series of a tenant are made of.
//!
//! Both walk the index of series metric after metric and let the runtime in between, so
//! that a query over millions of series is ended like any other. A metric that no filter
//! on `metric` lets through is not looked at; of the others only the labels that filters
//! on `label` let through are counted. Memory is that of the largest metric's labels.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::Result;
use futures::stream::{self, BoxStream, StreamExt};
use hashbrown::HashMap;
use isinglass_model::labels::METRIC_NAME;
use isinglass_store::{Series, SeriesIndex};

use super::columns::{self, Named, count, double, text};
use super::wanted::Wanted;
use super::{Source, once};

/// Rows that are sent on as a batch.
const BATCH_ROWS: usize = 4_096;
/// Series between two pauses.
const PAUSE_SERIES: usize = 8_192;

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labels {
    /// A row per metric and label.
    Cardinality,
    /// A row per metric, label and value.
    Values,
}

/// One of the two over the series of a tenant.
#[derive(Debug)]
pub(super) struct LabelTable {
    table: Labels,
    index: SeriesIndex,
}

impl LabelTable {
    pub(super) fn new(table: Labels, index: SeriesIndex) -> Self {
        Self { table, index }
    }
}

impl Source for LabelTable {
    fn schema(&self) -> SchemaRef {
        columns::schema(&named(self.table, &[], 0))
    }

    fn rows(&self, wanted: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        match Walk::start(self, wanted.clone()) {
            Ok(walk) => stream::try_unfold(walk, Walk::next).boxed(),
            Err(error) => once(Err(error)),
        }
    }
}

/// A walk over the metrics that are wanted.
struct Walk {
    table: Labels,
    index: SeriesIndex,
    wanted: Wanted,
    metrics: std::vec::IntoIter<Arc<str>>,
    /// Series of the tenant when the walk began.
    all_series: usize,
    rows: VecDeque<Row>,
}

struct Row {
    metric: Arc<str>,
    label: Arc<str>,
    value: Arc<str>,
    values: usize,
    series: usize,
}

/// How often a label occurs, and each of its values.
#[derive(Default)]
struct Tally<'a> {
    series: usize,
    values: HashMap<&'a str, usize, ahash::RandomState>,
}

impl Walk {
    fn start(of: &LabelTable, wanted: Wanted) -> Result<Self> {
        let metrics = of.index.metrics();
        let names: Vec<&str> = metrics.iter().map(|metric| &*metric.name).collect();
        let kept = wanted.keeps("metric", &names)?;
        let metrics =
            metrics.iter().zip(kept).filter_map(|(metric, kept)| kept.then(|| Arc::clone(&metric.name)));
        let metrics: Vec<Arc<str>> = metrics.collect();
        Ok(Self {
            table: of.table,
            index: of.index.clone(),
            wanted,
            metrics: metrics.into_iter(),
            all_series: of.index.len(),
            rows: VecDeque::new(),
        })
    }

    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        while self.rows.len() < BATCH_ROWS {
            let Some(metric) = self.metrics.next() else { break };
            self.visit(&metric).await?;
        }
        if self.rows.is_empty() {
            return Ok(None);
        }
        let rows: Vec<Row> = self.rows.drain(..self.rows.len().min(BATCH_ROWS)).collect();
        Ok(Some((columns::batch(named(self.table, &rows, self.all_series))?, self)))
    }

    async fn visit(&mut self, metric: &Arc<str>) -> Result<()> {
        let series = self.index.of_metric(metric);
        let mut labels = Counted::new(&self.wanted, self.table == Labels::Values);
        for some in series.chunks(PAUSE_SERIES) {
            some.iter().try_for_each(|series| labels.add(series))?;
            tokio::task::yield_now().await;
        }
        for (label, tally) in labels.found {
            let Some(tally) = tally else { continue };
            let row = |value: &str, series| Row {
                metric: Arc::clone(metric),
                label: label.into(),
                value: value.into(),
                values: tally.values.len(),
                series,
            };
            match self.table {
                Labels::Cardinality => self.rows.push_back(row("", tally.series)),
                Labels::Values => {
                    let mut values: Vec<_> = tally.values.iter().collect();
                    values.sort_unstable();
                    self.rows.extend(values.into_iter().map(|(value, series)| row(value, *series)));
                }
            }
        }
        Ok(())
    }
}

/// The labels of a metric.
struct Counted<'a> {
    wanted: &'a Wanted,
    by_value: bool,
    /// `None`: no filter lets this label through.
    found: BTreeMap<&'a str, Option<Tally<'a>>>,
}

impl<'a> Counted<'a> {
    fn new(wanted: &'a Wanted, by_value: bool) -> Self {
        Self { wanted, by_value: by_value || wanted.has("distinct_values"), found: BTreeMap::new() }
    }

    fn add(&mut self, series: &'a Series) -> Result<()> {
        for (label, value) in series.labels.iter().filter(|(label, _)| *label != METRIC_NAME) {
            if !self.found.contains_key(label) {
                let kept = self.wanted.keeps("label", &[label])?;
                self.found.insert(label, kept.first().is_some_and(|kept| *kept).then(Tally::default));
            }
            let Some(Some(tally)) = self.found.get_mut(label) else { continue };
            tally.series += 1;
            if self.by_value {
                *tally.values.entry(value).or_default() += 1;
            }
        }
        Ok(())
    }
}

fn named(table: Labels, rows: &[Row], all_series: usize) -> Vec<Named> {
    let of = || rows.iter();
    let mut columns =
        vec![text("metric", of().map(|row| &row.metric)), text("label", of().map(|row| &row.label))];
    match table {
        Labels::Values => columns.push(text("value", of().map(|row| &row.value))),
        Labels::Cardinality => columns.push(count("distinct_values", of().map(|row| row.values))),
    }
    columns.push(count("series", of().map(|row| row.series)));
    if table == Labels::Cardinality {
        let share = |row: &Row| row.series as f64 / all_series.max(1) as f64;
        columns.push(double("share", of().map(share)));
    }
    columns
}
