//! An object store that is away, slow, or lists what it likes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isinglass_testkit::faulty::{FaultyStore, Moment};
use object_store::memory::InMemory;

use super::rewrites::try_rows_of_view;
use super::*;
use crate::append::Tick;
use crate::files::Tables;

/// A store whose tables are behind a network.
struct Cloud {
    clock: Arc<ManualClock>,
    disk: SimDisk,
    objects: FaultyStore,
    config: StoreConfig,
    store: Store,
}

async fn start(cloud: (&Arc<ManualClock>, &SimDisk, &FaultyStore, &StoreConfig)) -> Store {
    let (clock, disk, objects, config) = cloud;
    let time: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let tables = Tables::on(Arc::new(objects.clone()), Arc::clone(&time));
    let (disk, tables) = (Arc::new(disk.clone()), Arc::new(tables));
    Store::open_on(config.clone(), time, Arc::new(NoObserver), disk, tables, None).await.unwrap()
}

impl Cloud {
    async fn new(objects: FaultyStore, mut config: StoreConfig) -> Self {
        config.compaction.enabled = false;
        let (clock, disk) = (Arc::new(ManualClock::at(NOW_MS * 1_000_000)), SimDisk::default());
        let store = start((&clock, &disk, &objects, &config)).await;
        Self { clock, disk, objects, config, store }
    }

    async fn kill(self) -> Self {
        let Self { clock, disk, objects, config, store } = self;
        drop(store);
        let disk = disk.kill();
        let store = start((&clock, &disk, &objects, &config)).await;
        Self { clock, disk, objects, config, store }
    }

    async fn append(&self, bodies: &[String]) -> Result<Appended, StoreError> {
        self.store.append(log_append(&tenant("acme"), bodies)).await
    }

    async fn rows(&self) -> object_store::Result<Vec<String>> {
        try_rows_of_view(&*self.store.view(&tenant("acme")).await.unwrap(), Kind::Logs).await
    }
}

fn lines(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|n| format!("{n:06} {}", "x".repeat(1_000))).collect()
}

