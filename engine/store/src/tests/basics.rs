//! One thing at a time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isinglass_model::series::MetricMeta;
use isinglass_model::series::SeriesResolver as _;
use parking_lot::Mutex;

use crate::series::{MatchOp, Matcher};

use super::*;
use crate::append::{Note, Seq, Tick};
use crate::config::Durability;
use crate::wal::Disk as _;
use crate::wal::sim::Faults;

fn bodies(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn acknowledged_rows_are_visible_at_once_and_after_a_flush_and_a_restart() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    world.store.append(log_append(&acme, &bodies(&["a", "b"]))).await.unwrap();
    assert_eq!(world.logs(&acme).await, ["a", "b"]);
    world.store.flush().await.unwrap();
    assert_eq!(world.logs(&acme).await, ["a", "b"]);
    world.store.append(log_append(&acme, &bodies(&["c"]))).await.unwrap();
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await, ["a", "b", "c"]);
    assert_eq!(world.store.tenants(), [acme.clone()]);
    assert!(world.logs(&tenant("other")).await.is_empty());
    assert_eq!(world.store.tenants(), [acme]);
}

#[tokio::test]
async fn samples_keep_their_series_over_restarts() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    let append = sample_append(&world.store, &acme, NOW_MS, &["a", "b"], 1.0).await;
    world.store.append(append).await.unwrap();
    let before = world.rows(&acme).await;
    assert_eq!(before[&Kind::Samples].len(), 2);
    assert_eq!(before[&Kind::Series].len(), 2);
    let world = world.kill().await;
    assert_eq!(world.rows(&acme).await, before);
    world.store.flush().await.unwrap();
    // Labels first.
    assert_eq!(
        world.tables.log().iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
        [Kind::Series, Kind::Samples]
    );
    let world = world.kill().await;
    assert_eq!(world.rows(&acme).await, before);

    // The same series on the same day is not recorded again, on the next day it is.
    let append = sample_append(&world.store, &acme, NOW_MS + 1_000, &["a", "b"], 2.0).await;
    world.store.append(append).await.unwrap();
    assert_eq!(world.rows(&acme).await[&Kind::Series].len(), 2);
    let append = sample_append(&world.store, &acme, NOW_MS + 86_400_000, &["b"], 3.0).await;
    world.store.append(append).await.unwrap();
    let rows = world.rows(&acme).await;
    assert_eq!((rows[&Kind::Series].len(), rows[&Kind::Samples].len()), (3, 5));
    let view = world.store.view(&acme).await.unwrap();
    assert_eq!(view.series().of_metric("up").len(), 2);
    assert_eq!(view.series().metrics()[0].series, 2);
}

/// Matchers, label lists and days say the same from memory, from the log and from tables.
#[tokio::test]
async fn selections_are_the_same_after_restarts() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    for (day, instances) in [(0, ["a", "b"]), (1, ["b", "c"])] {
        let append = sample_append(&world.store, &acme, NOW_MS + day * 86_400_000, &instances, 1.0).await;
        world.store.append(append).await.unwrap();
    }
    // Never stored, so never seen.
    series(&world.store, &acme, "up", "d").await;
    let look = async |world: &World| {
        let view = world.store.view(&acme).await.unwrap();
        let index = view.series();
        let first = (NOW_MS / 86_400_000) as i32;
        let values = |days| index.label_values("instance", &[], days, 10).unwrap().items.concat();
        let some = [Matcher::new("instance", MatchOp::Regex, "[b-z]")];
        let mut series: Vec<String> =
            index.series(&some, None, 10).unwrap().items.iter().map(|s| s.labels.to_string()).collect();
        series.sort_unstable();
        let days = [None, Some(first..=first), Some(first + 1..=first + 9)].map(values);
        (days, series, index.names_of_metric("up"), index.len())
    };
    let before = look(&world).await;
    assert_eq!(before.0, ["abc", "ab", "bc"]);
    assert_eq!(before.1.len(), 2);
    let world = world.kill().await;
    assert_eq!(look(&world).await, before);
    world.store.flush().await.unwrap();
    let world = world.kill().await;
    assert_eq!(look(&world).await, before);
}

