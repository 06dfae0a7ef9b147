//! A tenant that is deleted is gone at once and for good, whatever dies when.

use super::*;

async fn sample(real: &Real, time_ms: i64, instance: &str) -> Result<Appended, StoreError> {
    let a = tenant("a");
    let mut resolver = real.store.resolver(&a).await.unwrap();
    let series = resolver.intern_labels(labels("up", instance)).unwrap().series;
    let mut append = Append { life: resolver.life(), ..Append::new(a) };
    append.samples.push(series, time_ms, 1.5, 0);
    real.store.append(append).await
}

/// Rows of all kinds: some in files, some in memory and the log alone.
async fn written(real: &Real) {
    real.flushed(&["a", "b"]).await;
    sample(real, NOW_MS, "x").await.unwrap();
    real.store.flush().await.unwrap();
    real.append(&["c".to_owned()]).await;
    sample(real, NOW_MS + 1, "x").await.unwrap();
    sample(real, NOW_MS + 2, "y").await.unwrap();
}

async fn delete(real: &Real) -> crate::Deleted {
    real.store.delete_tenant(&tenant("a")).await.unwrap().unwrap()
}

/// Rows and labels of the tenant.
async fn seen(real: &Real) -> (Vec<String>, usize, usize) {
    let view = real.view().await;
    let samples = rows_of_view(&view, Kind::Samples).await.len();
    (rows_of_view(&view, Kind::Logs).await, samples, view.series().len())
}

