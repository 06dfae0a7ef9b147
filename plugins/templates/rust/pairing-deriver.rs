//! Counts calls between services: a client's span and the server's span below it, in whatever
//! order and requests they come. The host keeps a span until the other side of its call is there.

use isinglass_plugin::{
    Batch, Config, Declaration, DeclaredKind, DeclaredMetric, Derived, Dictionary, Fixed, Halves, Integers,
    Label, LabelValues, Pairing, PairingDeriver, Plugin, Request, Rule, Shape, TextData, columns,
    export_pairing_deriver,
};

columns! {
    /// What is read of every span.
    struct Spans<'a> of Shape::Spans {
        service: Dictionary<'a> = "service",
        kind: Dictionary<'a> = "kind",
        trace_id: Fixed<'a, 16> = "trace_id",
        span_id: Fixed<'a, 8> = "span_id",
        parent: Option<Fixed<'a, 8>> = "parent_span_id",
        duration: Integers<'a> = "duration",
    }
}

const CALLS: u16 = 0;
const UNPAIRED: u16 = 1;
const SECONDS: u16 = 2;

/// The plugin, as its configuration makes it.
#[derive(Debug)]
pub struct ServiceCalls {
    wait_ms: u32,
}

impl Plugin for ServiceCalls {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("../config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS];

    fn configure(mut config: Config) -> Result<Self, String> {
        let wait_ms = config.u32("wait_ms", 10_000)?;
        config.finish()?;
        match (1..=600_000).contains(&wait_ms) {
            true => Ok(Self { wait_ms }),
            false => Err(format!("wait_ms = {wait_ms} must be 1 to 600000")),
        }
    }
}

impl PairingDeriver for ServiceCalls {
    fn declare(&self) -> Declaration {
        let metric = |name: &str, kind, help: &str, unit: &str| DeclaredMetric {
            name: name.to_owned(),
            kind,
            help: help.to_owned(),
            unit: unit.to_owned(),
        };
        let seconds =
            DeclaredKind::Histogram { classic: Some(vec![0.01, 0.1, 1.0]), exponential_buckets_max: 0 };
        let unpaired = "Spans whose other side did not come.";
        Declaration {
            metrics: vec![
                metric("service_calls_total", DeclaredKind::Counter, "Calls.", ""),
                metric("service_calls_unpaired_total", DeclaredKind::Counter, unpaired, ""),
                metric("service_call_seconds", seconds, "Their duration at the server.", "s"),
            ],
            pairing: Some(Pairing {
                wait_ms: self.wait_ms,
                pending_max: 10_000,
                additions: vec![(Rule::Pairs, CALLS), (Rule::Unpaired, UNPAIRED), (Rule::SecondValue, SECONDS)],
                exemplars: true,
            }),
            exemplar_label: String::new(),
        }
    }

    fn derive(&self, batch: &Batch) -> Derived {
        let spans = Spans::of(batch);
        let services = spans.service.distinct().len() as u32;
        let sides = spans.kind.per_distinct(|kind| match kind {
            "client" => Some(0),
            "server" => Some(Halves::SECOND),
            _ => None,
        });

        let mut halves = Halves::with_capacity(spans.rows);
        for row in 0..spans.rows {
            let side = sides[spans.kind.keys()[row] as usize];
            let parent = spans.parent.and_then(|parent| parent.get(row));
            // The two sides of a call have the id of the client's span in common.
            let (call, side) = match (side, parent) {
                (Some(Halves::SECOND), Some(parent)) => (parent, Halves::SECOND),
                (Some(0), _) => (&spans.span_id.rows()[row], 0),
                _ => continue,
            };
            let seconds = spans.duration.values()[row].max(0) as f64 / 1e9;
            let set = spans.service.keys()[row] + if side == Halves::SECOND { services } else { 0 };
            halves.push(row as u32, (&spans.trace_id.rows()[row], call), side, seconds, set);
        }

        // A label set for each service as client and another one for each as server; the text
        // behind all services stands for none.
        let names = || spans.service.distinct().iter().chain([""]).collect::<TextData>();
        let label = |name: &str, keys: Vec<u32>| Label {
            name: name.to_owned(),
            keys,
            values: LabelValues::Own(names()),
        };
        let none = vec![services; services as usize];
        halves.set_count = 2 * services;
        halves.labels = vec![
            label("client", (0..services).chain(none.iter().copied()).collect()),
            label("server", none.iter().copied().chain(0..services).collect()),
        ];
        Derived { tables: Vec::new(), halves }
    }
}

export_pairing_deriver!(ServiceCalls);
