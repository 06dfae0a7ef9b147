//! The cache before a store that counts, fails, errs and is slow.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use futures::{FutureExt as _, future::join_all};
use isinglass_model::clock::ManualClock;
use isinglass_testkit::faulty::{Call, FaultyStore, Moment};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::files::objects::{Counters, metered};
use crate::tables::DataFile;
use crate::wal::Space;

const MIB: u64 = 1 << 20;

/// A store with files of random bytes. Everything that is asked of it is counted.
struct Remote {
    objects: Arc<dyn ObjectStore>,
    faults: FaultyStore,
    counters: Arc<Counters>,
    files: Vec<(DataFile, Vec<u8>)>,
}

impl Remote {
    async fn with(sizes: &[u64]) -> Self {
        let faults = FaultyStore::new(Arc::new(InMemory::new()));
        let (objects, counters) = metered(Arc::new(faults.clone()), Arc::new(ManualClock::at(0)));
        let mut block = [0; 4_096];
        StdRng::seed_from_u64(7).fill(&mut block);
        let mut files = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            let content = random_like(number, *size as usize, &block);
            let path = format!("t/logs/{number}.parquet");
            objects.put(&path.as_str().into(), content.clone().into()).await.unwrap();
            files.push((super::super::tests::file_of(&path, &content), content));
        }
        Self { objects, faults, counters, files }
    }

    fn gets(&self) -> u64 {
        self.counters.stats()["get"].calls
    }

    fn source(&self, file: usize) -> Source {
        Source::new(&self.files[file].0).unwrap()
    }

    /// A range of a file through a cache, compared with what was written.
    async fn read(&self, cache: &Arc<BlockCache>, file: usize, range: Range<u64>) -> Result<()> {
        let mut found = cache.read(&self.objects, self.source(file), std::slice::from_ref(&range)).await?;
        let found = found.pop().unwrap();
        assert!(
            found == self.files[file].1[range.start as usize..range.end as usize],
            "other bytes: {range:?}"
        );
        Ok(())
    }

    async fn read_all(&self, cache: &Arc<BlockCache>, file: usize) -> Result<()> {
        self.read(cache, file, 0..self.files[file].1.len() as u64).await
    }
}

/// Content no block of which is like another one.
fn random_like(file: usize, size: usize, block: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(size + block.len());
    while content.len() < size {
        content.extend((file << 48 | content.len()).to_le_bytes());
        content.extend(block);
    }
    content.truncate(size);
    content
}

fn far(mib: usize) -> Arc<BlockCache> {
    Arc::new(BlockCache::new(mib << 20, Rule::FAR))
}

/// A cache with a disk tier of 64 MiB, on a disk with as much room as `free` says.
async fn on_disk(folder: &FilePath, free: fn() -> u64) -> Arc<BlockCache> {
    let config = CacheConfig { memory_bytes: 22 << 20, folder: folder.to_owned(), disk_bytes: 64 << 20 };
    let mut options = DiskOptions::new(&config, FilePath::new("/nowhere"), 0);
    options.queue_bytes_max = 64 << 20;
    options.look_every = Duration::from_millis(20);
    options.room = Arc::new(move |_| Ok(Space { free: free(), total: 100 << 30 }));
    BlockCache::far(&config, options).await
}

const LOTS: fn() -> u64 = || 50 << 30;

fn pieces_in(folder: &FilePath) -> Vec<PathBuf> {
    let Ok(listed) = fs::read_dir(folder.join("pieces-v1")) else { return Vec::new() };
    listed.map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test]
async fn a_hundred_readers_send_one_request() {
    let remote = Remote::with(&[MIB]).await;
    let cache = far(64);
    let reads = (0..100).map(|at| remote.read(&cache, 0, at..at + 10));
    assert!(join_all(reads).await.into_iter().all(|read| read.is_ok()));
    let stats = cache.stats();
    assert_eq!((remote.gets(), stats.misses, stats.waits, stats.memory.hits), (1, 1, 99, 0));
    remote.read(&cache, 0, 5..6).await.unwrap();
    assert_eq!((remote.gets(), cache.stats().memory.hits), (1, 1));
}

