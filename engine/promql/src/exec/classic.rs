//! `histogram_quantile` and its family: of native histograms, and of classic ones, whose buckets
//! are series with a label `le`.

use std::sync::Arc;

use ahash::HashMap;

use super::{Context, Operator, collect, scalar};
use crate::annotations::for_metric;
use crate::block::{Block, Cell, Row};
use crate::error::Result;
use crate::grid::Grid;
use crate::histogram::classic::{ClassicBucket, bucket_fraction, bucket_quantile};
use crate::histogram::{Histogram, NanEffect};
use crate::labels::Labels;
use crate::merge;
use crate::plan::{Classic, ClassicFunction};

/// Where a classic histogram says its upper bound.
const BUCKET_LABEL: &str = "le";

/// Answers for all histograms at once.
pub(super) struct ClassicOperator<'a> {
    plan: &'a Classic,
    grid: Grid,
    cx: &'a Context<'a>,
    done: bool,
}

/// The series of a histogram.
#[derive(Default)]
struct Parts {
    /// Upper bounds and rows.
    buckets: Vec<(f64, usize)>,
    /// The row with native histograms.
    native: Option<usize>,
    drop_name: bool,
}

impl<'a> ClassicOperator<'a> {
    pub(super) fn new(plan: &'a Classic, grid: Grid, cx: &'a Context<'a>) -> Self {
        Self { plan, grid, cx, done: false }
    }
}

impl Operator for ClassicOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let params = scalar::all(&self.plan.params, self.grid, self.cx)?;
        self.warn_of_params(&params);
        let (input, _held) = collect(&self.plan.input, self.grid, self.cx)?;
        let out = self.answer(&input, &params)?;
        Ok((!out.is_empty()).then_some(out))
    }
}