async fn check_gone(real: &Real) {
    assert_eq!(seen(real).await, (Vec::new(), 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_at_once_and_after_every_restart() {
    let real = Real::new(small()).await;
    written(&real).await;
    let deleted = delete(&real).await;
    assert_eq!((deleted.files, deleted.head_rows, deleted.tables_left), (4, 4, 0));
    check_gone(&real).await;
    let real = real.kill().await;
    check_gone(&real).await;
    real.store.flush().await.unwrap();
    let real = real.kill().await;
    check_gone(&real).await;
    assert_eq!(real.store.delete_tenant(&tenant("nobody")).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_only_in_the_log_do_not_come_back() {
    let real = Real::new(small()).await;
    real.append(&["a".to_owned()]).await;
    sample(&real, NOW_MS, "x").await.unwrap();
    delete(&real).await;
    let real = real.kill().await;
    check_gone(&real).await;
    real.append(&["new".to_owned()]).await;
    let real = real.kill().await;
    check(real.rows(Kind::Logs).await, &["new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_begins_an_empty_tenant() {
    let real = Real::new(small()).await;
    written(&real).await;
    let first = sample_append(&real.store, &tenant("a"), NOW_MS + 3, &["x"], 1.0).await;
    delete(&real).await;
    // Its series are those of the life before.
    let error = real.store.append(first).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot take writes: the tenant was deleted while the request was read");
    sample(&real, NOW_MS + 4, "x").await.unwrap();
    real.append(&["new".to_owned()]).await;
    let new = (vec!["new".to_owned()], 1, 1);
    assert_eq!(seen(&real).await, new);
    let real = real.kill().await;
    assert_eq!(seen(&real).await, new);
    real.store.flush().await.unwrap();
    let real = real.kill().await;
    assert_eq!(seen(&real).await, new);
    real.store.compact().await.unwrap();
    assert_eq!(seen(&real).await, new);
    delete(&real).await;
    check_gone(&real.kill().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_can_be_sent_again_after_the_deletion() {
    let real = Real::new(small()).await;
    let batch = || log_append(&tenant("a"), &["a".to_owned()]);
    append_once(&real.store, 7, batch()).await.unwrap().unwrap();
    assert!(append_once(&real.store, 7, batch()).await.is_none());
    delete(&real).await;
    let real = real.kill().await;
    append_once(&real.store, 7, batch()).await.unwrap().unwrap();
    check(real.rows(Kind::Logs).await, &["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_go_after_the_grace_and_views_keep_theirs() {
    let real = Real::new(small()).await;
    written(&real).await;
    let before = real.view().await;
    delete(&real).await;
    real.append(&["new".to_owned()]).await;
    real.store.flush().await.unwrap();
    real.live(2).await;
    check(rows_of_view(&before, Kind::Logs).await, &["a", "b", "c"]);
    let report = real.store.tenant(&tenant("a")).await.unwrap().unwrap();
    assert_eq!((report.files, report.files_waiting, report.tables_left), (1, 4, 0));
    drop(before);
    real.live(1).await;
    assert_eq!(objects(&real).await, 1);
    assert_eq!(real.store.tenant(&tenant("a")).await.unwrap().unwrap().files_waiting, 0);
    check(real.rows(Kind::Logs).await, &["new"]);
}

/// Data files in the folders of the tenant.
async fn objects(real: &Real) -> usize {
    let files = &real.store.core.upkeep.files;
    let listed = Kind::ALL.map(|kind| async move { files.list(&tenant("a"), kind).await.unwrap().len() });
    futures::future::join_all(listed).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_within_the_grace_leaves_no_object_behind() {
    let real = Real::new(small()).await;
    written(&real).await;
    delete(&real).await;
    let real = real.kill().await;
    assert_eq!(objects(&real).await, 4);
    real.live(2).await;
    assert_eq!(objects(&real).await, 0);
    check_gone(&real).await;
}

/// The object store fails at its n-th call of a kind, before or after the deed, for a while
/// or until the process dies.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_the_deletion_stands_once_it_is_told() {
    for (call, moment) in
        [(Call::Put, Moment::Before), (Call::Put, Moment::After), (Call::Get, Moment::Before)]
    {
        for skip in 0..4 {
            for times in [1, 10_000] {
                let real = Real::new(small()).await;
                written(&real).await;
                real.objects.fail(call, moment, "_delta_log", skip, times);
                let told = delete(&real).await;
                check_gone(&real).await;
                // It waits for the erasure, and must not bring back what is not erased yet.
                real.append(&["new".to_owned()]).await;
                let _ = real.store.flush().await;
                check(real.rows(Kind::Logs).await, &["new"]);
                let _ = real.store.compact().await;
                check(real.rows(Kind::Logs).await, &["new"]);
                let real = if skip % 2 == 0 { real.kill().await } else { real };
                assert_eq!(
                    seen(&real).await,
                    (vec!["new".to_owned()], 0, 0),
                    "{call:?} {moment:?} {skip} {told:?}"
                );
                real.objects.heal();
                real.clock.advance(DAY);
                real.store.core.flusher.erase_due().await;
                let report = real.store.tenant(&tenant("a")).await.unwrap().unwrap();
                assert_eq!(report.tables_left, 0);
                real.store.flush().await.unwrap();
                let real = real.kill().await;
                assert_eq!(seen(&real).await, (vec!["new".to_owned()], 0, 0));
            }
        }
    }
}

/// Appends go on while the tenant is deleted again and again: each is before a deletion or
/// after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn appends_come_before_a_deletion_or_after_it() {
    let real = Arc::new(Real::new(small()).await);
    let writer = {
        let real = Arc::clone(&real);
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            for number in 0..150_u32 {
                let log =
                    real.store.append(log_append(&tenant("a"), &[format!("{number:03}")])).await.unwrap();
                acknowledged.push((log.seq, format!("{number:03}")));
                // Refused if the tenant was deleted between the two.
                let _ = sample(&real, NOW_MS + i64::from(number), "x").await;
                if number % 20 == 0 {
                    real.store.flush().await.unwrap();
                }
            }
            acknowledged
        })
    };
    let mut last = 0;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(7)).await;
        if let Some(deleted) = real.store.delete_tenant(&tenant("a")).await.unwrap() {
            last = deleted.seq;
        }
    }
    let acknowledged = writer.await.unwrap();
    let want: Vec<String> =
        acknowledged.into_iter().filter(|(seq, _)| *seq > last).map(|(_, body)| body).collect();
    assert_eq!(real.rows(Kind::Logs).await, want);
    let samples = real.rows(Kind::Samples).await;
    let Ok(real) = Arc::try_unwrap(real) else { panic!("the writer has ended") };
    let real = real.kill().await;
    assert_eq!(real.rows(Kind::Logs).await, want);
    assert_eq!(real.rows(Kind::Samples).await, samples);
    let series = real.view().await.series().len();
    assert_eq!(series, usize::from(!samples.is_empty()), "samples have their series");
}
