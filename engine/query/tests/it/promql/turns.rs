//! Turns, queues and what a tenant may use.

use std::time::{Duration, Instant};

use futures::future::join_all;
use isinglass_model::{ErrorKind, Tenant};
use isinglass_query::{PromqlKind, PromqlRequest, PromqlTime, QueryConfig, SqlOptions, TenantLimits};

use super::loaded::{floats, store};
use crate::fixture::{Fixture, print};

async fn fixture(config: QueryConfig, tenants: &[&Tenant]) -> Fixture {
    let fixture = Fixture::empty(config).await;
    for tenant in tenants {
        let series: Vec<_> = (0..10)
            .map(|n| floats(&[("__name__", "m"), ("n", &n.to_string())], (0..10).map(|at| (at, 1.0))))
            .collect();
        store(&fixture.store, tenant, &series).await;
    }
    fixture.store.flush().await.unwrap();
    fixture
}

fn request(text: &str) -> PromqlRequest {
    let time = PromqlTime::Instant { time_ms: 10 };
    PromqlRequest { text: text.into(), time, lookback_ms: None, deadline: None, strong: false, fresh: true }
}

/// Seconds of work that reads nothing.
const LONG: &str = "quantile_over_time(0.5, quantile_over_time(0.5, vector(1)[30m:1s])[10m:1s])";
/// Longer than any test waits.
const ENDLESS: &str = "quantile_over_time(0.5, quantile_over_time(0.5, vector(1)[6h:1s])[6h:1s])";

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_queries_of_one_tenant_do_not_starve_another() {
    let (loud, quiet) = (Tenant::new("loud").unwrap(), Tenant::new("quiet").unwrap());
    let config = QueryConfig {
        concurrent_max: 2,
        tenant_queue_max: 200,
        queue_wait_ms: 120_000,
        deadline_ms: 120_000,
        ..QueryConfig::default()
    };
    let fixture = fixture(config, &[&loud, &quiet]).await;
    let asked: Vec<_> = (0..100)
        .map(|_| {
            let (engine, loud) = (fixture.engine.clone(), loud.clone());
            tokio::spawn(async move { engine.promql(&loud, request(LONG)).await })
        })
        .collect();
    while fixture.engine.running() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let begun = Instant::now();
    for _ in 0..5 {
        let answer = fixture.engine.promql(&quiet, request("count(m)")).await.unwrap();
        assert_eq!(answer.used.series, 10);
    }
    println!("five answers beside a hundred that wait: {:?}", begun.elapsed());
    let waiting = asked.iter().filter(|task| !task.is_finished()).count();
    assert!(waiting > 50, "only {waiting} are waiting");
    asked.iter().for_each(|task| task.abort());
    join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_told_with_its_limit() {
    let own =
        TenantLimits { tenant_concurrent_max: Some(1), tenant_queue_max: Some(1), ..TenantLimits::default() };
    let config = QueryConfig {
        queue_wait_ms: 2_000,
        deadline_ms: 60_000,
        tenants: [("small".to_owned(), own)].into(),
        ..QueryConfig::default()
    };
    let (small, other) = (Tenant::new("small").unwrap(), Tenant::new("other").unwrap());
    let fixture = fixture(config, &[&small, &other]).await;
    let spawn = || {
        let (engine, small) = (fixture.engine.clone(), small.clone());
        tokio::spawn(async move { engine.promql(&small, request(ENDLESS)).await })
    };
    let running = spawn();
    while fixture.engine.running() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waiting = spawn();
    while fixture.engine.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let error = fixture.engine.promql(&small, request("m")).await.unwrap_err();
    assert_eq!((error.kind(), error.promql_kind()), (ErrorKind::RateLimited, PromqlKind::TooManyRequests));
    assert!(error.message().ends_with("query.tenant_queue_max = 1"), "{error}");
    let error = fixture.engine.sql(&small, "SELECT 1", SqlOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.promql_kind(), PromqlKind::Canceled);
    assert!(error.message().contains("query.queue_wait_ms = 2000"), "{error}");
    assert!(error.message().contains("query.tenant_concurrent_max = 1"), "{error}");
    // Others are as they were.
    fixture.engine.promql(&other, request("m")).await.unwrap();
    running.abort();
    let _ = running.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tenant_may_use() {
    let small = Tenant::new("small").unwrap();
    let own = TenantLimits {
        samples_max: Some(50),
        series_max: Some(9),
        points_max: Some(10),
        read_bytes_max: Some(1),
        ..TenantLimits::default()
    };
    let config = QueryConfig { tenants: [("small".to_owned(), own)].into(), ..QueryConfig::default() };
    let fixture = fixture(config, &[&small, &Tenant::default()]).await;
    let check = async |request: PromqlRequest, part: &str| {
        fixture.engine.promql(&Tenant::default(), request.clone()).await.unwrap();
        let error = fixture.engine.promql(&small, request).await.unwrap_err();
        assert!(error.message().contains(part), "{error}");
        error.promql_kind()
    };
    assert_eq!(check(request("m"), "more than query.promql.series_max = 9").await, PromqlKind::Execution);
    let one = request(r#"m{n="1"}"#);
    assert_eq!(check(one, "more than query.read_bytes_max = 1 bytes").await, PromqlKind::Execution);
    let range = PromqlTime::Range { start_ms: 0, end_ms: 11, step_ms: 1 };
    let points = PromqlRequest { time: range, ..request("1") };
    assert_eq!(check(points, "resolution of 10 points").await, PromqlKind::BadData);
    let sql = "SELECT count(value) FROM samples";
    assert_eq!(print(&fixture.rows(&Tenant::default(), sql).await.unwrap()), "100");
    let sql = "SELECT sum(value) FROM samples";
    let error = fixture.rows(&small, sql).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.message().contains("query.read_bytes_max = 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_queries_are_remembered() {
    let config = QueryConfig { slow_ms: 0, ..QueryConfig::default() };
    let (one, other) = (Tenant::default(), Tenant::new("other").unwrap());
    let fixture = fixture(config, &[&one, &other]).await;
    fixture.engine.promql(&one, request("sum(m)")).await.unwrap();
    fixture.engine.promql(&one, request("sum(")).await.unwrap_err();
    fixture.text("SELECT sum(value) FROM samples").await.unwrap();
    fixture.engine.promql(&other, request("max(m)")).await.unwrap();
    let sql = "SELECT language, text, state, series, samples, read_files, read_row_groups, read_bytes > 0, rows, \
               memory_peak_bytes > 0, duration_ms >= wait_ms, cpu_ms > 0, error FROM system.slow_queries ORDER BY id";
    let wanted = [
        "promql | sum(m) | done | 10 | 100 | 1 | 1 | true | 1 | true | true | true |",
        "promql | sum( | failed | 0 | 0 | 0 | 0 | false | 0 | false | true | true | 1:5: parse error: unclosed left parenthesis",
        "sql | SELECT sum(value) FROM samples | done | 0 | 0 | 1 | 1 | true | 1 |",
    ];
    let got = fixture.text(sql).await.unwrap();
    for (got, wanted) in got.lines().zip(wanted) {
        assert!(got.starts_with(wanted), "{got}\n{wanted}");
    }
    let others = print(&fixture.rows(&other, "SELECT text FROM system.slow_queries").await.unwrap());
    assert_eq!(others, "max(m)");
}
