//! The block cache: verified pieces of data files, in memory and on a local disk.
//!
//! ```text
//!            read: pieces around some ranges
//!                       │
//!             memory ───┤ hit
//!                       ▼ missing
//!             flights: somebody fetches it already? ── wait for that
//!                       │ no: claimed
//!               disk ───┤ hit: compared with its checksum ─▶ memory
//!                       ▼ missing
//!             one GET for each run of neighbours, compared ─▶ memory, disk
//! ```
//!
//! **Why an entry never becomes wrong.** A data file is written once, under the name of a new
//! UUID, and no name is used again; so what was right of a file stays right, through merges,
//! retention and the deletion of a tenant. A piece is compared with the CRC-32C of the commit
//! that named its file before it goes in, and once more when it comes back from the disk, which
//! can rot, too. Nobody asks for pieces of a file that no view names.
//!
//! **What leaves when a file is deleted.** Its pieces on the disk are deleted with it. Those in
//! memory are not hit again and age out first.
//!
//! **One fetch.** However many reads want a piece at the same time, one request is sent; the
//! others wait for it ([`flights`]). A fetch is a task of its own: a reader that is dropped, or
//! not polled for a while, holds nobody up. An error goes to all who wait and is not kept.
//!
//! **What is kept.** Of a remote store everything that is read. Of a local folder only pieces
//! of which a part was asked for, because the rest may be next; the page cache has the others.
//! A piece is kept as a copy, so that it does not keep alive the larger read that it came with.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | `[store.cache]` |
//! | [`ranges`] | pieces, runs of pieces, and cutting ranges out of them |
//! | [`flights`] | who fetches what |
//! | [`fetch`] | a claim made true: disk, then store, each compared |
//! | [`tier`] | eviction by S3-FIFO, which one large scan does not wash out |
//! | [`disk`] | the tier on the disk |
//! | [`stats`] | what is counted |

mod config;
mod disk;
mod fetch;
mod flights;
mod ranges;
mod stats;
mod tier;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, Result};
use tracing::Instrument as _;
use xxhash_rust::xxh3::xxh3_128;

use self::disk::DiskTier;
use self::flights::{Boarding, Flights};
use self::ranges::{cut, pieces_of};
use self::tier::Tier;

pub use config::CacheConfig;
pub(in crate::files::objects) use disk::DiskOptions;
pub(in crate::files::objects) use fetch::Source;
pub(in crate::files::objects) use flights::unshared;
pub use stats::{CacheStats, DiskStats, TierStats};

/// Bytes that one checksum covers, and one entry of the cache has.
pub(crate) const PIECE_BYTES: u64 = 1 << 20;

/// How often a read claims what another one claimed and did not fetch, because its runtime
/// was shut down under it.
const CLAIMS_MAX: usize = 3;

/// How long a start waits for the disk tier. Later than that it is opened beside everything
/// else.
const DISK_OPEN_WAIT: Duration = Duration::from_secs(2);

/// A piece of a file. The file is known by a hash of its path: 128 bits of names that are
/// random themselves do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct PieceId {
    file: u128,
    number: u64,
}

/// What is known of a file by its path.
fn file_id(path: &Path) -> u128 {
    xxh3_128(path.as_ref().as_bytes())
}

/// What depends on where the files are.
#[derive(Debug, Clone, Copy)]
pub(in crate::files::objects) struct Rule {
    /// Whether all that is read is kept, and not only pieces of which a part was asked for.
    keep_all: bool,
    /// The largest request.
    get_bytes_max: u64,
}

impl Rule {
    /// Files in a folder, or in memory.
    pub(in crate::files::objects) const NEAR: Self = Self { keep_all: false, get_bytes_max: 64 << 20 };
    /// Files behind a network.
    pub(in crate::files::objects) const FAR: Self = Self { keep_all: true, get_bytes_max: 8 << 20 };
}

/// The cache. Shared by all queries.
#[derive(Debug)]
pub(in crate::files::objects) struct BlockCache {
    rule: Rule,
    memory: Tier<Bytes>,
    disk: OnceLock<DiskTier>,
    flights: Arc<Flights>,
    misses: AtomicU64,
    /// Bytes compared with their checksums.
    checked_bytes: AtomicU64,
    /// Reads that failed for good because the object is damaged.
    damaged: AtomicU64,
}

impl BlockCache {
    /// A cache in memory.
    pub(in crate::files::objects) fn new(memory_bytes: usize, rule: Rule) -> Self {
        let zero = AtomicU64::default;
        let memory = Tier::new(memory_bytes as u64, |content: &Bytes| content.len() as u64, |_| {});
        let (disk, flights) = (OnceLock::new(), Arc::default());
        let (misses, checked_bytes, damaged) = (zero(), zero(), zero());
        Self { rule, memory, disk, flights, misses, checked_bytes, damaged }
    }

