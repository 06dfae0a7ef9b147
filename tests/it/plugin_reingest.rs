//! Refused items are sent again through a corrected chain: stored once, also across a crash.

use std::process::{Command, Stdio};
use std::time::Duration;

use isinglass_testkit::loki;
use isinglass_testkit::remote_write::{self, Series};
use serde_json::Value;

use crate::harness::{Server, eventually, now_millis, now_nanos};
use crate::plugin_install::{DENY, says, spans, stored};

const BOTS: &str = r#"{ "services": ["bots"] }"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_by_mistake_is_sent_again() {
    let server = Server::start();
    let client = server.client();
    let reingest = |more: &[&str], code: i32, wanted: &str| {
        says(&server, &[&["reingest", "--where"], more].concat(), code, wanted)
    };
    says(&server, &["install", DENY, "--name", "guard", "--config", BOTS], 0, "guard");
    client.otlp("traces", spans("bots", 0, 5)).await.ok();
    client.otlp("traces", spans("shop", 100, 2)).await.ok();
    let long = "v".repeat(3_000);
    let series = Series::new(&[("__name__", "up"), ("v", &long)]).sample(now_millis(), 2.5);
    assert_eq!(client.remote_write(&remote_write::request(&[series])).await.status, 400);
    let broken = loki::Stream::new("{no").line(now_nanos(), "line");
    client.loki(&loki::request(&[broken])).await;
    assert_eq!(client.count("rejected").await, 7);
    assert_eq!(client.count("rejected where rule = 'guard' and plugin = 'deny-service@0.1.0'").await, 5);

    let denied = "reason = 'service_denied'";
    reingest(&[denied], 0, "5 rows: 0 stored\n5 are refused again and stay in rejected: service_denied");
    says(&server, &["remove", "guard"], 0, "guard removed");
    reingest(&[denied, "--dry-run"], 0, "5 rows: 5 would be stored");
    assert_eq!((stored(&client, "bots").await, client.count("reingested").await), (0, 0));
    reingest(&[denied, "--limit", "2"], 0, "2 rows: 2 stored");
    let all = reingest(&["true"], 0, "7 rows: 3 stored, 2 were stored before");
    assert!(all.contains("1 are refused again and stay in rejected: label_value_too_long"), "{all}");
    assert!(all.contains("1 cannot be sent again: they were refused before they were read"), "{all}");
    reingest(&[denied], 0, "5 rows: 0 stored, 5 were stored before");
    assert_eq!((stored(&client, "bots").await, client.count("rejected").await), (5, 7));
    let times = "select count(*) from spans where service = 'bots' and duration = 1000 and name = 'GET /'";
    assert_eq!(client.number(times).await, 5.0);
    let marks = "reingested where reason = 'service_denied' and outcome = 'stored' and signal = 'traces'";
    assert_eq!(client.count(marks).await, 5);

    // The ledger, and what is derived.
    let of = async |name: &str| client.metric(name, &["signal=\"traces\"", "tenant=\"default\""]).await;
    let (received, kept) =
        (of("isinglass_received_items_total").await, of("isinglass_stored_items_total").await);
    assert_eq!((received, kept), (12.0, 7.0), "two, five that are refused, and five that are stored then");
    assert_eq!(received, kept + of("isinglass_rejected_items_total").await);
    assert_eq!(client.metric("isinglass_reingested_items_total", &["outcome=\"stored\""]).await, 5.0);
    client.flush().await;
    let calls = "select sum(value) from (select series_id, max(value) as value \
                 from metrics.traces_spanmetrics_calls_total where service = 'bots' group by 1)";
    assert_eq!(client.number(calls).await, 5.0);
    reingest(&[denied], 0, "5 rows: 0 stored, 5 were stored before");

    reingest(&["nonsense = 1"], 1, "nonsense");
    reingest(&["1 = 1) or (1 = 1"], 1, "a closing parenthesis without an opening one");
    reingest(&["reason in (select reason from rejected)"], 0, "7 rows: 0 stored, 5 were stored before");
    assert_eq!(stored(&client, "bots").await, 5);
    says(&server, &["reingest", "--where", "true", "--tenant", "other"], 0, "0 rows: 0 stored");
}

/// The server is killed in the middle, and what was not stored then is stored by the next run.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_doubles_nothing() {
    const REQUESTS: u64 = 60;
    const SPANS: u64 = 50;
    let config = "[ingest]\nrejected_rows_per_minute = 100000\n";
    let mut server = Server::start_with(config);
    let client = server.client();
    says(&server, &["install", DENY, "--name", "guard", "--config", BOTS], 0, "guard");
    for request in 0..REQUESTS {
        client.otlp("traces", spans("bots", request * SPANS, SPANS)).await.ok();
    }
    says(&server, &["remove", "guard"], 0, "guard removed");
    assert_eq!(client.count("rejected").await, REQUESTS * SPANS);
    let url = format!("http://{}", server.addresses().http);
    let mut run = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    run.args(["plugin", "reingest", "--where", "true", "--server", &url]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    eventually("something is stored", Duration::from_secs(60), || async {
        (stored(&client, "bots").await > 0).then_some(())
    })
    .await;
    server.kill();
    run.wait().unwrap();
    server.start_again();
    let client = server.client();
    let before = stored(&client, "bots").await;
    assert!(before > 0 && before.is_multiple_of(SPANS), "{before} were stored when it was killed");
    assert_eq!(client.count("reingested").await, before, "rows and marks come together");
    let run = crate::plugin_install::run(&server, &["reingest", "--where", "true", "--json"]);
    let told: Value = serde_json::from_slice(&run.stdout).unwrap();
    let number = |key: &str| told[key].as_u64().unwrap();
    assert_eq!(
        (number("already"), number("already") + number("stored")),
        (before, REQUESTS * SPANS),
        "{told}"
    );
    assert_eq!(stored(&client, "bots").await, REQUESTS * SPANS);
    let twice = "select count(*) from (select span_id from spans group by 1 having count(*) > 1)";
    assert_eq!(client.number(twice).await, 0.0);
    client.flush().await;
    let calls = "select sum(value) from (select series_id, start_time, max(value) as value \
                 from metrics.traces_spanmetrics_calls_total group by 1, 2)";
    assert_eq!(client.number(calls).await as u64, REQUESTS * SPANS, "derived from once");
}
