//! A file with the label sets of one tenant is gone or damaged: the others do not wait for it.

use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::*;

const TORN: &str = "torn";
const WELL: &str = "well";

/// What becomes of the bytes of a file, `None` = it goes, and what is said of it.
type Damage = (fn(Vec<u8>) -> Option<Vec<u8>>, &'static str);

const DAMAGES: &[Damage] = &[
    (|_| None, "the table names it and it is not there"),
    (|bytes| Some(bytes[..bytes.len() / 2].to_vec()), "it ends at byte"),
    (|_| Some(Vec::new()), "it has 0 bytes, the table says"),
    (
        |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Some(bytes)
        },
        "do not have their checksum",
    ),
];

/// The only file of a tenant's table of series.
async fn label_sets(real: &Real, of: &str) -> Path {
    let listed = real.objects.list_with_delimiter(Some(&Path::from(format!("{of}/series")))).await.unwrap();
    let mut files = listed.objects.into_iter().map(|object| object.location);
    let file = files.find(|path| path.extension() == Some("parquet")).unwrap();
    assert!(files.next().is_none(), "there is another");
    file
}

/// A sample of each of some series.
async fn sample(real: &Real, of: &str, after_ms: i64, instances: &[&str]) {
    let append = sample_append(&real.store, &tenant(of), NOW_MS + after_ms, instances, 0.5).await;
    real.store.append(append).await.unwrap();
}

/// Series of a tenant, and its samples. While a log is read again after a start, what is
/// acknowledged comes behind it, so that a view lacks rows until then.
async fn seen(real: &Real, of: &str) -> Result<(BTreeSet<String>, usize), StoreError> {
    real.store.settled(&tenant(of)).await?;
    let view = real.store.view(&tenant(of)).await?;
    let series = view.series().of_metric("up");
    let instances = series.iter().map(|series| format!("{:?}", series.labels)).collect();
    Ok((instances, rows_of_view(&view, Kind::Samples).await.len()))
}

async fn joined_again(real: &Real) {
    let start = std::time::Instant::now();
    while !real.store.stats().tenants_apart.is_empty() {
        // As time goes by, it is tried again.
        real.clock.advance(Duration::from_secs(120));
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", real.store.stats().tenants_apart);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn check((damage, said): Damage) {
    let mut real = Real::new(small()).await;
    for of in [TORN, WELL] {
        sample(&real, of, 0, &["in a file"]).await;
    }
    real.store.flush().await.unwrap();
    for of in [TORN, WELL] {
        sample(&real, of, 1, &["in a file", "in the log"]).await;
    }
    let whole = seen(&real, TORN).await.unwrap();
    assert_eq!((whole.0.len(), whole.1), (2, 3));
    let file = label_sets(&real, TORN).await;
    let bytes = real.objects.get(&file).await.unwrap().bytes().await.unwrap();
    match damage(bytes.to_vec()) {
        None => real.objects.delete(&file).await.unwrap(),
        Some(changed) => drop(real.objects.put(&file, changed.into()).await.unwrap()),
    }

    for life in 0..2 {
        real = real.kill().await;
        sample(&real, WELL, 2 + life, &["in a file", "in the log"]).await;
        assert_eq!(seen(&real, WELL).await.unwrap().1, 5 + 2 * life as usize);
        let apart = real.store.stats().tenants_apart;
        assert_eq!((apart.len(), apart[0].tenant.as_str(), apart[0].first), (1, TORN, 1), "{said}");
        let reason = &apart[0].reason;
        assert!(reason.contains(file.as_ref()) && reason.contains(said), "{reason:?} is not: {said}");
        let refused = real.store.append(log_append(&tenant(TORN), &["no".to_owned()])).await.unwrap_err();
        assert_eq!(refused.kind(), isinglass_model::ErrorKind::Unavailable, "{refused}");
        assert!(refused.retry_after().is_some() && refused.to_string().contains(said), "{refused}");
        assert!(seen(&real, TORN).await.unwrap_err().to_string().contains(said));
        real.store.flush().await.unwrap();
    }

    real.objects.put(&file, bytes.into()).await.unwrap();
    joined_again(&real).await;
    assert_eq!(seen(&real, TORN).await.unwrap(), whole, "{said}");
    sample(&real, TORN, 9, &["in a file", "new"]).await;
    real.store.flush().await.unwrap();
    let real = real.kill().await;
    let (series, samples) = seen(&real, TORN).await.unwrap();
    assert_eq!((series.len(), samples), (3, 5), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_whose_label_sets_are_gone_or_damaged_waits_for_them_and_all_others_go_on() {
    for damage in DAMAGES {
        check(*damage).await;
    }
}
