//! The one thread that writes: everything queued while the last sync ran goes out with
//! one write and one sync.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use isinglass_model::Clock;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::disk::Disk;
use super::frame::{framed_bytes, put_frame};
use super::header::{DATA, Header};
use super::queue::{Job, Queue};
use super::segments::{Active, Found, Keep, Recovered, Segments, WalSegment, save_heads};
use crate::config::Durability;
use crate::log_id::LogId;
use crate::{Seq, StoreError};

/// Bytes written at once, unless one record has more.
pub(super) const BATCH_BYTES_MAX: usize = 8 << 20;

/// How long a full disk is believed to stay full.
const FULL_DISK_PAUSE: Duration = Duration::from_millis(500);

/// Takes records after the log has them, and those that it could not take.
pub(crate) trait Sink<T>: Send + 'static {
    /// These are as durable as configured; called in WAL order.
    fn written(&self, records: Vec<(Seq, Job<T>)>);
    /// These are not in the log.
    fn failed(&self, jobs: Vec<Job<T>>, error: StoreError);
}

/// What the log needs to know.
pub(crate) struct WalOptions {
    /// When a record counts as written.
    pub(crate) durability: Durability,
    /// Size of a segment.
    pub(crate) segment_bytes: u64,
    /// What is kept though it is not needed for rows.
    pub(crate) keep: Keep,
    /// Which log it is, as every segment says.
    pub(crate) log: LogId,
    /// The last record that counts: whatever else earlier segments hold is void.
    pub(crate) last: Seq,
    /// Numbers given out are above it; others raise it.
    pub(crate) floor: Arc<AtomicU64>,
    /// Segments that recovery found.
    pub(crate) recovered: Vec<Recovered>,
    /// Heads files whose segment is gone, with the age of their last record.
    pub(crate) loose: Vec<(Found, Duration)>,
    /// Drawn at start; each segment mixes its own number into it.
    pub(crate) salt: u32,
    /// Told when a segment is closed and half of the bytes that the log may have are taken.
    pub(crate) long: Arc<Notify>,
}

/// Figures of the log.
#[derive(Debug, Default)]
pub(crate) struct WalStats {
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_nanos: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) disk_bytes: AtomicU64,
    pub(crate) heads_bytes: AtomicU64,
    pub(crate) spare_bytes: AtomicU64,
    pub(crate) segments: AtomicU64,
    /// The last record written.
    pub(crate) last: AtomicU64,
    /// The last record that a sync has reached.
    pub(crate) synced: AtomicU64,
}

/// The log.
pub(crate) struct Wal<T> {
    shared: Arc<Shared<T>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared<T> {
    queue: Queue<T>,
    disk: Arc<dyn Disk>,
    segments: Mutex<Segments>,
    /// Held while heads are written down.
    saving: Mutex<()>,
    segment_bytes: u64,
    keep: Keep,
    clock: Arc<dyn Clock>,
    /// The writer gives out numbers above this.
    floor: Arc<AtomicU64>,
    read_only: AtomicBool,
    stats: WalStats,
    long: Arc<Notify>,
}

impl<T> Shared<T> {
    fn close_segment(&self, active: Active) {
        let until = self.clock.monotonic() + self.keep.age;
        let (bytes, _) = self.segments(|segments| {
            segments.close(active, until);
            segments.size()
        });
        if bytes > self.keep.log_bytes / 2 {
            self.long.notify_one();
        }
    }

