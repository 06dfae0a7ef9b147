//! The tier on the disk: a file for each piece, of which nothing is believed.
//!
//! `docs/formats/cache.md` has the layout. What a file must hold is known from the commit that
//! named its data file: the length and the CRC-32C of the piece. So files have no header, are
//! never synced, and a torn or a rotten one is one that differs; it is dropped, counted and
//! fetched anew. A start lists the folder and so has what the last one had.
//!
//! One thread writes and deletes ([`writer`]). Pieces wait for it up to a bound; beyond that
//! they are not written. It writes nothing while the disk has little room, deletes all below
//! the floor at which the log refuses writes, and pauses after a failed write, of which the
//! reads see nothing.
//!
//! A folder is one process's: a second one does without a disk tier.

mod folder;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

use self::folder::Folder;
use self::writer::{Order, Writer};
use super::config::DISK_BYTES;
use super::stats::DiskStats;
use super::tier::Tier;
use super::{CacheConfig, PIECE_BYTES, PieceId, folder_of};
use crate::room::floor;
use crate::wal::Space;

/// A tier that is smaller is not worth its trouble.
const BYTES_MIN: u64 = 16 << 20;

/// Locked by who uses the folder. Another name than that of the data folder, which may be the
/// same folder.
const LOCK: &str = "cache.lock";

/// How often the disk is asked for its room if nothing is written.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How long a stop waits for what is to be written.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// What a piece takes on a disk is a multiple of this.
const BLOCK_BYTES: u64 = 4 << 10;

/// Asks the volume of a folder for its room.
type Room = Arc<dyn Fn(&Path) -> io::Result<Space> + Send + Sync>;

/// How a disk tier is opened.
pub(in crate::files::objects) struct DiskOptions {
    pub(super) folder: PathBuf,
    pub(super) bytes: u64,
    pub(super) queue_bytes_max: u64,
    /// Free bytes below which the log refuses writes, as configured.
    pub(super) disk_free_min_bytes: u64,
    pub(super) room: Room,
    pub(super) look_every: Duration,
}

impl DiskOptions {
    pub(in crate::files::objects) fn new(
        config: &CacheConfig,
        data_dir: &Path,
        disk_free_min_bytes: u64,
    ) -> Self {
        Self {
            folder: folder_of(config, data_dir),
            bytes: config.disk_bytes,
            queue_bytes_max: config.queue_bytes() as u64,
            disk_free_min_bytes,
            room: Arc::new(volume),
            look_every: LOOK_EVERY,
        }
    }
}

/// The room on the volume of a folder.
fn volume(folder: &Path) -> io::Result<Space> {
    let volume = rustix::fs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(volume.f_frsize);
    Ok(Space { free: bytes(volume.f_bavail), total: bytes(volume.f_blocks) })
}

/// What is held of a piece: its length. The index of what is on the disk.
type Index = Tier<u32>;

/// What the disk has of a piece. It may be anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Piece(Bytes),
    /// It should be there and cannot be read.
    Damaged,
}

/// What both sides count.
#[derive(Debug, Default)]
struct Counts {
    queue_bytes: AtomicU64,
    skipped: AtomicU64,
    write_failures: AtomicU64,
    damaged: AtomicU64,
}

/// The tier. When it is dropped the thread does what it was told, and ends.
#[derive(Debug)]
pub(super) struct DiskTier {
    folder: Folder,
    index: Arc<Index>,
    orders: Option<Sender<Order>>,
    /// Has no sender when the thread has ended.
    ended: Mutex<Receiver<()>>,
    queue_bytes_max: u64,
    counts: Arc<Counts>,
}

