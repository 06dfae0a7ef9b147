//! Token indexes come and go with their files.

use futures::TryStreamExt as _;
use object_store::ObjectStore;
use object_store::path::Path;

use super::*;
use crate::TokenIndex;

/// Paths of all indexes that are there.
async fn there(real: &Real) -> Vec<String> {
    let all: Vec<_> = real.objects.list(None).try_collect().await.unwrap();
    let mut paths: Vec<String> = all.into_iter().map(|meta| meta.location.to_string()).collect();
    paths.retain(|path| path.contains("/_index/"));
    paths.sort();
    paths
}

/// Paths of the indexes of the files of the table.
async fn wanted(real: &Real) -> Vec<String> {
    let files = real.files(Kind::Logs).await;
    files.iter().map(|file| TokenIndex::path_of(file).unwrap().to_string()).collect()
}

async fn parsed(real: &Real) {
    for file in real.files(Kind::Logs).await {
        let path = TokenIndex::path_of(&file).unwrap();
        let index = real.objects.get(&path).await.unwrap().bytes().await.unwrap();
        assert_eq!(Some(index.len() as u64), file.token_index_bytes);
        TokenIndex::parse(&index, &file).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_of_logs_has_one_until_it_goes() {
    let real = Real::new(small()).await;
    real.flushed(&["a", "b", "c"]).await;
    assert_eq!((there(&real).await.len(), there(&real).await), (3, wanted(&real).await));
    parsed(&real).await;
    let before = real.view().await;
    real.store.compact().await.unwrap();
    assert_eq!(wanted(&real).await.len(), 1);
    parsed(&real).await;
    real.live(2).await;
    assert_eq!(there(&real).await.len(), 4, "a view holds the files");
    drop(before);
    real.live(1).await;
    assert_eq!(there(&real).await, wanted(&real).await);
    // Nothing is left of it after a restart either: sizes stand in the log of the table.
    let real = real.kill().await;
    parsed(&real).await;
    real.store.delete_tenant(&tenant("a")).await.unwrap();
    real.live(2).await;
    assert_eq!(there(&real).await, <[String; 0]>::default());
}

/// One whose file is not there goes when it is old, one whose file is live never does; also
/// where the name of the tenant is one that would be encoded.
#[tokio::test(flavor = "multi_thread")]
async fn one_without_a_file_is_collected() {
    let real = Real::new(small()).await;
    let other = tenant("a*1");
    real.flushed(&["a"]).await;
    real.store.append(log_append(&other, &["x".to_owned()])).await.unwrap();
    real.store.flush().await.unwrap();
    for folder in ["a", "a*1"] {
        for name in ["gone.tokens", "of-others.txt"] {
            let path = Path::parse(format!("{folder}/logs/_index/{name}")).unwrap();
            real.objects.put(&path, "x".into()).await.unwrap();
        }
        let path = Path::parse(format!("{folder}/logs/orphan.parquet")).unwrap();
        real.objects.put(&path, "x".into()).await.unwrap();
    }
    // Objects in memory have the time of the system.
    real.clock.jump_to(isinglass_model::clock::SystemClock::new().now_unix_nanos());
    real.live(23).await;
    assert_eq!(there(&real).await.len(), 6);
    real.live(8).await;
    let left = there(&real).await;
    assert_eq!(left.iter().filter(|path| path.ends_with("of-others.txt")).count(), 2);
    assert_eq!(left.len(), 4, "{left:?}");
    for kept in wanted(&real).await {
        assert!(left.contains(&kept));
    }
    for name in ["a", "a*1"] {
        let files = real.store.core.upkeep.files.list(&tenant(name), Kind::Logs).await.unwrap();
        assert_eq!(files.len(), 1, "{files:?}");
    }
    check(real.rows(Kind::Logs).await, &["a"]);
}

/// A flush or a merge whose index cannot be put is tried again, and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn without_it_nothing_is_committed() {
    for moment in [Moment::Before, Moment::After] {
        let real = Real::new(small()).await;
        real.flushed(&["a"]).await;
        real.append(&["b".to_owned()]).await;
        real.objects.fail(Call::Put, moment, "_index", 0, 100);
        real.store.flush().await.unwrap_err();
        assert_eq!(real.files(Kind::Logs).await.len(), 1);
        real.objects.heal();
        real.store.flush().await.unwrap();
        let before = there(&real).await.len();
        real.objects.fail(Call::Put, moment, "_index", 0, 100);
        real.store.compact().await.unwrap_err();
        assert_eq!((real.files(Kind::Logs).await.len(), there(&real).await.len()), (2, before));
        real.objects.heal();
        real.store.compact().await.unwrap();
        parsed(&real).await;
        check(real.rows(Kind::Logs).await, &["a", "b"]);
    }
}