    /// Changes the list of segments; the figures follow.
    fn segments<R>(&self, change: impl FnOnce(&mut Segments) -> R) -> R {
        let mut segments = self.segments.lock();
        let result = change(&mut segments);
        let ((bytes, count), (heads, spare)) = (segments.size(), segments.beside());
        self.stats.disk_bytes.store(bytes, Ordering::Relaxed);
        self.stats.segments.store(count, Ordering::Relaxed);
        self.stats.heads_bytes.store(heads, Ordering::Relaxed);
        self.stats.spare_bytes.store(spare, Ordering::Relaxed);
        result
    }
}

impl<T: Send + 'static> Wal<T> {
    /// Starts the writer. Its first segment is begun with its first record.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        options: WalOptions,
        sink: impl Sink<T>,
    ) -> Result<Self, StoreError> {
        let segments = Segments::recovered(options.recovered, options.loose, options.keep, clock.monotonic());
        let shared = Arc::new(Shared {
            queue: Queue::new(),
            disk,
            segments: Mutex::new(segments),
            saving: Mutex::new(()),
            segment_bytes: options.segment_bytes.max(DATA as u64 + 4_096),
            keep: options.keep,
            clock: Arc::clone(&clock),
            floor: options.floor,
            read_only: AtomicBool::new(false),
            stats: WalStats::default(),
            long: options.long,
        });
        shared.segments(|_| ());
        shared.stats.last.store(options.last, Ordering::Release);
        let writer = Writer {
            shared: Arc::clone(&shared),
            clock,
            sink,
            durability: options.durability,
            salt: options.salt,
            log: options.log,
            active: None,
            last: options.last,
            void_from: options.last + 1,
            failed_before: false,
            full_until: Duration::ZERO,
            dirty_since: None,
            frames: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("wal".into()).spawn(move || writer.run());
        let thread = thread.map_err(|error| StoreError::io("starting the wal thread", &error))?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Queues a record. Gives it back if the log is closed or read-only.
    pub(crate) fn push(&self, job: Job<T>) -> Result<(), (Job<T>, StoreError)> {
        if self.read_only() {
            return Err((job, read_only()));
        }
        self.shared.queue.push(job).map_err(|job| (job, StoreError::unavailable("the store is closing")))
    }

    /// Whether a second failure in a row has ended all writing.
    pub(crate) fn read_only(&self) -> bool {
        self.shared.read_only.load(Ordering::Acquire)
    }

    /// Writes the heads of closed segments down.
    pub(crate) fn saver(&self) -> Saver<T> {
        Saver { shared: Arc::clone(&self.shared) }
    }

    /// Whether something could be let go: a closed segment, or what stands beside them.
    pub(crate) fn has_old(&self) -> bool {
        let segments = self.shared.segments.lock();
        segments.oldest_last().is_some() || segments.ages()
    }

    /// Removes segments whose records all lie below `keep_from`; their files wait to be used
    /// again unless the `disk_is_low`.
    pub(crate) fn truncate(&self, keep_from: Seq, disk_is_low: bool) -> Result<(), StoreError> {
        let shared = &self.shared;
        let now = (shared.clock.monotonic(), shared.segment_bytes);
        let log_bytes = if disk_is_low { 0 } else { shared.keep.log_bytes };
        let keep = Keep { log_bytes, ..shared.keep };
        let removed = shared.segments(|segments| segments.truncate(&*shared.disk, keep_from, keep, now));
        removed.map_err(|error| StoreError::io("removing a wal segment", &error))
    }

    /// The last record of the oldest segment that is not being written.
    pub(crate) fn oldest_last(&self) -> Option<Seq> {
        self.shared.segments.lock().oldest_last()
    }

    /// Its segments, oldest first.
    pub(crate) fn segments(&self) -> Vec<WalSegment> {
        let segments = self.shared.segments.lock();
        // In this order: a record that is written meanwhile only looks unsynced.
        let synced = self.shared.stats.synced.load(Ordering::Acquire);
        segments.listed(self.shared.stats.last.load(Ordering::Acquire), synced)
    }

    pub(crate) fn stats(&self) -> &WalStats {
        &self.shared.stats
    }

    /// Takes no more records, writes those that are queued, and ends the thread.
    pub(crate) fn close(&self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the wal thread panicked");
        }
    }
}

impl<T> Drop for Wal<T> {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.get_mut().take() {
            // A panic was reported by the thread itself.
            let _ = thread.join();
        }
    }
}

/// Writes the heads of closed segments down, so that those are let go earlier and the next
/// start has less to read.
pub(crate) struct Saver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Saver<T> {
    /// Writes all that are not on disk. Blocking.
    pub(crate) fn save_heads(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        let _one_at_a_time = shared.saving.lock();
        loop {
            let unsaved = shared.segments.lock().unsaved();
            let Some((first, heads)) = unsaved else {
                return Ok(());
            };
            save_heads(&*shared.disk, first, &heads)
                .map_err(|error| StoreError::io("writing the heads of a wal segment", &error))?;
            shared.segments(|segments| segments.saved(first, heads.len() as u64));
        }
    }
}

fn read_only() -> StoreError {
    StoreError::unavailable("the log failed twice in a row; writes are refused until a restart")
}

struct Writer<T, S> {
    shared: Arc<Shared<T>>,
    clock: Arc<dyn Clock>,
    sink: S,
    durability: Durability,
    salt: u32,
    log: LogId,
    active: Option<Active>,
    /// The last number given out.
    last: Seq,
    /// What the next segment's header says of the earlier ones.
    void_from: Seq,
    failed_before: bool,
    full_until: Duration,
    /// When the oldest unsynced byte was written.
    dirty_since: Option<Duration>,
    frames: Vec<u8>,
}

