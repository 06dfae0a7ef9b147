//! Rewrites of the same files at the same time: one counts, and no row is doubled or lost.

use super::*;
use crate::tables::Rewrite;

/// Another process on the same objects, which saw the tables as they are now.
async fn other(real: &Real) -> Store {
    let store = start(&real.config, &real.clock, &SimDisk::default(), &real.objects).await;
    store.view(&tenant("a")).await.unwrap();
    store
}

async fn rows_by_a_new_start(real: &Real) -> Vec<String> {
    let fresh = other(real).await;
    rows_of_view(&*fresh.view(&tenant("a")).await.unwrap(), Kind::Logs).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_compactors() {
    for round in 0..12 {
        let real = Real::new(small()).await;
        real.flushed(&["a", "b", "c"]).await;
        let second = other(&real).await;
        let (one, two) = (&real.store.core.upkeep, &second.core.upkeep);
        let both = tokio::join!(one.compact(), async {
            tokio::time::sleep(Duration::from_micros(300 * round)).await;
            two.compact().await
        });
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
        assert_eq!(rows_by_a_new_start(&real).await, ["a", "b", "c"]);
        let merges = real.store.stats().merges + second.stats().merges;
        assert_eq!(merges, 1, "the other was discarded");
    }
}

/// Retention removes two of the files that a merge reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compaction_against_retention() {
    let mut won = [0; 2];
    for round in 0..16_u64 {
        let real = Real::new(small()).await;
        real.flushed(&["a", "b", "c"]).await;
        let second = other(&real).await;
        let inputs = real.files(Kind::Logs).await[..2].to_vec();
        let expired = Rewrite { drop_all: true, ..rewrite(inputs) };
        let gate = tokio::sync::Mutex::new(());
        let files = &second.core.upkeep.files;
        let merge = real.store.core.upkeep.compact();
        let (of, kind) = (tenant("a"), Kind::Logs);
        let expire = files.rewrite(&of, kind, &expired, &gate, &|_| ());
        let (merged, dropped) = match round {
            0 => (merge.await, expire.await),
            1 => {
                let dropped = expire.await;
                (merge.await, dropped)
            }
            _ => tokio::join!(merge, async {
                tokio::time::sleep(Duration::from_micros(400 * round)).await;
                expire.await
            }),
        };
        (merged.unwrap(), dropped.unwrap());
        let rows = rows_by_a_new_start(&real).await;
        assert!(rows == ["a", "b", "c"] || rows.len() == 1, "{rows:?}");
        assert_eq!(real.rows(Kind::Logs).await, rows, "the one that lost knows it");
        won[usize::from(rows.len() == 3)] += 1;
    }
    assert!(won.iter().all(|won| *won > 0), "{won:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compaction_against_the_deletion_of_the_tenant() {
    for round in 0..16 {
        let real = Real::new(small()).await;
        real.flushed(&["a", "b", "c"]).await;
        let (merged, deleted) = tokio::join!(real.store.core.upkeep.compact(), async {
            tokio::time::sleep(Duration::from_micros(400 * round)).await;
            real.store.delete_tenant(&tenant("a")).await
        });
        merged.unwrap();
        assert_eq!(deleted.unwrap().unwrap().tables_left, 0);
        check(real.rows(Kind::Logs).await, &[]);
        let real = real.kill().await;
        check(real.rows(Kind::Logs).await, &[]);
        real.live(30).await;
        assert_eq!(real.store.core.upkeep.files.list(&tenant("a"), Kind::Logs).await.unwrap().len(), 0);
    }
}
