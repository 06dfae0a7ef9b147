//! On a real folder, with real files.

use std::time::Duration;

use isinglass_model::batch::{HistogramRow, STALE_NAN_BITS};
use isinglass_model::clock::SystemClock;

use super::*;

fn config(folder: &std::path::Path) -> StoreConfig {
    StoreConfig { data_dir: folder.to_owned(), wal_segment_bytes: 64 << 10, ..StoreConfig::default() }
}

async fn open_real(folder: &std::path::Path) -> Result<Store, StoreError> {
    Store::open(config(folder), Arc::new(SystemClock::new()), Arc::new(NoObserver)).await
}

fn histogram(series: SeriesRef, count: Option<f64>) -> HistogramRow {
    HistogramRow {
        series,
        time_ms: NOW_MS,
        start_ms: 0,
        count,
        sum: Some(3.5),
        schema: 2,
        zero_threshold: 1e-9,
        zero_count: 1.0,
        positive_spans: vec![(0, 2), (3, 1)],
        positive_buckets: vec![1.0, 2.0, 3.0],
        negative_spans: Vec::new(),
        negative_buckets: Vec::new(),
        custom_bounds: Vec::new(),
        reset_hint: "unknown",
        float: false,
        min: None,
        max: None,
    }
}

pub(super) async fn everything(store: &Store, tenant: &Tenant) -> Append {
    let mut append = log_append(tenant, &["line".to_owned()]);
    let up = series(store, tenant, "up", "a").await;
    append.samples.push(up, NOW_MS, 1.0, NOW_MS - 5);
    append.samples.push(up, NOW_MS + 1, f64::from_bits(STALE_NAN_BITS), 0);
    let latency = series(store, tenant, "latency", "a").await;
    append.histograms.rows = vec![histogram(latency, Some(7.0)), histogram(latency, None)];
    append.exemplars.series.push(up);
    append.exemplars.time_ms.push(NOW_MS);
    append.exemplars.value.push(0.5);
    append.exemplars.trace_id.push(Some([7; 16]));
    append.exemplars.span_id.push(None);
    append.exemplars.attributes.push(vec![("user".into(), "\"x\"".into())]);
    append
}

fn head(view: &View) -> Vec<(Kind, Vec<RecordBatch>)> {
    let batches = |kind| view.table(kind).head_batches(&HeadFilter::default()).unwrap();
    Kind::ALL.into_iter().map(|kind| (kind, batches(kind))).collect()
}

#[tokio::test]
async fn every_kind_survives_replay_flush_and_reopening() {
    let (folder, acme) = (tempfile::tempdir().unwrap(), tenant("acme"));
    let store = open_real(folder.path()).await.unwrap();
    let append = everything(&store, &acme).await;
    store.append(append).await.unwrap();
    let before = head(&*store.view(&acme).await.unwrap());
    drop(store);

    let store = open_real(folder.path()).await.unwrap();
    let view = store.view(&acme).await.unwrap();
    assert_eq!(head(&view), before);
    store.flush().await.unwrap();
    let rows = |view: &View, kind| view.table(kind).files.iter().map(|file| file.rows).sum::<u64>();
    let expected = [
        (Kind::Series, 2),
        (Kind::Samples, 2),
        (Kind::Histograms, 2),
        (Kind::Exemplars, 1),
        (Kind::Logs, 1),
        (Kind::Spans, 0),
    ];
    let view = store.view(&acme).await.unwrap();
    for (kind, count) in expected {
        assert_eq!((rows(&view, kind), view.table(kind).head_rows()), (count, 0), "{kind}");
    }
    store.close().await.unwrap();
    drop(view);

    let store = open_real(folder.path()).await.unwrap();
    let view = store.view(&acme).await.unwrap();
    for (kind, count) in expected {
        assert_eq!((rows(&view, kind), view.table(kind).head_rows()), (count, 0), "{kind} after reopening");
    }
    assert_eq!(view.series().of_metric("up")[0].labels, labels("up", "a"));
    // The day is recorded: nothing but the sample is new.
    let mut append = Append::new(acme.clone());
    append.samples.push(series(&store, &acme, "up", "a").await, NOW_MS + 2, 1.0, 0);
    store.append(append).await.unwrap();
    let view = store.view(&acme).await.unwrap();
    assert_eq!(view.table(Kind::Series).head_rows(), 0);
}

#[tokio::test]
async fn a_second_process_is_refused_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let store = open_real(folder.path()).await.unwrap();
    let second = tokio::time::timeout(Duration::from_secs(1), open_real(folder.path())).await.unwrap();
    assert!(second.unwrap_err().to_string().ends_with("is in use by another process"));
    drop(store);
    open_real(folder.path()).await.unwrap();
}