/// Readers on many threads, each of other pieces that overlap: each piece is fetched once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overlapping_reads_fetch_each_piece_once() {
    let remote = Arc::new(Remote::with(&[12 * MIB]).await);
    remote.faults.each_takes(|_| Duration::from_millis(1));
    let cache = far(64);
    let readers = (0..64_u64).map(|reader| {
        let (remote, cache) = (Arc::clone(&remote), Arc::clone(&cache));
        tokio::spawn(async move {
            let start = (reader % 11) * MIB + 17;
            remote.read(&cache, 0, start..(start + (reader % 5) * MIB + 9).min(12 * MIB)).await
        })
    });
    for reader in join_all(readers).await {
        reader.unwrap().unwrap();
    }
    assert_eq!(remote.counters.stats()["get"].bytes, 12 * MIB);
    assert_eq!((cache.stats().misses, cache.flights.under_way()), (12, 0));
}

#[tokio::test]
async fn neighbours_are_one_request_up_to_a_bound() {
    let remote = Remote::with(&[20 * MIB]).await;
    let cache = far(64);
    remote.read(&cache, 0, 3 * MIB..5 * MIB).await.unwrap();
    assert_eq!(remote.gets(), 1);
    remote.read_all(&cache, 0).await.unwrap();
    // 0 to 2, 5 to 12, 13 to 19.
    assert_eq!(remote.gets(), 4);
    remote.read_all(&cache, 0).await.unwrap();
    assert_eq!(remote.gets(), 4);
}

#[tokio::test]
async fn an_error_is_told_to_all_and_not_kept() {
    let remote = Remote::with(&[MIB]).await;
    let cache = far(64);
    remote.faults.fail(Call::Get, Moment::Before, "0.parquet", 0, 1);
    for read in join_all((0..10).map(|at| remote.read(&cache, 0, at..at + 1))).await {
        let error = read.unwrap_err().to_string();
        assert!(error.contains("planned failure of Get on t/logs/0.parquet"), "{error}");
    }
    assert_eq!(remote.gets(), 1);
    remote.read_all(&cache, 0).await.unwrap();
    assert_eq!(remote.gets(), 2);
}

/// What is not there is not there for each who waited.
#[tokio::test]
async fn a_missing_object_is_missing() {
    let remote = Remote::with(&[MIB]).await;
    remote.objects.delete(&remote.files[0].0.path).await.unwrap();
    let cache = far(64);
    for read in join_all((0..3).map(|_| remote.read_all(&cache, 0))).await {
        assert!(matches!(read, Err(Error::NotFound { .. })), "{read:?}");
    }
}

#[tokio::test]
async fn a_reader_that_is_dropped_holds_nobody_up() {
    let remote = Remote::with(&[MIB]).await;
    let cache = far(64);
    let mut first = Box::pin(remote.read(&cache, 0, 0..1));
    let second = remote.read(&cache, 0, 1..2);
    assert!((&mut first).now_or_never().is_none());
    drop(first);
    second.await.unwrap();
    assert_eq!((remote.gets(), cache.stats().waits), (1, 1));
}

/// Plans poll their inputs as they like: one that waits for another must not need it polled.
#[tokio::test]
async fn a_reader_that_is_not_polled_holds_nobody_up() {
    let remote = Remote::with(&[MIB]).await;
    let cache = far(64);
    let mut first = Box::pin(remote.read(&cache, 0, 0..1));
    assert!((&mut first).now_or_never().is_none());
    remote.read(&cache, 0, 1..2).await.unwrap();
    first.await.unwrap();
    assert_eq!(remote.gets(), 1);
}

