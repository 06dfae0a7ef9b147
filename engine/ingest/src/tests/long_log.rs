//! A log that grows faster than ticks come.

use super::*;

/// Segments of 64 KiB, a bound of 1 MiB, and a tick an hour.
async fn start(dir: &TempDir) -> Ingest {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    let chain = LiveChain::fixed(ChainConfig::default(), Arc::clone(&clock)).unwrap();
    let store = StoreConfig {
        data_dir: dir.path().to_owned(),
        wal_segment_bytes: 64 << 10,
        wal_bytes_max: 1 << 20,
        ..StoreConfig::default()
    };
    let config = IngestConfig { tick_interval_ms: 3_600_000, ..IngestConfig::default() };
    Ingest::start(store, Arc::new(chain), config, LogsConfig::default(), clock).await.unwrap()
}

async fn push(ingest: &Ingest, seed: u64) -> Result<Outcome, IngestError> {
    let request = Request {
        tenant: Tenant::default(),
        protocol: Protocol::OtlpTraces,
        format: Format::Protobuf,
        compression: Compression::None,
        body: Bytes::from(load::traces(seed, 500, NOW.unsigned_abs())),
        batch_key: None,
    };
    ingest.push(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_derived_metrics_hold_of_the_log_is_let_go_by_ticks_that_do_not_wait_for_their_time() {
    let dir = TempDir::new().unwrap();
    let ingest = start(&dir).await;
    let mut longest = 0;
    for seed in 0..60 {
        let outcome = push(&ingest, seed).await.unwrap();
        assert_eq!(outcome.counts, counts(500, 500, &[]));
        longest = longest.max(ingest.store().stats().wal_bytes);
    }
    let stats = ingest.store().stats();
    let derived = ingest.stats().tenants["default"].derived_samples;
    // So much was written that it would never have fitted.
    assert!(stats.wal_written_bytes > 4 << 20, "{stats:?}");
    assert!(derived > 0 && longest < 3 << 20, "{derived} derived samples, {longest} bytes of log");
    ingest.close().await.unwrap();
}
