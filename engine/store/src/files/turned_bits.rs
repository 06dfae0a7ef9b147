//! Bits that fall over in the Delta log of a stored table: a wrong file list is a wrong
//! answer that no checksum of a data file would notice.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use isinglass_model::{Kind, Tenant};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::Tables;
use super::tests::{clock, next, samples, tenant};
use crate::StoreError;
use crate::tables::{TableFiles, TableState};

const KIND: Kind = Kind::Samples;

async fn load(objects: &Arc<dyn ObjectStore>, tenant: &Tenant) -> Result<Option<TableState>, StoreError> {
    Tables::on(Arc::clone(objects), clock()).load(tenant, KIND).await
}

/// A table with a checkpoint and commits after it, or with commits alone.
async fn table(commits: i64) -> Arc<dyn ObjectStore> {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let tables = Tables::on(Arc::clone(&objects), clock());
    for up_to in 1..=commits {
        tables.commit(&tenant(), KIND, samples(up_to..up_to + 1), next(up_to)).await.unwrap();
    }
    objects
}

/// The objects of a log, by name.
async fn log(objects: &Arc<dyn ObjectStore>) -> Vec<(Path, Bytes)> {
    let listed: Vec<_> = objects.list(None).map_ok(|meta| meta.location).try_collect().await.unwrap();
    let mut log = Vec::new();
    for path in listed.into_iter().filter(|path| path.as_ref().contains("/_delta_log/")) {
        let content = objects.get(&path).await.unwrap().bytes().await.unwrap();
        log.push((path, content));
    }
    log.sort();
    log
}

/// Turns one bit in one of these files, again and again. Answers how often that was an
/// error; where it was not, the table is what it was.
async fn turn(objects: &Arc<dyn ObjectStore>, files: &[(Path, Bytes)], times: u64, seed: u64) -> u64 {
    let right = load(objects, &tenant()).await.unwrap().unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut errors = 0;
    for round in 0..times {
        let (path, content) = &files[rng.random_range(0..files.len())];
        let mut turned = content.to_vec();
        let bit = rng.random_range(0..turned.len() * 8);
        turned[bit / 8] ^= 1 << (bit % 8);
        objects.put(path, turned.into()).await.unwrap();
        let case = format!("round {round}, bit {bit} of {path}");
        match load(objects, &tenant()).await {
            Ok(found) => {
                let found = found.unwrap_or_else(|| panic!("{case}: the table is gone"));
                let same = (found.version, found.flushed) == (right.version, right.flushed);
                assert!(same && found.files == right.files, "{case}: another table");
            }
            Err(error) => {
                errors += 1;
                let text = error.to_string();
                assert!(text.contains(path.filename().unwrap()), "{case} is not named: {text}");
            }
        }
        objects.put(path, content.clone().into()).await.unwrap();
    }
    load(objects, &tenant()).await.unwrap().unwrap();
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turned_bit_in_a_commit_is_never_another_table() {
    let objects = table(4).await;
    let log = log(&objects).await;
    assert_eq!(log.len(), 5);
    let errors = turn(&objects, &log, 500, 5).await;
    // The others were in the name of a seal.
    assert!(errors > 450, "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turned_bit_in_a_checkpoint_is_never_another_table() {
    let objects = table(101).await;
    // It follows its commit, and may be of a later one.
    while !log(&objects).await.iter().any(|(path, _)| path.as_ref().ends_with("/_last_checkpoint")) {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let tables = Tables::on(Arc::clone(&objects), clock());
    for up_to in 102..104 {
        tables.commit(&tenant(), KIND, samples(up_to..up_to + 1), next(up_to)).await.unwrap();
    }
    let log = log(&objects).await;
    let named = |end: &str| -> Vec<(Path, Bytes)> {
        let found: Vec<_> = log.iter().filter(|(path, _)| path.as_ref().ends_with(end)).cloned().collect();
        assert_eq!(found.len(), 1, "{end}");
        found
    };
    let checkpoint = named(".checkpoint.parquet");
    let errors = turn(&objects, &checkpoint, 40, 6).await;
    assert!(errors > 35, "{errors}");
    let later = [named("102.json"), named("103.json")].concat();
    assert!(turn(&objects, &later, 20, 7).await > 15);
    // A hint that cannot be trusted is done without.
    let hint = named("/_last_checkpoint");
    assert_eq!(turn(&objects, &hint, 10, 8).await, 0);
}
