//! Queries that ask too much, take too long, or are not wanted any more.

use std::time::{Duration, Instant};

use isinglass_model::Tenant;
use isinglass_query::{PromqlKind, PromqlRequest, PromqlTime, QueryConfig, QueryError};

use super::loaded::{floats, store};
use crate::fixture::Fixture;

fn request(text: &str, time: PromqlTime) -> PromqlRequest {
    PromqlRequest { strong: true, ..PromqlRequest::new(text, time) }
}

const AT_0: PromqlTime = PromqlTime::Instant { time_ms: 0 };

async fn fixture(config: QueryConfig) -> Fixture {
    let fixture = Fixture::empty(config).await;
    let name = |n: i64| n.to_string();
    let series: Vec<_> = (0..20)
        .map(|n| floats(&[("__name__", "m"), ("n", &name(n))], (0..50).map(move |at| (at - 49, at as f64))))
        .collect();
    store(&fixture.store, &Tenant::default(), &series).await;
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_a_kind() {
    let mut config = QueryConfig::default();
    (config.promql.samples_max, config.promql.series_max) = (900, 19);
    let fixture = fixture(config).await;
    let check = async |text: &str, time, kind, message: &str| {
        let error: QueryError =
            fixture.engine.promql(&Tenant::default(), request(text, time)).await.unwrap_err();
        assert_eq!(error.promql_kind(), kind, "{text}: {error}");
        assert!(error.message().contains(message), "{text}: {error}");
    };
    check("sum(", AT_0, PromqlKind::BadData, "unclosed left parenthesis").await;
    check(r#"m{n=~"x{2000}{2000}"}"#, AT_0, PromqlKind::BadData, "").await;
    check(r#"m{n=~"1|2"} + on () m{n=~"3|4"}"#, AT_0, PromqlKind::Execution, "many-to-many").await;
    check("m", AT_0, PromqlKind::Execution, "finds 20 series, more than query.promql.series_max = 19").await;
    check(
        r#"sum_over_time(m{n!="1"}[1m])"#,
        AT_0,
        PromqlKind::Execution,
        "more than 900 samples, the limit query.promql.samples_max",
    )
    .await;
    let range = PromqlTime::Range { start_ms: 0, end_ms: 11_001, step_ms: 1 };
    check("m", range, PromqlKind::BadData, "exceeded maximum resolution of 11,000 points").await;
}

/// Four nested subqueries: minutes of work that reads next to nothing.
const LONG: &str = "quantile_over_time(0.5, quantile_over_time(0.5, quantile_over_time(0.5, \
                    quantile_over_time(0.5, vector(1)[1h:1s])[1h:1s])[1h:1s])[1h:1s])";

/// A query that is told to end gives its turn back.
async fn has_ended(fixture: &Fixture) {
    let told = Instant::now();
    while fixture.engine.running() > 0 {
        assert!(told.elapsed() < Duration::from_secs(60), "the query goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_a_query() {
    let fixture = fixture(QueryConfig::default()).await;
    let deadline = Some(Duration::from_millis(300));
    let request = PromqlRequest { deadline, ..request(LONG, AT_0) };
    let error = fixture.engine.promql(&Tenant::default(), request).await.unwrap_err();
    assert_eq!(error.promql_kind(), PromqlKind::Timeout, "{error}");
    has_ended(&fixture).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_any_more() {
    let fixture = fixture(QueryConfig::default()).await;
    let tenant = Tenant::default();
    let asked = fixture.engine.promql(&tenant, request(LONG, AT_0));
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err());
    has_ended(&fixture).await;
    let states = fixture.text("SELECT state FROM system.queries WHERE text LIKE 'quantile_over_time%'").await;
    assert_eq!(states.unwrap(), "cancelled");
}

/// Evaluation does not hold the threads that read for it, however many queries there are.
#[tokio::test(flavor = "multi_thread")]
async fn all_turns_at_once() {
    let config =
        QueryConfig { threads: 1, concurrent_max: 8, queue_wait_ms: 60_000, ..QueryConfig::default() };
    let fixture = fixture(config).await;
    fixture.store.flush().await.unwrap();
    let tenant = Tenant::default();
    let asked = (0..32).map(|_| fixture.engine.promql(&tenant, request("count(m)", AT_0)));
    for answer in futures::future::join_all(asked).await {
        assert_eq!(answer.unwrap().used.series, 20);
    }
}