#[tokio::test]
async fn metadata_that_comes_later_is_in_the_rows() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    let append = sample_append(&world.store, &acme, NOW_MS, &["a"], 1.0).await;
    world.store.append(append).await.unwrap();
    let meta = MetricMeta { metric_type: "gauge".into(), unit: String::new(), help: "is it up".into() };
    world.store.resolver(&acme).await.unwrap().describe("up", &meta);
    world.store.flush().await.unwrap();
    let world = world.kill().await;
    let view = world.store.view(&acme).await.unwrap();
    assert_eq!(*view.series().metric("up").unwrap().meta, meta);
}

#[tokio::test]
async fn head_filters_are_exact_for_samples() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    for second in 0..10 {
        let append = sample_append(&world.store, &acme, NOW_MS + second * 1_000, &["a", "b"], 1.0).await;
        world.store.append(append).await.unwrap();
    }
    let view = world.store.view(&acme).await.unwrap();
    let (a, samples) = (view.series().of_metric("up")[0].series_id, view.table(Kind::Samples));
    let count = |filter: &HeadFilter<'_>| {
        samples.head_batches(filter).unwrap().iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    let micros = |second: i64| (NOW_MS + second * 1_000) * 1_000;
    let only_a = std::collections::HashSet::from([a]);
    assert_eq!(count(&HeadFilter::default()), 20);
    assert_eq!(count(&HeadFilter { series_ids: Some(&only_a), ..HeadFilter::default() }), 10);
    assert_eq!(count(&HeadFilter { time: Some((micros(2), micros(4))), ..HeadFilter::default() }), 6);
    assert_eq!(count(&HeadFilter { time: Some((micros(2) + 1, micros(4) - 1)), ..HeadFilter::default() }), 2);
    assert_eq!(count(&HeadFilter { metric_id: Some(1), ..HeadFilter::default() }), 0);
}

#[tokio::test]
async fn a_batch_sent_twice_is_stored_once_also_after_a_restart() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    let append = || log_append(&acme, &bodies(&["a"]));
    append_once(&world.store, 7, append()).await.unwrap().unwrap();
    assert!(append_once(&world.store, 7, append()).await.is_none());
    let world = world.kill().await;
    assert!(append_once(&world.store, 7, append()).await.is_none());
    assert_eq!(world.logs(&acme).await, ["a"]);
    world.clock.advance(Duration::from_secs(601));
    append_once(&world.store, 7, append()).await.unwrap().unwrap();
    assert_eq!(world.store.stats().duplicates, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_appends_share_a_sync() {
    let acme = tenant("acme");
    let world = World::new(StoreConfig { wal_segment_bytes: 1 << 20, ..small() }).await;
    world.disk.faults(Faults { sync_takes: Duration::from_millis(5), ..Faults::default() });
    let appends = (0..100).map(|n| {
        let (store, append) = (world.store.clone(), log_append(&acme, &[n.to_string()]));
        tokio::spawn(async move { store.append(append).await })
    });
    for append in futures::future::join_all(appends).await {
        append.unwrap().unwrap();
    }
    assert!(world.disk.syncs() < 30, "{} syncs", world.disk.syncs());
    assert_eq!(world.store.stats().wal_records, 100);
    assert_eq!(world.logs(&acme).await.len(), 100);
}

#[tokio::test]
async fn a_failed_sync_fails_its_batch_and_nothing_else() {
    let acme = tenant("acme");
    let mut world = World::new(small()).await;
    for n in 0..4 {
        world.store.append(log_append(&acme, &[format!("before {n}")])).await.unwrap();
        world.disk.faults(Faults { syncs: 1, ..Faults::default() });
        let error = world.store.append(log_append(&acme, &[format!("lost {n}")])).await.unwrap_err();
        assert_eq!(error.kind(), isinglass_model::ErrorKind::Unavailable);
        world.store.append(log_append(&acme, &[format!("after {n}")])).await.unwrap();
        let expected: Vec<String> =
            ["after", "before"].iter().flat_map(|text| (0..=n).map(move |n| format!("{text} {n}"))).collect();
        assert_eq!(world.logs(&acme).await, expected);
        world = if n % 2 == 0 { world.kill().await } else { world.cut_power(n).await };
        assert_eq!(world.logs(&acme).await, expected, "after a restart");
    }
    assert_eq!(world.disk.set_aside_names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_write_fails_its_batch_and_nothing_else() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    world.store.append(log_append(&acme, &bodies(&["a"]))).await.unwrap();
    world.disk.faults(Faults { writes: 1, ..Faults::default() });
    world.store.append(log_append(&acme, &bodies(&["lost"]))).await.unwrap_err();
    world.store.append(log_append(&acme, &bodies(&["b"]))).await.unwrap();
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await, ["a", "b"]);
}

#[tokio::test]
async fn two_failures_in_a_row_end_all_writing_but_not_reading() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    world.store.append(log_append(&acme, &bodies(&["a"]))).await.unwrap();
    world.disk.faults(Faults { syncs: 2, ..Faults::default() });
    for _ in 0..3 {
        world.store.append(log_append(&acme, &bodies(&["lost"]))).await.unwrap_err();
    }
    assert!(world.store.stats().read_only);
    assert_eq!(world.logs(&acme).await, ["a"]);
    world.store.flush().await.unwrap();
    let world = world.kill().await;
    // The last of the failed ones may have reached the disk; nobody was told that it had.
    let rows = world.logs(&acme).await;
    assert!(rows == ["a"] || rows == ["a", "lost"], "{rows:?}");
    world.store.append(log_append(&acme, &bodies(&["b"]))).await.unwrap();
}

