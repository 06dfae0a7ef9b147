//! Requests that are derived together give what each gives alone.

use std::collections::BTreeMap;

use isinglass_chain::Chain;
use isinglass_decode::{Context, decode};
use isinglass_testkit::otlp;

use super::*;
use crate::derived::{Applied, Note, Now, derive};

/// Counters of a tick, but for sums, which are added up in another order.
async fn counted(rig: &Rig) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for metric in [
        "traces_spanmetrics_calls_total",
        "traces_spanmetrics_size_total",
        "traces_spanmetrics_latency_bucket",
        "traces_service_graph_request_total",
        "traces_service_graph_request_server_seconds_bucket",
    ] {
        all.extend(rig.values(metric).await);
    }
    all
}

fn requests() -> Vec<Vec<u8>> {
    (0..8).map(|seed| load::traces(seed, 150, NOW.unsigned_abs())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn together_they_count_as_each_alone() {
    let (together, alone) = (Rig::new().await, Rig::new().await);
    for body in requests() {
        together.push(Protocol::OtlpTraces, body.clone()).await.unwrap();
        alone.push(Protocol::OtlpTraces, body).await.unwrap();
        alone.ingest.tick().await.unwrap();
    }
    together.ingest.tick().await.unwrap();
    let (together, alone) = (counted(&together).await, counted(&alone).await);
    let calls = together.iter().filter(|(labels, _)| labels.contains("calls_total"));
    assert_eq!(calls.map(|(_, value)| value).sum::<f64>(), 8.0 * 150.0);
    assert_eq!(together, alone);
}

/// Rows of requests, as the log gives them to derivers.
async fn applied(rig: &Rig, chain: &Arc<Chain>) -> Vec<Applied> {
    let tenant = Tenant::default();
    let mut resolver = rig.ingest.store().resolver(&tenant).await.unwrap();
    let logs = LogsConfig::default();
    let mut all = Vec::new();
    for (seq, body) in (1..).zip(requests()) {
        let mut context = Context { logs: &logs, now_unix_nanos: NOW, resolver: &mut resolver };
        let decoded = decode(Protocol::OtlpTraces, Format::Protobuf, &body, &mut context).unwrap();
        let spans = decoded.spans.unwrap().table;
        let note = Note::of(chain, &tenant, Some(&spans), None, NOW).unwrap();
        all.push(Applied::new(seq, note, Now { unix_ms: NOW_MS, monotonic: Duration::ZERO }));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_is_about_all_of_them() {
    let rig = Rig::new().await;
    let chain = rig.ingest.chains().current();
    let applied = applied(&rig, &chain).await;
    let calls = || chain.stats().iter().find(|stats| stats.binding == "span-metrics").unwrap().calls;
    let before = calls();
    let (derived, parted) = derive(&Tenant::default(), &applied);
    assert_eq!((derived.len(), derived[0].rows.len(), parted), (1, 8, false));
    assert_eq!(calls() - before, 1);
}

/// More than may wait, from several senders at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_all_counted() {
    let rig = Arc::new(Rig::new().await);
    let senders = (0..6_u64).map(|sender| {
        let rig = Arc::clone(&rig);
        tokio::spawn(async move {
            for request in 0..6 {
                let body = load::traces(sender * 100 + request, 1_500, NOW.unsigned_abs());
                rig.push(Protocol::OtlpTraces, body).await.unwrap();
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    rig.ingest.tick().await.unwrap();
    let calls = rig.values("traces_spanmetrics_calls_total").await;
    assert_eq!(calls.values().sum::<f64>(), 36.0 * 1_500.0);
}

/// One request makes a deriver fail: all others are derived, and it is by the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_derived_together_is_derived_alone() {
    let path = format!("{}/../../plugins/dist/test/hostile-deriver.wasm", env!("CARGO_MANIFEST_DIR"));
    let hostile = json!({
        "name": "hostile", "source": format!("file:{path}"), "world": "deriver",
        "config": { "does": "trap", "in": "run" }, "when": { "service": ["s1"] },
    });
    let counts = json!({ "name": "span-metrics", "source": "builtin:span-metrics", "world": "deriver" });
    let rig = Rig::with_chain(json!({ "bindings": [counts, hostile] })).await;
    let span = |number: u64| {
        let start = NOW.unsigned_abs() + number;
        otlp::Span {
            span_id: (number + 1).to_be_bytes().to_vec(),
            ..otlp::Span::server("GET /", start, start + 9)
        }
    };
    for number in 0..6 {
        let service = otlp::text("service.name", &format!("s{}", number % 3));
        rig.push(Protocol::OtlpTraces, otlp::traces(&[service], &[span(number)])).await.unwrap();
    }
    rig.ingest.tick().await.unwrap();
    let calls = rig.values("traces_spanmetrics_calls_total").await;
    assert_eq!(calls.values().sum::<f64>(), 6.0, "{calls:?}");
    let stats = rig.ingest.chains().current().stats();
    let failures = &stats.iter().find(|stats| stats.binding == "hostile").unwrap().failures;
    assert_eq!(failures.get("trap"), Some(&2), "{failures:?}");
}