    /// A cache of what `config` says for files behind a network. Without its disk tier if that
    /// cannot be opened, and until it is.
    pub(in crate::files::objects) async fn far(config: &CacheConfig, options: DiskOptions) -> Arc<Self> {
        if config.disk_bytes == 0 {
            return Arc::new(Self::new(config.memory_bytes, Rule::FAR));
        }
        // Pieces that wait for the disk are a share of the same memory.
        let cache = Arc::new(Self::new(config.memory_bytes - config.queue_bytes(), Rule::FAR));
        let opening = tokio::task::spawn_blocking({
            let cache = Arc::clone(&cache);
            move || cache.open_disk(options)
        });
        if tokio::time::timeout(DISK_OPEN_WAIT, opening).await.is_err() {
            tracing::warn!("the disk cache takes long to open; queries do without it until it is");
        }
        cache
    }

    fn open_disk(&self, options: DiskOptions) {
        let folder = options.folder.clone();
        match DiskTier::open(options) {
            Ok(disk) => {
                let _ = self.disk.set(disk);
            }
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "the disk cache cannot be used, there is none until a restart");
            }
        }
    }

    /// Ranges of a file, each not empty and within its size.
    pub(in crate::files::objects) async fn read(
        self: &Arc<Self>,
        objects: &Arc<dyn ObjectStore>,
        source: Source,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>> {
        let wanted: BTreeSet<u64> = ranges.iter().flat_map(pieces_of).collect();
        let kept = self.kept(&source, ranges, &wanted);
        let found = self.pieces(objects, &Arc::new(source), wanted, &Arc::new(kept)).await?;
        Ok(ranges.iter().map(|range| cut(range, &found)).collect())
    }

    /// Which of these pieces are kept if they have to be fetched.
    fn kept(&self, source: &Source, ranges: &[Range<u64>], wanted: &BTreeSet<u64>) -> BTreeSet<u64> {
        if self.rule.keep_all {
            return wanted.clone();
        }
        let whole = |number: &u64| {
            let place = source.place(*number);
            ranges.iter().any(|range| range.start <= place.start && place.end <= range.end)
        };
        wanted.iter().copied().filter(|number| !whole(number)).collect()
    }

    /// Content with its places, in which all these pieces are.
    async fn pieces(
        self: &Arc<Self>,
        objects: &Arc<dyn ObjectStore>,
        source: &Arc<Source>,
        mut wanted: BTreeSet<u64>,
        kept: &Arc<BTreeSet<u64>>,
    ) -> Result<Vec<(Range<u64>, Bytes)>> {
        let mut found = Vec::with_capacity(wanted.len());
        for _ in 0..CLAIMS_MAX {
            let look = |number| Some((source.place(number), self.memory.get(source.id(number))?));
            let Boarding { held, awaited, claim } = self.flights.board(source.file, &wanted, look);
            if let Some(claim) = claim {
                let (cache, objects) = (Arc::clone(self), Arc::clone(objects));
                let (source, kept) = (Arc::clone(source), Arc::clone(kept));
                let fetch = async move { cache.fetch(&objects, &source, &claim, &kept).await };
                tokio::spawn(fetch.in_current_span());
            }
            found.extend(held);
            let mut lost = BTreeSet::new();
            for (number, flight) in awaited {
                match flight.landed().await {
                    Some(Ok(landed)) => found.push(landed),
                    Some(Err(error)) => return Err(flights::shared(&source.path, &error)),
                    None => {
                        lost.insert(number);
                    }
                }
            }
            if lost.is_empty() {
                return Ok(found);
            }
            wanted = lost;
        }
        let problem = format!("reading {} was given up: its runtime is shut down", source.path);
        Err(Error::Generic { store: "tables", source: problem.into() })
    }

    /// Deletes what the disk has of files that are deleted.
    pub(in crate::files::objects) fn forget(&self, files: &[Path]) {
        if let Some(disk) = self.disk.get() {
            disk.forget(files.iter().map(file_id).collect());
        }
    }

    /// Bytes that were compared with their checksums, and reads that failed for good.
    pub(in crate::files::objects) fn figures(&self) -> (u64, u64) {
        (self.checked_bytes.load(Ordering::Relaxed), self.damaged.load(Ordering::Relaxed))
    }

    pub(in crate::files::objects) fn stats(&self) -> CacheStats {
        CacheStats {
            memory: self.memory.stats(),
            misses: self.misses.load(Ordering::Relaxed),
            waits: self.flights.waits(),
            disk: self.disk.get().map(DiskTier::stats),
        }
    }

    /// Waits, but not for long, until the disk has what it was given.
    pub(in crate::files::objects) async fn settle(&self) {
        if let Some(disk) = self.disk.get() {
            disk.settle().await;
        }
    }
}

/// Where the disk tier lies if nobody says.
pub(in crate::files::objects) fn folder_of(config: &CacheConfig, data_dir: &FilePath) -> std::path::PathBuf {
    match config.folder.as_os_str().is_empty() {
        true => data_dir.join("cache"),
        false => config.folder.clone(),
    }
}

#[cfg(test)]
mod tests;
