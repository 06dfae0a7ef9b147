//! Deriving again on a running server: what was counted live against what is stored.

use std::process::{Command, Output};
use std::time::Duration;

use isinglass_testkit::{load, otlp};
use serde_json::Value;

use crate::derived;
use crate::harness::{Client, Server, eventually, now_nanos};

fn run(server: &Server, arguments: &[&str]) -> Output {
    let url = format!("http://{}", server.addresses().http);
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    command.args(["plugin", "replay"]).args(arguments).args(["--server", &url]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

/// Runs it, which must end with `code` and say `wanted`.
fn says(server: &Server, arguments: &[&str], code: i32, wanted: &str) -> String {
    let output = run(server, arguments);
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{text}");
    assert!(text.contains(wanted), "{arguments:?}: {wanted:?} in {text}");
    text
}

fn json_of(server: &Server, arguments: &[&str]) -> Value {
    let output = run(server, &[arguments, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
        panic!("{arguments:?}\n{}", String::from_utf8_lossy(&output.stderr));
    })
}

/// What a comparison says once nothing differs: rows of service graphs wait ten seconds for others,
/// and what comes of those that are alone is counted then.
pub(crate) async fn reconciled(server: &Server) -> String {
    let equal = || async {
        let output = run(server, &["span-metrics", "--from", "-2h", "--diff"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let equal = text.contains("\nreconciled\n");
        assert!(equal || text.contains("two rows are paired live"), "{text}");
        assert_eq!(output.status.code(), Some(i32::from(!equal)), "{text}");
        equal.then_some(text)
    };
    eventually("counters that are those of the spans", Duration::from_secs(60), equal).await
}

/// Spans that come at once and others that come late.
async fn send(client: &Client, seed: u64) {
    let now = now_nanos();
    for late_s in [60, 600, 3_000] {
        client.otlp("traces", load::traces(seed + late_s, 300, now - late_s * 1_000_000_000)).await.ok();
    }
}

/// Late spans, a flush in the middle, and a crash: counters are those of the spans.
#[tokio::test(flavor = "multi_thread")]
async fn live_counters_are_those_that_are_derived_again() {
    let mut server = Server::start();
    let client = server.client();
    send(&client, 1).await;
    client.flush().await;
    send(&client, 2).await;
    let text = reconciled(&server).await;
    assert!(
        text.contains("read 1800 spans") && text.contains(" 0 different, 0 only stored, 0 only"),
        "{text}"
    );

    server.kill();
    server.start_again();
    let client = server.client();
    send(&client, 3).await;
    reconciled(&server).await;
    // Nothing was written by that.
    assert!(client.count("system.replays where state = 'done' and version is null").await > 0);
    assert_eq!(client.count("system.replays where version is not null").await, 0);
    derived::check_all(&{
        client.flush().await;
        client.clone()
    })
    .await;

    // All of history again, in the place of what is there, and counting goes on.
    let text = says(&server, &["span-metrics", "--from", "-2h"], 0, "written: ");
    assert!(text.contains("counters run across it") || text.contains("to 20"), "{text}");
    derived::check_all(&client).await;
    send(&client, 4).await;
    client.flush().await;
    derived::check_all(&client).await;
    server.kill();
    server.start_again();
    derived::check_all(&server.client()).await;
}

/// Observations of native histograms, over all lives of their series.
async fn observations(client: &Client) -> f64 {
    let of = "series_id in (select series_id from series where metric = 'traces_spanmetrics_latency')";
    let lives =
        format!("select series_id, start_time, max(\"count\") as n from histograms where {of} group by 1, 2");
    client.number(&format!("select sum(n) from ({lives})")).await
}

/// Native histograms and exemplars are derived again, late spans included, and take the place of
/// those that were live.
#[tokio::test(flavor = "multi_thread")]
async fn native_histograms_and_exemplars_too() {
    let config = "[plugins.config.span-metrics]\nhistograms = \"both\"\nservice_graph = { wait_ms = 1000 }\n";
    let mut server = Server::start_with(config);
    send(&server.client(), 1).await;
    server.client().flush().await;
    // Spans that wait at a crash are lost to the service graph.
    reconciled(&server).await;
    server.kill();
    server.start_again();
    let client = server.client();
    send(&client, 2).await;
    let text = reconciled(&server).await;
    assert!(text.contains("traces_spanmetrics_latency  ") && text.contains(" histograms, xxh3:"), "{text}");

    let written = json_of(&server, &["span-metrics", "--from", "-2h"]);
    for table in ["histograms", "exemplars"] {
        let (of, made) = (&written["written"][table], &written["provenance"][table]);
        assert!(of["removed"].as_u64().unwrap() > 0 && of["added"] == *made, "{table}: {written}");
        assert!(of["version"].as_u64().is_some(), "{table}: {of}");
    }
    let latency = written["metrics"].as_array().unwrap().iter();
    let latency = latency.filter(|one| one["name"] == "traces_spanmetrics_latency").collect::<Vec<_>>();
    assert_eq!((&latency[0]["stored"], &latency[0]["native"]["misplaced"]), (&1_800.0.into(), &0.0.into()));
    assert_eq!(observations(&client).await, 1_800.0);
    // Exemplars are those of the spans.
    let exemplars = client.count("exemplars").await;
    let found = "exemplars e join spans s on e.trace_id = s.trace_id and e.span_id = s.span_id \
                 where e.time = date_trunc('millisecond', s.time)";
    assert!(exemplars > 0);
    assert_eq!(client.count(found).await, exemplars);
    let labels = "exemplars where attributes['traceID'] is not null";
    assert_eq!(client.count(labels).await, exemplars);

    // Over the same range again: the same bytes.
    let (from, to) =
        (written["provenance"]["from_ms"].to_string(), written["provenance"]["to_ms"].to_string());
    let found = json_of(&server, &["span-metrics", "--from", &from, "--to", &to, "--diff"]);
    for digest in ["samples_digest", "histograms_digest", "exemplars_digest"] {
        assert_eq!(found["provenance"][digest], written["provenance"][digest]);
    }
    assert_eq!((&found["series"]["different"], &found["series"]["equal"]), (&0.into(), &0.into()));

    // Counting goes on, also after a crash.
    send(&client, 3).await;
    client.flush().await;
    server.kill();
    server.start_again();
    assert_eq!(observations(&server.client()).await, 2_700.0);
}

/// Buckets and labels that nobody counted live are there as if somebody had.
#[tokio::test(flavor = "multi_thread")]
async fn another_configuration_over_history() {
    let server = Server::start();
    let client = server.client();
    send(&client, 1).await;
    client.flush().await;
    let config = r#"{ "histogram_buckets": [0.01, 0.1], "dimensions": ["service_version"] }"#;
    let with = ["span-metrics", "--from", "-2h", "--config", config];
    says(&server, &[&with[..], &["--dry-run"]].concat(), 0, "would put ");
    says(&server, &[&with[..], &["--diff"]].concat(), 1, "only replayed");
    derived::check_all(&client).await;
    // Prometheus' language keeps results; this one must not stay.
    let graph = async || {
        let now = now_nanos() / 1_000_000_000;
        let query = "count(traces_spanmetrics_latency_bucket%7Ble%3D%220.1%22%7D)";
        let path = format!("api/v1/query_range?query={query}&start={}&end={now}&step=60", now - 3_600);
        client.get(&path).await.ok().json()["data"]["result"].as_array().unwrap().len()
    };
    assert_eq!(graph().await, 0);
    let written = json_of(&server, &with);
    assert_eq!(graph().await, 1);
    let digest = written["provenance"]["samples_digest"].as_str().unwrap().to_owned();
    assert!(written["written"]["removed"].as_u64().unwrap() > 0, "{written}");
    for (bound, nanos) in [("0.01", 10_000_000), ("0.1", 100_000_000)] {
        let le = format!("le = '{bound}'");
        let within = format!("count(*) filter (where duration <= {nanos})");
        derived::check(&client, "traces_spanmetrics_latency_bucket", &le, &within).await;
    }
    assert_eq!(client.count("metrics.traces_spanmetrics_latency_bucket where le = '0.002'").await, 0);
    let seen = format!(
        "system.replays where samples_digest = '{digest}' and added > 0 and plugin like 'span-metrics@%'"
    );
    assert_eq!(client.count(&seen).await, 1);

    // Over the same range again: the same bytes.
    let (from, to) =
        (written["provenance"]["from_ms"].to_string(), written["provenance"]["to_ms"].to_string());
    let again = ["span-metrics", "--from", &from, "--to", &to, "--config", config];
    let found = json_of(&server, &[&again[..], &["--diff"]].concat());
    assert_eq!(found["provenance"]["samples_digest"].as_str(), Some(digest.as_str()));
    let series = &found["series"];
    assert_eq!((&series["different"], &series["equal"]), (&0.into(), &0.into()), "{series}");
    assert!(series["identical"].as_u64().unwrap() > 0, "{series}");
}

/// A component that the server does not have, over log records; one tenant's only.
#[tokio::test(flavor = "multi_thread")]
async fn another_component_over_the_history_of_a_tenant() {
    let server = Server::start();
    let acme = server.client().tenant("acme");
    let record =
        |at: u64| otlp::LogRecord { severity_number: 9, ..otlp::LogRecord::new(now_nanos() - at, "a line") };
    let records: Vec<_> = (0..50).map(|at| record(at * 1_000_000_000)).collect();
    acme.otlp("logs", otlp::logs(&[otlp::text("service.name", "shop")], &records)).await.ok();
    let file = ["--file", "plugins/dist/examples/log-counts.wasm", "--from", "-1h", "--tenant", "acme"];
    says(&server, &[&["counts"], &file[..]].concat(), 0, "read 50 logs");
    assert_eq!(acme.number("select max(value) from metrics.log_records_total").await, 50.0);
    assert_eq!(server.client().count("system.replays").await, 0);
    says(&server, &["nobody", "--from", "-1h"], 1, "there is no plugin \"nobody\"");
    says(&server, &["validate", "--from", "-1h"], 1, "it is a validator");
    says(&server, &["span-metrics", "--from", "yesterday"], 1, "from = \"yesterday\" is no time");
    says(&server, &["span-metrics", "--from", "now", "--to", "-1h"], 1, "must be before");
}
