//! Statements of SQL that are metrics.

use isinglass_lang::promql::parse_selector;
use isinglass_model::{Kind, Tenant};
use isinglass_promql::{Labels, Sample, Value};
use isinglass_query::{
    MetadataSelection, PromqlKind, PromqlRequest, PromqlTime, PromqlView, QueryConfig, QueryError,
};

use crate::fixture::Fixture;

/// Log lines by minute, of which `severity` is a label.
const LINES: &str = "SELECT date_bin(INTERVAL '1 minute', time) AS time, count(*) AS value, service, severity \
                     FROM logs WHERE time > $start AND time <= $end + INTERVAL '1 minute' GROUP BY 1, 3, 4";

const DURATIONS: &str = "SELECT time, duration / 1e9 AS value, service FROM spans";

fn config(views: &[(&str, &str)]) -> QueryConfig {
    let mut config = QueryConfig::default();
    let view = |sql: &str| PromqlView { sql: sql.to_owned(), tenants: Vec::new() };
    config.promql.views = views.iter().map(|(name, sql)| ((*name).to_owned(), view(sql))).collect();
    config
}

async fn fixture(config: QueryConfig) -> Fixture {
    let fixture = Fixture::empty(config).await;
    let log = |seconds: i64, service: &str, severity: &str| {
        let nanos = seconds * 1_000_000_000;
        format!(
            r#"{{"time":{nanos},"observed_time":{nanos},"service":"{service}","stream":"{{}}","severity":"{severity}","body":"x"}}"#
        )
    };
    // A line every two seconds of one service, every ten of the other, for ten minutes.
    let lines: Vec<String> = (1..=300)
        .flat_map(|n| {
            let often = log(2 * n, "a", if n % 2 == 0 { "ERROR" } else { "INFO" });
            let seldom = (n % 5 == 0).then(|| log(2 * n, "b", "INFO"));
            std::iter::once(often).chain(seldom)
        })
        .collect();
    fixture.append_rows(&Tenant::default(), Kind::Logs, &lines).await;
    fixture.store.flush().await.unwrap();
    fixture
}

async fn ask(
    fixture: &Fixture,
    tenant: &Tenant,
    text: &str,
    seconds: i64,
) -> Result<Vec<String>, QueryError> {
    let time = PromqlTime::Instant { time_ms: seconds * 1_000 };
    let request = PromqlRequest::new(text, time);
    let Value::Vector(series) = fixture.engine.promql(tenant, request).await?.value else {
        panic!("no vector")
    };
    let shown = series.iter().map(|one| match &one.points[0].sample {
        Sample::Float(value) => format!("{} {value}", one.labels),
        Sample::Histogram(_) => panic!("a histogram"),
    });
    Ok(shown.collect())
}

