//! `promql(…)` as a table of SQL.

use futures::TryStreamExt as _;
use isinglass_model::{Kind, Tenant};
use isinglass_promql::{Histogram, Labels, Sample};
use isinglass_promqltest::{LoadedPoint, LoadedSeries};
use isinglass_query::{QueryConfig, QueryError, SqlOptions};

use super::loaded::{floats, store};
use crate::fixture::{Fixture, print};

/// Two counters of each of two services, a sample every 15 s for ten minutes.
async fn fixture() -> Fixture {
    let fixture = Fixture::empty(QueryConfig { threads: 2, ..QueryConfig::default() }).await;
    let series: Vec<LoadedSeries> = [("a", "1", 1.0), ("a", "2", 2.0), ("b", "1", 4.0), ("b", "2", 8.0)]
        .into_iter()
        .map(|(service, instance, rate)| {
            let labels = [("__name__", "requests_total"), ("service", service), ("instance", instance)];
            floats(&labels, (0..=40).map(|at| (at * 15_000, at as f64 * 15.0 * rate)))
        })
        .collect();
    store(&fixture.store, &Tenant::default(), &series).await;
    fixture
}

async fn check(fixture: &Fixture, sql: &str, wanted: &str) {
    let got = fixture.text(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(got, wanted, "{sql}");
}

async fn refused(fixture: &Fixture, sql: &str, part: &str) -> QueryError {
    let error = fixture.text(sql).await.expect_err(sql);
    assert!(error.message().contains(part), "{sql}: {error}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_has_a_row_a_step() {
    for flushed in [false, true] {
        let fixture = fixture().await;
        if flushed {
            fixture.store.flush().await.unwrap();
        }
        let call = "promql('sum by (service) (rate(requests_total[1m]))', 300, '1970-01-01T00:10:00Z', \
                    INTERVAL '5 minutes')";
        check(
            &fixture,
            &format!("SELECT time, service, round(value), labels FROM {call} ORDER BY time, service"),
            "1970-01-01T00:05:00Z | a | 3.0 | {service: a}\n\
             1970-01-01T00:05:00Z | b | 12.0 | {service: b}\n\
             1970-01-01T00:10:00Z | a | 3.0 | {service: a}\n\
             1970-01-01T00:10:00Z | b | 12.0 | {service: b}",
        )
        .await;
        check(&fixture, &format!("SELECT count(*), round(sum(value)) FROM {call}"), "4 | 30.0").await;
        check(
            &fixture,
            &format!("SELECT service FROM {call} WHERE labels['service'] = 'b' AND value > 1 LIMIT 1"),
            "b",
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_of_selectors_come_from_the_index() {
    let fixture = fixture().await;
    check(
        &fixture,
        "SELECT * FROM promql('requests_total{service=\"b\"}', 60) ORDER BY instance",
        "1970-01-01T00:01:00Z | 240.0 |  | {__name__: requests_total, instance: 1, service: b} | requests_total | 1 | b\n\
         1970-01-01T00:01:00Z | 480.0 |  | {__name__: requests_total, instance: 2, service: b} | requests_total | 2 | b",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scalars_texts_and_histograms() {
    let fixture = fixture().await;
    check(
        &fixture,
        "SELECT * FROM promql('1 + 1', TIMESTAMP '1970-01-01 00:00:01')",
        "1970-01-01T00:00:01Z | 2.0 |  | {}",
    )
    .await;
    check(&fixture, "SELECT * FROM promql('\"hello\"', 1)", "1970-01-01T00:00:01Z | hello").await;
    check(&fixture, "SELECT value FROM promql('time()', 0, 2, 1)", "0.0\n1.0\n2.0").await;
    check(&fixture, "SELECT count(*) FROM promql('requests_total[1m]', 600)", "16").await;
    let histogram =
        Histogram { count: 3.0, sum: 7.5, zero_count: 3.0, zero_threshold: 0.5, ..Histogram::default() };
    let point = LoadedPoint { time_ms: 0, start_ms: None, sample: Sample::Histogram(histogram.into()) };
    let series = LoadedSeries { labels: Labels::new([("__name__", "h")]), points: vec![point] };
    store(&fixture.store, &Tenant::default(), &[series]).await;
    check(
        &fixture,
        "SELECT value, histogram FROM promql('h', 0)",
        r#" | {"count":"3","sum":"7.5","buckets":[[3,"-0.5","0.5","3"]]}"#,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_joins_with_logs() {
    let fixture = fixture().await;
    let log = |seconds: i64, service: &str| {
        let nanos = seconds * 1_000_000_000;
        format!(
            r#"{{"time":{nanos},"observed_time":{nanos},"service":"{service}","stream":"{{}}","body":"failed"}}"#
        )
    };
    let lines = [log(10, "b"), log(70, "b"), log(75, "b"), log(80, "a")];
    fixture.append_rows(&Tenant::default(), Kind::Logs, &lines).await;
    check(
        &fixture,
        "SELECT r.service, r.time, round(r.value), count(*) AS lines \
         FROM promql('sum by (service) (rate(requests_total[1m]))', 60, 120, 60) r \
         JOIN logs l ON l.service = r.service AND date_bin(INTERVAL '1 minute', l.time) = r.time \
         GROUP BY ALL ORDER BY 1, 2",
        "a | 1970-01-01T00:01:00Z | 3.0 | 1\n\
         b | 1970-01-01T00:01:00Z | 12.0 | 2",
    )
    .await;
    // One call beside another, in one view.
    check(
        &fixture,
        "SELECT count(*) FROM promql('requests_total', 60) a JOIN promql('requests_total', 60) b \
         ON a.labels = b.labels AND a.value = b.value",
        "4",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_when_it_is_planned() {
    let fixture = fixture().await;
    let error =
        refused(&fixture, "SELECT * FROM promql('sum(', 0)", "1:5: parse error: unclosed left parenthesis")
            .await;
    assert_eq!(error.kind(), isinglass_model::ErrorKind::Malformed);
    refused(&fixture, "SELECT * FROM promql('up', 0, 10)", "promql takes an expression").await;
    refused(&fixture, "SELECT * FROM promql('up', 10, 0, 1)", "end timestamp must not be before start time")
        .await;
    refused(&fixture, "SELECT * FROM promql('up', 0, 10, 0)", "zero or negative query resolution").await;
    refused(
        &fixture,
        "SELECT * FROM promql('up', 0, 100000, 1)",
        "exceeded maximum resolution of 11,000 points",
    )
    .await;
    refused(&fixture, "SELECT * FROM promql('up', 0, 100000, '1y1')", "step of promql is").await;
    refused(&fixture, "SELECT * FROM promql('up', 'soon')", "time of promql is").await;
    refused(&fixture, "SELECT p.* FROM logs l, promql(l.body, l.time) p", "").await;
    refused(
        &fixture,
        "SELECT * FROM promql('requests_total + on () requests_total', 60)",
        "found duplicate series for the match group",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_shows_the_plan_and_what_was_read() {
    let fixture = fixture().await;
    fixture.store.flush().await.unwrap();
    let sql = "SELECT * FROM promql('sum by (service) (rate(requests_total[1m]))', 0, 600, 60)";
    let plan = fixture.text(&format!("EXPLAIN {sql}")).await.unwrap();
    let wanted = "PromqlExec: start=0, end=600, step=60, expr=sum by (service) (rate(requests_total[1m])), \
                  plan=Aggregate sum by (service) [Window rate 1m [Select requests_total]]";
    assert!(plan.contains(wanted), "{plan}");
    fixture.text(sql).await.unwrap();
    let read = "SELECT read_files, read_bytes > 0 FROM system.queries WHERE state = 'done' AND text LIKE 'SELECT * FROM promql%'";
    check(&fixture, read, "1 | true").await;
    // What was read is kept.
    let analyzed = fixture.text(&format!("EXPLAIN ANALYZE {sql}")).await.unwrap();
    for figure in ["files=1", "series=4", "samples=164", "bytes_scanned=", "row_groups=0", "series_kept=4"] {
        assert!(analyzed.contains(figure), "{figure} in {analyzed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn remarks_reach_the_answer() {
    let fixture = fixture().await;
    let gauge = floats(&[("__name__", "load")], (0..5).map(|at| (at * 15_000, at as f64)));
    store(&fixture.store, &Tenant::default(), &[gauge]).await;
    let sql = "SELECT * FROM promql('rate(load[1m])', 60)";
    let result = fixture.engine.sql(&Tenant::default(), sql, SqlOptions::default()).await.unwrap();
    let rows: Vec<_> = result.stream.try_collect().await.unwrap();
    assert_eq!(print(&rows).lines().count(), 1);
    let said = result.warnings.so_far();
    assert!(said[0].starts_with("PromQL info: metric might not be a counter"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_sees_nothing() {
    let fixture = fixture().await;
    let other = Tenant::new("other").unwrap();
    let rows = fixture.rows(&other, "SELECT * FROM promql('requests_total', 60)").await.unwrap();
    assert_eq!(print(&rows), "");
}