impl DiskTier {
    /// Opens a folder, which is made if it is not there, with what it has.
    pub(super) fn open(options: DiskOptions) -> io::Result<Self> {
        let folder = Folder::make(&options.folder)?;
        let lock = lock(&options.folder)?;
        let found = folder.list()?;
        let held: u64 = found.iter().map(|piece| u64::from(piece.bytes)).sum();
        let space = (options.room)(&options.folder)?;
        let bytes_max = bytes_max(options.bytes, space.free.saturating_add(held));
        if bytes_max < BYTES_MIN {
            let problem = format!(
                "{bytes_max} bytes are less than {BYTES_MIN}, the least of a disk tier; {} are free",
                space.free
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, problem));
        }
        let (evicted, leaving) = channel();
        let on_disk = |bytes: &u32| u64::from(*bytes).next_multiple_of(BLOCK_BYTES);
        let leaves = move |id| {
            // The thread that would hear of it puts in.
            let _ = evicted.send(id);
        };
        let index = Tier::new(bytes_max, on_disk, leaves);
        let (index, counts) = (Arc::new(index), Arc::new(Counts::default()));
        let (orders, received) = channel();
        let (ends, ended) = channel();
        let writer = Writer {
            folder: folder.clone(),
            root: options.folder.clone(),
            index: Arc::clone(&index),
            counts: Arc::clone(&counts),
            leaving,
            files: Default::default(),
            free_min: floor(options.disk_free_min_bytes, space),
            room: Arc::clone(&options.room),
            look_every: options.look_every,
            paused: false,
            _lock: lock,
            _ended: ends,
        };
        tracing::info!(folder = %options.folder.display(), pieces = found.len(), held, bytes_max, "opened the disk cache");
        std::thread::Builder::new().name("cache".into()).spawn(move || writer.run(found, &received))?;
        let (orders, ended) = (Some(orders), Mutex::new(ended));
        let tier = Self { folder, index, orders, ended, queue_bytes_max: options.queue_bytes_max, counts };
        let _ = tier.told().recv();
        Ok(tier)
    }

    /// What the disk has of a piece of so many bytes. Not compared.
    pub(super) async fn get(&self, id: PieceId, bytes: u64) -> Found {
        if self.index.peek(id).is_none() {
            return Found::Nothing;
        }
        let folder = self.folder.clone();
        let read = tokio::task::spawn_blocking(move || folder.read(id, bytes as usize)).await;
        match read {
            Ok(Ok(content)) => Found::Piece(content),
            // Thrown out since.
            _ if !self.index.contains(id) => Found::Nothing,
            _ => Found::Damaged,
        }
    }

    /// A piece that came back was right.
    pub(super) fn hit(&self) {
        self.index.hit();
    }

    /// A piece that came back was wrong.
    pub(super) fn damaged(&self, id: PieceId) {
        let count = self.counts.damaged.fetch_add(1, Ordering::Relaxed) + 1;
        // A disk that dies would fill the log.
        if count.is_power_of_two() {
            tracing::warn!(count, "pieces in the disk cache were damaged, they are fetched again");
        }
        if self.index.remove(id) {
            self.order(Order::Remove(id));
        }
    }

    /// Has a piece written, unless too many wait.
    pub(super) fn put(&self, id: PieceId, content: Bytes) {
        let bytes = content.len() as u64;
        let waiting = self.counts.queue_bytes.fetch_add(bytes, Ordering::AcqRel);
        if waiting + bytes > self.queue_bytes_max {
            self.counts.queue_bytes.fetch_sub(bytes, Ordering::AcqRel);
            self.counts.skipped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.order(Order::Write(id, content));
    }

    /// Has all pieces of these files deleted.
    pub(super) fn forget(&self, files: Vec<u128>) {
        self.order(Order::Forget(files));
    }

    fn order(&self, order: Order) {
        // Without the thread nothing is written or deleted; reads go on.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
    }

    /// Is told, or closed, when all that was ordered is done.
    fn told(&self) -> Receiver<()> {
        let (done, told) = channel();
        self.order(Order::Tell(done));
        told
    }

    /// Waits, but not for ever, until all that was ordered is done.
    pub(super) async fn settle(&self) {
        let told = self.told();
        let _ = tokio::task::spawn_blocking(move || told.recv_timeout(CLOSE_WAIT)).await;
    }

    pub(super) fn stats(&self) -> DiskStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DiskStats {
            tier: self.index.stats(),
            damaged: of(&self.counts.damaged),
            skipped: of(&self.counts.skipped),
            write_failures: of(&self.counts.write_failures),
            queue_bytes: of(&self.counts.queue_bytes),
        }
    }
}

impl Drop for DiskTier {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.ended.get_mut().recv_timeout(CLOSE_WAIT);
    }
}

/// How large the tier may become, with so much for it to have.
fn bytes_max(configured: u64, free: u64) -> u64 {
    match configured {
        DISK_BYTES => DISK_BYTES.min(free / 10),
        said => said,
    }
}

/// One process per folder.
fn lock(folder: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_at_most_a_tenth_of_what_is_free() {
        assert_eq!(bytes_max(DISK_BYTES, 100 << 30), 4 << 30);
        assert_eq!(bytes_max(DISK_BYTES, 20 << 30), 2 << 30);
        assert_eq!(bytes_max(100 << 30, 20 << 30), 100 << 30);
    }
}
