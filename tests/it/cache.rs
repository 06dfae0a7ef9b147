//! Tables in S3: what is read a second time comes from memory or from the disk.
//!
//! Requests are counted by the service itself, which is a program of somebody else, and by our
//! own `/metrics`.

use std::time::Duration;

use crate::harness::outside::Bucket;
use crate::harness::{Client, Row, Server, now_millis};
use isinglass_testkit::load;
use isinglass_testkit::loki::{self, Stream};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

const MIB: f64 = (1 << 20) as f64;

/// Kinds that queries read from files. Files of `series` are read by the index, at a start.
const KINDS: [&str; 3] = ["logs", "spans", "samples"];

/// Questions whose answers do not depend on how rows are divided among files.
const QUESTIONS: [&str; 6] = [
    "select service, count(*) n, sum(length(body)) size from logs group by service order by service",
    "select count(*) n from logs where body like '%beef%'",
    "select body from logs order by body limit 3",
    "select name, count(*) n, count(distinct trace_id) traces from spans group by name order by name",
    "select count(*) n, min(value) low, max(value) high from metrics.cpu_usage_user",
    "select span_id, name from spans order by trace_id, span_id limit 20",
];

/// What opens the bucket, and a disk cache however full the disk of this machine is.
fn environment() -> Vec<(&'static str, &'static str)> {
    [&Bucket::CREDENTIALS[..], &[("ISINGLASS_STORE__DISK_FREE_MIN_BYTES", "1")]].concat()
}

/// So long ago that its two hours and its day are over and may be merged.
const LONG_AGO_MS: i64 = 26 * 3_600_000;

/// Logs that do not compress into one piece, spans and samples.
async fn fill(client: &Client, round: u64) {
    let mut random = StdRng::seed_from_u64(round);
    let time_ms = now_millis() - LONG_AGO_MS;
    let nanos = time_ms.unsigned_abs() * 1_000_000;
    let stream = (0..4_000).fold(Stream::new(r#"{service_name="shop"}"#), |stream, at| {
        let body: String = (0..75).map(|_| format!("{:08x}", random.random::<u32>())).collect();
        stream.line(nanos + at, &body)
    });
    client.loki(&loki::request(&[stream])).await.ok();
    client.otlp("traces", load::traces(round, 2_000, nanos)).await.ok();
    for step in 0..10 {
        client.remote_write(&load::gauges(200, time_ms + step * 1_000)).await.ok();
    }
    client.flush().await;
}

async fn answers(client: &Client) -> Vec<Vec<Row>> {
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(client.sql(question).await);
    }
    answers
}

/// Reads of data files that the service was asked for so far.
fn data_gets(bucket: &Bucket) -> Vec<String> {
    let is_data = |path: &str| {
        path.ends_with(".parquet")
            && !path.contains("/_delta_log/")
            && KINDS.iter().any(|kind| path.contains(&format!("/default/{kind}/")))
    };
    let gets = bucket.requests().into_iter().filter(|(method, path)| method == "GET" && is_data(path));
    gets.map(|(_, path)| path).collect()
}

/// What our own counters say was read from the store.
async fn own_gets(client: &Client) -> f64 {
    client.metric("isinglass_object_calls_total", &["\"get\""]).await
}

