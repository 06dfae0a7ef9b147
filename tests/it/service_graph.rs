//! Service graphs from spans that came over OTLP, as Prometheus' API shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use isinglass_testkit::otlp::{self, Attribute, Span, text};
use serde_json::Value;

use crate::harness::{Client, Server, eventually, now_nanos};

const WAIT: &str = "[plugins.config.span-metrics]\nservice_graph = { wait_ms = 1500, messaging_latency = true, \
                    connection_info = true }\n";

/// A span of the one trace.
struct Sent {
    kind: u64,
    id: u8,
    parent: u8,
    millis: u64,
    status: u64,
    attributes: Vec<Attribute>,
}

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const PRODUCER: u64 = 4;
const CONSUMER: u64 = 5;

fn sent(kind: u64, id: u8, parent: u8, millis: u64) -> Sent {
    Sent { kind, id, parent, millis, status: 0, attributes: Vec::new() }
}

async fn send(client: &Client, service: &str, more: &[Attribute], start: u64, spans: Vec<Sent>) {
    let span = |sent: Sent| Span {
        trace_id: vec![9; 16],
        span_id: vec![sent.id; 8],
        parent_span_id: if sent.parent == 0 { Vec::new() } else { vec![sent.parent; 8] },
        name: "call".to_owned(),
        kind: sent.kind,
        // A consumer gets a message 250 ms after all began.
        start_unix_nanos: start + if sent.kind == CONSUMER { 250_000_000 } else { 0 },
        end_unix_nanos: start + sent.millis * 1_000_000 + if sent.kind == CONSUMER { 250_000_000 } else { 0 },
        attributes: sent.attributes,
        status: sent.status,
        status_message: String::new(),
    };
    let spans: Vec<Span> = spans.into_iter().map(span).collect();
    let mut resource = vec![text("service.name", service)];
    resource.extend_from_slice(more);
    client.otlp("traces", otlp::traces(&resource, &spans)).await.ok();
}

/// Every series of an instant query without its name, and its value.
pub(crate) async fn query(client: &Client, query: &str) -> BTreeMap<String, f64> {
    let answer = client.get(&format!("api/v1/query?query={query}")).await.ok().json();
    let series = answer["data"]["result"].as_array().unwrap().iter().map(|one| {
        let labels = one["metric"].as_object().unwrap().iter().filter(|(name, _)| *name != "__name__");
        let labels: Vec<String> =
            labels.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
        (labels.join(" "), one["value"][1].as_str().unwrap().parse().unwrap())
    });
    series.collect()
}

async fn check(client: &Client, name: &str, wanted: &[(&str, f64)]) {
    let wanted: BTreeMap<String, f64> =
        wanted.iter().map(|(labels, value)| ((*labels).to_owned(), *value)).collect();
    assert_eq!(query(client, name).await, wanted, "{name}");
}

/// A shop: called by a user, calls a cart, a database, a bank without spans, and sends a message.
async fn send_all(client: &Client, start: u64) {
    // The servers' spans come first, in requests of their own.
    let failed = Sent { status: 2, ..sent(SERVER, 21, 11, 300) };
    send(client, "cart", &[], start, vec![failed]).await;
    send(client, "mail", &[], start, vec![sent(CONSUMER, 22, 12, 50)]).await;
    let database = vec![text("db.system", "postgresql"), text("server.address", "db.local")];
    let calls = vec![
        sent(SERVER, 10, 0, 900),
        sent(CLIENT, 11, 10, 400),
        sent(PRODUCER, 12, 10, 100),
        Sent { attributes: database, ..sent(CLIENT, 13, 10, 150) },
        Sent { attributes: vec![text("peer.service", "bank")], ..sent(CLIENT, 14, 10, 200) },
        sent(CLIENT, 15, 10, 20),
    ];
    send(client, "shop", &[], start, calls).await;
}

