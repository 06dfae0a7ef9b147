//! How often an S3 store is asked, against what the pages of its files demand.
//!
//! Requests are counted by the service, which is a program of somebody else. What is demanded
//! follows from the ranges that readers of files ask for before any cache sees them: footers, page
//! indexes, filters, the pages that a plan has left ([`demand`], `docs/formats/cache.md`).

use std::collections::BTreeMap;
use std::ops::Range;

use crate::harness::outside::Bucket;
use crate::harness::{Client, Server, now_millis};
use isinglass_testkit::load;
use isinglass_testkit::loki::{self, Stream};
use isinglass_testkit::remote_write::{self, Series};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::Value;

const MIB: u64 = 1 << 20;
const DAY_MS: i64 = 24 * 3_600_000;
const HOUR_MS: i64 = 3_600_000;

/// Ranges that readers asked for, of each file.
type Asked = BTreeMap<String, Vec<Range<u64>>>;

/// The least number of requests that have all these bytes, if one request is for at most a MiB in
/// a row, each byte is asked for once, and everything is known beforehand: where pages lie, and
/// what the rest of the question will ask for.
fn demand(asked: &Asked) -> usize {
    let of_file = |ranges: &Vec<Range<u64>>| {
        let (mut requests, mut there) = (0, 0);
        for range in distinct(ranges) {
            while range.end > there.max(range.start) {
                there = there.max(range.start) + MIB;
                requests += 1;
            }
        }
        requests
    };
    asked.values().map(of_file).sum()
}

/// Bytes that were asked for, each counted once.
fn bytes(asked: &Asked) -> u64 {
    asked.values().flat_map(|ranges| distinct(ranges)).map(|range| range.end - range.start).sum()
}

/// Ranges that ascend and do not overlap.
fn distinct(ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut ranges = ranges.to_vec();
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut distinct: Vec<Range<u64>> = Vec::new();
    for range in ranges.into_iter().filter(|range| !range.is_empty()) {
        match distinct.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => distinct.push(range),
        }
    }
    distinct
}

#[test]
fn demand_is_the_fewest_requests_of_a_mib() {
    let check = |ranges: &[Range<u64>], want: usize| {
        assert_eq!(demand(&Asked::from([("a".to_owned(), ranges.to_vec())])), want, "{ranges:?}");
    };
    let overlapping = Asked::from([("a".to_owned(), vec![5..6, 0..3, 2..4, 1..2])]);
    assert_eq!(bytes(&overlapping), 5);
    check(&[], 0);
    check(&[5..6, 0..1, 5..6, MIB - 1..MIB], 1);
    check(&[MIB - 1..MIB + 1], 1);
    check(&[0..1, MIB..MIB + 1], 2);
    check(&[0..3 * MIB, MIB..2 * MIB, 3 * MIB..3 * MIB + 1], 4);
    check(&[7..8, 9 * MIB..9 * MIB + 5], 2);
    let two = Asked::from([("a".to_owned(), vec![0..1]), ("b".to_owned(), vec![0..1])]);
    assert_eq!(demand(&two), 2);
}

/// What the log of the server says, after so many bytes of it, that readers of data asked for.
fn asked(server: &Server, after: usize) -> Asked {
    let mut asked = Asked::new();
    for line in server.log()[after..].lines() {
        let Ok(said) = serde_json::from_str::<Value>(line) else { continue };
        if said["target"] != "isinglass_store::reads" || !is_data(said["path"].as_str().unwrap()) {
            continue;
        }
        let ranges = said["ranges"].as_str().unwrap().trim_matches(['[', ']']);
        let range = |range: &str| {
            let (start, end) = range.split_once("..").unwrap();
            start.parse().unwrap()..end.parse().unwrap()
        };
        let ranges = ranges.split(", ").filter(|range| !range.is_empty()).map(range);
        asked.entry(said["path"].as_str().unwrap().to_owned()).or_default().extend(ranges);
    }
    asked
}

/// Whether queries read it: files of the kinds that have rows, and their indexes of tokens. Files
/// of `series` are read by the index, at a start.
fn is_data(path: &str) -> bool {
    let of_kind = |kind| path.contains(&format!("default/{kind}/"));
    ["logs", "spans", "samples"].into_iter().any(of_kind) && !path.contains("/_delta_log/")
}

fn of_kind(asked: &Asked, kind: &str) -> bool {
    asked.keys().any(|path| path.contains(&format!("/{kind}/")))
}

/// Requests for data that the service got, of any method.
fn requests(bucket: &Bucket) -> usize {
    bucket.requests().iter().filter(|(_, path)| is_data(path)).count()
}

