//! Who calls whom: the metrics of service graphs.
//!
//! A call has two spans: that of the client, and that of the server, whose parent is the first. They
//! come from different senders, so each is a half that the host keeps until the other comes. What
//! needs no other half is counted at once: calls of databases, which send no spans, and servers
//! whose span has no parent, so that no client will come.

mod edges;
mod peers;
mod sets;
mod settings;

use isinglass_plugin::{
    Batch, DeclaredKind, DeclaredMetric, Derived, Fixed, Groups, Integers, Pairing, Request, Rule, Shape,
    View,
};

use crate::Spans;
use crate::dimensions;
use crate::form::Form;
use crate::weights::Weights;
use edges::Edges;
use peers::Peers;
use sets::Sets;
pub(crate) use settings::Settings;

const SLOT: u16 = 4_096;
const TRACE_ID: u16 = SLOT;
const SPAN_ID: u16 = SLOT + 1;
const PARENT_SPAN_ID: u16 = SLOT + 2;
const TIME: u16 = SLOT + 3;
/// The first dimension; they take two slots each.
const DIMENSIONS: u16 = SLOT + 16;
const PEERS: u16 = SLOT + 512;

/// Numbers of the metrics.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    total: u16,
    failed: u16,
    server: u16,
    client: u16,
    unpaired: u16,
    dropped: u16,
    messaging: Option<u16>,
    info: Option<u16>,
}

/// The service graph under a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    settings: Settings,
    form: Form,
    exemplars: bool,
    numbers: Numbers,
    peers: Peers,
}

/// The columns that say which spans belong together.
#[derive(Debug, Clone, Copy)]
struct Ids<'a> {
    trace: Fixed<'a, 16>,
    span: Fixed<'a, 8>,
    parent: Option<Fixed<'a, 8>>,
    time: Option<Integers<'a>>,
}

impl Graph {
    pub(crate) fn new(settings: Settings, form: Form, exemplars: bool) -> Self {
        let peers = Peers::new(&settings, PEERS);
        Self { settings, form, exemplars, numbers: Numbers::default(), peers }
    }

    /// What to ask for besides what every span has.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let id = |(slot, name): (u16, &'static str)| Request {
            shape: Shape::Spans,
            slot,
            name: name.into(),
            encoding: isinglass_plugin::Encoding::Values,
            optional: true,
        };
        let ids = [(TRACE_ID, "trace_id"), (SPAN_ID, "span_id"), (PARENT_SPAN_ID, "parent_span_id")];
        let mut requests: Vec<Request> = ids.into_iter().map(id).collect();
        requests.extend(self.settings.messaging_latency.then(|| id((TIME, "time"))));
        requests.extend(self.peers.requests());
        requests.extend(dimensions::requests(&self.settings.dimensions, DIMENSIONS));
        requests
    }

    /// Declares its metrics behind those that there are.
    pub(crate) fn declare(&mut self, metrics: &mut Vec<DeclaredMetric>) {
        let mut add = |name: &str, kind: DeclaredKind, help: &str, unit: &str| {
            metrics.push(DeclaredMetric {
                name: format!("traces_service_graph_{name}"),
                kind,
                help: help.to_owned(),
                unit: unit.to_owned(),
            });
            metrics.len() as u16 - 1
        };
        let counter = || DeclaredKind::Counter;
        let seconds = || self.form.kind();
        self.numbers = Numbers {
            total: add("request_total", counter(), "Calls between two services.", ""),
            failed: add("request_failed_total", counter(), "Calls of which a side failed.", ""),
            server: add("request_server_seconds", seconds(), "Duration of calls at the server.", "s"),
            client: add("request_client_seconds", seconds(), "Duration of calls at the client.", "s"),
            unpaired: add("unpaired_spans_total", counter(), "Spans whose other side never came.", ""),
            dropped: add("dropped_spans_total", counter(), "Spans for which there was no place.", ""),
            messaging: self.settings.messaging_latency.then(|| {
                let help = "From the end of sending a message to the begin of receiving it.";
                add("request_messaging_system_seconds", seconds(), help, "s")
            }),
            info: self.settings.connection_info.then(|| {
                add("connection_info", DeclaredKind::Gauge, "1 where two services were connected.", "")
            }),
        };
    }

    /// What the host makes of halves.
    pub(crate) fn pairing(&self) -> Pairing {
        let numbers = &self.numbers;
        let mut additions = vec![
            (Rule::Pairs, numbers.total),
            (Rule::Marked, numbers.failed),
            (Rule::SecondValue, numbers.server),
            (Rule::FirstValue, numbers.client),
            (Rule::Unpaired, numbers.unpaired),
            (Rule::Dropped, numbers.dropped),
        ];
        additions.extend(numbers.messaging.map(|metric| (Rule::Gap, metric)));
        additions.extend(numbers.info.map(|metric| (Rule::Presence, metric)));
        Pairing {
            wait_ms: self.settings.wait_ms,
            pending_max: self.settings.pending_max,
            additions,
            exemplars: self.exemplars,
        }
    }

    /// Adds what the spans of a batch give. `groups` agree in kind, status and service.
    pub(crate) fn derive(
        &self,
        batch: &Batch,
        spans: &Spans<'_>,
        groups: &Groups,
        weights: &Weights,
        derived: &mut Derived,
    ) {
        let (Some(trace), Some(span)) = (Fixed::read(batch, TRACE_ID), Fixed::read(batch, SPAN_ID)) else {
            return;
        };
        let (parent, time) = (Fixed::read(batch, PARENT_SPAN_ID), Integers::read(batch, TIME));
        let ids = Ids { trace, span, parent, time };
        let peers = self.peers.read(batch);
        let dimensions = dimensions::read(&self.settings.dimensions, DIMENSIONS, batch);
        let sets = Sets::of(spans, groups, &peers, &dimensions);
        let mut edges = Edges::of(&sets, spans, &ids, weights);
        edges.take_all();
        edges.write(self, &dimensions, derived);
    }
}