/// Waits until no merge has ended for two seconds, after at least one.
async fn merged(client: &Client) {
    let (mut last, mut same) = (0.0, 0);
    for _ in 0..600 {
        let rewrites = client.metric("isinglass_rewrites_total", &[]).await;
        same = if rewrites == last { same + 1 } else { 0 };
        if rewrites > 0.0 && same >= 10 {
            return;
        }
        last = rewrites;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("merges do not come to an end: {last}");
}

/// The first run of the questions asks for no more than twice the pieces that there are: an upper
/// bound for the runs of 1 MiB pieces in which the pages lie that the plans read, because each
/// run is at least one piece of a live file (`system.files`), and each is needed once. What each
/// question demands is compared in `reads`.
///
/// A repetition asks the store for nothing: not in the same process, not after a restart, which
/// has a disk tier, and not after all files were replaced by merged ones and read once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_once_is_not_read_again() {
    let bucket = Bucket::start();
    let config = |compaction: &str| format!("{}[store.compaction]\n{compaction}", bucket.config("warm"));
    let mut server = Server::start_in(&config("enabled = false\n"), &environment());
    let client = server.client();
    for round in 0..3 {
        fill(&client, round).await;
    }
    let pieces = format!(
        "select sum(ceil(bytes / {MIB:.1})) from system.files where kind in ('logs', 'spans', 'samples')"
    );
    let pieces = client.number(&pieces).await as usize;
    assert!(pieces > 9, "{pieces} pieces of at least 9 files");

    let (before, own) = (data_gets(&bucket).len(), own_gets(&client).await);
    let want = answers(&client).await;
    let cold = data_gets(&bucket).len() - before;
    assert!((1..=2 * pieces).contains(&cold), "{cold} requests for at most {pieces} pieces");
    assert!(own_gets(&client).await - own >= cold as f64);
    assert!(client.metric("isinglass_cache_misses_total", &[]).await <= pieces as f64);

    let (before, own) = (data_gets(&bucket).len(), own_gets(&client).await);
    assert_eq!(answers(&client).await, want);
    assert_eq!((data_gets(&bucket).len() - before, own_gets(&client).await - own), (0, 0.0));
    assert!(client.metric("isinglass_cache_hits_total", &["memory"]).await > 0.0);
    assert!(client.metric("isinglass_metadata_cache_hits_total", &[]).await > 0.0);
    let caches = client
        .sql("select name, bytes > 0 used, bytes <= bytes_max fits from system.caches order by name")
        .await;
    let names: Vec<_> = caches.iter().map(|cache| cache["name"].as_str().unwrap()).collect();
    let all = [
        "id_filters",
        "metadata",
        "pieces_disk",
        "pieces_memory",
        "promql_results",
        "promql_samples",
        "token_indexes",
    ];
    assert_eq!(names, all);
    assert!(caches.iter().all(|cache| cache["fits"] == true), "{caches:?}");
    // No question is for an id.
    assert!(caches[1..4].iter().all(|cache| cache["used"] == true), "{caches:?}");

    server.stop();
    assert!(server.data_dir().join("cache/pieces-v1").is_dir());
    server.start_again();
    let (client, before) = (server.client(), data_gets(&bucket));
    assert_eq!(answers(&client).await, want);
    // The stop has flushed the last span metrics into a file that nobody has read yet.
    let again: Vec<_> = data_gets(&bucket).split_off(before.len());
    assert!(again.iter().all(|path| !before.contains(path)), "after a restart: {again:?}");
    assert!(client.metric("isinglass_cache_hits_total", &["disk"]).await > 0.0);
    assert_eq!(client.metric("isinglass_cache_disk_damaged_total", &[]).await, 0.0);

    server.stop();
    let merging = config("interval_ms = 200\nlate_ms = 0\ngrace_ms = 0\n");
    std::fs::write(server.scratch().join("isinglass.toml"), merging).unwrap();
    server.start_again();
    let client = server.client();
    assert_eq!(answers(&client).await, want, "before or in a merge");
    merged(&client).await;
    assert_eq!(answers(&client).await, want, "after a merge");
    let before = data_gets(&bucket);
    assert_eq!(answers(&client).await, want);
    assert_eq!(data_gets(&bucket), before, "after a merge");
    server.stop();
}

/// A folder of the cache in which nothing is as it was written, and one that is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_cache_that_rots_is_read_around() {
    let bucket = Bucket::start();
    let config = format!("{}[store.compaction]\nenabled = false\n", bucket.config("rot"));
    let mut server = Server::start_in(&config, &environment());
    fill(&server.client(), 1).await;
    let want = answers(&server.client()).await;
    server.stop();
    let cache = server.data_dir().join("cache");
    for (at, piece) in std::fs::read_dir(cache.join("pieces-v1")).unwrap().enumerate() {
        let piece = piece.unwrap().path();
        let mut content = std::fs::read(&piece).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        content.truncate(if at % 2 == 0 { middle + 1 } else { content.len() });
        std::fs::write(&piece, content).unwrap();
    }
    server.start_again();
    assert_eq!(answers(&server.client()).await, want);
    assert!(server.client().metric("isinglass_cache_disk_damaged_total", &[]).await > 2.0);
    assert_eq!(server.client().metric("isinglass_damaged_reads_total", &[]).await, 0.0);
    server.stop();
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "a file").unwrap();
    server.start_again();
    assert_eq!(answers(&server.client()).await, want);
    let said = server.log();
    assert!(said.contains("the disk cache cannot be used"), "{said}");
    server.stop();
}
