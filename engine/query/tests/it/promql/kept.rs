//! Samples that were decoded once are kept, and answers are those without a cache.

use isinglass_model::Tenant;
use isinglass_promqltest::LoadedSeries;
use isinglass_query::{PromqlAnswer, PromqlConfig, PromqlRequest, PromqlTime, QueryConfig};

use super::loaded::{floats, store};
use crate::fixture::Fixture;

/// The generator of Steele and others, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as i64
    }
}

/// Some series at some times, among them times that other flushes have, too.
fn flush(random: &mut Random, number: i64) -> Vec<LoadedSeries> {
    let mut series = Vec::new();
    // Each has some series that those before do not have.
    for n in 0..100 + number * 10 {
        if random.below(3) == 0 {
            continue;
        }
        let first = number * 400_000 + random.below(4) * 100_000;
        let times: Vec<i64> = (0..random.below(30)).map(|at| first + at * 10_000).collect();
        let points = times.into_iter().map(|time| (time, (number * 1_000 + n) as f64 + time as f64 / 1e7));
        let mut one = floats(&[("__name__", "m"), ("n", &n.to_string())], points);
        if n % 3 == 0 {
            one.points.iter_mut().for_each(|point| point.start_ms = Some(first - 1_000));
        }
        series.push(one);
    }
    series
}

async fn fixture(sample_cache_bytes: usize) -> Fixture {
    let promql = PromqlConfig { sample_cache_bytes, result_cache_bytes: 0, ..PromqlConfig::default() };
    let fixture = Fixture::empty(QueryConfig { threads: 2, promql, ..QueryConfig::default() }).await;
    let mut random = Random(7);
    for number in 0..6 {
        store(&fixture.store, &Tenant::default(), &flush(&mut random, number)).await;
        // The last rows are in no file.
        if number < 5 {
            fixture.store.flush().await.unwrap();
        }
    }
    fixture
}

async fn ask(fixture: &Fixture, text: &str, time: PromqlTime) -> PromqlAnswer {
    let request = PromqlRequest { fresh: true, ..PromqlRequest::new(text, time) };
    fixture.engine.promql(&Tenant::default(), request).await.unwrap()
}

fn question(random: &mut Random) -> (String, PromqlTime) {
    let matchers = [r#"n=~"1?.?.""#, r#"n="7""#, "", r#"n=~"[3-5].|1""#, r#"n="absent""#];
    let matcher = matchers[random.below(5) as usize];
    let text = match random.below(4) {
        0 => format!("m{{{matcher}}}"),
        1 => format!("count_over_time(m{{{matcher}}}[{}s])", 1 + random.below(900)),
        2 => format!("increase(m{{{matcher}}}[5m])"),
        _ => format!("last_over_time(m{{{matcher}}}[10m] offset {}s)", random.below(700)),
    };
    let start_ms = random.below(5_000) * 1_000;
    let range = PromqlTime::Range { start_ms, end_ms: start_ms + random.below(1_500_000), step_ms: 60_000 };
    (text, if random.below(2) == 0 { range } else { PromqlTime::Instant { time_ms: start_ms } })
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_those_without_a_cache() {
    let none = fixture(0).await;
    // One for all, and one that forgets most.
    let kept = [fixture(8 << 20).await, fixture(64 << 10).await];
    let mut random = Random(1);
    let mut hits = [0, 0];
    for number in 0..300 {
        if number % 60 == 59 {
            let more = flush(&mut random, 6 + number / 60);
            for fixture in kept.iter().chain([&none]) {
                store(&fixture.store, &Tenant::default(), &more).await;
                fixture.store.flush().await.unwrap();
            }
        }
        let (text, time) = question(&mut random);
        let want = ask(&none, &text, time).await;
        assert_eq!(want.scan.kept, 0);
        for (fixture, hits) in kept.iter().zip(&mut hits) {
            let got = ask(fixture, &text, time).await;
            assert_eq!(format!("{:?}", got.value), format!("{:?}", want.value), "{text} {time:?}");
            assert_eq!(got.used.samples, want.used.samples, "{text} {time:?}");
            *hits += got.scan.kept;
        }
    }
    assert!(hits[0] > hits[1] && hits[1] > 0, "{hits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_again_decodes_nothing() {
    let fixture = fixture(8 << 20).await;
    let time = |minutes: i64| PromqlTime::Instant { time_ms: minutes * 60_000 };
    let first = ask(&fixture, r#"count_over_time(m{n=~"7|absent"}[1h])"#, time(40)).await;
    assert!(first.scan.rows > 0 && first.scan.kept == 0, "{:?}", first.scan);
    let again = ask(&fixture, r#"count_over_time(m{n=~"7|absent"}[1h])"#, time(40)).await;
    assert_eq!((again.scan.rows, again.scan.bytes_read), (0, 0), "{:?}", again.scan);
    assert!(again.scan.kept > 0, "{:?}", again.scan);
    assert_eq!(again.value, first.value);
    // At another time, too.
    let other = ask(&fixture, r#"m{n="7"}"#, time(10)).await;
    assert_eq!(other.scan.rows, 0, "{:?}", other.scan);
    let another = ask(&fixture, r#"count_over_time(m{n="8"}[1h])"#, time(40)).await;
    assert!(another.scan.rows > 0, "{:?}", another.scan);
}
