//! Counters as samples: what a tick writes.

use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::batch::{ExemplarBatch, STALE_NAN_BITS, SampleBatch};
use isinglass_model::deltas::{DerivedKind, DerivedMetric};
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::{Judgement, MetricMeta, SeriesRef, SeriesResolver};
use isinglass_store::{Resolver, Seq};

use super::board::{Board, OfDeriver, TenantBoard};
use super::counters::{Cell, Derived};
use crate::judge::judge;

/// The record of one tick of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    pub(crate) samples: SampleBatch,
    pub(crate) exemplars: ExemplarBatch,
    /// Everything up to here is in the samples.
    pub(crate) covers: Seq,
}

/// Reads a tenant's counters into a tick; `None` if there is nothing to write.
/// The caller tells the ledger whether the tick was stored.
pub(crate) fn write_tick(
    board: &Board,
    tenant: &Tenant,
    of_tenant: &mut TenantBoard,
    chain: &Chain,
    resolver: &mut Resolver,
    now_unix_nanos: i64,
) -> Option<Tick> {
    if *of_tenant.life.get_or_insert(resolver.life()) != resolver.life() {
        // The tenant was deleted; its counters go when that comes out of the log.
        return None;
    }
    open_series(tenant, of_tenant, chain, resolver, now_unix_nanos);
    let now_ms = (now_unix_nanos.div_euclid(1_000_000)).max(of_tenant.last_tick_ms + 1);
    of_tenant.last_tick_ms = now_ms;
    let mut tick = Tick { covers: of_tenant.ledger.begin_tick(), ..Tick::default() };
    for of in &mut of_tenant.counters {
        for series in of.counters.series_mut() {
            write_series(series, &of.metrics, now_ms, &mut tick);
        }
        if !of.is_in(chain) {
            // For the last time, unless this tick fails or its chain still has a batch.
            of.ended = true;
            of.counters.series_mut().iter().for_each(|series| write_end(series, now_ms, &mut tick));
        }
        for series in of.counters.take_stale(board.stale_before()) {
            write_end(&series, now_ms, &mut tick);
        }
    }
    (!tick.samples.is_empty()).then_some(tick)
}

/// Gives every cell that is used for the first time its series.
fn open_series(
    tenant: &Tenant,
    of_tenant: &mut TenantBoard,
    chain: &Chain,
    resolver: &mut Resolver,
    now_unix_nanos: i64,
) {
    let mut unjudged = Vec::new();
    for OfDeriver { counters, metrics, .. } in &mut of_tenant.counters {
        for series in counters.series_mut() {
            let labels = &series.labels;
            for (cell, metric) in series.cells.iter_mut().zip(metrics.iter()) {
                if cell.used && cell.refs.is_empty() {
                    cell.refs = resolve(labels, metric, resolver, &mut unjudged);
                }
            }
        }
    }
    let refused = judge(chain, tenant, resolver, unjudged, now_unix_nanos);
    if refused.is_empty() {
        return;
    }
    for of in &mut of_tenant.counters {
        for cell in of.counters.series_mut().iter_mut().flat_map(|series| &mut series.cells) {
            cell.refs.iter_mut().for_each(|r| *r = r.filter(|r| !refused.contains_key(r)));
        }
    }
}

/// The series of one metric, in the order of [`label_sets`].
fn resolve(
    labels: &[(String, String)],
    metric: &DerivedMetric,
    resolver: &mut Resolver,
    unjudged: &mut Vec<SeriesRef>,
) -> Vec<Option<SeriesRef>> {
    let mut one = |set: Option<LabelSet>| {
        let known = resolver.intern_labels(set?).ok()?;
        match known.judgement {
            Judgement::Keep => {}
            Judgement::Pending => unjudged.push(known.series),
            Judgement::Reject(_) => return None,
        }
        Some(known.series)
    };
    let refs = label_sets(labels, metric).into_iter().map(&mut one).collect();
    resolver.describe(&metric.name, &meta(metric));
    refs
}

