//! Buckets over a socket, probes, and bits that fall over.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use isinglass_model::clock::ManualClock;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};
use parking_lot::Mutex;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::files::local::LocalFolder;
use crate::tables::DataFile;

mod server;

fn random_bytes(random: &mut StdRng, size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    random.fill(content.as_mut_slice());
    content
}

fn file_of(path: &str, content: &[u8]) -> DataFile {
    let sums: Vec<u32> = content.chunks(PIECE_BYTES as usize).map(crc32c::crc32c).collect();
    DataFile {
        path: path.into(),
        size_bytes: content.len() as u64,
        rows: 1,
        time: None,
        metric_id: None,
        level: 0,
        accepted: 0,
        kept: None,
        crc32c: Some(sums.into()),
        token_index_bytes: None,
        attribute_columns: Arc::default(),
    }
}

async fn put(objects: &Arc<dyn ObjectStore>, path: &str, content: &[u8]) -> DataFile {
    objects.put(&path.into(), content.to_vec().into()).await.unwrap();
    file_of(path, content)
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[tokio::test]
async fn stores_that_refuse_a_second_create_pass_the_probe() {
    let folder = tempfile::tempdir().unwrap();
    let local: Arc<dyn ObjectStore> = Arc::new(LocalFolder::open(folder.path()).unwrap());
    for objects in [memory(), local] {
        probe::check(&objects, "x").await.unwrap();
        let left: Vec<_> = objects.list(None).try_collect().await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Over real sockets: what Garage and s3rver do.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_if_none_match_is_refused() {
    for (honest, want) in [(true, None), (false, Some("store.url = \"s3://bucket/tables\""))] {
        let server = server::start(honest).await;
        let checked = probe::check(&server.objects(), "s3://bucket/tables").await;
        let error = checked.err().map(|error| error.to_string());
        match (error, want) {
            (None, None) => {}
            (Some(error), Some(want)) => {
                assert!(error.starts_with(want) && error.contains("If-None-Match"), "{error}");
            }
            (error, want) => panic!("{error:?} instead of {want:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_asked_again_within_bounds() {
    let server = server::start(true).await;
    let objects = server.objects();
    server.fail_next(2);
    objects.put(&"a".into(), "content".into()).await.unwrap();
    assert_eq!(server.requests(), 3);
    server.fail_next(100);
    let error = objects.get(&"a".into()).await.unwrap_err();
    assert_eq!(server.requests(), 3 + 4, "{error}");
    server.fail_next(0);
    assert_eq!(objects.get(&"a".into()).await.unwrap().bytes().await.unwrap().as_ref(), b"content");
}

#[tokio::test]
async fn calls_are_counted() {
    let clock = Arc::new(ManualClock::at(0));
    let (objects, counters) = metered(memory(), clock);
    objects.put(&"a".into(), "12345".into()).await.unwrap();
    objects.get(&"a".into()).await.unwrap().bytes().await.unwrap();
    objects.get_range(&"a".into(), 1..3).await.unwrap();
    objects.get(&"b".into()).await.unwrap_err();
    let _: Vec<_> = objects.list(None).try_collect().await.unwrap();
    objects.delete(&"a".into()).await.unwrap();
    let stats = counters.stats();
    let figures = |operation| (stats[operation].calls, stats[operation].errors, stats[operation].bytes);
    assert_eq!(figures("put"), (1, 0, 5));
    assert_eq!(figures("get"), (3, 0, 7));
    assert_eq!(figures("list"), (1, 0, 0));
    assert_eq!(figures("delete"), (1, 0, 0));
    assert_eq!(figures("copy"), (0, 0, 0));
}

#[tokio::test]
async fn objects_without_checksums_pass_as_they_are() {
    let objects = memory();
    let mut file = put(&objects, "a", b"content").await;
    file.crc32c = None;
    let checked = Arc::new(Checker::new(Arc::clone(&objects))).reading(vec![Arc::from([file])]);
    objects.put(&"a".into(), "Content".into()).await.unwrap();
    assert_eq!(checked.get(&"a".into()).await.unwrap().bytes().await.unwrap().as_ref(), b"Content");
}

#[tokio::test]
async fn a_shorter_object_is_damaged() {
    let objects = memory();
    let file = put(&objects, "a", b"content").await;
    let checked = Checker::once(&objects, &[file]);
    objects.put(&"a".into(), "conten".into()).await.unwrap();
    let error = checked.get(&"a".into()).await.unwrap_err();
    assert!(error.to_string().contains('a'), "{error}");
}

/// What is read again and again is fetched and compared once.
#[tokio::test]
async fn neighbours_come_from_the_cache() {
    let (objects, counters) = metered(memory(), Arc::new(ManualClock::at(0)));
    let content = random_bytes(&mut StdRng::seed_from_u64(1), 3 << 20);
    let file = put(&objects, "a", &content).await;
    let checker = Arc::new(Checker::new(objects));
    let checked = checker.reading(vec![Arc::from([file])]);
    for start in (0..3_000_000_u64).step_by(10_000) {
        let bytes = checked.get_range(&"a".into(), start..start + 100).await.unwrap();
        assert_eq!(bytes, content[start as usize..start as usize + 100]);
    }
    assert_eq!((counters.stats()["get"].calls, counters.stats()["get"].bytes), (3, 3 << 20));
    assert_eq!(checker.figures(), (3 << 20, 0));
}

/// A thousand objects with one bit turned over: read by ranges and whole, each read is
/// right or an error that names the object.
#[tokio::test]
async fn a_turned_bit_is_never_an_answer() {
    let mut random = StdRng::seed_from_u64(2026);
    let objects = memory();
    let size = 2 * PIECE_BYTES as usize + 12_345;
    let content = random_bytes(&mut random, size);
    let (mut wrong, mut named, mut right) = (0, 0, 0);
    for round in 0..1_000 {
        let path = format!("t/logs/{round}.parquet");
        let mut stored = content.clone();
        let bit = random.random_range(0..size * 8);
        stored[bit / 8] ^= 1 << (bit % 8);
        objects.put(&path.as_str().into(), stored.into()).await.unwrap();
        let checked = Checker::once(&objects, &[file_of(&path, &content)]);
        let start = random.random_range(0..size);
        let end = random.random_range(start + 1..=size);
        let reads = [checked.get_range(&path.as_str().into(), start as u64..end as u64).await];
        let touched = (start as u64 / PIECE_BYTES..(end as u64).div_ceil(PIECE_BYTES))
            .contains(&((bit / 8) as u64 / PIECE_BYTES));
        for read in reads {
            match read {
                Ok(bytes) if bytes == content[start..end] && !touched => right += 1,
                Ok(_) => wrong += 1,
                Err(error) => {
                    assert!(touched && error.to_string().contains(&path), "{error}");
                    named += 1;
                }
            }
        }
        let whole = checked.get(&path.as_str().into()).await.unwrap_err();
        assert!(matches!(whole, Error::Generic { .. }) && whole.to_string().contains(&path), "{whole}");
        objects.delete(&path.as_str().into()).await.unwrap();
    }
    assert_eq!(wrong, 0);
    assert!(right > 100 && named > 100, "{right} right, {named} named");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any ranges of any file are what is in it.
    #[test]
    fn ranges_are_what_they_say(
        size in 1_u64..3 * PIECE_BYTES,
        places in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..8),
        seed: u64,
    ) {
        let content = random_bytes(&mut StdRng::seed_from_u64(seed), size as usize);
        let ranges: Vec<_> = places.iter().map(|(from, length)| {
            let start = ((size as f64 * from) as u64).min(size - 1);
            start..(start + 1 + (size as f64 * length) as u64).min(size)
        }).collect();
        let (found, all) = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let objects = memory();
            let file = put(&objects, "a", &content).await;
            let checked = Checker::once(&objects, &[file]);
            // Twice: the second time partly from the cache.
            checked.get_ranges(&"a".into(), &ranges[..1]).await.unwrap();
            let found = checked.get_ranges(&"a".into(), &ranges).await.unwrap();
            (found, checked.get(&"a".into()).await.unwrap().bytes().await.unwrap())
        });
        prop_assert_eq!(all, Bytes::from(content.clone()));
        for (range, bytes) in ranges.iter().zip(found) {
            prop_assert_eq!(&bytes, &content[range.start as usize..range.end as usize]);
        }
    }
}

/// Objects by their paths.
type Objects = Arc<Mutex<HashMap<String, Bytes>>>;

/// Reads of a path that was never there are the store's own answer.
#[tokio::test]
async fn what_is_not_there_is_not_damaged() {
    let objects = memory();
    let file = file_of("gone", b"content");
    let error = Checker::once(&objects, &[file]).get(&Path::from("gone")).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