impl<T: Send + 'static, S: Sink<T>> Writer<T, S> {
    fn run(mut self) {
        loop {
            let room = self.active.as_ref().map_or(usize::MAX, Active::room).min(BATCH_BYTES_MAX);
            let mut bytes = 0;
            let taken = self.shared.queue.take(self.patience(), |job| {
                bytes += framed_bytes(job.body.len());
                bytes <= room
            });
            match taken {
                Some(jobs) if jobs.is_empty() => self.sync_late(),
                Some(jobs) => self.write(jobs),
                None => break,
            }
        }
        self.sync_late();
        if let Some(active) = self.active.take() {
            self.shared.close_segment(active);
        }
    }

    /// How long to wait for records before a sync is due.
    fn patience(&self) -> Option<Duration> {
        let Durability::Interval(ms) = self.durability else {
            return None;
        };
        let due = self.dirty_since? + Duration::from_millis(ms);
        Some(due.saturating_sub(self.clock.monotonic()).max(Duration::from_millis(1)))
    }

    fn write(&mut self, jobs: Vec<Job<T>>) {
        if self.shared.read_only.load(Ordering::Acquire) {
            return self.sink.failed(jobs, read_only());
        }
        let first = (self.last + 1).max(self.shared.floor.load(Ordering::Acquire) + 1);
        let numbers = first..first + jobs.len() as Seq;
        self.last = numbers.end - 1;
        match self.try_write(&jobs, first) {
            Ok(()) => {
                self.failed_before = false;
                let stats = &self.shared.stats;
                stats.last.store(self.last, Ordering::Release);
                stats.records.fetch_add(jobs.len() as u64, Ordering::Relaxed);
                stats.bytes.fetch_add(self.frames.len() as u64, Ordering::Relaxed);
                if let Some(active) = &mut self.active {
                    let heads = jobs.iter().map(|job| job.body.get(..job.head).unwrap_or_default());
                    numbers.clone().zip(heads).for_each(|(seq, head)| active.note(seq, head));
                }
                self.sink.written(numbers.zip(jobs).collect());
            }
            Err(error) => {
                self.give_up(first, &error);
                let reason = format!("the log could not be written: {error}");
                self.sink.failed(jobs, StoreError::unavailable(reason));
            }
        }
        if self.frames.capacity() > 2 * BATCH_BYTES_MAX {
            self.frames = Vec::new();
        }
    }

    fn try_write(&mut self, jobs: &[Job<T>], first: Seq) -> io::Result<()> {
        let needed: usize = jobs.iter().map(|job| framed_bytes(job.body.len())).sum();
        if self.active.as_ref().is_some_and(|active| active.room() < needed) {
            self.rotate()?;
        }
        let salt = match &self.active {
            Some(active) => active.salt(),
            None => self.begin(first, needed)?,
        };
        self.frames.clear();
        for (seq, job) in (first..).zip(jobs) {
            put_frame(&mut self.frames, salt, seq, &job.body);
        }
        let last = first + jobs.len() as Seq - 1;
        if let Some(active) = &mut self.active {
            active.write(&mut self.frames, last)?;
        }
        self.void_from = last + 1;
        self.dirty_since.get_or_insert_with(|| self.clock.monotonic());
        let synced = self.sync_if_due();
        if synced.is_err() && self.durability == Durability::Sync {
            self.void_from = first;
        }
        synced
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.dirty_since.is_some() {
            self.sync()?;
        }
        if let Some(active) = self.active.take() {
            self.shared.close_segment(active);
        }
        Ok(())
    }

    fn begin(&mut self, first: Seq, needed: usize) -> io::Result<u32> {
        if self.clock.monotonic() < self.full_until {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let salt = self.salt ^ crc32c::crc32c(&first.to_le_bytes());
        let header = Header { salt, first, void_from: self.void_from, log: self.log };
        let bytes = self.shared.segment_bytes.max((DATA + needed) as u64);
        let shared = &self.shared;
        let now = self.clock.monotonic();
        let active = shared.segments(|segments| segments.begin(&*shared.disk, &header, bytes, now))?;
        self.active = Some(active);
        Ok(salt)
    }

    fn sync_if_due(&mut self) -> io::Result<()> {
        let due = match (self.durability, self.dirty_since) {
            (Durability::Sync, _) => true,
            (Durability::Interval(ms), Some(since)) => {
                self.clock.monotonic().saturating_sub(since) >= Duration::from_millis(ms)
            }
            (Durability::Interval(_) | Durability::Os, _) => false,
        };
        if due { self.sync() } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        let start = self.clock.monotonic();
        active.sync()?;
        let took = self.clock.monotonic().saturating_sub(start);
        let stats = &self.shared.stats;
        stats.synced.store(active.synced, Ordering::Release);
        stats.syncs.fetch_add(1, Ordering::Relaxed);
        stats.sync_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.dirty_since = None;
        Ok(())
    }

    /// A sync that nobody waits for.
    fn sync_late(&mut self) {
        if self.dirty_since.is_some()
            && let Err(error) = self.sync()
        {
            self.give_up(self.last + 1, &error);
        }
    }

    /// Leaves a segment whose write or sync failed: what the disk has of it is not known,
    /// and a second sync of the same file would say that all is well. Records from
    /// `first` on are void. A full disk is no fault of the disk, and passes.
    fn give_up(&mut self, first: Seq, error: &io::Error) {
        self.shared.stats.failures.fetch_add(1, Ordering::Relaxed);
        self.dirty_since = None;
        self.void_from = self.void_from.min(first);
        if let Some(mut active) = self.active.take() {
            active.last = active.last.min(first.saturating_sub(1));
            self.shared.close_segment(active);
        }
        let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        let now = self.clock.monotonic();
        if full && now < self.full_until {
            // Refused within the pause, which must not become longer by being asked.
        } else if full {
            self.full_until = now + FULL_DISK_PAUSE;
            tracing::warn!(%error, "disk full, appends are refused");
        } else if self.failed_before {
            self.shared.read_only.store(true, Ordering::Release);
            tracing::error!(%error, "the log failed twice in a row, writes are refused until a restart");
        } else {
            self.failed_before = true;
            tracing::error!(%error, "the log failed, going on in a new segment");
        }
    }
}