/// Files of several MiB, one a kind: lines that hardly compress, of which one has a word that no
/// other has, spans, and gauges with all digits, over an hour. The day is over.
async fn fill(client: &Client) -> i64 {
    let start_ms = (now_millis() - DAY_MS - HOUR_MS) / DAY_MS * DAY_MS;
    let nanos = start_ms.unsigned_abs() * 1_000_000;
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..6 {
        let stream = (0..4_000).fold(Stream::new(r#"{service_name="shop"}"#), |stream, at| {
            let words = (0..75).map(|_| format!("{:08x}", random.random::<u32>()));
            let mut body: String = words.collect();
            if (round, at) == (3, 1_234) {
                body.push_str(" zq7vX91kTt");
            }
            stream.line(nanos + (round * 4_000 + at) * 150_000_000, &body)
        });
        client.loki(&loki::request(&[stream])).await.ok();
    }
    for round in 0..8 {
        let spans = load::traces(round, 15_000, nanos + round * 15_000_000);
        client.otlp("traces", spans).await.ok();
    }
    for part in 0..18 {
        let gauge = |host: i64| {
            let series = Series::new(&[("__name__", "load"), ("hostname", &format!("host_{host}"))]);
            let times = (0..100).map(|at| start_ms + (part * 100 + at) * 2_000);
            times.fold(series, |series, time| series.sample(time, random.random::<f64>()))
        };
        let all: Vec<_> = (0..400).map(gauge).collect();
        client.remote_write(&remote_write::request(&all)).await.ok();
    }
    client.flush().await;
    start_ms
}

/// A question, and whether a quarter of its files is enough to answer it.
struct Question {
    text: String,
    is_narrow: bool,
}

async fn questions(client: &Client, start_ms: i64) -> Vec<Question> {
    let trace = client.cell("select trace_id from spans order by span_id limit 1").await;
    let trace = trace.as_str().unwrap();
    let narrow = |text: String| Question { text, is_narrow: true };
    let wide = |text: &str| Question { text: text.to_owned(), is_narrow: false };
    let quarter = format!(
        "time > to_timestamp_millis({}) and time <= to_timestamp_millis({})",
        start_ms + HOUR_MS / 2,
        start_ms + 3 * HOUR_MS / 4
    );
    vec![
        narrow("select body from logs where has_token(body, 'zq7vX91kTt')".to_owned()),
        narrow(format!("select * from spans where trace_id = '{trace}'")),
        narrow(format!(
            "select time, hostname, value from metrics.load where hostname in ('host_7', 'host_8', 'host_9') and {quarter}"
        )),
        narrow(format!("select service, count(*) n from logs where {quarter} group by service")),
        wide(
            "select name, count(*) n, count(distinct trace_id) traces from spans group by name order by name",
        ),
        wide("select count(*) n, min(value) low, max(value) high from metrics.load"),
        wide("select count(*) n, max(length(body)) size from logs where body like '%beef%'"),
        wide("select * from spans order by duration desc, span_id limit 20"),
        wide("select * from logs order by body limit 20"),
        narrow(format!(
            "select * from promql('sum(load{{hostname=~\"host_(7|8|9)\"}})', to_timestamp_millis({}), to_timestamp_millis({}), interval '1 minute')",
            start_ms + HOUR_MS / 2,
            start_ms + 3 * HOUR_MS / 4
        )),
    ]
}

/// Each question is asked of a server that has just started and has read nothing: the store is
/// asked at most twice as often as the pages demand. Asked once more: not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_is_asked_at_most_twice_as_often_as_pages_demand() {
    let bucket = Bucket::start();
    let config = format!(
        "{}[store.compaction]\nenabled = false\n[store.cache]\ndisk_bytes = 0\n[log]\nlevel = \"warn,isinglass_store::reads=trace\"\n",
        bucket.config("reads")
    );
    let mut server = Server::start_in(
        &config,
        &[&Bucket::CREDENTIALS[..], &[("ISINGLASS_STORE__DISK_FREE_MIN_BYTES", "1")]].concat(),
    );
    let start_ms = fill(&server.client()).await;
    let all = questions(&server.client(), start_ms).await;
    let sizes = server
        .client()
        .sql("select kind, sum(bytes) bytes, count(*) n from system.files group by kind")
        .await;
    println!("{sizes:?}");
    let size = |kind: &str| sizes.iter().find(|row| row["kind"] == kind).unwrap()["bytes"].as_u64().unwrap();
    for Question { text, is_narrow } in all {
        server.stop();
        server.start_again();
        let client = server.client();
        let (log, before) = (server.log().len(), requests(&bucket));
        let answer = client.sql(&text).await;
        assert!(!answer.is_empty(), "{text}");
        let (cold, asked) = (requests(&bucket) - before, asked(&server, log));
        let (demand, bytes) = (demand(&asked), bytes(&asked));
        println!("{cold} requests, {demand} demanded for {bytes} bytes of {} files: {text}", asked.len());
        assert!((1..=2 * demand).contains(&cold), "{cold} requests, {demand} demanded: {text}\n{asked:?}");
        let kinds = ["logs", "spans", "samples"].into_iter().filter(|kind| of_kind(&asked, kind));
        let whole: u64 = kinds.map(size).sum();
        assert!(!is_narrow || bytes * 4 <= whole, "{bytes} bytes of {whole}: {text}\n{asked:?}");
        assert_eq!(client.sql(&text).await, answer);
        assert_eq!(requests(&bucket) - before, cold, "asked again: {text}");
    }
    server.stop();
}
