//! The Delta log of one tenant is torn: the others do not wait for it.

use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::*;

/// The newest commit of a tenant's table of logs.
async fn newest(real: &Real, of: &str) -> Path {
    let log = Path::from(format!("{of}/logs/_delta_log"));
    let listed = real.objects.list_with_delimiter(Some(&log)).await.unwrap().objects.into_iter();
    listed.map(|object| object.location).filter(|path| path.extension() == Some("json")).max().unwrap()
}

async fn append(real: &Real, of: &str, body: &str) -> Result<(), StoreError> {
    real.store.append(log_append(&tenant(of), &[body.to_owned()])).await.map(drop)
}

/// What a tenant has, once the log is read: until then a view says that rows may be missing.
async fn rows(real: &Real, of: &str) -> Result<Vec<String>, StoreError> {
    let mut view = real.store.view(&tenant(of)).await?;
    while view.replaying {
        tokio::time::sleep(Duration::from_millis(5)).await;
        view = real.store.view(&tenant(of)).await?;
    }
    Ok(rows_of_view(&*view, Kind::Logs).await)
}

async fn joined_again(real: &Real) {
    real.clock.advance(Duration::from_secs(120));
    let start = std::time::Instant::now();
    while !real.store.stats().tenants_apart.is_empty() {
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", real.store.stats().tenants_apart);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_records_of_a_tenant_whose_table_is_torn_wait_and_all_others_go_on() {
    let mut config = small();
    config.wal_segment_bytes = 8 << 10;
    let mut real = Real::new(config).await;
    for of in ["torn", "well"] {
        append(&real, of, "flushed").await.unwrap();
    }
    real.store.flush().await.unwrap();
    for of in ["torn", "well"] {
        append(&real, of, "in the log").await.unwrap();
    }
    let commit = newest(&real, "torn").await;
    let whole = real.objects.get(&commit).await.unwrap().bytes().await.unwrap();
    real.objects.put(&commit, whole.slice(..whole.len() / 2).into()).await.unwrap();

    for life in 0..3 {
        // Answers when the log is read, but for the records of one tenant.
        real = real.kill().await;
        append(&real, "well", &format!("life {life} {}", "x".repeat(5_000))).await.unwrap();
        assert_eq!(rows(&real, "well").await.unwrap().len(), 3 + life);
        let refused = append(&real, "torn", "refused").await.unwrap_err();
        assert_eq!(refused.kind(), isinglass_model::ErrorKind::Unavailable, "{refused}");
        assert!(refused.retry_after().is_some() && refused.to_string().contains("torn"), "{refused}");
        assert!(rows(&real, "torn").await.is_err(), "half of it would be no answer");
        let apart = real.store.stats().tenants_apart;
        assert_eq!((apart.len(), apart[0].tenant.as_str(), apart[0].first), (1, "torn", 1));
        real.store.flush().await.unwrap();
    }

    // Somebody has mended it.
    real.objects.put(&commit, whole.into()).await.unwrap();
    joined_again(&real).await;
    assert_eq!(rows(&real, "torn").await.unwrap(), ["flushed", "in the log"]);
    // As after a reading that failed half-way: the same records are read once more.
    let why = || StoreError::damaged("torn", "once more");
    let apart = &real.store.core.flusher.tenants.apart;
    while apart.add(&tenant("torn"), 1, why(), real.clock.monotonic()).is_err() {}
    assert!(rows(&real, "torn").await.is_err());
    joined_again(&real).await;
    assert_eq!(rows(&real, "torn").await.unwrap(), ["flushed", "in the log"]);
    append(&real, "torn", "new").await.unwrap();
    real.store.flush().await.unwrap();
    let real = real.kill().await;
    assert_eq!(rows(&real, "torn").await.unwrap(), ["flushed", "in the log", "new"]);
    assert_eq!(rows(&real, "well").await.unwrap().len(), 5);
}