#[tokio::test]
async fn after_failures_and_a_restart_nothing_new_is_taken_for_void() {
    let acme = tenant("acme");
    let mut world = World::new(small()).await;
    let mut kept = Vec::new();
    for round in 0..4 {
        let body = format!("kept {round}");
        world.store.append(log_append(&acme, std::slice::from_ref(&body))).await.unwrap();
        kept.push(body);
        // The header of the next segment reaches the disk, its first batch does not.
        world.disk.faults(Faults { writes: 1, ..Faults::default() });
        world.store.append(log_append(&acme, &bodies(&["lost"]))).await.unwrap_err();
        world.disk.fail_batches(1);
        world.store.append(log_append(&acme, &bodies(&["lost"]))).await.unwrap_err();
        assert!(world.store.stats().read_only);
        world = world.cut_power(3).await;
        let rows = world.logs(&acme).await;
        assert!(kept.iter().all(|row| rows.contains(row)), "{rows:?}");
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    world.disk.faults(Faults { full: true, ..Faults::default() });
    for _ in 0..5 {
        world.store.append(log_append(&acme, &bodies(&["lost"]))).await.unwrap_err();
    }
    world.disk.faults(Faults::default());
    world.clock.advance(Duration::from_secs(1));
    world.store.append(log_append(&acme, &bodies(&["a"]))).await.unwrap();
    assert!(!world.store.stats().read_only);
    assert_eq!(world.logs(&acme).await, ["a"]);
}

#[tokio::test]
async fn senders_that_do_not_wait_do_not_keep_a_disk_full() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    world.disk.faults(Faults { full: true, ..Faults::default() });
    world.store.append(log_append(&acme, &bodies(&["lost"]))).await.unwrap_err();
    world.disk.faults(Faults::default());
    let mut refused = 0;
    while world.store.append(log_append(&acme, &bodies(&["a"]))).await.is_err() {
        refused += 1;
        assert!(refused < 20, "refused for good");
        world.clock.advance(Duration::from_millis(100));
    }
    assert!((1..=6).contains(&refused), "{refused}");
}

