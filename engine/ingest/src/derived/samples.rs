//! Counters as samples: what a tick writes.

use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::batch::{ExemplarBatch, HistogramBatch, STALE_NAN_BITS, SampleBatch};
use isinglass_model::deltas::{DerivedKind, DerivedMetric};
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::{Judgement, MetricMeta, SeriesRef, SeriesResolver};
use isinglass_store::{Resolver, Seq};

use super::board::{Board, OfDeriver, TenantBoard};
use super::counters::{Cell, Derived};
use super::exponential::{Exponential, stale_row};
use crate::judge::judge;

/// The record of one tick of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Tick {
    pub(crate) samples: SampleBatch,
    pub(crate) histograms: HistogramBatch,
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
    board.expire(of_tenant, chain);
    open_series(tenant, of_tenant, chain, resolver, now_unix_nanos);
    let now_ms = (now_unix_nanos.div_euclid(1_000_000)).max(of_tenant.last_tick_ms + 1);
    of_tenant.last_tick_ms = now_ms;
    let mut tick = Tick { covers: of_tenant.ledger.begin_tick(), ..Tick::default() };
    for of in &mut of_tenant.counters {
        for series in of.counters.series_mut() {
            write_series(series, &of.metrics, &of.exemplar_label, now_ms, &mut tick);
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
    (!(tick.samples.is_empty() && tick.histograms.is_empty())).then_some(tick)
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
                if cell.used && !cell.resolved {
                    cell.resolved = true;
                    resolve(cell, labels, metric, resolver, &mut unjudged);
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
            let all = cell.refs.iter_mut().chain([&mut cell.exponential_ref]);
            all.for_each(|r| *r = r.filter(|r| !refused.contains_key(r)));
        }
    }
}

/// The series of one metric: those of [`label_sets`], and one for the exponential form of a histogram.
fn resolve(
    cell: &mut Cell,
    labels: &[(String, String)],
    metric: &DerivedMetric,
    resolver: &mut Resolver,
    unjudged: &mut Vec<SeriesRef>,
) {
    let mut one = |set: Option<LabelSet>| {
        let known = resolver.intern_labels(set?).ok()?;
        match known.judgement {
            Judgement::Keep => {}
            Judgement::Pending => unjudged.push(known.series),
            Judgement::Reject(_) => return None,
        }
        Some(known.series)
    };
    cell.refs = label_sets(labels, metric).into_iter().map(&mut one).collect();
    if metric.exponential_buckets_max > 0 {
        cell.exponential_ref = one(exponential_set(labels, metric));
    }
    resolver.describe(&metric.name, &meta(metric));
}

/// The label sets of one metric: one for a counter or gauge; buckets, sum, count for a classic
/// histogram. `None` where they are too much for a label set.
pub(crate) fn label_sets(labels: &[(String, String)], metric: &DerivedMetric) -> Vec<Option<LabelSet>> {
    let one = |suffix: &str, le: Option<&str>| label_set(labels, &format!("{}{suffix}", metric.name), le);
    match metric.kind {
        DerivedKind::Counter | DerivedKind::Gauge => vec![one("", None)],
        DerivedKind::Histogram if metric.classic => {
            let bounds = metric.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            let mut sets: Vec<_> = bounds.map(|le| one("_bucket", Some(&le))).collect();
            sets.extend([one("_sum", None), one("_count", None)]);
            sets
        }
        DerivedKind::Histogram => Vec::new(),
    }
}

/// The label set of the exponential form of a histogram.
pub(crate) fn exponential_set(labels: &[(String, String)], metric: &DerivedMetric) -> Option<LabelSet> {
    label_set(labels, &metric.name, None)
}

fn label_set(labels: &[(String, String)], name: &str, le: Option<&str>) -> Option<LabelSet> {
    let mut pairs: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    pairs.push((METRIC_NAME, name));
    pairs.extend(le.map(|le| ("le", le)));
    LabelSet::new(&mut pairs, Temporality::Unspecified).ok()
}

