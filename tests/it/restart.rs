//! A start after a crash: what is told while the log is read, and of what cannot be read.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use isinglass_testkit::load;
use serde_json::Value;

use crate::harness::{Server, now_millis, now_nanos};

/// The log's only segment.
fn segment(server: &Server) -> PathBuf {
    let files = std::fs::read_dir(server.data_dir().join("wal")).unwrap();
    let mut segments: Vec<PathBuf> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "wal"))
        .collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    segments.remove(0)
}

/// Flips a bit of the `nth` record of a segment, counted from 0; where that record begins.
fn damage(segment: &PathBuf, nth: usize) -> usize {
    let mut bytes = std::fs::read(segment).unwrap();
    let mut at = 128;
    for _ in 0..nth {
        at += 8 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        at = at.next_multiple_of(8);
    }
    bytes[at + 60] ^= 1;
    std::fs::write(segment, bytes).unwrap();
    at
}

#[tokio::test]
async fn a_server_that_was_killed_answers_writes_repeats_and_queries_at_once() {
    let mut server = Server::start();
    let body = load::traces(1, 500, now_nanos() - 1_000_000_000);
    server.client().otlp("traces", body.clone()).await.ok();
    for round in 0..20 {
        server.client().remote_write(&load::gauges(500, now_millis() + round)).await.ok();
    }
    server.kill();
    server.start_again();
    let client = server.client();
    let asked = Instant::now();
    client.remote_write(&load::gauges(500, now_millis() + 100)).await.ok();
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let again = client.otlp("traces", body).await.ok();
    assert_eq!(again.headers["x-isinglass-duplicate"], "true");
    assert_eq!(again.headers["x-isinglass-durability"], "sync");
    assert!(client.get("-/ready").await.ok().text().starts_with("ready\n"));
    // Queries of the harness wait for the log.
    assert_eq!(client.count("spans").await, 500);
    assert!(client.count("samples where value is not null").await >= 21 * 500);
    let status: Value = serde_json::from_slice(&client.get("api/status").await.ok().body).unwrap();
    assert_eq!((&status["epoch"], &status["replaying"]), (&2.into(), &false.into()), "{status}");
}

#[tokio::test]
async fn damage_in_the_middle_of_the_log_is_reported_and_refused_by_strict() {
    let mut server = Server::start();
    for round in 0..3 {
        server.client().otlp("traces", load::traces(round, 50, now_nanos() - 1_000_000_000)).await.ok();
    }
    server.kill();
    let segment = segment(&server);
    let at = damage(&segment, 1);
    let name = segment.file_name().unwrap().to_str().unwrap().to_owned();

    let mut strict = server.command().arg("--strict").spawn().unwrap();
    assert!(!strict.wait().unwrap().success());
    let told = format!("damaged wal segment {name} at bytes {at} to ");
    assert!(server.log().contains(&told), "{told} is not in\n{}", server.log());
    assert!(!server.data_dir().join("quarantine").exists());

    server.start_again();
    let client = server.client();
    assert_eq!(client.count("spans").await, 100);
    let status: Value = serde_json::from_slice(&client.get("api/status").await.ok().body).unwrap();
    let lost = &status["lost"][0];
    assert_eq!((&lost["segment"], &lost["offset"]), (&name.into(), &at.into()), "{status}");
    assert_eq!((&lost["first_record"], &lost["last_record"]), (&2.into(), &2.into()), "{status}");
    assert!(lost["written_after_unix_ms"].is_i64() && lost["written_before_unix_ms"].is_i64(), "{status}");
    let metrics = client.get("metrics").await.ok().text().to_owned();
    for line in ["isinglass_quarantined_records 1.0", "isinglass_quarantined_first_record 2.0"] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}
