//! Opening a store.
//!
//! A start reads the heads of the log ([`crate::wal::scan`]) and takes writes; the rows of
//! the log come into the head while it already works ([`crate::recovery`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use isinglass_model::Clock;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::append::Observer;
use crate::apply::{Applier, ToApplier};
use crate::backup::restored;
use crate::config::StoreConfig;
use crate::dedup::Dedup;
use crate::error::StoreError;
use crate::fence::Fenced;
use crate::files::Tables;
use crate::flush::{FlushStats, Flusher};
use crate::lock::Lock;
use crate::log_id::LogId;
use crate::recovery::follow;
use crate::removals::Removals;
use crate::report::Report;
use crate::room::Room;
use crate::store::{Core, ROOM_BYTES, Store, maintenance, watch_disk};
use crate::tables::TableFiles;
use crate::tail::Tail;
use crate::tenant::Usage;
use crate::tenants::{Seqs, Tenants};
use crate::upkeep::{Rules, Upkeep, UpkeepStats};
use crate::wal::scan::{Scanned, Seen, scan, verify};
use crate::wal::{Disk, Folder, Keep, Wal, WalOptions};

impl Store {
    /// Opens a folder: takes its lock and answers when all rows of its log can be seen.
    pub async fn open(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let lock = Lock::take(&config.data_dir)?;
        let store = Self::open_early(lock, config, clock, observer).await?;
        store.caught_up().await?;
        Ok(store)
    }

