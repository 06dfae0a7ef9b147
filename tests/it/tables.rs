//! The tables are open: the Delta reader and DuckDB of PyPI read the files that
//! a flush committed and agree with SQL, bit for bit.

use isinglass_testkit::load;
use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::remote_write::{self, Series};

use crate::harness::{Client, Server, now_millis, now_nanos, outside};

const KINDS: [&str; 7] = ["samples", "series", "histograms", "exemplars", "logs", "spans", "rejected"];

/// Doubles that a careless encoding would bend.
const VALUES: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    0.1,
    -12.34,
    99.995,
    1e-9,
    123_456_789.123_456_79,
    9_007_199_254_740_993.0,
    1e300,
    -5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

async fn fill(client: &Client) {
    let now = now_millis();
    for step in 0..20 {
        client.remote_write(&load::gauges(200, now - 20_000 + step * 1_000)).await.ok();
    }
    let odd: Vec<_> = VALUES
        .iter()
        .enumerate()
        .map(|(at, value)| Series::new(&[("__name__", "odd"), ("at", &at.to_string())]).sample(now, *value))
        .collect();
    client.remote_write(&remote_write::request(&odd)).await.ok();
    let stale = f64::from_bits(0x7ff0_0000_0000_0002);
    let others = [
        Series::new(&[("__name__", "gone")]).sample(now, 1.0).sample(now + 1, stale),
        Series::new(&[("__name__", "native")]).histogram(now, 10.0, &[1, 2, 3]),
        Series::new(&[("__name__", "seen")]).sample(now, 1.0).exemplar(&[("trace_id", "00ff")], now, 0.5),
    ];
    client.remote_write(&remote_write::request(&others)).await.ok();
    let bad = Series::new(&[("__name__", "bad"), ("v", &"v".repeat(3_000))]).sample(now, 1.0);
    assert_eq!(client.remote_write(&remote_write::request(&[bad])).await.status, 400);
    client.otlp("traces", load::traces(1, 1_000, now_nanos() - 1_000_000_000)).await.ok();
    let stream = (0..500).fold(Stream::new(r#"{app="x"}"#), |stream, at| {
        stream.line_with(now_nanos() + at, &format!("line {at} \u{1f600}"), &[("k", "v")])
    });
    client.loki(&loki::request(&[stream])).await.ok();
}

async fn check(server: &Server, client: &Client, tenant: &str) {
    client.flush().await;
    for kind in KINDS {
        let table = server.table(tenant, kind);
        let verdict =
            outside::python("tables.py", &[kind, table.to_str().unwrap(), client.http_address(), tenant]);
        assert_eq!(verdict["differences"], serde_json::json!([]), "{kind}: {verdict}");
        assert!(verdict["rows"].as_u64() > Some(0), "{kind}: {verdict}");
    }
}

#[tokio::test]
async fn delta_reader_and_duckdb_agree_with_sql() {
    let server = Server::start();
    let client = server.client().tenant("acme");
    fill(&client).await;
    check(&server, &client, "acme").await;
    // A second commit to every table.
    fill(&client).await;
    check(&server, &client, "acme").await;
}
