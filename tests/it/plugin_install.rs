//! Plugins that are installed while a server runs: what they do, to whom, and what stays of them.

use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use isinglass_testkit::otlp;
use serde_json::Value;

use crate::backup;
use crate::harness::{Client, Server, now_nanos};

pub(crate) const DENY: &str = "plugins/dist/examples/deny-service.wasm";

pub(crate) fn run(server: &Server, arguments: &[&str]) -> Output {
    let url = format!("http://{}", server.addresses().http);
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    command.arg("plugin").args(arguments).args(["--server", &url]).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.output().unwrap()
}

/// Runs a command, which must end with `code` and say `wanted`.
pub(crate) fn says(server: &Server, arguments: &[&str], code: i32, wanted: &str) -> String {
    let output = run(server, arguments);
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
    assert!(text.contains(wanted), "{arguments:?}: {wanted:?} in {text}");
    text
}

/// As many spans as it says, none like those of another call.
pub(crate) fn spans(service: &str, first: u64, count: u64) -> Vec<u8> {
    let start = now_nanos() - 1_000_000_000;
    let span = |at: u64| otlp::Span {
        span_id: (first + at + 1).to_be_bytes().to_vec(),
        ..otlp::Span::server("GET /", start + first + at, start + first + at + 1_000)
    };
    otlp::traces(&[otlp::text("service.name", service)], &(0..count).map(span).collect::<Vec<_>>())
}