    /// Opens a folder and answers as soon as writes and queries can be taken, however large
    /// its log is. Until the log is read, views say that they are `replaying`.
    pub async fn open_early(
        lock: Lock,
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StoreError> {
        let folder = Folder::new(config.data_dir.join("wal"), config.data_dir.join("quarantine"));
        let disk = folder.map_err(|error| StoreError::io("making the wal folder", &error))?;
        let folder = config.data_dir.join("tables");
        let tables = Tables::open(&config, &folder, Arc::clone(&clock)).await?;
        restored::check(&config.data_dir, &config.url, &tables.objects()).await?;
        tables.claim_epoch().await?;
        Self::begin_on(config, clock, observer, Arc::new(disk), Arc::new(tables), Some(lock)).await
    }

    /// Opens a store on a given disk and given tables, log read.
    #[cfg(test)]
    pub(crate) async fn open_on(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        disk: Arc<dyn Disk>,
        files: Arc<dyn TableFiles>,
        lock: Option<Lock>,
    ) -> Result<Self, StoreError> {
        let store = Self::begin_on(config, clock, observer, disk, files, lock).await?;
        store.caught_up().await?;
        Ok(store)
    }

    /// Opens a store on a given disk and given tables.
    pub(crate) async fn begin_on(
        config: StoreConfig,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        disk: Arc<dyn Disk>,
        files: Arc<dyn TableFiles>,
        lock: Option<Lock>,
    ) -> Result<Self, StoreError> {
        let rules = check(&config)?;
        let opened = clock.monotonic();
        let random = uuid::Uuid::new_v4().as_u64_pair();
        let config = Arc::new(config);
        let floor = Arc::new(AtomicU64::new(0));
        let flusher = Arc::new(flusher(&config, &clock, files, random.0, &floor, lock).await?);
        let remember = Duration::from_millis(config.batch_key_ms);
        let dedup = Dedup::new(Arc::clone(&clock), remember, config.batch_keys_max);
        let scanned = look(&config, &disk, &*clock, &dedup, &observer, &flusher.tenants).await?;
        let (last, segments) = (scanned.last, scanned.segments.len());
        floor.fetch_max(scanned.highest, Ordering::AcqRel);
        let log = scanned.log.unwrap_or_else(LogId::random);
        flusher.files.set_log(log);

        let applied = Arc::new(AtomicU64::new(0));
        let logged = (segments > 0).then_some(last);
        let tail = Arc::new(Tail::new(logged, Arc::clone(&flusher.usage.behind)));
        let wake = Arc::new(Notify::new());
        let (records, received) = mpsc::channel();
        let applier = Applier {
            clock: Arc::clone(&clock),
            observer: Arc::clone(&observer),
            usage: Arc::clone(&flusher.usage),
            applied: Arc::clone(&applied),
            tail: Arc::clone(&tail),
            stalled: Arc::clone(&flusher.stalled),
            head_bytes: config.head_bytes,
            fenced: flusher.fenced.clone(),
            flush: Arc::clone(&wake),
            flush_at_bytes: config.flush_bytes.min(config.head_bytes / 2),
        };
        let applier = std::thread::Builder::new().name("apply".into()).spawn(move || applier.run(&received));
        let applier = applier.map_err(|error| StoreError::io("starting the applier thread", &error))?;
        let options = WalOptions {
            durability: config.durability,
            segment_bytes: config.wal_segment_bytes,
            keep: Keep { age: remember, bytes: config.wal_bytes_max / 4, log_bytes: config.wal_bytes_max },
            last,
            log,
            floor,
            recovered: scanned.segments,
            loose: scanned.loose,
            // Any 32 random bits.
            salt: random.1 as u32,
            long: Arc::clone(&wake),
        };
        let wal = Wal::start(Arc::clone(&disk), Arc::clone(&clock), options, ToApplier { records })?;
        let room_units =
            u32::try_from(config.wal_queue_bytes as usize / ROOM_BYTES).unwrap_or(u32::MAX).max(1);
        let upkeep = Arc::new(upkeep(&config, &clock, &flusher, rules));
        let core = Arc::new(Core {
            disk_room: Room::new(config.disk_free_min_bytes),
            config,
            clock,
            observer,
            flusher,
            dedup,
            wal,
            disk,
            applier: Mutex::new(Some(applier)),
            applied,
            tail: Arc::clone(&tail),
            wake: Arc::clone(&wake),
            room: Arc::new(Semaphore::new(room_units as usize)),
            room_units,
            closing: AtomicBool::new(false),
            report: Report::default(),
            upkeep,
            log_removals: Removals::default(),
            backup: Arc::default(),
            upkeep_task: Mutex::new(None),
            maintenance_task: Mutex::new(None),
            opened,
        });
        let _ = core.upkeep.core.set(Arc::downgrade(&core));
        core.look_at_disk();
        let took = core.clock.monotonic().saturating_sub(opened);
        tracing::info!(segments, last, ?took, "store opened, reading its log");
        if logged.is_none() {
            core.went_live();
        }
        *core.maintenance_task.lock() = Some(tokio::spawn(maintenance(Arc::downgrade(&core), wake)));
        tokio::spawn(watch_disk(Arc::downgrade(&core)));
        if core.config.compaction.enabled {
            *core.upkeep_task.lock() = Some(tokio::spawn(Arc::clone(&core.upkeep).run()));
        }
        tokio::spawn(follow(Arc::downgrade(&core), tail));
        Ok(Self { core })
    }
}

/// Settings that serde cannot refuse.
pub(crate) fn check(config: &StoreConfig) -> Result<Rules, StoreError> {
    let refused = |reason| StoreError::Setting { reason };
    config.compaction.check().map_err(refused)?;
    Rules::compile(&config.retention).map_err(refused)
}

fn upkeep(config: &Arc<StoreConfig>, clock: &Arc<dyn Clock>, flusher: &Flusher, rules: Rules) -> Upkeep {
    Upkeep {
        config: Arc::clone(config),
        clock: Arc::clone(clock),
        files: Arc::clone(&flusher.files),
        tenants: Arc::clone(&flusher.tenants),
        fenced: flusher.fenced.clone(),
        stats: UpkeepStats::default(),
        removals: Removals::default(),
        rules,
        core: std::sync::OnceLock::new(),
        state: tokio::sync::Mutex::default(),
    }
}

/// Reads the heads of the log: the keys of batches that were stored before, whose records
/// are still to come, and up to where derived metrics are written.
async fn look(
    config: &StoreConfig,
    disk: &Arc<dyn Disk>,
    clock: &dyn Clock,
    dedup: &Dedup,
    observer: &Arc<dyn Observer>,
    tenants: &Tenants,
) -> Result<Scanned, StoreError> {
    let (disk, dedup, observer) = (Arc::clone(disk), dedup.clone(), Arc::clone(observer));
    let (now, strict) = (clock.now_unix_millis(), config.strict);
    let work = move || {
        if strict {
            verify(&*disk)?;
        }
        let (mut logged, mut deleted) = (Seqs::default(), Seqs::default());
        let scanned = scan(&*disk, now, &mut |seen: Seen| {
            let Seen { seq, head, age, replayed } = seen;
            if head.deletes {
                dedup.forget(&head.tenant);
                deleted.insert(head.tenant.clone(), seq);
            }
            if let Some(key) = head.key {
                dedup.restore(&head.tenant, key, head.counts, age);
            }
            if let Some(tick) = head.tick {
                observer.ticked(&head.tenant, tick);
            }
            if replayed {
                logged.insert(head.tenant, seq);
            }
        })?;
        Ok::<_, StoreError>((scanned, logged, deleted))
    };
    let found = tokio::task::spawn_blocking(work).await;
    let (scanned, logged, deleted) = found.map_err(|error| StoreError::Internal(error.to_string()))??;
    tenants.expect(logged, deleted);
    Ok(scanned)
}

async fn flusher(
    config: &Arc<StoreConfig>,
    clock: &Arc<dyn Clock>,
    files: Arc<dyn TableFiles>,
    salt: u64,
    floor: &Arc<AtomicU64>,
    lock: Option<Lock>,
) -> Result<Flusher, StoreError> {
    let usage = Arc::new(Usage::default());
    let bounds = (config.series_max, config.tenants_max);
    let tenants =
        Tenants::new(Arc::clone(&files), Arc::clone(&usage), salt, bounds, Arc::clone(floor)).await?;
    Ok(Flusher {
        config: Arc::clone(config),
        clock: Arc::clone(clock),
        files,
        tenants: Arc::new(tenants),
        usage,
        freed: Arc::new(Notify::new()),
        stats: FlushStats::default(),
        stalled: Arc::default(),
        fenced: Fenced::default(),
        _lock: lock,
    })
}