#[tokio::test]
async fn segments_go_when_their_rows_are_committed_and_are_used_again() {
    let acme = tenant("acme");
    let world = World::new(StoreConfig { wal_bytes_max: 256 << 10, ..small() }).await;
    let line = "x".repeat(1_000);
    for _ in 0..100 {
        world.store.append(log_append(&acme, std::slice::from_ref(&line))).await.unwrap();
    }
    assert!(world.store.stats().wal_segments > 5);
    world.store.flush().await.unwrap();
    // Of the others only the heads are left, and their files to be used again.
    let stats = world.store.stats();
    let segments = 1 + stats.wal_spare_bytes / (16 << 10);
    assert_eq!(stats.wal_segments, 1);
    assert!(segments > 5);
    assert!(stats.wal_heads_bytes > 5_000 && stats.wal_heads_bytes < 20_000, "{}", stats.wal_heads_bytes);
    for _ in 0..50 {
        world.store.append(log_append(&acme, std::slice::from_ref(&line))).await.unwrap();
    }
    let stats = world.store.stats();
    assert!(stats.wal_segments > 2);
    assert_eq!(stats.wal_segments + stats.wal_spare_bytes / (16 << 10), segments, "no new file");
    world.store.flush().await.unwrap();
    world.clock.advance(Duration::from_secs(601));
    world.store.flush().await.unwrap();
    let stats = world.store.stats();
    assert_eq!((stats.wal_segments, stats.wal_spare_bytes, stats.wal_heads_bytes), (1, 0, 0));
    for _ in 0..100 {
        world.store.append(log_append(&acme, std::slice::from_ref(&line))).await.unwrap();
    }
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await.len(), 250);
    assert_eq!(world.disk.set_aside_names(), Vec::<String>::new());
}

/// Segments and files that wait, after so many lines of 1,000 bytes and a flush of all.
async fn spares_after(world: &World, lines: usize) -> (u64, u64) {
    let line = ["x".repeat(1_000)];
    for _ in 0..lines {
        world.store.append(log_append(&tenant("acme"), &line)).await.unwrap();
    }
    world.store.flush().await.unwrap();
    let stats = world.store.stats();
    (stats.wal_segments, stats.wal_spare_bytes / (16 << 10))
}

#[tokio::test]
async fn files_wait_within_the_bound_of_the_log_and_are_found_by_the_next_start() {
    let config = StoreConfig { wal_bytes_max: 64 << 10, ..small() };
    let world = World::new(config).await;
    assert_eq!(spares_after(&world, 100).await, (1, 3));
    let world = world.kill().await;
    // The segment that was being written is let go, too; a new one begins in a file that waited.
    assert_eq!(spares_after(&world, 1).await, (1, 3));
}

#[tokio::test]
async fn one_file_waits_also_where_the_log_has_no_room_for_it() {
    let world = World::new(StoreConfig { wal_bytes_max: 16 << 10, ..small() }).await;
    assert_eq!(spares_after(&world, 100).await, (1, 1));
}

#[tokio::test]
async fn the_file_that_an_earlier_release_let_wait_is_used() {
    let world = World::new(small()).await;
    drop(world.disk.create("spare", 16 << 10).unwrap());
    assert_eq!(spares_after(&world, 1).await, (1, 0));
    assert_eq!(world.disk.list().unwrap().iter().filter(|(name, _)| name == "spare").count(), 0);
}

#[tokio::test]
async fn at_the_head_bound_appends_wait_for_flushes_and_go_into_the_log_alone_where_those_fail() {
    let acme = tenant("acme");
    let config = StoreConfig { head_bytes: 64 << 10, wal_segment_bytes: 64 << 10, ..small() };
    let world = World::new(StoreConfig { wal_bytes_max: 256 << 10, ..config }).await;
    let lines = vec!["x".repeat(1_000); 10];
    for _ in 0..50 {
        world.store.append(log_append(&acme, &lines)).await.unwrap();
    }
    assert!(world.tables.commits() > 2);
    assert_eq!(world.logs(&acme).await.len(), 500);
    for _ in 0..10_000 {
        world.tables.fail_next(Fault::Before);
    }
    let (mut taken, mut refused) = (500, None);
    while refused.is_none() {
        refused = world.store.append(log_append(&acme, &lines)).await.err();
        taken += if refused.is_none() { 10 } else { 0 };
    }
    // Up to twice `wal_bytes_max`, and never more in memory than it may have.
    assert!((800..1_100).contains(&taken), "{taken}");
    assert_eq!(refused.unwrap().to_string(), "cannot take writes: the wal is full, flushes do not keep up");
    let head: u64 = world.store.stats().head_bytes.values().sum();
    assert!(head < 90 << 10, "{head}");
    let view = world.store.view(&acme).await.unwrap();
    assert!(view.replaying && rows_in(&view, &world.tables)[&Kind::Logs].len() < taken);

    world.tables.forget_faults();
    world.store.settled(&acme).await.unwrap();
    assert_eq!(world.logs(&acme).await.len(), taken);
    assert!(!world.store.view(&acme).await.unwrap().replaying);
    world.store.append(log_append(&acme, &lines)).await.unwrap();
    assert_eq!(world.logs(&acme).await.len(), taken + 10);
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await.len(), taken + 10);
}