#[tokio::test]
async fn what_nobody_waits_for_is_not_fetched() {
    let remote = Remote::with(&[MIB]).await;
    let cache = far(64);
    assert!(remote.read_all(&cache, 0).now_or_never().is_none());
    assert_eq!(cache.flights.under_way(), 1);
    while cache.flights.under_way() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(remote.gets(), 0);
    remote.read_all(&cache, 0).await.unwrap();
}

#[tokio::test]
async fn a_runtime_that_is_shut_down_holds_nobody_up() {
    let remote = Remote::with(&[MIB]).await;
    let cache = far(64);
    let other = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut first = Box::pin(remote.read(&cache, 0, 0..1));
    {
        let _inside = other.enter();
        assert!((&mut first).now_or_never().is_none());
    }
    let mut second = Box::pin(remote.read(&cache, 0, 1..2));
    assert!((&mut second).now_or_never().is_none());
    other.shutdown_background();
    second.await.unwrap();
    first.await.unwrap();
    assert_eq!(remote.gets(), 1);
}

/// A run of which one piece came wrong: it is asked for again, and its neighbours are right.
#[tokio::test]
async fn a_bad_transfer_is_repeated() {
    let remote = Remote::with(&[5 * MIB]).await;
    let cache = far(64);
    remote.faults.garble(1);
    remote.read_all(&cache, 0).await.unwrap();
    assert_eq!((remote.gets(), cache.figures().1), (2, 0));
    remote.read(&cache, 0, 2 * MIB..3 * MIB).await.unwrap();
    assert_eq!(remote.gets(), 2);
}

/// A piece that rotted in the store is an error for those who want it, and for nobody else.
#[tokio::test]
async fn a_damaged_piece_does_not_hurt_its_neighbours() {
    let remote = Remote::with(&[3 * MIB]).await;
    let (file, mut content) = remote.files[0].clone();
    content[MIB as usize + 5] ^= 1;
    remote.objects.put(&file.path, content.into()).await.unwrap();
    let cache = far(64);
    let reads = [0..3 * MIB, 0..10, MIB + 9..MIB + 10, 2 * MIB..3 * MIB];
    let reads = join_all(reads.map(|range| remote.read(&cache, 0, range))).await;
    assert_eq!(reads.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, false, true]);
    let error = reads[2].as_ref().unwrap_err().to_string();
    let want = "object t/logs/0.parquet is damaged: bytes 1048576 to 2097152 do not have their checksum";
    assert_eq!(error, format!("Generic tables error: {want}"));
}

#[tokio::test]
async fn near_files_keep_what_was_read_in_part() {
    let remote = Remote::with(&[3 * MIB]).await;
    let cache = Arc::new(BlockCache::new(64 << 20, Rule::NEAR));
    remote.read(&cache, 0, 0..2 * MIB + 1).await.unwrap();
    assert_eq!((remote.gets(), cache.stats().memory.entries), (1, 1));
    remote.read(&cache, 0, 2 * MIB + 1..2 * MIB + 2).await.unwrap();
    assert_eq!(remote.gets(), 1);
    remote.read(&cache, 0, 0..MIB).await.unwrap();
    assert_eq!((remote.gets(), cache.stats().memory.entries), (2, 1));
}

#[tokio::test]
async fn memory_is_bounded() {
    let remote = Remote::with(&[40 * MIB]).await;
    let cache = far(16);
    for start in 0..40 {
        remote.read(&cache, 0, start * MIB..start * MIB + 1).await.unwrap();
        assert!(cache.stats().memory.bytes <= 16 * MIB);
    }
    assert_eq!((cache.stats().memory.entries, cache.stats().memory.evictions), (16, 24));
}

