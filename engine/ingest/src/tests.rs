//! The write path with a real store and the real plugins.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use bytes::Bytes;
use isinglass_chain::{ChainConfig, LiveChain};
use isinglass_decode::{Compression, Format, LogsConfig, Protocol};
use isinglass_model::clock::ManualClock;
use isinglass_model::{Clock, Counts, ErrorKind, Kind, Tenant};
use isinglass_store::{HeadFilter, StoreConfig};
use isinglass_testkit::remote_write::Series;
use isinglass_testkit::{load, loki, remote_write, remote_write_2};
use serde_json::json;
use tempfile::TempDir;

use crate::{Ingest, IngestConfig, IngestError, Outcome, Request};

/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600_000_000_000;
const NOW_MS: i64 = NOW / 1_000_000;

mod conditions;
mod joined;
mod limits;
mod long_log;
mod reingest;
mod replay;
mod shadow;
mod transform;

struct Rig {
    dir: TempDir,
    clock: Arc<ManualClock>,
    ingest: Ingest,
}

impl Rig {
    async fn new() -> Self {
        Self::with_plugins(json!({})).await
    }

    async fn with_plugins(config: serde_json::Value) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let ingest = start(&dir, &clock, config).await;
        Self { dir, clock, ingest }
    }

    async fn with_chain(chain: serde_json::Value) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let ingest = start_chain(&dir, &clock, chain).await;
        Self { dir, clock, ingest }
    }

    /// Stops gracefully and starts again on the same folder.
    async fn restart(self) -> Self {
        self.ingest.close().await.unwrap();
        let Self { dir, clock, ingest } = self;
        drop(ingest);
        let ingest = start(&dir, &clock, json!({})).await;
        Self { dir, clock, ingest }
    }

    async fn push(&self, protocol: Protocol, body: Vec<u8>) -> Result<Outcome, IngestError> {
        self.push_as("default", protocol, body).await
    }

    async fn push_as(&self, tenant: &str, protocol: Protocol, body: Vec<u8>) -> Result<Outcome, IngestError> {
        let compression = match protocol {
            Protocol::RemoteWrite1 | Protocol::RemoteWrite2 | Protocol::LokiPush => Compression::Snappy,
            _ => Compression::None,
        };
        let body = if compression == Compression::Snappy { remote_write::snappy(&body) } else { body };
        let request = Request {
            tenant: Tenant::new(tenant).unwrap(),
            protocol,
            format: Format::Protobuf,
            compression,
            body: Bytes::from(body),
            batch_key: None,
        };
        self.ingest.push(request).await
    }

    async fn rows(&self, tenant: &str, kind: Kind) -> usize {
        let view = self.ingest.store().view(&Tenant::new(tenant).unwrap()).await.unwrap();
        let table = view.table(kind);
        let files: u64 = table.files.iter().map(|file| file.rows).sum();
        table.head_rows() + usize::try_from(files).unwrap()
    }

    /// The latest value of each series of a metric in the head.
    async fn values(&self, metric: &str) -> HashMap<String, f64> {
        let view = self.ingest.store().view(&Tenant::default()).await.unwrap();
        let mut latest = HashMap::new();
        for batch in view.table(Kind::Samples).head_batches(&HeadFilter::default()).unwrap() {
            let ids = batch.column_by_name("series_id").unwrap().as_primitive::<Int64Type>().clone();
            let metrics = batch.column_by_name("metric_id").unwrap().as_primitive::<Int64Type>().clone();
            let values = batch.column_by_name("value").unwrap().as_primitive::<Float64Type>().clone();
            for row in 0..batch.num_rows() {
                if metrics.value(row) == isinglass_model::ids::metric_id(metric) {
                    let series = view.series().by_id(ids.value(row)).unwrap();
                    latest.insert(series.labels.to_string(), values.value(row));
                }
            }
        }
        latest
    }
}

async fn start(dir: &TempDir, clock: &Arc<ManualClock>, plugins: serde_json::Value) -> Ingest {
    start_chain(dir, clock, json!({ "config": plugins })).await
}

async fn start_chain(dir: &TempDir, clock: &Arc<ManualClock>, chain: serde_json::Value) -> Ingest {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let config: ChainConfig = serde_json::from_value(chain).unwrap();
    let chain = Arc::new(LiveChain::fixed(config.clone(), Arc::clone(&clock)).unwrap());
    let store = StoreConfig { data_dir: dir.path().to_owned(), ..StoreConfig::default() };
    // No ticks of its own: the tests tick.
    let config = IngestConfig { tick_interval_ms: 3_600_000, ..IngestConfig::default() };
    Ingest::start(store, chain, config, LogsConfig::default(), clock).await.unwrap()
}