#[tokio::test]
async fn after_close_nothing_is_in_the_head_and_nothing_is_taken() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    world.store.append(log_append(&acme, &bodies(&["a"]))).await.unwrap();
    world.store.clone().close().await.unwrap();
    let view = world.store.view(&acme).await.unwrap();
    assert_eq!(view.table(Kind::Logs).head_rows(), 0);
    assert_eq!(rows_in(&view, &world.tables)[&Kind::Logs], ["a"]);
    world.store.append(log_append(&acme, &bodies(&["b"]))).await.unwrap_err();
    let world = world.kill().await;
    assert_eq!(world.logs(&acme).await, ["a"]);
}

#[tokio::test]
async fn weaker_durability_acknowledges_before_the_sync() {
    let acme = tenant("acme");
    for durability in [Durability::Os, Durability::Interval(1)] {
        let world = World::new(StoreConfig { durability, ..small() }).await;
        world.store.append(log_append(&acme, &bodies(&["a"]))).await.unwrap();
        let world = world.kill().await;
        assert_eq!(world.logs(&acme).await, ["a"], "{durability}");
    }
}

#[tokio::test]
async fn too_many_tenants_are_refused() {
    let world = World::new(StoreConfig { tenants_max: 2, ..small() }).await;
    for name in ["a", "b"] {
        world.store.append(log_append(&tenant(name), &bodies(&["x"]))).await.unwrap();
    }
    let error = world.store.append(log_append(&tenant("c"), &bodies(&["x"]))).await.unwrap_err();
    assert!(matches!(error, StoreError::TooManyTenants { limit: 2 }));
}

#[tokio::test]
async fn looking_for_tenants_takes_no_place() {
    let world = World::new(StoreConfig { tenants_max: 1, ..small() }).await;
    for name in ["a", "b", "c"] {
        assert!(world.logs(&tenant(name)).await.is_empty());
    }
    world.store.append(log_append(&tenant("d"), &bodies(&["x"]))).await.unwrap();
    assert_eq!(world.store.tenants(), [tenant("d")]);
}

#[tokio::test]
async fn a_flush_whose_caller_goes_away_is_finished() {
    let acme = tenant("acme");
    let world = World::new(small()).await;
    for round in 1..5 {
        world.store.append(log_append(&acme, &[round.to_string()])).await.unwrap();
        // Polled once and dropped.
        assert!(futures::poll!(Box::pin(world.store.flush())).is_pending());
        world.store.flush().await.unwrap();
        assert_eq!(world.tables.commits(), round);
        assert_eq!(world.logs(&acme).await.len() as u64, round);
    }
    assert_eq!(world.store.stats().flush_failures, 0);
}

/// Notes what it is told.
#[derive(Default)]
struct Notes {
    live: Mutex<Vec<(Seq, u32)>>,
    replayed: Mutex<Vec<(Seq, usize, Option<Tick>)>>,
    holds: Mutex<Option<Seq>>,
    wanted: AtomicU64,
}

impl Observer for Notes {
    fn applied(&self, _: &Tenant, seq: Seq, note: Option<Note>) {
        let note = note.and_then(|note| note.downcast::<u32>().ok()).map_or(0, |note| *note);
        self.live.lock().push((seq, note));
    }

    fn replayed(
        &self,
        _: &Tenant,
        seq: Seq,
        _: Option<&RecordBatch>,
        logs: Option<&RecordBatch>,
        tick: Option<Tick>,
    ) {
        self.replayed.lock().push((seq, logs.map_or(0, RecordBatch::num_rows), tick));
    }