async fn check(fixture: &Fixture, text: &str, seconds: i64, wanted: &[&str]) {
    let got = ask(fixture, &Tenant::default(), text, seconds).await;
    assert_eq!(got.unwrap_or_else(|error| panic!("{text}: {error}")), wanted, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_series() {
    let fixture = fixture(config(&[("log_lines", LINES), ("span_seconds", DURATIONS)])).await;
    fixture.engine.check_views().await.unwrap();
    let a_error = r#"{__name__="log_lines", service="a", severity="ERROR"} 15"#;
    let a_info = r#"{__name__="log_lines", service="a", severity="INFO"} 15"#;
    let b = r#"{__name__="log_lines", service="b", severity="INFO"} 6"#;
    check(&fixture, "log_lines", 300, &[a_error, a_info, b]).await;
    check(&fixture, r#"log_lines{service="b"}"#, 300, &[b]).await;
    check(&fixture, r#"{__name__="log_lines", severity!="INFO"}"#, 300, &[a_error]).await;
    check(&fixture, r#"log_lines{service=~"[bc]", nothing=""}"#, 300, &[b]).await;
    check(&fixture, r#"{__name__=~"log_.*", service="b"}"#, 300, &[b]).await;
    check(
        &fixture,
        "sum by (service) (sum_over_time(log_lines[5m]))",
        300,
        &[r#"{service="a"} 150"#, r#"{service="b"} 30"#],
    )
    .await;
    // No name, no view.
    check(&fixture, r#"{service="b"}"#, 300, &[]).await;
    check(&fixture, "span_seconds", 300, &[]).await;
    let sql = "SELECT service, value FROM promql('sum by (service) (log_lines)', 300) ORDER BY 1";
    assert_eq!(fixture.text(sql).await.unwrap(), "a | 30.0\nb | 6.0");
    let sql = "SELECT service, severity, value FROM promql('log_lines', 300) WHERE service = 'b'";
    assert_eq!(fixture.text(sql).await.unwrap(), "b | INFO | 6.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_not_kept() {
    let fixture = fixture(config(&[("log_lines", LINES)])).await;
    let time = PromqlTime::Range { start_ms: 0, end_ms: 540_000, step_ms: 60_000 };
    let request = PromqlRequest::new("sum(log_lines)", time);
    for _ in 0..2 {
        let answer = fixture.engine.promql(&Tenant::default(), request.clone()).await.unwrap();
        let Value::Matrix(series) = answer.value else { panic!("no matrix") };
        assert_eq!((series[0].points.len(), answer.used.cache_hits), (10, 0));
        assert_eq!(series[0].points[4].sample, Sample::Float(36.0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_about_labels_find_them() {
    let fixture = fixture(config(&[("log_lines", LINES)])).await;
    let (engine, tenant) = (&fixture.engine, Tenant::default());
    let selection = |selectors: &[&str]| MetadataSelection {
        matchers: selectors.iter().map(|text| parse_selector(text).unwrap().matchers).collect(),
        start_ms: Some(0),
        end_ms: Some(600_000),
        limit: None,
    };
    let found = engine.promql_series(&tenant, selection(&[r#"log_lines{service="b"}"#])).await.unwrap();
    let wanted = Labels::new([("__name__", "log_lines"), ("service", "b"), ("severity", "INFO")]);
    assert_eq!(found.items, [wanted]);
    let names = engine.promql_label_names(&tenant, selection(&["log_lines"])).await.unwrap();
    assert_eq!(names.items, ["__name__", "service", "severity"]);
    let values = async |label, selectors: &[&str]| {
        engine.promql_label_values(&tenant, label, selection(selectors)).await.unwrap().items
    };
    assert_eq!(values("__name__", &[]).await, ["log_lines"]);
    assert_eq!(values("severity", &["log_lines"]).await, ["ERROR", "INFO"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_tenant_and_within_limits() {
    let mut config =
        config(&[("log_lines", LINES), ("all_lines", "SELECT time, 1 AS value, body FROM logs")]);
    config.promql.views.get_mut("log_lines").unwrap().tenants = vec!["acme".to_owned()];
    config.result_rows_max = 100;
    let fixture = fixture(config).await;
    check(&fixture, "log_lines", 300, &[]).await;
    let error = ask(&fixture, &Tenant::default(), "count_over_time(all_lines[10m])", 600).await.unwrap_err();
    assert_eq!(error.promql_kind(), PromqlKind::Execution, "{error}");
    assert!(error.message().contains("view all_lines: "), "{error}");
    assert!(error.message().contains("query.result_rows_max = 100"), "{error}");
    let other = Tenant::new("acme").unwrap();
    assert_eq!(ask(&fixture, &other, "log_lines", 300).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_view_is_refused_with_its_reason() {
    for (name, sql, part) in [
        ("x", "SELECT time FROM logs", "has the columns time and value"),
        ("x", "SELECT time, 'a' AS value FROM logs", "the column value is a number"),
        ("x", "SELECT 1 AS time, 1 AS value", "the column time is a timestamp"),
        ("x", "SELECT time, 1 AS value, duration FROM spans", "the column duration is a label"),
        ("x", "SELECT time, 1 AS value FROM lgs", "not found"),
        ("x", "SELECT time,, value FROM logs", "syntax error"),
        ("x", "DELETE FROM logs", "DELETE FROM is not allowed"),
        ("x", "SELECT * FROM promql('x', 0)", "a view of PromQL cannot call promql"),
        ("a b", "SELECT time, 1 AS value FROM logs", "the name of a metric"),
    ] {
        let fixture = Fixture::empty(config(&[(name, sql)])).await;
        let error = fixture.engine.check_views().await.expect_err(sql);
        assert!(error.message().starts_with(&format!("query.promql.views.{name}: ")), "{error}");
        assert!(error.message().contains(part), "{sql}: {error}");
    }
    // Its samples may come later.
    let later = config(&[("x", "SELECT time, value, job FROM metrics.not_yet")]);
    Fixture::empty(later).await.engine.check_views().await.unwrap();
}
