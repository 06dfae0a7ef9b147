//! Counts spans: how many, how slow, how large.
//!
//! Names, labels, enum texts and buckets are those of Tempo's metrics
//! generator, because Grafana's service graph and RED tables query exactly them:
//!
//! | metric | type |
//! |---|---|
//! | `traces_spanmetrics_calls_total` | counter |
//! | `traces_spanmetrics_latency` | histogram in seconds, 14 buckets from 2 ms, each twice the last |
//! | `traces_spanmetrics_size_total` | counter of bytes |
//!
//! Labels: `service`, `span_name`, `span_kind` (`SPAN_KIND_SERVER`…),
//! `status_code` (`STATUS_CODE_ERROR`…), on demand `status_message` and columns
//! of `spans` given as `dimensions`. A span without a value for one of those
//! gets an empty label, which is the same as none.
//!
//! ```json
//! { "dimensions": ["http_request_method"], "status_message": false, "exemplars": true }
//! ```

mod buckets;
mod dimensions;
mod settings;
mod totals;

use isinglass_plugin::{
    Batch, Config, Deltas, Deriver, Dictionary, Groups, Integers, Keys, Metric, MetricKind, Plugin, Request,
    Shape, columns, export_deriver,
};

use crate::buckets::Buckets;
use crate::dimensions::Dimension;
use crate::settings::Settings;
use crate::totals::Totals;

columns! {
    /// What is read of every span.
    pub(crate) struct Spans<'a> of Shape::Spans {
        service: Dictionary<'a> = "service",
        name: Dictionary<'a> = "name",
        kind: Dictionary<'a> = "kind",
        status: Dictionary<'a> = "status",
        duration: Integers<'a> = "duration",
        size_bytes: Integers<'a> = "size_bytes",
    }
}

const CALLS: u16 = 0;
const LATENCY: u16 = 1;
const SIZE: u16 = 2;

/// The plugin.
#[derive(Debug, Clone)]
pub struct SpanMetrics {
    settings: Settings,
    buckets: Buckets,
}

impl Plugin for SpanMetrics {
    const NAME: &'static str = "span-metrics";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        let settings = Settings::read(config)?;
        Ok(Self { buckets: Buckets::new(&settings.bounds), settings })
    }

    fn further_requests(&self) -> Vec<Request> {
        dimensions::requests(&self.settings.dimensions)
    }
}

impl Deriver for SpanMetrics {
    fn metrics(&self) -> Vec<Metric> {
        let metric = |name: &str, kind, help: &str, unit: &str, bounds| Metric {
            name: name.to_owned(),
            kind,
            help: help.to_owned(),
            unit: unit.to_owned(),
            bounds,
        };
        let bounds = self.settings.bounds.clone();
        vec![
            metric("traces_spanmetrics_calls_total", MetricKind::Counter, "Spans.", "", Vec::new()),
            metric("traces_spanmetrics_latency", MetricKind::Histogram, "Duration of spans.", "s", bounds),
            metric("traces_spanmetrics_size_total", MetricKind::Counter, "Bytes of spans.", "By", Vec::new()),
        ]
    }

    fn derive(&self, batch: &Batch) -> Deltas {
        let spans = Spans::of(batch);
        let dimensions = dimensions::read(&self.settings.dimensions, batch);
        let groups = group(&spans, &dimensions);
        let totals = Totals::of(&spans, &groups, &self.buckets);
        let mut deltas = Deltas::of(groups.len());
        label(&mut deltas, &spans, &dimensions, &groups);
        totals.write(&mut deltas, &spans, self.settings.exemplars);
        deltas
    }
}

fn group(spans: &Spans<'_>, dimensions: &[Dimension<'_>]) -> Groups {
    let mut keys: Vec<Keys<'_>> =
        vec![spans.service.into(), spans.name.into(), spans.kind.into(), spans.status.into()];
    keys.extend(dimensions.iter().map(Dimension::keys));
    Groups::by(spans.rows, &keys)
}

fn label(deltas: &mut Deltas, spans: &Spans<'_>, dimensions: &[Dimension<'_>], groups: &Groups) {
    deltas.label("service", spans.service, groups);
    deltas.label("span_name", spans.name, groups);
    deltas.renamed_label("span_kind", spans.kind, groups, span_kind);
    deltas.renamed_label("status_code", spans.status, groups, status_code);
    for dimension in dimensions {
        dimension.label(deltas, groups);
    }
}

fn span_kind(short: &str) -> &'static str {
    match short {
        "internal" => "SPAN_KIND_INTERNAL",
        "server" => "SPAN_KIND_SERVER",
        "client" => "SPAN_KIND_CLIENT",
        "producer" => "SPAN_KIND_PRODUCER",
        "consumer" => "SPAN_KIND_CONSUMER",
        _ => "SPAN_KIND_UNSPECIFIED",
    }
}

fn status_code(short: &str) -> &'static str {
    match short {
        "ok" => "STATUS_CODE_OK",
        "error" => "STATUS_CODE_ERROR",
        _ => "STATUS_CODE_UNSET",
    }
}

export_deriver!(SpanMetrics);

#[cfg(test)]
mod tests;