#[tokio::test]
async fn a_restart_reads_nothing_from_the_store() {
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[5 * MIB + 77, 1_000]).await);
    let cache = on_disk(folder.path(), LOTS).await;
    for file in 0..2 {
        remote.read_all(&cache, file).await.unwrap();
    }
    drop(cache);
    let (gets, cache) = (remote.gets(), on_disk(folder.path(), LOTS).await);
    for file in [0, 1, 0] {
        remote.read_all(&cache, file).await.unwrap();
    }
    let (stats, disk) = (cache.stats(), cache.stats().disk.unwrap());
    assert_eq!((remote.gets(), stats.misses), (gets, 0));
    assert_eq!((disk.tier.hits, stats.memory.hits, disk.damaged), (7, 6, 0));
    assert_eq!(disk.tier.bytes, 5 * MIB + 2 * 4_096);
}

/// Bits that turned, files that are cut short, grew or are gone: each is noticed and fetched.
#[tokio::test]
async fn a_disk_that_rots_gives_no_wrong_answer() {
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[8 * MIB]).await);
    let cache = on_disk(folder.path(), LOTS).await;
    remote.read_all(&cache, 0).await.unwrap();
    drop(cache);
    let cache = on_disk(folder.path(), LOTS).await;
    for (at, path) in pieces_in(folder.path()).iter().enumerate() {
        let mut content = fs::read(path).unwrap();
        match at % 4 {
            0 => content[at * 100] ^= 1,
            1 => content.truncate(at * 1_000),
            2 => content.push(0),
            _ => {
                fs::remove_file(path).unwrap();
                continue;
            }
        }
        fs::write(path, content).unwrap();
    }
    remote.read_all(&cache, 0).await.unwrap();
    let stats = cache.stats();
    assert_eq!((remote.gets(), stats.misses, stats.disk.unwrap().damaged), (2, 8, 8));
    drop(cache);
    let cache = on_disk(folder.path(), LOTS).await;
    remote.read_all(&cache, 0).await.unwrap();
    assert_eq!((remote.gets(), cache.stats().disk.unwrap().damaged), (2, 0));
}

#[tokio::test]
async fn the_disk_tier_is_bounded_and_has_what_it_counts() {
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[100 * MIB]).await);
    let cache = on_disk(folder.path(), LOTS).await;
    remote.read_all(&cache, 0).await.unwrap();
    cache.settle().await;
    let disk = cache.stats().disk.unwrap();
    assert_eq!((disk.tier.entries, disk.tier.bytes, disk.queue_bytes), (64, 64 * MIB, 0));
    assert_eq!(disk.tier.evictions + disk.skipped, 36);
    assert_eq!(pieces_in(folder.path()).len(), 64);
    drop(cache);
    // A smaller one has less after a start.
    let config =
        CacheConfig { memory_bytes: 16 << 20, folder: folder.path().to_owned(), disk_bytes: 16 << 20 };
    let cache = BlockCache::far(&config, DiskOptions::new(&config, folder.path(), 1)).await;
    assert_eq!(cache.stats().disk.unwrap().tier.bytes, 16 * MIB);
    assert_eq!(pieces_in(folder.path()).len(), 16);
}

#[tokio::test]
async fn what_waits_for_the_disk_is_bounded() {
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[MIB]).await);
    let config =
        CacheConfig { memory_bytes: 16 << 20, folder: folder.path().to_owned(), disk_bytes: 64 << 20 };
    let mut options = DiskOptions::new(&config, folder.path(), 1);
    assert_eq!(options.queue_bytes_max, 4 * MIB);
    options.queue_bytes_max = MIB - 1;
    let cache = BlockCache::far(&config, options).await;
    remote.read_all(&cache, 0).await.unwrap();
    cache.settle().await;
    let disk = cache.stats().disk.unwrap();
    assert_eq!((disk.skipped, disk.queue_bytes, disk.tier.entries), (1, 0, 0));
}

static FULL: AtomicBool = AtomicBool::new(false);

