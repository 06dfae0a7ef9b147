//! Counts spans: how many, how slow, how large, and who calls whom.
//!
//! Names, labels, enum texts and buckets are those of Tempo's metrics
//! generator, because Grafana's service graph and RED tables query exactly them:
//!
//! | metric | type |
//! |---|---|
//! | `traces_spanmetrics_calls_total` | counter |
//! | `traces_spanmetrics_latency` | histogram in seconds, 14 buckets from 2 ms, each twice the last |
//! | `traces_spanmetrics_size_total` | counter of bytes |
//! | `traces_service_graph_…` | [`graph`]: calls between services |
//! | `traces_target_info`, `traces_host_info` | [`info`]: on demand, what sends spans |
//!
//! `docs/formats/span-metrics.md` has each metric, label and option.

mod attributes;
mod buckets;
mod dimensions;
mod form;
mod graph;
mod info;
mod matching;
mod names;
mod policy;
mod profile;
mod settings;
mod totals;
mod weights;

use isinglass_plugin::{
    Batch, Config, Declaration, DeclaredKind, DeclaredMetric, Deltas, Derived, Dictionary, Groups, Integers,
    Keys, PairingDeriver, Plugin, Request, Shape, Table, columns, export_pairing_deriver,
};

use crate::dimensions::Dimension;
use crate::form::Form;
use crate::graph::Graph;
use crate::info::Targets;
use crate::names::Names;
use crate::settings::Settings;
use crate::totals::{Numbers, Totals};
use crate::weights::Weights;

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

/// The slot of the first dimension; they take two each.
const DIMENSIONS: u16 = 1_024;

/// The plugin.
#[derive(Debug, Clone)]
pub struct SpanMetrics {
    settings: Settings,
    form: Form,
    graph: Option<Graph>,
    metrics: Vec<DeclaredMetric>,
    numbers: Numbers,
    target_info: Option<u16>,
    host_info: Option<u16>,
}

impl Plugin for SpanMetrics {
    const NAME: &'static str = "span-metrics";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        let settings = Settings::read(config)?;
        let classic = |bounds: &[f64]| settings.classic.then(|| bounds.to_vec());
        let exponential = settings.exponential_buckets_max;
        let form = Form::new(classic(&settings.bounds), exponential, settings.profile.per_second());
        let graph = settings.graph.clone().map(|graph| {
            let form = Form::new(classic(&graph.bounds), exponential, 1.0);
            Graph::new(graph, form, settings.exemplars)
        });
        Ok(Self::declaring(settings, form, graph))
    }

    fn further_requests(&self) -> Vec<Request> {
        let mut requests = dimensions::requests(&self.settings.dimensions, DIMENSIONS);
        requests.extend(weights::requests(&self.settings));
        requests.extend(policy::requests(&self.settings.policies));
        requests.extend(info::requests(&self.settings));
        requests.extend(self.graph.iter().flat_map(Graph::requests));
        requests
    }
}

impl PairingDeriver for SpanMetrics {
    fn declare(&self) -> Declaration {
        let settings = &self.settings;
        Declaration {
            metrics: self.metrics.clone(),
            pairing: self.graph.as_ref().map(Graph::pairing),
            exemplar_label: if settings.exemplars { settings.exemplar_label.clone() } else { String::new() },
        }
    }

    fn derive(&self, batch: &Batch) -> Derived {
        let Some(rows) = policy::kept(&self.settings.policies, batch) else { return self.count(batch) };
        let mut derived = self.count(&policy::take(batch, &rows));
        let before = |row: &mut u32| *row = rows[*row as usize];
        derived.tables.iter_mut().for_each(|table| table.deltas.exemplar_rows().iter_mut().for_each(before));
        derived.halves.rows.iter_mut().for_each(before);
        derived
    }
}

impl SpanMetrics {
    fn declaring(settings: Settings, form: Form, mut graph: Option<Graph>) -> Self {
        let (profile, mut metrics) = (settings.profile, Vec::new());
        let mut add = |name: &str, kind, help: &str, unit: &str| {
            let (name, help, unit) = (name.to_owned(), help.to_owned(), unit.to_owned());
            metrics.push(DeclaredMetric { name, kind, help, unit });
            metrics.len() as u16 - 1
        };
        let (latency, unit) = profile.latency();
        let numbers = Numbers {
            calls: add(profile.calls(), DeclaredKind::Counter, "Spans.", ""),
            latency: add(latency, form.kind(), "Duration of spans.", unit),
            size: profile.size().map(|size| add(size, DeclaredKind::Counter, "Bytes of spans.", "By")),
        };
        let gauge = DeclaredKind::Gauge;
        let help = "1 for each resource that sends spans, with its attributes.";
        let target_info = settings.target_info.then(|| add("traces_target_info", gauge.clone(), help, ""));
        let hosts = !settings.host_identifiers.is_empty();
        let host_info =
            hosts.then(|| add("traces_host_info", gauge, "1 for each host that sends spans.", ""));
        if let Some(graph) = &mut graph {
            graph.declare(&mut metrics);
        }
        Self { settings, form, graph, metrics, numbers, target_info, host_info }
    }

