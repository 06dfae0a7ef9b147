//! Expressions that would take the process down, or never end. Beside each of them another
//! query is asked again and again, and is answered.

use std::time::{Duration, Instant};

use isinglass_model::Tenant;
use isinglass_query::{PromqlKind, PromqlRequest, PromqlTime, QueryConfig};

use super::loaded::{floats, store};
use crate::fixture::Fixture;

const HOUR: PromqlTime = PromqlTime::Range { start_ms: 0, end_ms: 3_600_000, step_ms: 1_000 };

fn request(text: &str, time: PromqlTime) -> PromqlRequest {
    PromqlRequest::new(text, time)
}

/// Fifty series with a sample a second, for ten minutes.
async fn fixture() -> Fixture {
    let config = QueryConfig { deadline_ms: 2_000, query_memory_bytes: 16 << 20, ..QueryConfig::default() };
    let fixture = Fixture::empty(config).await;
    let name = |n: i64| n.to_string();
    let points = || (0..600).map(|at| (at * 1_000, at as f64));
    let series: Vec<_> = (0..50).map(|n| floats(&[("__name__", "m"), ("n", &name(n))], points())).collect();
    store(&fixture.store, &Tenant::default(), &series).await;
    fixture
}

/// Asks meanwhile; gives back how often it was answered and how long it waited at most.
async fn beside(fixture: &Fixture, done: impl Future<Output = ()>) -> (usize, Duration) {
    let tenant = Tenant::default();
    let (mut answers, mut slowest) = (0, Duration::ZERO);
    let mut done = std::pin::pin!(done);
    loop {
        let start = Instant::now();
        let asked = async {
            let small = request("count(m)", PromqlTime::Instant { time_ms: 0 });
            let answer = fixture.engine.promql(&tenant, small).await.expect("the neighbour is answered");
            assert_eq!(answer.used.series, 50);
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        tokio::select! {
            () = &mut done => return (answers, slowest),
            () = asked => answers += 1,
        }
        slowest = slowest.max(start.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs() {
    let fixture = fixture().await;
    let nested = |open: &str, close: &str, n: usize| format!("{}m{}", open.repeat(n), close.repeat(n));
    let long_regex = "a|".repeat(30_000);
    // A part of the message; without one it is harmless.
    let cases = [
        ("a chain of 1,500", format!("m{}", " + m".repeat(1_500)), "nested deeper than"),
        ("a chain within the limit", format!("count(m{})", " or m".repeat(60)), ""),
        ("brackets", nested("(", ")", 3_000), "nested deeper than"),
        ("signs", nested("-", "", 3_000), "nested deeper than"),
        ("calls", nested("sum(", ")", 3_000), "nested deeper than"),
        ("subqueries", nested("max_over_time(", "[5m:1s])", 200), "nested deeper than"),
        ("a long text", format!("m{{n=\"{}\"}}", "x".repeat(70_000)), "the limit is 65536"),
        ("many tokens", format!("m{{{}}}", "a!=\"x\",".repeat(6_000)), "more than 20000 tokens"),
        ("a large pattern", r#"m{n=~"(a{1000}){1000}"}"#.into(), "compiled"),
        ("a large pattern to replace", r#"label_replace(m, "a", "$1", "n", "(a{1000}){1000}")"#.into(), ""),
        ("a pattern that others try again and again", r#"m{n=~"(a|aa|aaa)*b"}"#.into(), ""),
        ("a long pattern", format!("m{{n=~\"{long_regex}\"}}"), ""),
        ("steps in steps", "sum_over_time(sum_over_time(vector(1)[1h:1ms])[1h:1ms])".into(), "steps"),
        (
            "hours of steps in steps",
            "sum_over_time(sum_over_time(sum_over_time(vector(1)[1h:10s])[1h:10s])[1h:10s])".into(),
            "",
        ),
        ("windows without end", "quantile_over_time(0.5, m[100y])".into(), ""),
        ("all times all digits", "m offset 290y".into(), ""),
        ("a million quantiles", "quantile_over_time(scalar(m), m[1h])".into(), ""),
        (
            "labels that grow",
            format!("{}m{}", "label_replace(".repeat(80), r#", "a", "$1$1$1", "a", "(.*)")"#.repeat(80)),
            "",
        ),
        (
            "labels that double",
            {
                let inner = r#"label_replace(m, "a", "xxxxxxxxxxxxxxxx", "", "")"#.to_owned();
                (0..40).fold(inner, |inner, _| format!(r#"label_replace({inner}, "a", "$1$1", "a", "(.*)")"#))
            },
            "the limit",
        ),
        (
            "labels that are joined",
            {
                let inner = r#"label_replace(m, "a", "xxxxxxxxxxxxxxxx", "", "")"#.to_owned();
                (0..40).fold(inner, |inner, _| format!(r#"label_join({inner}, "a", "", "a", "a", "a")"#))
            },
            "the limit",
        ),
        ("each with each", "m * on () group_left () m".into(), "many-to-many"),
        ("division by zero", "m / 0 % 0 ^ -1".into(), ""),
        ("numbers without end", "1e308 * 1e308 - 1e308 * 1e308 + 0x7fffffffffffffff".into(), ""),
    ];
    let mut faults = Vec::new();
    for (name, text, wanted) in cases {
        let start = Instant::now();
        let mut said = None;
        let (answers, slowest) = beside(&fixture, async {
            let answer = fixture.engine.promql(&Tenant::default(), request(&text, HOUR)).await;
            said =
                Some(answer.map(|_| ()).map_err(|error| (error.promql_kind(), error.message().to_owned())));
        })
        .await;
        println!(
            "{name}: {:?}, {answers} answers beside it, the slowest {slowest:?}: {said:?}",
            start.elapsed()
        );
        let right = match said.unwrap() {
            Ok(()) => wanted.is_empty(),
            Err((PromqlKind::Timeout, _)) => wanted == "deadline" || wanted.is_empty(),
            // What is harmless on a fast machine with much memory may be too much here.
            Err((_, message)) => message.contains(wanted) && !message.contains("broke off"),
        };
        if !right {
            faults.push(name);
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{name}");
    }
    assert_eq!(faults, Vec::<&str>::new());
    let start = Instant::now();
    while fixture.engine.running() > 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "a query goes on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