#[tokio::test]
async fn a_full_disk_is_left_alone_and_then_given_back() {
    // The floor of a volume of 100 GiB is 5 GiB.
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[MIB, MIB]).await);
    let free = || if FULL.load(Ordering::Relaxed) { 4 << 30 } else { 10 << 30 };
    let cache = on_disk(folder.path(), free).await;
    remote.read_all(&cache, 0).await.unwrap();
    cache.settle().await;
    assert_eq!(pieces_in(folder.path()).len(), 1);
    FULL.store(true, Ordering::Relaxed);
    while !pieces_in(folder.path()).is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    remote.read_all(&cache, 1).await.unwrap();
    cache.settle().await;
    let disk = cache.stats().disk.unwrap();
    assert_eq!((disk.tier.entries, disk.skipped, disk.write_failures), (0, 1, 0));
    drop(cache);

    let little = tempfile::tempdir().unwrap();
    let cache = on_disk(little.path(), || (10 << 30) - 1).await;
    remote.read_all(&cache, 0).await.unwrap();
    cache.settle().await;
    assert_eq!((pieces_in(little.path()).len(), cache.stats().disk.unwrap().skipped), (0, 1));
}

#[tokio::test]
async fn a_write_that_fails_is_not_seen_by_the_read() {
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[MIB, MIB]).await);
    let cache = on_disk(folder.path(), LOTS).await;
    fs::remove_dir_all(folder.path().join("pieces-v1")).unwrap();
    remote.read_all(&cache, 0).await.unwrap();
    cache.settle().await;
    assert_eq!(cache.stats().disk.unwrap().write_failures, 1);
    remote.read_all(&cache, 0).await.unwrap();
    // After the pause it is tried again.
    fs::create_dir(folder.path().join("pieces-v1")).unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    cache.settle().await;
    remote.read_all(&cache, 1).await.unwrap();
    cache.settle().await;
    assert_eq!(pieces_in(folder.path()).len(), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_done_without() {
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[MIB]).await);
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let cache = on_disk(&file, LOTS).await;
    assert!(cache.stats().disk.is_none());
    remote.read_all(&cache, 0).await.unwrap();
    // Somebody else has it, for as long as he lives.
    let first = on_disk(folder.path(), LOTS).await;
    assert!(first.stats().disk.is_some());
    assert!(on_disk(folder.path(), LOTS).await.stats().disk.is_none());
    drop(first);
    assert!(on_disk(folder.path(), LOTS).await.stats().disk.is_some());
}

#[tokio::test]
async fn deleted_files_leave_the_disk() {
    let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&[3 * MIB, MIB]).await);
    let cache = on_disk(folder.path(), LOTS).await;
    for file in 0..2 {
        remote.read_all(&cache, file).await.unwrap();
    }
    cache.forget(&[remote.files[0].0.path.clone(), "never/seen".into()]);
    cache.settle().await;
    assert_eq!(pieces_in(folder.path()).len(), 1);
    assert_eq!(cache.stats().disk.unwrap().tier.entries, 1);
}

/// What can happen to a cache.
#[derive(Debug, Clone)]
enum Deed {
    /// Reads at the same time: file, and start and length as parts of its size.
    Read(Vec<(usize, f64, f64)>),
    /// The next requests fail.
    Fail(usize),
    /// The next requests come back with a turned bit.
    Garble(usize),
    /// A file is deleted, here and in the store.
    Delete(usize),
    Restart,
    /// A byte of a file on the disk changes.
    Rot(usize, usize),
    /// All memory is taken by something else.
    Flood,
}

fn deed() -> impl Strategy<Value = Deed> {
    let read = prop::collection::vec((0..4_usize, 0.0..1.0, 0.0..1.0), 1..6);
    prop_oneof![
        12 => read.prop_map(Deed::Read),
        2 => (1..3_usize).prop_map(Deed::Fail),
        2 => (1..3_usize).prop_map(Deed::Garble),
        1 => (0..4_usize).prop_map(Deed::Delete),
        2 => Just(Deed::Restart),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(at, byte)| Deed::Rot(at, byte)),
        1 => Just(Deed::Flood),
    ]
}

