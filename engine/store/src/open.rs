//! Opening a store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use isinglass_model::Clock;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::append::Observer;
use crate::apply::{Applier, ToApplier};
use crate::config::StoreConfig;
use crate::dedup::Dedup;
use crate::error::StoreError;
use crate::files::Tables;
use crate::flush::{FlushStats, Flusher};
use crate::lock::Lock;
use crate::recovery::{Recovery, Replayed};
use crate::store::{Core, ROOM_BYTES, Store, maintenance};
use crate::tables::TableFiles;
use crate::tenant::Usage;
use crate::tenants::Tenants;
use crate::wal::{Disk, Folder, Keep, Wal, WalOptions};

impl Store {
    /// Opens a folder: takes its lock, replays the WAL into the head and tells
    /// `observer` of every record in it.
    pub async fn open(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let lock = Lock::take(&config.data_dir)?;
        let folder = Folder::new(config.data_dir.join("wal"), config.data_dir.join("quarantine"));
        let disk = folder.map_err(|error| StoreError::io("making the wal folder", &error))?;
        let tables = Tables::open(&config.data_dir.join("tables"), Arc::clone(&clock))?;
        Self::open_on(config, clock, observer, Arc::new(disk), Arc::new(tables), Some(lock)).await
    }

    /// Opens a store on a given disk and given tables.
    pub(crate) async fn open_on(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        disk: Arc<dyn Disk>,
        files: Arc<dyn TableFiles>,
        lock: Option<Lock>,
    ) -> Result<Self, StoreError> {
        let start = clock.monotonic();
        let random = uuid::Uuid::new_v4().as_u64_pair();
        let config = Arc::new(config);
        let floor = Arc::new(AtomicU64::new(0));
        let flusher = Arc::new(flusher(&config, &clock, files, random.0, &floor, lock)?);
        let remember = Duration::from_millis(config.batch_key_ms);
        let dedup = Dedup::new(Arc::clone(&clock), remember, config.batch_keys_max);
        let recovery = Recovery {
            disk: &disk,
            flusher: &flusher,
            dedup: &dedup,
            clock: &*clock,
            observer: &*observer,
            floor: &floor,
        };
        let replayed = recovery.run().await?;
        let replay_time = clock.monotonic().saturating_sub(start);
        log(&replayed, replay_time);

        floor.fetch_max(replayed.highest, Ordering::AcqRel);
        let applied = Arc::new(AtomicU64::new(replayed.last));
        let wake = Arc::new(Notify::new());
        let (records, received) = mpsc::channel();
        let applier = Applier {
            clock: Arc::clone(&clock),
            observer: Arc::clone(&observer),
            usage: Arc::clone(&flusher.usage),
            applied: Arc::clone(&applied),
            flush: Arc::clone(&wake),
            flush_at_bytes: config.flush_bytes.min(config.head_bytes / 2),
        };
        let applier = std::thread::Builder::new().name("apply".into()).spawn(move || applier.run(&received));
        let applier = applier.map_err(|error| StoreError::io("starting the applier thread", &error))?;
        let options = WalOptions {
            durability: config.durability,
            segment_bytes: config.wal_segment_bytes,
            keep: Keep { age: remember, bytes: config.wal_bytes_max / 4 },
            last: replayed.last,
            floor,
            recovered: replayed.segments.clone(),
            // Any 32 random bits.
            salt: random.1 as u32,
        };
        let wal = Wal::start(disk, Arc::clone(&clock), options, ToApplier { records })?;
        let room_units =
            u32::try_from(config.wal_queue_bytes as usize / ROOM_BYTES).unwrap_or(u32::MAX).max(1);
        let core = Arc::new(Core {
            config,
            clock,
            observer,
            flusher,
            dedup,
            wal,
            applier: Mutex::new(Some(applier)),
            applied,
            wake: Arc::clone(&wake),
            room: Arc::new(Semaphore::new(room_units as usize)),
            room_units,
            closing: AtomicBool::new(false),
            replayed,
            replay_time,
        });
        tokio::spawn(maintenance(Arc::downgrade(&core), wake));
        Ok(Self { core })
    }
}

fn flusher(
    config: &Arc<StoreConfig>,
    clock: &Arc<dyn Clock>,
    files: Arc<dyn TableFiles>,
    salt: u64,
    floor: &Arc<AtomicU64>,
    lock: Option<Lock>,
) -> Result<Flusher, StoreError> {
    let usage = Arc::new(Usage::default());
    let bounds = (config.series_max, config.tenants_max);
    let tenants = Tenants::new(Arc::clone(&files), Arc::clone(&usage), salt, bounds, Arc::clone(floor))?;
    Ok(Flusher {
        config: Arc::clone(config),
        clock: Arc::clone(clock),
        files,
        tenants: Arc::new(tenants),
        usage,
        freed: Arc::new(Notify::new()),
        stats: FlushStats::default(),
        _lock: lock,
    })
}

fn log(replayed: &Replayed, took: Duration) {
    tracing::info!(
        records = replayed.records,
        last = replayed.last,
        quarantined = replayed.quarantined_records,
        ?took,
        "store opened"
    );
}
