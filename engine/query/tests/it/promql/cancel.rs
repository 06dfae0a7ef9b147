//! A query that is told to end has ended soon, whatever it is doing.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use isinglass_model::Tenant;
use isinglass_query::{PromqlRequest, PromqlTime, QueryConfig, SqlOptions};

use super::loaded::{floats, store};
use crate::fixture::Fixture;

/// Series of the metric `m`, with a sample each 15 s for ten minutes.
const SERIES: usize = 20_000;

/// How long a query may go on. Twenty times the aim: these are unoptimised builds on busy machines.
const SOON: Duration = Duration::from_secs(4);

async fn fixture() -> Fixture {
    let config = QueryConfig {
        threads: 2,
        deadline_ms: 120_000,
        query_memory_bytes: 2 << 30,
        memory_bytes: 2 << 30,
        ..QueryConfig::default()
    };
    let fixture = Fixture::empty(config).await;
    let series: Vec<_> = (0..SERIES)
        .map(|n| {
            let (n, group) = (format!("{n:06}"), format!("{}", n % 100));
            let labels = [("__name__", "m"), ("n", n.as_str()), ("group", group.as_str())];
            floats(&labels, (0..40).map(|at| (at * 15_000, (at * 7 % 11) as f64)))
        })
        .collect();
    for some in series.chunks(5_000) {
        store(&fixture.store, &Tenant::default(), some).await;
    }
    fixture.store.flush().await.unwrap();
    fixture
}

fn range(text: &str, steps: i64) -> PromqlRequest {
    let time = PromqlTime::Range { start_ms: 600_000 - steps * 100, end_ms: 600_000, step_ms: 100 };
    PromqlRequest { fresh: true, ..PromqlRequest::new(text, time) }
}

fn instant(text: &str) -> PromqlRequest {
    PromqlRequest { time: PromqlTime::Instant { time_ms: 600_000 }, ..range(text, 1) }
}

/// How long the turn of a query is still taken.
async fn ends(fixture: &Fixture) -> Duration {
    let told = Instant::now();
    while fixture.engine.running() > 0 {
        assert!(told.elapsed() < Duration::from_secs(60), "the query goes on");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    told.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_phase_ends_soon() {
    let fixture = fixture().await;
    let tenant = Tenant::default();
    let regex = format!(r#"count(label_replace(m, "a", "$1", "n", "({})+.*"))"#, "[0-9]|".repeat(500) + "x");
    let cases = [
        ("scan", instant("count(m)")),
        ("windows", range("sum by (group) (rate(m[5m]))", 600)),
        ("quantiles of windows", range("count(quantile_over_time(0.9, m[10m]))", 600)),
        ("quantiles of groups", range("quantile(0.9, m)", 300)),
        ("subqueries", range("count(max_over_time(rate(m[1m])[5m:1s]))", 20)),
        (
            "subqueries of nothing",
            instant("quantile_over_time(0.5, quantile_over_time(0.5, vector(1)[10h:1s])[10h:1s])"),
        ),
        ("join", range("count(m + on (n) m)", 100)),
        ("many to one", range("count(m * on (group) group_left () sum by (group) (m))", 100)),
        ("set", range("count(m or (m + 1) unless m)", 50)),
        ("topk", range("topk(50, m)", 300)),
        ("sort", instant("sort_by_label(m, \"group\", \"n\")")),
        ("values", range("count(count_values by (group) (\"v\", m))", 50)),
        ("result", range("m", 100)),
        ("pattern", instant(&regex)),
    ];
    let mut worst = Duration::ZERO;
    for (name, request) in cases {
        for after_ms in [20, 150, 600, 2_000] {
            let asked = fixture.engine.promql(&tenant, request.clone());
            let done = tokio::time::timeout(Duration::from_millis(after_ms), asked).await;
            if let Ok(answer) = done {
                answer.unwrap_or_else(|error| panic!("{name}: {error}"));
                println!("{name}: done within {after_ms} ms");
                break;
            }
            let took = ends(&fixture).await;
            println!("{name}: told after {after_ms} ms, ended after {took:?}");
            worst = worst.max(took);
        }
    }
    println!("the last one of all ended after {worst:?}");
    assert!(worst < SOON, "{worst:?}");
}

/// A statement of SQL takes its calls along.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_ends_its_calls() {
    let fixture = fixture().await;
    let sql = "SELECT count(*) FROM promql('quantile_over_time(0.9, m[10m])', 540, 600, '100ms') a, \
               promql('sum by (group) (rate(m[5m]))', 540, 600, '100ms') b";
    for after_ms in [50, 500] {
        let mut result = fixture.engine.sql(&Tenant::default(), sql, SqlOptions::default()).await.unwrap();
        let next = tokio::time::timeout(Duration::from_millis(after_ms), result.stream.next()).await;
        assert!(next.is_err(), "{next:?}");
        drop(result);
        let took = ends(&fixture).await;
        println!("told after {after_ms} ms, ended after {took:?}");
        assert!(took < SOON, "{took:?}");
    }
}
