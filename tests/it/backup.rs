//! `isinglass backup` of a server that is being sent to, and `isinglass restore`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::crash::Signal;
use crate::harness::{Client, Server};

/// Many small flushes, merges at once, and nothing that was replaced stays.
const BUSY: &str = "[store]\nflush_bytes = 50000\nwal_segment_bytes = 100000\nflush_age_max_ms = 500\n\
                    [store.compaction]\ninterval_ms = 200\ngrace_ms = 0\nlate_ms = 0\n";
/// Items of one request.
const ITEMS: u64 = 20;

/// Runs the binary to its end.
pub(crate) async fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    command.args(args).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// What it says on standard output, if it succeeds.
async fn ok(args: &[&str]) -> String {
    let output = run(args).await;
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Everything that was acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<Signal, BTreeSet<u64>>>>;

async fn send(
    client: Client,
    signal: Signal,
    next: Arc<AtomicU64>,
    told: Acknowledged,
    stop: Arc<AtomicBool>,
) {
    while !stop.load(Ordering::Relaxed) {
        let first = next.fetch_add(ITEMS, Ordering::Relaxed);
        let items: Vec<u64> = (first..first + ITEMS).collect();
        signal.send(&client, &signal.body(&items)).await.unwrap().ok();
        told.lock().unwrap().entry(signal).or_default().extend(items);
    }
}

/// How often each item is there.
async fn found(client: &Client, signal: Signal) -> BTreeMap<u64, u64> {
    let number = |value: &serde_json::Value| value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap();
    let rows = client.sql(signal.query()).await;
    rows.iter().map(|row| (number(&row["item"]), number(&row["n"]))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_under_load_is_backed_up_restored_and_has_every_row_once() {
    let server = Server::start_with(BUSY);
    let (told, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let next = Arc::new(AtomicU64::new(0));
    let senders: Vec<_> = Signal::ALL
        .into_iter()
        .map(|signal| {
            tokio::spawn(send(
                server.client(),
                signal,
                Arc::clone(&next),
                Arc::clone(&told),
                Arc::clone(&stop),
            ))
        })
        .collect();
    let url = format!("http://{}", server.addresses().http);
    let dest = server.scratch().join("backup");
    for round in 0..2 {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = told.lock().unwrap().clone();
        let said = ok(&["backup", "--url", &url, text(&dest)]).await;
        assert!(said.contains("has everything up to record"), "{said}");
        assert!(round == 0 || !said.contains(", 0 with 0 B there already"), "{said}");
        let restored = server.scratch().join(format!("restored-{round}"));
        let said = ok(&["restore", text(&dest), "--data-dir", text(&restored)]).await;
        assert!(said.contains("start it with: isinglass serve --data-dir"), "{said}");
        let copy = Server::start_on(&restored);
        for signal in Signal::ALL {
            let rows = found(&copy.client(), signal).await;
            let twice: Vec<_> = rows.iter().filter(|(_, n)| **n != 1).collect();
            let lost: Vec<_> = before[&signal].iter().filter(|item| !rows.contains_key(item)).collect();
            assert!(twice.is_empty() && lost.is_empty(), "{signal:?}: twice {twice:?}, lost {lost:?}");
            assert!(before[&signal].len() > 100, "{signal:?}: only {} items", before[&signal].len());
        }
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    let metrics = server.client().get("metrics").await.ok().text();
    let of = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).unwrap_or(0.0)
    };
    assert!(of("isinglass_delta_commits_total") > 5.0, "{metrics}");
}

#[tokio::test]
async fn a_stopped_folder_is_backed_up_and_a_damaged_backup_is_named() {
    let mut server = Server::start();
    let items: Vec<u64> = (0..50).collect();
    Signal::Logs.send(&server.client(), &Signal::Logs.body(&items)).await.unwrap().ok();
    let (data, dest) = (server.data_dir(), server.scratch().join("backup"));
    let backup = ["backup", "--data-dir", text(&data), text(&dest)];
    let output = run(&backup).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("is in use by another process"), "{said}");
    let text_of = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let running = run(&["doctor", "--data-dir", text(&data)]).await;
    let said = text_of(&running);
    assert!(
        running.status.success() && said.contains(&format!("process {} has it", server.process_id())),
        "{said}"
    );
    server.kill();
    let stopped = ok(&["doctor", "--data-dir", text(&data), "--deep", "--json"]).await;
    let report: serde_json::Value = serde_json::from_str(&stopped).unwrap();
    assert_eq!(report["next_start"]["replayed"][0]["rows"]["logs"], 50, "{stopped}");
    assert_eq!((&report["format"], &report["lock"]["held"]), (&1.into(), &false.into()), "{stopped}");
    ok(&backup).await;
    let object = first_segment(&dest.join("objects/wal"));
    let mut bytes = std::fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&object, &bytes).unwrap();
    let restored = server.scratch().join("restored");
    let restore = ["restore", text(&dest), "--data-dir", text(&restored)];
    let output = run(&restore).await;
    let said = String::from_utf8_lossy(&output.stderr);
    let name = object.file_name().unwrap().to_str().unwrap();
    assert!(!output.status.success() && said.contains(name) && said.contains("checksum"), "{said}");
    bytes[middle] ^= 4;
    std::fs::write(&object, &bytes).unwrap();
    std::fs::remove_dir_all(&restored).unwrap();
    ok(&restore).await;
    let wrong = run(&["doctor", "--data-dir", text(server.scratch())]).await;
    assert_eq!(wrong.status.code(), Some(2), "{}", String::from_utf8_lossy(&wrong.stderr));
    let copy = Server::start_on(&restored);
    assert_eq!(found(&copy.client(), Signal::Logs).await, items.iter().map(|item| (*item, 1)).collect());
    let segment = first_segment(&restored.join("wal"));
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let damaged = run(&["doctor", "--data-dir", text(&restored)]).await;
    let said = text_of(&damaged);
    assert!(damaged.status.code() == Some(1) && said.contains("after the last whole record"), "{said}");
}

fn first_segment(wal: &Path) -> PathBuf {
    let wal = std::fs::read_dir(wal).unwrap();
    wal.map(|entry| entry.unwrap().path()).find(|path| text(path).contains(".wal")).unwrap()
}