    /// What all spans of a batch give.
    fn count(&self, batch: &Batch) -> Derived {
        let mut derived = Derived::default();
        if batch.rows == 0 {
            return derived;
        }
        let spans = Spans::of(batch);
        let dimensions = dimensions::read(&self.settings.dimensions, DIMENSIONS, batch);
        let targets = Targets::read(&self.settings, batch);
        let weights = Weights::of(batch);
        let names = Names::of(spans.name, &self.settings.sanitizer);
        let groups = group(&spans, &names, &dimensions, targets.as_ref());
        let mut table = Table::of(groups.len());
        self.label(&mut table.deltas, (&spans, &names), &dimensions, &groups);
        if let Some(targets) = &targets {
            let service = |row| spans.service.get(row).unwrap_or_default();
            targets.label(&mut table.deltas, &groups, service);
        }
        let shown = (&spans, &groups, &weights);
        Totals::of(&spans, &groups, &self.form, &weights).write(
            shown,
            (&self.form, self.numbers, self.settings.exemplars),
            &mut table.deltas,
            &mut table.histograms,
        );
        derived.tables.push(table);
        if let Some(graph) = &self.graph {
            graph.derive(batch, &spans, &groups, &weights, &mut derived);
        }
        self.add_infos(batch, &mut derived.tables);
        if !self.settings.gen_instance.is_empty() {
            self.name_instance(&mut derived);
        }
        derived
    }

    fn add_infos(&self, batch: &Batch, tables: &mut Vec<Table>) {
        if let Some(metric) = self.target_info {
            info::targets(&self.settings, batch, metric, tables);
        }
        if let Some(metric) = self.host_info {
            tables.extend(info::hosts(&self.settings, batch, metric));
        }
    }

    fn label(
        &self,
        deltas: &mut Deltas,
        (spans, names): (&Spans<'_>, &Names<'_>),
        dimensions: &[Dimension<'_>],
        groups: &Groups,
    ) {
        deltas.label(self.settings.profile.service_label(), spans.service, groups);
        names.label(deltas, groups);
        deltas.renamed_label("span_kind", spans.kind, groups, span_kind);
        deltas.renamed_label("status_code", spans.status, groups, status_code);
        for dimension in dimensions {
            dimension.label(deltas, groups);
        }
    }

    /// Adds the label that tells several writers of the same metrics apart.
    fn name_instance(&self, derived: &mut Derived) {
        const NAME: &str = "__metrics_gen_instance";
        for table in &mut derived.tables {
            table.constant_label(NAME, &self.settings.gen_instance);
        }
        if derived.halves.set_count > 0 {
            derived.halves.constant_label(NAME, &self.settings.gen_instance);
        }
    }
}

fn group(
    spans: &Spans<'_>,
    names: &Names<'_>,
    dimensions: &[Dimension<'_>],
    targets: Option<&Targets<'_>>,
) -> Groups {
    let mut keys: Vec<Keys<'_>> =
        vec![spans.service.into(), names.keys(), spans.kind.into(), spans.status.into()];
    keys.extend(dimensions.iter().map(Dimension::keys));
    keys.extend(targets.iter().flat_map(|targets| targets.keys()));
    Groups::by(spans.rows, &keys)
}

pub(crate) fn span_kind(short: &str) -> &'static str {
    match short {
        "internal" => "SPAN_KIND_INTERNAL",
        "server" => "SPAN_KIND_SERVER",
        "client" => "SPAN_KIND_CLIENT",
        "producer" => "SPAN_KIND_PRODUCER",
        "consumer" => "SPAN_KIND_CONSUMER",
        _ => "SPAN_KIND_UNSPECIFIED",
    }
}

pub(crate) fn status_code(short: &str) -> &'static str {
    match short {
        "ok" => "STATUS_CODE_OK",
        "error" => "STATUS_CODE_ERROR",
        _ => "STATUS_CODE_UNSET",
    }
}

export_pairing_deriver!(SpanMetrics);

#[cfg(test)]
mod tests;
