//! PromQL in SQL, SQL in PromQL, what a query took, and who waits.

use std::time::{Duration, Instant};

use isinglass_query::{PromqlView, TenantLimits};
use isinglass_testkit::remote_write;

use super::*;

/// Work of seconds that reads nothing.
const LONG: &str = "quantile_over_time(0.5, quantile_over_time(0.5, vector(1)[2h:1s])[1h:1s])";

async fn write(fixture: &Fixture) -> i64 {
    let end_ms = (fixture.now_unix_nanos / 60_000_000_000).cast_signed() * 60_000;
    let series = ["a", "b"].map(|job| {
        let labels = [("__name__", "requests_total"), ("job", job)];
        (0..=20).fold(remote_write::Series::new(&labels), |series, step| {
            series.sample(end_ms - (20 - step) * 15_000, step as f64 * 3.0)
        })
    });
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "snappy")];
    let body = remote_write::snappy(&remote_write::request(&series));
    assert_eq!(send(fixture.post("/api/v1/write", &headers, body)).await.status, 204);
    end_ms
}

async fn promql(fixture: &Fixture, query: &str, rest: &str) -> Answer {
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    send(fixture.request(Method::GET, &format!("/api/v1/query?query={query}{rest}"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_asks_promql_and_promql_asks_sql() {
    let mut query = QueryConfig::default();
    let sql = "SELECT time, value * 2 AS value, job FROM metrics.requests_total";
    let view = PromqlView { sql: sql.to_owned(), tenants: Vec::new() };
    query.promql.views.insert("doubled".to_owned(), view);
    let fixture = Fixture::with_all(ServeConfig::default(), json!({}), query).await;
    let end_ms = write(&fixture).await;
    let end = end_ms / 1_000;
    let sql = format!(
        "SELECT job, value, labels['job'] AS again FROM promql('requests_total > 0', {end}) ORDER BY job"
    );
    let rows = fixture.rows("default", &sql).await;
    let row = |job: &str| json!({ "job": job, "value": 60.0, "again": job });
    assert_eq!(rows, json!([row("a"), row("b")]));
    // What PromQL remarks is in a header.
    let sql = format!(
        "SELECT * FROM promql('rate(label_replace(requests_total, \"__name__\", \"x\", \"\", \"\")[1m:15s])', {end})"
    );
    let headers = [("content-type", "application/sql")];
    let answer = send(fixture.post("/api/sql", &headers, sql)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.header("x-isinglass-warning").starts_with("PromQL info: "), "{:?}", answer.headers);

    let answer = promql(&fixture, "sum(doubled{job=\"a\"})", &format!("&time={end}")).await.json();
    assert_eq!(answer["data"]["result"][0]["value"][1], json!("120"), "{answer}");
    let names = send(fixture.request(Method::GET, "/api/v1/label/__name__/values")).await.json();
    assert_eq!(names["data"], json!(["doubled", "requests_total"]));
    let wrong = send(fixture.post("/api/sql", &headers, "SELECT * FROM promql('sum(', 0)")).await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("1:5: parse error: unclosed left parenthesis"), "{}", wrong.text());
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stats_say_what_was_read() {
    let fixture = Fixture::start().await;
    let end_ms = write(&fixture).await;
    fixture.ingest.store().flush().await.unwrap();
    let at = format!("&time={}&stats=all", end_ms / 1_000);
    let stats =
        promql(&fixture, "sum by (job) (rate(requests_total[5m]))", &at).await.json()["data"]["stats"]
            .clone();
    let own = &stats["isinglass"];
    assert_eq!(own["plan"], json!("Aggregate sum by (job)\n  Window rate 5m\n    Select requests_total\n"));
    assert_eq!((&own["series"], &own["samples"]), (&json!(2), &json!(40)), "{own}");
    assert_eq!((&own["files"], &own["rowGroups"]), (&json!(1), &json!(1)), "{own}");
    assert!(own["bytesRead"].as_u64().unwrap() > 0 && own["cpuSeconds"].as_f64().unwrap() > 0.0, "{own}");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_429() {
    let own =
        TenantLimits { tenant_concurrent_max: Some(1), tenant_queue_max: Some(0), ..TenantLimits::default() };
    let query = QueryConfig { tenants: [("default".to_owned(), own)].into(), ..QueryConfig::default() };
    let fixture = Fixture::with_all(ServeConfig::default(), json!({}), query).await;
    let text: String = url::form_urlencoded::byte_serialize(LONG.as_bytes()).collect();
    let begin = || {
        let long = fixture.request(Method::GET, &format!("/api/v1/query?query={text}")).send();
        tokio::spawn(long)
    };
    let (mut running, asked) = (begin(), Instant::now());
    let refused = loop {
        // It may have been the one that found the turn taken.
        if running.is_finished() {
            running = begin();
        }
        let answer = promql(&fixture, "1", "").await;
        if answer.status == 429 {
            break answer;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "never refused");
    };
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.json()["errorType"], json!("too_many_requests"));
    assert!(refused.text().contains("query.tenant_queue_max = 0"), "{}", refused.text());
    let sql = send(fixture.request(Method::GET, "/api/sql?query=select+1")).await;
    assert_eq!((sql.status, sql.header("retry-after")), (429, "1"));
    // A client that goes away takes its query along.
    running.abort();
    let left = Instant::now();
    while promql(&fixture, "1", "").await.status == 429 {
        assert!(left.elapsed() < Duration::from_secs(10), "the query goes on");
    }
    println!("a turn came free {:?} after its client had left", left.elapsed());
    fixture.stop().await;
}