const SIZES: [u64; 5] = [3 * MIB + 5, 2 * MIB, 10_000, 1, 18 * MIB];

/// What was done to the store, so that a read may fail.
#[derive(Default)]
struct Wrongs {
    transfers: bool,
    deleted: [bool; SIZES.len()],
}

async fn do_it(
    deed: &Deed,
    remote: &Remote,
    cache: &mut Arc<BlockCache>,
    folder: &FilePath,
    wrongs: &mut Wrongs,
) {
    match deed {
        Deed::Read(reads) => {
            let range = |(file, start, length): &(usize, f64, f64)| {
                let size = SIZES[*file];
                let start = ((size as f64 * start) as u64).min(size - 1);
                (*file, start..(start + 1 + (size as f64 * length) as u64).min(size))
            };
            let reads: Vec<_> = reads.iter().map(range).collect();
            let answers = reads.iter().map(|(file, range)| remote.read(cache, *file, range.clone()));
            for ((file, _), answer) in reads.iter().zip(join_all(answers).await) {
                let excused = wrongs.transfers || wrongs.deleted[*file];
                assert!(answer.is_ok() || excused, "{file}: {answer:?}");
            }
        }
        Deed::Fail(times) => {
            wrongs.transfers = true;
            remote.faults.fail(Call::Get, Moment::Before, "", 0, *times);
        }
        Deed::Garble(times) => {
            wrongs.transfers = true;
            remote.faults.garble(*times);
        }
        Deed::Delete(file) => {
            wrongs.deleted[*file] = true;
            cache.forget(std::slice::from_ref(&remote.files[*file].0.path));
            remote.objects.delete(&remote.files[*file].0.path).await.unwrap();
        }
        Deed::Restart => {
            // A fetch that has landed may be about to end.
            while Arc::strong_count(cache) > 1 {
                tokio::task::yield_now().await;
            }
            *cache = far(1);
            *cache = on_disk(folder, LOTS).await;
        }
        Deed::Rot(at, byte) => {
            cache.settle().await;
            let pieces = pieces_in(folder);
            if let Some(path) = pieces.get(at % pieces.len().max(1)) {
                let mut content = fs::read(path).unwrap();
                // Empty while it is being written, by a fetch that outlives a read that failed.
                if let Some(byte) = byte.checked_rem(content.len()) {
                    content[byte] ^= 0x10;
                    fs::write(path, content).unwrap();
                }
            }
        }
        Deed::Flood => {
            let _ = remote.read(cache, 4, 0..SIZES[4]).await;
        }
    }
}

/// Waits until no fetch is under way.
async fn ended(cache: &BlockCache) {
    while cache.flights.under_way() > 0 {
        tokio::task::yield_now().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever happens in whatever order, a read answers what was written, or an error if
    /// something is wrong with the store; and afterwards everything can be read.
    #[test]
    fn no_read_answers_other_bytes(deeds in prop::collection::vec(deed(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (folder, remote) = (tempfile::tempdir().unwrap(), Remote::with(&SIZES).await);
            let mut cache = on_disk(folder.path(), LOTS).await;
            let mut wrongs = Wrongs::default();
            for deed in &deeds {
                do_it(deed, &remote, &mut cache, folder.path(), &mut wrongs).await;
            }
            remote.faults.heal();
            remote.faults.garble(0);
            // Fetches outlive reads that failed: one that failed, too, would be the answer of
            // whoever joins it.
            ended(&cache).await;
            for file in (0..SIZES.len()).filter(|file| !wrongs.deleted[*file]) {
                remote.read_all(&cache, file).await.unwrap();
            }
            ended(&cache).await;
            let stats = cache.stats();
            prop_assert!(stats.memory.bytes <= stats.memory.bytes_max);
            let disk = stats.disk.unwrap().tier;
            prop_assert!(disk.bytes <= disk.bytes_max);
            Ok(())
        })?;
    }
}