fn counts(received: u64, stored: u64, rejected: &[(&'static str, u64)]) -> Counts {
    let rejected = rejected.iter().map(|(reason, items)| ((*reason).into(), *items)).collect();
    Counts { received, stored, rejected, ..Counts::default() }
}

fn series(name: &str, at: usize) -> Series {
    Series::new(&[("__name__", name), ("instance", &format!("i{at}"))])
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_item_does_not_take_the_others_with_it() {
    let rig = Rig::new().await;
    let long = "v".repeat(2_049);
    let body = remote_write::request(&[
        series("up", 1).sample(NOW_MS, 1.0),
        Series::new(&[("__name__", "up"), ("instance", &long)]).sample(NOW_MS, 1.0).sample(NOW_MS + 1, 1.0),
        series("up", 2).sample(NOW_MS + 600_001, 1.0).sample(NOW_MS + 600_000, 1.0),
        Series::new(&[("instance", "x")]).sample(NOW_MS, 1.0),
    ]);
    let outcome = rig.push(Protocol::RemoteWrite1, body).await.unwrap();
    let expected = [("label_value_too_long", 2), ("missing_metric_name", 1), ("too_far_in_future", 1)];
    assert_eq!(outcome.counts, counts(6, 2, &expected), "{}", outcome.fault_text());
    assert_eq!(rig.rows("default", Kind::Samples).await, 2);
    assert_eq!(rig.rows("default", Kind::Rejected).await, 4);

    // The verdict on a label set is remembered and the reason stays the same.
    let again = remote_write::request(&[
        Series::new(&[("__name__", "up"), ("instance", &long)]).sample(NOW_MS + 2, 1.0)
    ]);
    let outcome = rig.push(Protocol::RemoteWrite1, again).await.unwrap();
    assert_eq!(outcome.counts, counts(1, 0, &[("label_value_too_long", 1)]));
    let stats = rig.ingest.stats().tenants["default"].signals.values().next().unwrap().clone();
    assert!(stats.counts.balanced());
    assert_eq!(stats.counts.received, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batch_twice_is_stored_once() {
    let rig = Rig::new().await;
    let body = loki::request(&[loki::Stream::new("{app=\"a\"}").line(NOW.unsigned_abs(), "x")]);
    let first = rig.push(Protocol::LokiPush, body.clone()).await.unwrap();
    let second = rig.push(Protocol::LokiPush, body.clone()).await.unwrap();
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.counts, second.counts);
    assert_eq!(rig.rows("default", Kind::Logs).await, 1);
    // Another tenant's batch of the same bytes is another batch.
    assert!(!rig.push_as("other", Protocol::LokiPush, body.clone()).await.unwrap().duplicate);
    rig.clock.advance(Duration::from_secs(601));
    assert!(!rig.push(Protocol::LokiPush, body).await.unwrap().duplicate);
}

/// Remote write 2.0 tells its sender how many of each; also when it asks again.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_of_each_kind_is_known_after_a_restart() {
    let rig = Rig::new().await;
    let good = series("up", 1).sample(NOW_MS, 1.0).exemplar(&[("a", "b")], NOW_MS, 1.0);
    let histograms = series("sizes", 1).histogram(NOW_MS, 1.0, &[1]).histogram(NOW_MS + 1, 2.0, &[1, 1]);
    let late = series("sizes", 2).histogram(NOW_MS + 600_001, 1.0, &[1]).sample(NOW_MS + 600_001, 1.0);
    let body = remote_write_2::request(&[good.into(), histograms.into(), late.into()]);
    let first = rig.push(Protocol::RemoteWrite2, body.clone()).await.unwrap();
    let want =
        Counts { stored_histograms: 2, stored_exemplars: 1, ..counts(6, 4, &[("too_far_in_future", 2)]) };
    assert_eq!((&first.counts, first.counts.stored_others()), (&want, 1), "{}", first.fault_text());
    let rig = rig.restart().await;
    let again = rig.push(Protocol::RemoteWrite2, body).await.unwrap();
    assert!(again.duplicate);
    assert_eq!(again.counts, want);
    assert_eq!(rig.rows("default", Kind::Histograms).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_over_limit_request_is_refused_whole() {
    let rig = Rig::with_plugins(json!({ "rate-limit": { "items_per_second": 10, "items_burst": 10 } })).await;
    let body = |n: usize, at: i64| {
        remote_write::request(&(0..n).map(|i| series("up", i).sample(at, 1.0)).collect::<Vec<_>>())
    };
    rig.push(Protocol::RemoteWrite1, body(8, NOW_MS)).await.unwrap();
    let refused = rig.push(Protocol::RemoteWrite1, body(8, NOW_MS + 1)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RateLimited);
    let wait = refused.retry_after().unwrap();
    assert!(wait > Duration::from_millis(500) && wait < Duration::from_millis(700), "{wait:?}");
    assert_eq!(rig.rows("default", Kind::Samples).await, 8);
    assert_eq!(rig.rows("default", Kind::Rejected).await, 0);
    rig.clock.advance(wait);
    rig.push(Protocol::RemoteWrite1, body(8, NOW_MS + 1)).await.unwrap();
    // More than the burst can never pass.
    let never = rig.push(Protocol::RemoteWrite1, body(11, NOW_MS + 2)).await.unwrap_err();
    assert_eq!(never.kind(), ErrorKind::TooLarge);
    let stats = rig.ingest.stats().tenants["default"].signals.values().next().unwrap().counts.clone();
    assert_eq!(stats, counts(35, 16, &[("rate_limited", 19)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_cannot_be_read_store_nothing() {
    let rig = Rig::new().await;
    for protocol in [
        Protocol::RemoteWrite1,
        Protocol::RemoteWrite2,
        Protocol::LokiPush,
        Protocol::OtlpTraces,
        Protocol::OtlpMetrics,
    ] {
        let error = rig.push(protocol, vec![0x0a, 0xff, 0x01]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{protocol:?}: {error}");
    }
    for kind in Kind::ALL {
        assert_eq!(rig.rows("default", kind).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_become_counters_at_the_tick() {
    let rig = Rig::new().await;
    let outcome = rig.push(Protocol::OtlpTraces, load::traces(1, 500, NOW.unsigned_abs())).await.unwrap();
    assert_eq!(outcome.counts, counts(500, 500, &[]));
    assert!(rig.values("traces_spanmetrics_calls_total").await.is_empty());
    rig.clock.advance(Duration::from_secs(15));
    rig.ingest.tick().await.unwrap();
    let calls = rig.values("traces_spanmetrics_calls_total").await;
    assert_eq!(calls.values().sum::<f64>(), 500.0, "{calls:?}");
    let observed = rig.values("traces_spanmetrics_latency_count").await;
    assert_eq!(observed.values().sum::<f64>(), 500.0);
    let all = rig.values("traces_spanmetrics_latency_bucket").await;
    let infinite: f64 = all.iter().filter(|(labels, _)| labels.contains("+Inf")).map(|(_, v)| v).sum();
    assert_eq!(infinite, 500.0);
    assert!(rig.rows("default", Kind::Exemplars).await > 0);
    // Derived samples are not received.
    assert!(rig.ingest.stats().tenants["default"].signals.values().all(|s| s.counts.received == 500));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_begins_new_counters_and_loses_no_span() {
    let rig = Rig::new().await;
    rig.push(Protocol::OtlpTraces, load::traces(1, 300, NOW.unsigned_abs())).await.unwrap();
    let rig = rig.restart().await;
    assert_eq!(rig.rows("default", Kind::Spans).await, 300);
    rig.clock.advance(Duration::from_secs(15));
    rig.push(Protocol::OtlpTraces, load::traces(2, 200, NOW.unsigned_abs())).await.unwrap();
    rig.ingest.tick().await.unwrap();
    // The first 300 were written by the stop; the head holds the new epoch only.
    let calls = rig.values("traces_spanmetrics_calls_total").await;
    assert_eq!(calls.values().sum::<f64>(), 200.0);
    assert_eq!(rig.rows("default", Kind::Spans).await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_kept_apart() {
    let rig = Rig::new().await;
    rig.push_as("a", Protocol::OtlpTraces, load::traces(1, 10, NOW.unsigned_abs())).await.unwrap();
    rig.push_as("b", Protocol::OtlpTraces, load::traces(1, 20, NOW.unsigned_abs())).await.unwrap();
    assert_eq!(rig.rows("a", Kind::Spans).await, 10);
    assert_eq!(rig.rows("b", Kind::Spans).await, 20);
    assert_eq!(rig.rows("default", Kind::Spans).await, 0);
}