fn memory() -> FaultyStore {
    FaultyStore::new(Arc::new(InMemory::new()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_object_store_is_away_intake_goes_on_to_the_cap_and_the_backlog_drains_after() {
    let away = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&away);
    let objects = memory().behind(move |_| gate.load(Ordering::Relaxed).then_some(Moment::Before));
    let config = StoreConfig { head_bytes: 128 << 10, wal_bytes_max: 256 << 10, ..small() };
    let cloud = Cloud::new(objects, config).await;
    cloud.append(&lines(0, 50)).await.unwrap();
    cloud.store.flush().await.unwrap();

    away.store(true, Ordering::Relaxed);
    let mut taken = 50;
    let refused = loop {
        match cloud.append(&lines(taken, 10)).await {
            Ok(_) => taken += 10,
            Err(error) => break error,
        }
        let head: u64 = cloud.store.stats().head_bytes.values().sum();
        assert!(head < 192 << 10, "{head} bytes in memory");
        assert!(cloud.store.stats().wal_bytes <= (512 << 10) + (32 << 10));
    };
    // Twice the cap, in lines of 1 KiB.
    assert!((350..560).contains(&taken), "{taken}");
    assert_eq!(refused.to_string(), "cannot take writes: the wal is full, flushes do not keep up");
    assert!(refused.kind() == isinglass_model::ErrorKind::Unavailable && refused.retry_after().is_some());
    // Ticks let go of more than they take, so there is room for some, and no more than that.
    let (full, mut ticks) = (cloud.store.stats().wal_bytes, 0);
    let tick = || Append { tick: Some(Tick { covers: 1 }), ..Append::new(tenant("acme")) };
    while cloud.store.append(tick()).await.is_ok() {
        ticks += 1;
        assert!(ticks < 10_000, "ticks without a bound");
    }
    assert!(ticks > 100 && cloud.store.stats().wal_bytes <= full + (64 << 10) + (32 << 10), "{ticks}");
    // What is in memory can be read; what is not fails at once and says why.
    let view = cloud.store.view(&tenant("acme")).await.unwrap();
    assert!(view.table(Kind::Logs).head_rows() > 50 && view.replaying);
    let (asked, error) = (Instant::now(), cloud.rows().await.unwrap_err());
    assert!(asked.elapsed() < Duration::from_secs(1) && error.to_string().contains("logs/"), "{error}");
    cloud.store.is_healthy().unwrap();

    away.store(false, Ordering::Relaxed);
    let back = Instant::now();
    while cloud.append(&lines(taken, 10)).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(20));
    }
    taken += 10;
    cloud.store.settled(&tenant("acme")).await.unwrap();
    assert_eq!(cloud.rows().await.unwrap(), lines(0, taken));
    cloud.store.flush().await.unwrap();
    assert!(cloud.store.stats().wal_bytes < 256 << 10, "the backlog is drained");
    let cloud = cloud.kill().await;
    assert_eq!(cloud.rows().await.unwrap(), lines(0, taken));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_listing_leaves_out_the_answer_is_the_same() {
    let cloud = Cloud::new(memory(), small()).await;
    for round in 0..8 {
        cloud.append(&lines(round * 5, 5)).await.unwrap();
        cloud.store.flush().await.unwrap();
    }
    let mut cloud = cloud;
    for seed in 0..30 {
        // Tenants are listed once, at the start; tables at their first use.
        cloud.objects.list_some(None);
        cloud = cloud.kill().await;
        cloud.objects.list_some(Some(seed));
        assert_eq!(cloud.rows().await.unwrap(), lines(0, 40), "seed {seed}");
        if seed % 10 == 9 {
            cloud.append(&[format!("~{seed}")]).await.unwrap();
            cloud.store.flush().await.unwrap();
            cloud.store.core.upkeep.round().await;
            let rows = cloud.rows().await.unwrap();
            assert_eq!(rows.len(), 41, "seed {seed}");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_take_their_time_delay_flushes_and_nothing_else() {
    let waits = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&waits);
    let objects = memory();
    let cloud = Cloud::new(objects.clone(), small()).await;
    objects.each_takes(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Duration::from_millis(200)
    });
    cloud.append(&lines(0, 5)).await.unwrap();
    let flushing = tokio::spawn({
        let store = cloud.store.clone();
        async move { store.flush().await }
    });
    while waits.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for n in 1..5 {
        let asked = Instant::now();
        cloud.append(&lines(n * 5, 5)).await.unwrap();
        assert!(asked.elapsed() < Duration::from_millis(150), "{:?}", asked.elapsed());
    }
    assert!(!flushing.is_finished());
    flushing.await.unwrap().unwrap();
    assert_eq!(cloud.rows().await.unwrap(), lines(0, 25));
}

/// The wall clock is set by hours and by years, between any two steps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_loses_doubles_and_reorders_nothing() {
    const HOUR: i64 = 3_600_000;
    const TEN_YEARS: i64 = 3_652 * 24 * HOUR;
    let mut cloud = Cloud::new(memory(), small()).await;
    let acme = tenant("acme");
    let mut taken = 0;
    for (round, jump) in
        [HOUR, -HOUR, TEN_YEARS, -TEN_YEARS, -TEN_YEARS, HOUR, TEN_YEARS, -HOUR, 0].into_iter().enumerate()
    {
        let key = round as u128 + 1;
        let append = || log_append(&acme, &lines(taken, 5));
        append_once(&cloud.store, key, append()).await.unwrap().unwrap();
        let now = cloud.clock.now_unix_nanos();
        cloud.clock.jump_to(now + jump * 1_000_000);
        assert!(append_once(&cloud.store, key, append()).await.is_none(), "jump {jump}: stored twice");
        taken += 5;
        cloud.append(&lines(taken, 5)).await.unwrap();
        taken += 5;
        assert_eq!(cloud.rows().await.unwrap(), lines(0, taken), "jump {jump}");
        if round % 2 == 0 {
            cloud.store.flush().await.unwrap();
            cloud.store.core.upkeep.round().await;
        }
        if round % 3 == 2 {
            cloud = cloud.kill().await;
        }
        assert_eq!(cloud.rows().await.unwrap(), lines(0, taken), "jump {jump}");
    }
    cloud.store.flush().await.unwrap();
    cloud.store.core.upkeep.compact().await.unwrap();
    let cloud = cloud.kill().await;
    assert_eq!(cloud.rows().await.unwrap(), lines(0, taken));
}

/// A start after the clock was set back remembers the batches of the last minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batch_keys_outlive_a_clock_that_is_set_back_and_a_kill() {
    let (cloud, acme) = (Cloud::new(memory(), small()).await, tenant("acme"));
    let append = || log_append(&acme, &lines(0, 5));
    append_once(&cloud.store, 1, append()).await.unwrap().unwrap();
    cloud.clock.jump_to(1_000_000_000);
    let cloud = cloud.kill().await;
    assert!(append_once(&cloud.store, 1, append()).await.is_none());
    cloud.clock.advance(Duration::from_secs(601));
    append_once(&cloud.store, 1, append()).await.unwrap().unwrap();
}