pub(crate) async fn stored(client: &Client, service: &str) -> u64 {
    client.count(&format!("spans where service = '{service}'")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sees_the_next_request_and_is_there_after_a_restart() {
    let mut server = Server::start();
    let client = server.client();
    client.otlp("traces", spans("bots", 0, 3)).await.ok();
    let config = r#"{ "services": ["bots"] }"#;
    let said = says(
        &server,
        &["install", DENY, "--config", config],
        0,
        "deny-service: deny-service@0.1.0, a validator",
    );
    assert!(said.contains("sha256:"), "{said}");
    client.otlp("traces", spans("bots", 10, 4)).await.ok();
    assert_eq!((stored(&client, "bots").await, client.count("rejected").await), (3, 4));
    let listed = says(&server, &["list"], 0, "deny-service@0.1.0");
    assert!(listed.contains("installed") && listed.contains("builtin:validate"), "{listed}");

    server.kill();
    server.start_again();
    let client = server.client();
    client.otlp("traces", spans("bots", 20, 5)).await.ok();
    assert_eq!((stored(&client, "bots").await, client.count("rejected").await), (3, 9));

    says(&server, &["remove", "deny-service"], 0, "deny-service removed");
    client.otlp("traces", spans("bots", 30, 6)).await.ok();
    assert_eq!(stored(&client, "bots").await, 9);
    says(&server, &["remove", "deny-service"], 1, "no plugin is installed as \"deny-service\"");
}

/// A server that was restored keeps what the one before it kept, and nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_it_back() {
    let server = Server::start();
    says(&server, &["install", DENY, "--config", r#"{ "services": ["bots"] }"#], 0, "deny-service");
    let (dest, restored) = (server.scratch().join("backup"), server.scratch().join("restored"));
    let (dest, restored) = (dest.to_str().unwrap(), restored.to_str().unwrap());
    let url = format!("http://{}", server.addresses().http);
    assert!(backup::run(&["backup", "--url", &url, dest]).await.status.success());
    assert!(backup::run(&["restore", dest, "--data-dir", restored]).await.status.success());
    let copy = Server::start_on(restored.as_ref());
    let client = copy.client();
    client.otlp("traces", spans("bots", 0, 2)).await.ok();
    assert_eq!((stored(&client, "bots").await, client.count("rejected").await), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_would_not_load_changes_nothing() {
    let server = Server::start();
    let install = |more: &[&str], wanted: &str| says(&server, &[&["install"], more].concat(), 1, wanted);
    install(&["Cargo.toml", "--name", "x"], "not a usable component");
    install(&[DENY, "--config", r#"{ "services": "bots" }"#], "configuration refused: services");
    install(&[DENY, "--config", "{"], "--config is not JSON");
    install(&[DENY, "--name", "validate"], "a binding of the configuration has its name");
    install(&[DENY, "--name", "No"], "its name must be 1 to 64 of a-z 0-9 -");
    install(&[DENY, "--signal", "smells"], "binding: ");
    install(&[DENY, "--on-error", "skip"], "use one of: ");
    install(&["nothing.wasm"], "cannot read nothing.wasm");
    says(&server, &["log", "nobody"], 1, "there is no plugin \"nobody\"");
    says(&server, &["rollback", "nobody"], 1, "no plugin is installed as \"nobody\"");
    let listed: Value = serde_json::from_slice(&run(&server, &["list", "--json"]).stdout).unwrap();
    let names: Vec<_> = listed["plugins"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["validate", "rate-limit", "span-metrics"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_for_one_tenant() {
    let server = Server::start();
    let config = r#"{ "services": ["bots"] }"#;
    says(&server, &["install", DENY, "--tenant", "acme", "--config", config], 0, ", for acme");
    let (acme, other) = (server.client().tenant("acme"), server.client().tenant("other"));
    acme.otlp("traces", spans("bots", 0, 2)).await.ok();
    other.otlp("traces", spans("bots", 0, 2)).await.ok();
    assert_eq!((stored(&acme, "bots").await, stored(&other, "bots").await), (0, 2));
    let names = "select name from system.plugins where name = 'deny-service'";
    assert_eq!((acme.sql(names).await.len(), other.sql(names).await.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_takes_the_place_of_another_and_goes_back() {
    let server = Server::start();
    let client = server.client();
    let install =
        |config: &str| says(&server, &["install", DENY, "--name", "guard", "--config", config], 0, "guard");
    install(r#"{ "services": ["bots"] }"#);
    says(&server, &["rollback", "guard"], 1, "no earlier version");
    let other = "plugins/dist/validate.wasm";
    says(&server, &["install", other, "--name", "guard"], 0, "validate@0.1.0");
    client.otlp("traces", spans("bots", 0, 2)).await.ok();
    assert_eq!(stored(&client, "bots").await, 2);
    says(&server, &["rollback", "guard"], 0, "deny-service@0.1.0");
    client.otlp("traces", spans("bots", 10, 2)).await.ok();
    assert_eq!(stored(&client, "bots").await, 2);
}

/// Senders push without a pause while chains change under them. Each batch is kept or refused as a
/// whole, everything is counted once, and derived counters go on.
#[tokio::test(flavor = "multi_thread")]
async fn no_batch_is_dropped_or_judged_by_halves() {
    const SENDERS: u64 = 3;
    const SPANS: u64 = 50;
    let server = Server::start();
    let done = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (client, done) = (server.client(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut requests = 0;
                while !done.load(Ordering::Relaxed) {
                    let first = (sender * 1_000_000 + requests) * SPANS;
                    client.otlp("traces", spans("bots", first, SPANS)).await.ok();
                    requests += 1;
                }
                requests
            })
        })
        .collect();
    for _ in 0..4 {
        says(&server, &["install", DENY, "--config", r#"{ "services": ["bots"] }"#], 0, "deny-service");
        says(&server, &["remove", "deny-service"], 0, "removed");
    }
    done.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for sender in senders {
        requests += sender.await.unwrap();
    }
    let client = server.client();
    let kept = stored(&client, "bots").await;
    let refused = client.metric("isinglass_rejected_items_total", &["service_denied"]).await as u64;
    assert_eq!(kept + refused, requests * SPANS);
    assert!(kept % SPANS == 0 && kept > 0 && refused > 0, "{kept} kept, {refused} refused");
    client.flush().await;
    let calls = "select sum(value) from (select series_id, max(value) as value \
                 from metrics.traces_spanmetrics_calls_total where service = 'bots' group by 1)";
    assert_eq!(client.number(calls).await as u64, kept);
}

/// A derived counter that comes with an installed plugin ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_derives_ends_with_it() {
    let server = Server::start();
    let client = server.client();
    let counts = "plugins/dist/examples/log-counts.wasm";
    says(&server, &["install", counts], 0, "log-counts@");
    let record = otlp::LogRecord { severity_number: 9, ..otlp::LogRecord::new(now_nanos(), "a line") };
    client.otlp("logs", otlp::logs(&[otlp::text("service.name", "shop")], &[record])).await.ok();
    client.flush().await;
    let (samples, value) = ("metrics.log_records_total", "select max(value) from metrics.log_records_total");
    assert_eq!(client.number(value).await, 1.0);
    says(&server, &["remove", "log-counts"], 0, "removed");
    // Its last value, and that there is none after it.
    client.flush().await;
    let before = client.count(samples).await;
    client.flush().await;
    assert_eq!(client.count(samples).await, before, "nothing is written any more");
    assert_eq!(client.number(value).await, 1.0);
}