impl ClassicOperator<'_> {
    fn warn_of_params(&self, params: &[Arc<[f64]>]) {
        if self.plan.function == ClassicFunction::Fraction {
            return;
        }
        for (values, span) in params.iter().zip(&self.plan.param_spans) {
            let mut last = None;
            for value in values.iter().filter(|value| last.replace(value.to_bits()) != Some(value.to_bits()))
            {
                super::aggregate::warn_of_quantile(*value, *span, &self.cx.annotations);
            }
        }
    }

    fn answer(&self, input: &Block, params: &[Arc<[f64]>]) -> Result<Block> {
        let mut histograms: HashMap<Labels, Parts> = HashMap::default();
        let mut order = Vec::new();
        for row in 0..input.rows.len() {
            self.cx.check_at(row)?;
            self.sort_in(input, row, &mut histograms, &mut order);
        }
        let mut out = Block::new(self.grid.steps);
        for labels in &order {
            self.cx.check()?;
            if let Some(parts) = histograms.get(labels) {
                self.histogram(labels, parts, input, params, &mut out);
            }
        }
        out.retain_present();
        merge::same_labels(out, self.cx)
    }

    /// Finds the histogram that a series belongs to.
    fn sort_in(
        &self,
        input: &Block,
        at: usize,
        histograms: &mut HashMap<Labels, Parts>,
        order: &mut Vec<Labels>,
    ) {
        let row = &input.rows[at];
        if row.histograms.is_some() {
            let parts = parts_of(row.labels.clone(), histograms, order);
            parts.native = Some(at);
            parts.drop_name |= row.drop_name;
        }
        if input.floats(at).iter().all(|value| crate::block::is_absent(*value)) {
            return;
        }
        let bound = row.labels.get(BUCKET_LABEL);
        let Some(upper) = parse_bound(bound) else {
            let bound = isinglass_lang::promql::quoted(bound);
            let name = for_metric(row.labels.metric_name());
            let text = format!("bucket label \"le\" is missing or has a malformed value of {bound}{name}");
            self.cx.annotations.warn(self.plan.span, text);
            return;
        };
        let labels = row.labels.retain(|name| name != BUCKET_LABEL);
        let parts = parts_of(labels, histograms, order);
        parts.buckets.push((upper, at));
        parts.drop_name |= row.drop_name;
    }

    fn histogram(
        &self,
        labels: &Labels,
        parts: &Parts,
        input: &Block,
        params: &[Arc<[f64]>],
        out: &mut Block,
    ) {
        let mut buckets: Vec<ClassicBucket> = Vec::with_capacity(parts.buckets.len());
        for (number, labels) in self.labels_of_results(labels, params).into_iter().enumerate() {
            out.push(Row { drop_name: true, ..Row::new(labels) });
            let at = out.rows.len() - 1;
            for step in 0..self.grid.steps {
                buckets.clear();
                for (upper, row) in &parts.buckets {
                    if let Cell::Float(count) = input.cell(*row, step) {
                        buckets.push((*upper, count));
                    }
                }
                let native = parts.native.and_then(|row| match input.cell(row, step) {
                    Cell::Histogram(histogram) => Some(histogram),
                    _ => None,
                });
                let of = (native.map(Arc::as_ref), &mut buckets);
                let param = |at: usize| params.get(at).map_or(f64::NAN, |values| values[step]);
                let value =
                    self.one(of, [param(number), param(number + 1)], labels_name(labels_ref(out, at)));
                if let Some(value) = value {
                    out.floats_mut(at)[step] = value;
                }
            }
        }
    }

    /// Several quantiles have a series each, all other functions one.
    fn labels_of_results(&self, labels: &Labels, params: &[Arc<[f64]>]) -> Vec<Labels> {
        match &self.plan.function {
            ClassicFunction::Quantiles(label) => {
                let of = |q: &Arc<[f64]>| {
                    let q = crate::text::openmetrics(q.first().copied().unwrap_or(f64::NAN));
                    labels.builder().set(label, &q).build()
                };
                params.iter().map(of).collect()
            }
            _ => vec![labels.clone()],
        }
    }

    fn one(
        &self,
        (native, buckets): (Option<&Histogram>, &mut Vec<ClassicBucket>),
        params: [f64; 2],
        name: &str,
    ) -> Option<f64> {
        match (native, buckets.is_empty()) {
            (Some(_), false) => {
                let text = "vector contains a mix of classic and native histograms";
                self.cx.annotations.warn(self.plan.span, format!("{text}{}", for_metric(name)));
                None
            }
            (Some(native), true) => Some(self.of_native(native, params, name)),
            (None, false) => Some(self.of_classic(buckets, params, name)),
            (None, true) => None,
        }
    }

    fn of_native(&self, histogram: &Histogram, params: [f64; 2], name: &str) -> f64 {
        let info = |text: &str| {
            self.cx.annotations.info(self.plan.span, format!("{text}{}", for_metric(name)));
        };
        if self.plan.function == ClassicFunction::Fraction {
            let (fraction, has_nan) = histogram.fraction(params[0], params[1]);
            if has_nan {
                info(
                    "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                );
            }
            return fraction;
        }
        let quantile = histogram.quantile(params[0]);
        match quantile.nan_observations {
            Some(NanEffect::ResultIsNan) => {
                info("input to histogram_quantile has NaN observations, result is NaN");
            }
            Some(NanEffect::SkewedHigher) => {
                info("input to histogram_quantile has NaN observations, result is skewed higher");
            }
            None => {}
        }
        quantile.value
    }

    fn of_classic(&self, buckets: &mut Vec<ClassicBucket>, params: [f64; 2], name: &str) -> f64 {
        if self.plan.function == ClassicFunction::Fraction {
            return bucket_fraction(params[0], params[1], buckets);
        }
        let quantile = bucket_quantile(params[0], buckets);
        if quantile.forced_monotonic.is_some() {
            let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                        https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
            self.cx.annotations.info(self.plan.span, format!("{text}{}", for_metric(name)));
        }
        quantile.value
    }
}

fn labels_ref(block: &Block, row: usize) -> &Labels {
    &block.rows[row].labels
}

fn labels_name(labels: &Labels) -> &str {
    labels.metric_name()
}

fn parts_of<'m>(
    labels: Labels,
    histograms: &'m mut HashMap<Labels, Parts>,
    order: &mut Vec<Labels>,
) -> &'m mut Parts {
    histograms.entry(labels).or_insert_with_key(|labels| {
        order.push(labels.clone());
        Parts::default()
    })
}

/// As Go's `strconv.ParseFloat`: infinities and NaN with or without a sign, in any case.
fn parse_bound(text: &str) -> Option<f64> {
    // Rust takes the same texts, but neither hexadecimal floats nor underscores, which nobody
    // writes into a bucket label.
    text.parse().ok()
}
