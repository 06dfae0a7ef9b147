//! Calls between services, for the service graph: over HTTP, by message, of a database; some fail.

use isinglass_testkit::otlp::{self, Attribute, Span, text};

use crate::harness::{Client, now_nanos};

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PRODUCER: u64 = 4;
const CONSUMER: u64 = 5;

/// One trace: a user calls the frontend, that the checkout, and that a payment by message and a
/// database.
pub(super) async fn send(client: &Client, round: u64) {
    let start = now_nanos() - 3_000_000_000;
    let trace_id = u128::from(round + 1).to_be_bytes().to_vec();
    let span = |kind, id: u8, parent: u8, millis: u64, attributes: Vec<Attribute>| Span {
        trace_id: trace_id.clone(),
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { Vec::new() } else { vec![parent; 8] },
        name: "call".to_owned(),
        kind,
        start_unix_nanos: start,
        end_unix_nanos: start + millis * 1_000_000,
        attributes,
        status: if round.is_multiple_of(3) { 2 } else { 0 },
        status_message: String::new(),
    };
    let database = vec![text("db.system", "postgresql"), text("server.address", "orders.db")];
    let of_services = [
        ("frontend", vec![span(SERVER, 1, 0, 900, vec![]), span(CLIENT, 2, 1, 700, vec![])]),
        (
            "checkout",
            vec![
                span(SERVER, 3, 2, 500, vec![]),
                span(PRODUCER, 4, 3, 20, vec![]),
                span(CLIENT, 5, 3, 150, database),
            ],
        ),
        ("payment", vec![span(CONSUMER, 6, 4, 80, vec![])]),
    ];
    for (service, spans) in of_services {
        client.otlp("traces", otlp::traces(&[text("service.name", service)], &spans)).await.ok();
    }
}