#[tokio::test]
async fn edges_are_those_of_the_trace() {
    let server = Server::start_with(WAIT);
    let client = server.client();
    send_all(&client, now_nanos() - 2_000_000_000).await;
    client.flush().await;
    let known = [
        ("client=shop server=cart", 1.0),
        ("client=shop connection_type=database server=db.local", 1.0),
        ("client=shop connection_type=messaging_system server=mail", 1.0),
        ("client=user connection_type=virtual_node server=shop", 1.0),
    ];
    check(&client, "traces_service_graph_request_total", &known).await;

    // After the wait the bank did not answer, and of another call nothing is known.
    let bank = ("client=shop connection_type=virtual_node server=bank", 1.0);
    eventually("the wait of spans ends", Duration::from_secs(60), || async {
        client.flush().await;
        (query(&client, "traces_service_graph_request_total").await.len() == 5).then_some(())
    })
    .await;
    let mut all = known.to_vec();
    all.push(bank);
    check(&client, "traces_service_graph_request_total", &all).await;
    check(&client, "traces_service_graph_connection_info", &all).await;
    check(&client, "traces_service_graph_unpaired_spans_total", &[("client=shop", 1.0)]).await;
    check(&client, "traces_service_graph_dropped_spans_total", &[]).await;
    let failed = query(&client, "traces_service_graph_request_failed_total > 0").await;
    assert_eq!(failed.into_keys().collect::<Vec<_>>(), ["client=shop server=cart"]);
    let sums = "traces_service_graph_request_server_seconds_sum";
    check(
        &client,
        sums,
        &[
            ("client=shop server=cart", 0.3),
            ("client=shop connection_type=database server=db.local", 0.15),
            ("client=shop connection_type=messaging_system server=mail", 0.05),
            ("client=user connection_type=virtual_node server=shop", 0.9),
        ],
    )
    .await;
    let sums = "traces_service_graph_request_client_seconds_sum";
    check(
        &client,
        sums,
        &[
            ("client=shop server=cart", 0.4),
            ("client=shop connection_type=database server=db.local", 0.15),
            ("client=shop connection_type=messaging_system server=mail", 0.1),
            ("client=shop connection_type=virtual_node server=bank", 0.2),
        ],
    )
    .await;
    let sums = "traces_service_graph_request_messaging_system_seconds_sum";
    check(&client, sums, &[("client=shop connection_type=messaging_system server=mail", 0.15)]).await;
    let buckets = "traces_service_graph_request_server_seconds_bucket{server=\"cart\"}";
    let of = |le: &str| format!("client=shop le={le} server=cart");
    let bounds = ["0.1", "0.2", "0.4", "0.8", "1.6", "3.2", "6.4", "12.8", "+Inf"];
    let wanted: BTreeMap<String, f64> =
        bounds.iter().zip(0..).map(|(le, at)| (of(le), f64::from(u8::from(at >= 2)))).collect();
    assert_eq!(query(&client, buckets).await, wanted);
    assert_eq!(server.panics(), Vec::<String>::new());
}

/// A batch that ends a call and a message has a column for the kind of the latter, one that ends a
/// call has not.
#[tokio::test]
async fn an_edge_is_one_series_whatever_came_with_it() {
    let server = Server::start_with(WAIT);
    let client = server.client();
    let start = now_nanos() - 2_000_000_000;
    send(&client, "mail", &[], start, vec![sent(CONSUMER, 32, 12, 50)]).await;
    let with_a_message = vec![sent(CLIENT, 11, 10, 400), sent(PRODUCER, 12, 10, 100)];
    for (calls, called) in [(with_a_message, 11), (vec![sent(CLIENT, 16, 10, 400)], 16)] {
        send(&client, "cart", &[], start, vec![sent(SERVER, called + 20, called, 300)]).await;
        send(&client, "shop", &[], start, calls).await;
        client.flush().await;
    }
    let wanted =
        [("client=shop server=cart", 2.0), ("client=shop connection_type=messaging_system server=mail", 1.0)];
    check(&client, "traces_service_graph_request_total", &wanted).await;
    assert_eq!(server.panics(), Vec::<String>::new());
}

#[tokio::test]
async fn a_reload_and_a_stop_lose_no_half() {
    let mut server = Server::start();
    let client = server.client();
    let start = now_nanos() - 1_000_000_000;
    send(&client, "shop", &[], start, vec![sent(CLIENT, 11, 10, 400)]).await;
    client.post("-/reload", &[], Vec::new()).await.ok();
    send(&client, "cart", &[], start, vec![sent(SERVER, 21, 11, 300)]).await;
    let peer = vec![text("peer.service", "bank")];
    send(&client, "shop", &[], start, vec![Sent { attributes: peer, ..sent(CLIENT, 14, 10, 200) }]).await;
    client.flush().await;
    check(&client, "traces_service_graph_request_total", &[("client=shop server=cart", 1.0)]).await;
    // A stop ends the wait.
    assert!(server.stop().success());
    server.start_again();
    let wanted =
        [("client=shop server=cart", 1.0), ("client=shop connection_type=virtual_node server=bank", 1.0)];
    check(&server.client(), "traces_service_graph_request_total", &wanted).await;
}

