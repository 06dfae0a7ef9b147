//! Two processes on one object store: the one that started last has it.

use object_store::ObjectStore;
use object_store::memory::InMemory;

use super::*;
use crate::files::Tables;

/// A process with a disk of its own.
async fn process(objects: &Arc<dyn ObjectStore>) -> Store {
    process_on(objects, &SimDisk::default()).await
}

async fn process_on(objects: &Arc<dyn ObjectStore>, disk: &SimDisk) -> Store {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW_MS * 1_000_000));
    let tables = Tables::on(Arc::clone(objects), Arc::clone(&clock));
    tables.claim_epoch().await.unwrap();
    let (disk, observer) = (Arc::new(disk.clone()), Arc::new(NoObserver));
    Store::open_on(small(), clock, observer, disk, Arc::new(tables), None).await.unwrap()
}

fn line(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

fn files(view: &View) -> Vec<String> {
    view.table(Kind::Logs).files.iter().map(|file| file.path.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_slept_through_its_replacement_commits_nothing_and_acknowledges_no_more() {
    let acme = tenant("acme");
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let old = process(&objects).await;
    old.append(log_append(&acme, &line("a"))).await.unwrap();
    old.flush().await.unwrap();
    old.append(log_append(&acme, &line("b"))).await.unwrap();

    // It pauses here; another takes over.
    let new = process(&objects).await;
    assert_eq!((old.stats().epoch, new.stats().epoch), (1, 2));
    let before = files(&*new.view(&acme).await.unwrap());
    assert_eq!(before.len(), 1);

    // It resumes, knows nothing, and is told at its first commit.
    old.append(log_append(&acme, &line("c"))).await.unwrap();
    let error = old.flush().await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
    let error = old.append(log_append(&acme, &line("d"))).await.unwrap_err();
    let (pid, text) = (std::process::id(), error.to_string());
    let expected = format!(
        "fenced, writes are refused for good: this process is writer 1, writer 2 (process {pid} at {NOW_MS} ms since \
         1970) has started since"
    );
    assert_eq!(text, expected);
    assert_eq!((error.kind(), error.retry_after()), (isinglass_model::ErrorKind::Unavailable, None));
    assert!(old.is_healthy().is_err() && old.takes_writes().is_err() && old.stats().fenced);
    // What it has can still be asked.
    assert_eq!(old.view(&acme).await.unwrap().table(Kind::Logs).head_rows(), 2);

    assert_eq!(files(&*new.view(&acme).await.unwrap()), before);
    new.append(log_append(&acme, &line("e"))).await.unwrap();
    new.flush().await.unwrap();
    assert_eq!(files(&*new.view(&acme).await.unwrap()).len(), 2);
    new.is_healthy().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_the_new_writer_never_touched_is_closed_to_the_old_one_too() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let old = process(&objects).await;
    let _new = process(&objects).await;
    old.append(log_append(&tenant("other"), &line("a"))).await.unwrap();
    old.flush().await.unwrap_err();
    let listed = objects.list_with_delimiter(Some(&"other/logs/_delta_log".into())).await.unwrap();
    // At most the empty table: no commit has rows.
    assert!(listed.objects.len() <= 1, "{:?}", listed.objects);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_folder_of_claims_is_no_tenant() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = process(&objects).await;
    assert_eq!(store.tenants(), []);
    assert!(Tenant::new("_isinglass").is_err());
}

/// Both logs give out the same numbers, and the tables know from which log a row came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_comes_back_still_has_what_it_acknowledged() {
    let acme = tenant("acme");
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (one, two) = (SimDisk::default(), SimDisk::default());
    let mut expected = Vec::new();
    for turn in 0..3 {
        for (disk, name) in [(&one, "one"), (&two, "two")] {
            let machine = process_on(&objects, disk).await;
            let texts: Vec<String> = (0..4 + turn).map(|n| format!("{name} {turn} {n}")).collect();
            for text in &texts[..2] {
                machine.append(log_append(&acme, &line(text))).await.unwrap();
            }
            let up = sample_append(&machine, &acme, NOW_MS + turn, &[name], f64::from(turn as i32)).await;
            machine.append(up).await.unwrap();
            machine.flush().await.unwrap();
            // Acknowledged, in the log alone, when the other takes over.
            for text in &texts[2..] {
                machine.append(log_append(&acme, &line(text))).await.unwrap();
            }
            expected.extend(texts);
        }
    }
    for disk in [&one, &two] {
        process_on(&objects, disk).await.flush().await.unwrap();
    }
    expected.sort();
    let view = process(&objects).await.view(&acme).await.unwrap();
    assert_eq!(rewrites::rows_of_view(&view, Kind::Logs).await, expected);
    assert_eq!(rewrites::rows_of_view(&view, Kind::Samples).await.len(), 6);
    assert_eq!(view.series().of_metric("up").len(), 2);
}