/// The label sets of one metric: one for a counter; buckets, sum, count for a histogram. `None`
/// where they are too much for a label set.
pub(crate) fn label_sets(labels: &[(String, String)], metric: &DerivedMetric) -> Vec<Option<LabelSet>> {
    let one = |suffix: &str, le: Option<&str>| {
        let name = format!("{}{suffix}", metric.name);
        let mut pairs: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
        pairs.push((METRIC_NAME, &name));
        pairs.extend(le.map(|le| ("le", le)));
        LabelSet::new(&mut pairs, Temporality::Unspecified).ok()
    };
    match metric.kind {
        DerivedKind::Counter => vec![one("", None)],
        DerivedKind::Histogram => {
            let bounds = metric.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            let mut sets: Vec<_> = bounds.map(|le| one("_bucket", Some(&le))).collect();
            sets.extend([one("_sum", None), one("_count", None)]);
            sets
        }
    }
}

/// Names of the metrics that samples of a derived metric are of.
pub(crate) fn sample_names(metric: &DerivedMetric) -> Vec<String> {
    match metric.kind {
        DerivedKind::Counter => vec![metric.name.clone()],
        DerivedKind::Histogram => {
            ["_bucket", "_sum", "_count"].iter().map(|suffix| format!("{}{suffix}", metric.name)).collect()
        }
    }
}

pub(crate) fn meta(metric: &DerivedMetric) -> MetricMeta {
    let metric_type = match metric.kind {
        DerivedKind::Counter => "counter",
        DerivedKind::Histogram => "histogram",
    };
    MetricMeta { metric_type: metric_type.to_owned(), unit: metric.unit.clone(), help: metric.help.clone() }
}

/// A series gets nothing any more.
pub(crate) fn write_end(series: &Derived, now_ms: i64, tick: &mut Tick) {
    let refs = series.cells.iter().flat_map(|cell| &cell.refs).flatten();
    refs.for_each(|r| tick.samples.push(*r, now_ms + 1, f64::from_bits(STALE_NAN_BITS), 0));
}

pub(crate) fn write_series(series: &mut Derived, metrics: &[DerivedMetric], now_ms: i64, tick: &mut Tick) {
    let start_ms = series.start_ms;
    let time_ms = now_ms.max(start_ms + 1);
    for (cell, metric) in series.cells.iter_mut().zip(metrics).filter(|(cell, _)| cell.used) {
        // A first zero lets rate() see the first increments (it looks at differences).
        if !std::mem::replace(&mut cell.opened, true) {
            cell.refs.iter().flatten().for_each(|r| tick.samples.push(*r, start_ms, 0.0, start_ms));
        }
        for (r, value) in cell.refs.iter().zip(values(cell, metric)) {
            if let Some(r) = r {
                tick.samples.push(*r, time_ms, value, start_ms);
            }
        }
        for (bucket, exemplar) in std::mem::take(&mut cell.exemplars) {
            let Some(Some(r)) = cell.refs.get(bucket) else { continue };
            tick.exemplars.series.push(*r);
            tick.exemplars.time_ms.push(exemplar.time_ms);
            tick.exemplars.value.push(exemplar.value);
            tick.exemplars.trace_id.push(Some(exemplar.trace_id));
            tick.exemplars.span_id.push(Some(exemplar.span_id));
            tick.exemplars.attributes.push(Vec::new());
        }
    }
}

/// Sample values in the order of [`label_sets`].
#[expect(clippy::cast_precision_loss, reason = "counts of items stay far below 2^53")]
fn values(cell: &Cell, metric: &DerivedMetric) -> Vec<f64> {
    match metric.kind {
        DerivedKind::Counter => vec![cell.value],
        DerivedKind::Histogram => {
            let mut cumulative = 0;
            let mut values: Vec<f64> = cell
                .buckets
                .iter()
                .map(|count| {
                    cumulative += count;
                    cumulative as f64
                })
                .collect();
            values.extend([cell.value, cumulative as f64]);
            values
        }
    }
}