#[tokio::test]
async fn exemplars_have_the_trace_under_the_name_that_is_wanted() {
    let server = Server::start_with("[plugins.config.span-metrics]\nexemplar_label = \"traceRef\"\n");
    let client = server.client();
    let start = now_nanos() - 2_000_000_000;
    send(&client, "shop", &[], start, vec![sent(SERVER, 10, 0, 900), sent(CLIENT, 11, 10, 400)]).await;
    send(&client, "cart", &[], start, vec![sent(SERVER, 21, 11, 300)]).await;
    client.flush().await;
    let (from, to) = (start / 1_000_000_000 - 60, start / 1_000_000_000 + 60);
    let path = format!(
        "api/v1/query_exemplars?query=traces_service_graph_request_server_seconds_bucket&start={from}&end={to}"
    );
    let answer = client.get(&path).await.ok().json();
    let series = answer["data"].as_array().unwrap();
    assert_eq!(series.len(), 2, "{answer}");
    for exemplar in series.iter().flat_map(|one| one["exemplars"].as_array().unwrap()) {
        assert_eq!(exemplar["labels"]["traceRef"], Value::from("09".repeat(16)), "{answer}");
    }
}

#[tokio::test]
async fn resources_and_native_histograms_on_demand() {
    let server = Server::start_with(
        "[plugins.config.span-metrics]\nhistograms = \"both\"\ntarget_info = true\nhost_info = true\n\
         dimensions = [\"http.route\", \"team\"]\n",
    );
    let client = server.client();
    let start = now_nanos() - 2_000_000_000;
    let resource = [
        text("service.namespace", "eu"),
        text("service.instance.id", "i1"),
        text("host.id", "h7"),
        text("team", "red"),
    ];
    let route = vec![text("http.route", "/cart")];
    let spans = vec![Sent { attributes: route, ..sent(SERVER, 10, 0, 3) }, sent(CLIENT, 11, 10, 16)];
    send(&client, "shop", &resource, start, spans).await;
    send(&client, "bare", &[], start, vec![sent(SERVER, 12, 0, 3)]).await;
    client.flush().await;
    let target = [("host_id=h7 instance=i1 job=eu/shop team=red", 1.0)];
    check(&client, "traces_target_info", &target).await;
    check(&client, "traces_host_info", &[("grafana_host_id=h7 host_source=host.id", 1.0)]).await;
    let of = |kind: &str, more: &str| {
        format!("{more} span_kind=SPAN_KIND_{kind} span_name=call status_code=STATUS_CODE_UNSET")
    };
    let (shop, bare) = ("instance=i1 job=eu/shop service=shop", "job=bare service=bare");
    let wanted = [
        (format!("http_route=/cart {} team=red", of("SERVER", shop)), 1.0),
        (format!("{} team=red", of("CLIENT", shop)), 1.0),
        (of("SERVER", bare), 1.0),
    ];
    assert_eq!(query(&client, "traces_spanmetrics_calls_total").await, BTreeMap::from(wanted));
    let counts = query(&client, "histogram_count(traces_spanmetrics_latency)").await;
    assert_eq!(counts.into_values().collect::<Vec<_>>(), [1.0, 1.0, 1.0]);
    let sums = query(&client, "sum(histogram_sum(traces_spanmetrics_latency))").await;
    assert!((sums[""] - 0.022).abs() < 1e-12, "{sums:?}");
    let median = query(&client, "histogram_quantile(0.5, sum(traces_spanmetrics_latency))").await;
    assert!((median[""] - 0.003).abs() < 0.0005, "{median:?}");
    let edges = query(&client, "sum(histogram_count(traces_service_graph_request_server_seconds))").await;
    assert_eq!(edges[""], 2.0);
    // And the classic form beside it.
    let classic = query(&client, "sum(traces_spanmetrics_latency_bucket{le=\"0.004\"})").await;
    assert_eq!(classic[""], 2.0);
}
