//! A plugin is tried out on live traffic, compared with the one that is enforced, and takes its place.

use std::collections::BTreeMap;

use isinglass_testkit::{loki, otlp};
use serde_json::Value;

use crate::harness::{Server, now_nanos};
use crate::plugin_install::{DENY, run, says, spans, stored};
use crate::service_graph::query;

fn config(services: &str) -> String {
    format!(r#"{{ "services": [{services}] }}"#)
}

fn install(server: &Server, more: &[&str], wanted: &str) -> String {
    says(server, &[&["install", DENY, "--name", "guard"], more].concat(), 0, wanted)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_tried_out_looked_at_and_promoted() {
    let mut server = Server::start();
    let client = server.client();
    says(&server, &["diff", "guard"], 1, "no plugin \"guard\" is or was tried out");
    install(&server, &["--config", &config(r#""bots""#)], "deny-service@0.1.0");
    install(&server, &["--shadow", "--config", &config(r#""shop", "bots""#)], "tried out");
    let listed = says(&server, &["list"], 0, "validator (shadow)");
    assert_eq!(listed.matches("guard").count(), 2, "{listed}");
    says(&server, &["diff", "guard"], 0, "it was shown nothing");

    client.otlp("traces", spans("shop", 0, 6)).await.ok();
    client.otlp("traces", spans("bots", 100, 3)).await.ok();
    client.otlp("traces", spans("web", 200, 1)).await.ok();
    assert_eq!((stored(&client, "shop").await, stored(&client, "bots").await), (6, 0));
    let wanted = "traces: 10 items; 9 would be refused; 6 of them kept now";
    let told = says(&server, &["diff", "guard", "--since", "1h"], 0, wanted);
    assert!(told.contains("refused shop service_denied, for example"), "{told}");
    let diff: Value = serde_json::from_slice(&run(&server, &["diff", "guard", "--json"]).stdout).unwrap();
    let line = &diff["groups"][0];
    assert_eq!((line["sender"].as_str(), line["items"].as_u64()), (Some("shop"), Some(6)), "{diff}");
    assert_eq!((line["share_of_sender"].as_f64(), line["share_of_signal"].as_f64()), (Some(1.0), Some(0.6)));
    assert!(line["examples"][0]["item"].as_str().unwrap().contains("GET /"), "{line}");
    assert_eq!(
        (line["live"].as_str(), diff["groups"][1]["live"].as_str()),
        (Some("kept"), Some("service_denied"))
    );
    assert!(diff["live"]["digest"].as_str().unwrap().starts_with("sha256:"), "{diff}");

    // What was said is there after a crash, as far as it was written; the trial goes on.
    server.kill();
    server.start_again();
    let client = server.client();
    client.otlp("traces", spans("shop", 300, 2)).await.ok();
    says(&server, &["diff", "guard"], 0, "traces: 12 items; 11 would be refused; 8 of them kept now");
    let seen = "select sum(items) from shadow where what = 'seen'";
    assert_eq!(client.number(seen).await, 12.0);
    client.flush().await;
    assert_eq!(client.number(seen).await, 12.0);
    assert!(client.metric("isinglass_shadow_requests_total", &[]).await >= 1.0);
    assert_eq!(client.metric("isinglass_shadow_skipped_requests_total", &[]).await, 0.0);

    says(&server, &["promote", "guard"], 0, "deny-service@0.1.0");
    client.otlp("traces", spans("shop", 400, 5)).await.ok();
    assert_eq!(stored(&client, "shop").await, 8, "it is enforced");
    says(&server, &["promote", "guard"], 1, "to be tried out");
    says(&server, &["diff", "guard"], 0, "that is tried out no longer");
    says(&server, &["remove", "guard", "--shadow"], 1, "to be tried out");
    says(&server, &["remove", "guard"], 0, "guard removed");
}

/// One side of a call between `shop` and `cart`.
fn side(service: &str, id: u64, parent: u64) -> Vec<u8> {
    let start = now_nanos() - 1_000_000_000;
    let bytes = |id: u64| id.to_be_bytes().to_vec();
    let span = otlp::Span {
        kind: if parent == 0 { 3 } else { 2 },
        span_id: bytes(id),
        parent_span_id: if parent == 0 { Vec::new() } else { bytes(parent) },
        ..otlp::Span::server("call", start, start + 1_000)
    };
    otlp::traces(&[otlp::text("service.name", service)], &[span])
}

/// A deriver on trial pairs rows beside the one that is enforced, and what it is left with is gone
/// when it takes that one's place.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_graph_is_tried_out() {
    let validate = "name = \"validate\"\nsource = \"builtin:validate\"\nworld = \"validator\"";
    let server = Server::start_with(&format!("[[plugins.bindings]]\n{validate}\n"));
    let client = server.client();
    let install = ["install", "plugins/dist/span-metrics.wasm", "--name", "graph"];
    says(&server, &install, 0, "span-metrics@");
    let config = r#"{ "service_graph": { "wait_ms": 30000, "virtual_node_label": true } }"#;
    says(&server, &[&install[..], &["--shadow", "--config", config]].concat(), 0, "tried out");
    client.otlp("traces", side("shop", 1, 0)).await.ok();
    client.otlp("traces", side("cart", 2, 1)).await.ok();
    let wanted = "traces_service_graph_request_total: 1 in 1 series";
    says(&server, &["diff", "graph", "--since", "1h"], 0, wanted);
    client.flush().await;
    let edges = || query(&client, "traces_service_graph_request_total");
    assert_eq!(edges().await, BTreeMap::from([("client=shop server=cart".to_owned(), 1.0)]));

    // The enforced one's half goes on waiting, that of the trial does not.
    client.otlp("traces", side("shop", 3, 0)).await.ok();
    says(&server, &["diff", "graph"], 0, wanted);
    says(&server, &["promote", "graph"], 0, "span-metrics@");
    client.otlp("traces", side("cart", 4, 3)).await.ok();
    client.flush().await;
    assert_eq!(edges().await.values().sum::<f64>(), 2.0);
    let told = "shadow where what = 'derived' and field like 'traces_service_graph_%'";
    let before = client.count(told).await;
    client.flush().await;
    assert_eq!(client.count(told).await, before);
    assert_eq!(client.count(&format!("{told} and field like '%_unpaired_%'")).await, 0);
}

/// A trial may be for one tenant, and nobody else is told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_of_one_tenant_is_told_to_that_tenant() {
    let server = Server::start();
    let (acme, other) = (server.client().tenant("acme"), server.client().tenant("other"));
    let redact = "plugins/dist/examples/redact.wasm";
    let config = r#"{ "keys": ["user"] }"#;
    says(&server, &["install", redact, "--shadow", "--tenant", "acme", "--config", config], 0, "tried out");
    for client in [&acme, &other] {
        let stream = loki::Stream::new(r#"{app="a", user="ann"}"#).line(now_nanos(), "line");
        client.loki(&loki::request(&[stream])).await.ok();
    }
    let told = says(&server, &["diff", "redact", "--tenant", "acme"], 0, "logs: 1 items");
    assert!(told.contains("stream") && told.contains("***"), "{told}");
    says(&server, &["diff", "redact", "--tenant", "other"], 1, "is or was tried out for tenant other");
    assert_eq!(other.count("shadow").await, 0);
    let tried = "select name from system.plugins where shadow";
    assert_eq!((acme.sql(tried).await.len(), other.sql(tried).await.len()), (1, 0));
    says(&server, &["remove", "redact"], 0, "redact removed, it was tried out");
    assert_eq!(acme.count("logs where stream like '%ann%'").await, 1, "nothing was changed");
}