    fn holds(&self) -> Option<Seq> {
        *self.holds.lock()
    }

    fn wants_tick(&self) {
        self.wanted.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn the_observer_is_told_in_order_live_and_at_replay() {
    let (acme, notes) = (tenant("acme"), Arc::new(Notes::default()));
    *notes.holds.lock() = Some(1);
    let observer = Arc::<Notes>::clone(&notes);
    let world = World::on(SimDisk::default(), small(), observer).await;
    for n in 1..=3_u32 {
        let append = Append { note: Some(Box::new(n)), ..log_append(&acme, &[n.to_string()]) };
        world.store.append(append).await.unwrap();
    }
    let tick = Append { tick: Some(Tick { covers: 3 }), ..Append::new(acme.clone()) };
    world.store.append(tick).await.unwrap();
    assert_eq!(*notes.live.lock(), [(1, 1), (2, 2), (3, 3), (4, 0)]);
    // Flushed, and yet kept for the observer.
    world.store.flush().await.unwrap();
    let world = world.kill().await;
    assert_eq!(
        *notes.replayed.lock(),
        [(1, 1, None), (2, 1, None), (3, 1, None), (4, 0, Some(Tick { covers: 3 }))]
    );
    assert_eq!(world.logs(&acme).await.len(), 3);
    assert_eq!(world.store.core.applied.load(Ordering::Acquire), 4);
}

/// Where the log has no room for rows it has some for what lets go of it.
#[tokio::test]
async fn a_tick_goes_into_a_log_that_is_full() {
    let (acme, notes) = (tenant("acme"), Arc::new(Notes::default()));
    *notes.holds.lock() = Some(1);
    let config = StoreConfig { wal_bytes_max: 64 << 10, append_wait_ms: 100, ..small() };
    let observer = Arc::<Notes>::clone(&notes);
    let world = World::on(SimDisk::default(), config, observer).await;
    let line = ["x".repeat(1_000)];
    let refused = loop {
        if let Err(error) = world.store.append(log_append(&acme, &line)).await {
            break error;
        }
        world.store.flush().await.unwrap();
    };
    assert!(refused.to_string().contains("the wal is full"), "{refused}");
    assert!(notes.wanted.load(Ordering::Relaxed) > 0, "nobody was asked for a tick");

    let covers = world.store.core.applied.load(Ordering::Acquire);
    let tick = Append { tick: Some(Tick { covers }), ..Append::new(acme.clone()) };
    world.store.append(tick).await.unwrap();
    *notes.holds.lock() = None;
    world.store.flush().await.unwrap();
    world.store.append(log_append(&acme, &line)).await.unwrap();
    assert!(world.store.stats().wal_bytes <= 64 << 10);
}

/// Every record lies in one of the segments that are listed, and those that a sync has not
/// reached say so.
#[tokio::test]
async fn segments_say_what_they_hold() {
    let acme = tenant("acme");
    for durability in [Durability::Sync, Durability::Os] {
        let world = World::new(StoreConfig { durability, ..small() }).await;
        for n in 0..40 {
            world.store.append(log_append(&acme, &[format!("{n}").repeat(900)])).await.unwrap();
        }
        let segments = world.store.wal_segments();
        let (active, closed) = segments.split_last().unwrap();
        assert!(closed.len() > 2 && active.active && closed.iter().all(|segment| !segment.active));
        assert!(segments.windows(2).all(|pair| pair[0].last + 1 == pair[1].first), "{segments:?}");
        assert_eq!((segments[0].first, active.last), (1, 40), "{durability}");
        assert!(closed.iter().all(|segment| segment.synced), "a full segment is synced: {closed:?}");
        assert_eq!(active.synced, durability == Durability::Sync, "{durability}");
        assert_eq!(segments.iter().map(|segment| segment.bytes).sum::<u64>(), world.store.stats().wal_bytes);
        let world = world.kill().await;
        let found = world.store.wal_segments();
        assert!(found.iter().all(|segment| segment.synced && !segment.active), "{found:?}");
        assert_eq!(found.last().map(|segment| segment.last), Some(40));
    }
}