/// Names of the metrics that samples, native histograms and exemplars of a derived metric are of.
pub(crate) fn row_names(metric: &DerivedMetric) -> Vec<String> {
    match metric.kind {
        DerivedKind::Counter | DerivedKind::Gauge => vec![metric.name.clone()],
        DerivedKind::Histogram => ["_bucket", "_sum", "_count", ""]
            .iter()
            .map(|suffix| format!("{}{suffix}", metric.name))
            .collect(),
    }
}

pub(crate) fn meta(metric: &DerivedMetric) -> MetricMeta {
    let metric_type = match metric.kind {
        DerivedKind::Counter => "counter",
        DerivedKind::Gauge => "gauge",
        DerivedKind::Histogram => "histogram",
    };
    MetricMeta { metric_type: metric_type.to_owned(), unit: metric.unit.clone(), help: metric.help.clone() }
}

/// A series gets nothing any more.
pub(crate) fn write_end(series: &Derived, now_ms: i64, tick: &mut Tick) {
    let refs = series.cells.iter().flat_map(|cell| &cell.refs).flatten();
    refs.for_each(|r| tick.samples.push(*r, now_ms + 1, f64::from_bits(STALE_NAN_BITS), 0));
    let refs = series.cells.iter().filter_map(|cell| cell.exponential_ref);
    tick.histograms.rows.extend(refs.map(|r| stale_row(r, now_ms + 1)));
}

pub(crate) fn write_series(
    series: &mut Derived,
    metrics: &[DerivedMetric],
    exemplar_label: &str,
    now_ms: i64,
    tick: &mut Tick,
) {
    let start_ms = series.start_ms;
    let time_ms = now_ms.max(start_ms + 1);
    for (cell, metric) in series.cells.iter_mut().zip(metrics).filter(|(cell, _)| cell.used) {
        let counts = metric.kind != DerivedKind::Gauge;
        // A first zero lets rate() see the first increments (it looks at differences).
        let opens = !std::mem::replace(&mut cell.opened, true) && counts;
        if opens {
            cell.refs.iter().flatten().for_each(|r| tick.samples.push(*r, start_ms, 0.0, start_ms));
        }
        let start_of_sample = if counts { start_ms } else { 0 };
        for (r, value) in cell.refs.iter().zip(values(cell, metric)) {
            if let Some(r) = r {
                tick.samples.push(*r, time_ms, value, start_of_sample);
            }
        }
        if let (Some(r), Some(exponential)) = (cell.exponential_ref, &cell.exponential) {
            let none = Exponential::default();
            let zero = opens.then(|| none.row(r, start_ms, start_ms, 0.0));
            tick.histograms.rows.extend(zero);
            tick.histograms.rows.push(exponential.row(r, time_ms, start_ms, cell.value));
        }
        for (bucket, exemplar) in std::mem::take(&mut cell.exemplars) {
            let of =
                if metric.classic { cell.refs.get(bucket).copied().flatten() } else { cell.exponential_ref };
            let Some(r) = of else { continue };
            tick.exemplars.series.push(r);
            tick.exemplars.time_ms.push(exemplar.time_ms);
            tick.exemplars.value.push(exemplar.value);
            tick.exemplars.trace_id.push(Some(exemplar.trace_id));
            tick.exemplars.span_id.push(Some(exemplar.span_id));
            let label = (!exemplar_label.is_empty()).then(|| trace_label(exemplar_label, exemplar.trace_id));
            tick.exemplars.attributes.push(label.into_iter().collect());
        }
    }
}

/// The trace's id once more, under a name of the plugin's choice; the value is JSON text.
fn trace_label(name: &str, trace_id: [u8; 16]) -> (String, String) {
    let hex: String = trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    (name.to_owned(), format!("\"{hex}\""))
}

/// Sample values in the order of [`label_sets`].
fn values(cell: &Cell, metric: &DerivedMetric) -> Vec<f64> {
    match metric.kind {
        DerivedKind::Counter | DerivedKind::Gauge => vec![cell.value],
        DerivedKind::Histogram if metric.classic => {
            let mut cumulative = 0.0;
            let cumulated = |count: &f64| {
                cumulative += count;
                cumulative
            };
            let mut values: Vec<f64> = cell.buckets.iter().map(cumulated).collect();
            let count = values.last().copied().unwrap_or(0.0);
            values.extend([cell.value, count]);
            values
        }
        DerivedKind::Histogram => Vec::new(),
    }
}
