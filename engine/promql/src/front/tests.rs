//! Answers through a cache are those without one, whatever came in between.

use proptest::prelude::*;

use super::*;
use crate::memory::MemorySource;
use crate::source::{Selection, SeriesStream};

const MINUTE: i64 = 60_000;

/// Samples, and how often each ten minutes of them changed.
#[derive(Default)]
struct Versioned {
    source: MemorySource,
    changes: Vec<(i64, i64)>,
}

impl Versioned {
    fn add(&mut self, instance: u8, time_ms: i64, value: f64) {
        let instance = instance.to_string();
        let labels = Labels::new([("__name__", "m_total"), ("instance", instance.as_str())]);
        self.source.add_float(&labels, time_ms, 0, value);
        self.changes.push((time_ms, self.changes.len() as i64 + 1));
    }

    fn version(&self, from: i64, to: i64) -> u64 {
        let within = self.changes.iter().filter(|(time, _)| (from..=to).contains(time));
        within.map(|(_, change)| *change as u64).max().unwrap_or_default()
    }
}

impl Source for Versioned {
    fn select(&self, selection: &Selection, parts: usize) -> Result<Vec<Box<dyn SeriesStream>>> {
        self.source.select(selection, parts)
    }
}

const QUERIES: &[&str] = &[
    "m_total",
    "sum(rate(m_total[5m]))",
    "m_total offset 7m",
    "m_total offset -3m",
    "max_over_time(m_total[20m:3m] offset 1m)",
    "m_total @ 3000 + m_total",
    "sum by (instance) (m_total) / ignoring (instance) group_left sum(m_total @ end())",
    "-m_total or absent(m_total{instance=\"1\"})",
    "quantile(time() / 1e4, m_total)",
];

fn check(versioned: &Versioned, cache: &ResultCache, query: &str, span: (i64, i64, i64)) {
    let options = Options::default();
    let versions = |from: i64, to: i64| versioned.version(from, to);
    let cached = Cached { cache, namespace: "acme", versions: &versions };
    let through = cached.range(query, span, versioned, &options, &|| None).unwrap();
    let fresh = range(query, span, versioned, &options, &|| None).unwrap();
    assert_eq!(format!("{:?}", through.value), format!("{:?}", fresh.value), "{query} at {span:?}");
}

#[test]
fn what_was_asked_before_is_not_read_again() {
    let mut versioned = Versioned::default();
    (0..240).for_each(|minute| versioned.add(1, minute * MINUTE, minute as f64));
    let cache = ResultCache::new(1 << 20);
    let options = Options::default();
    let ask = |versioned: &Versioned, end: i64| {
        let versions = |from: i64, to: i64| versioned.version(from, to);
        let cached = Cached { cache: &cache, namespace: "acme", versions: &versions };
        let span = (end - 180 * MINUTE, end, MINUTE);
        cached.range("m_total", span, versioned, &options, &|| None).unwrap().used.samples
    };
    let first = ask(&versioned, 200 * MINUTE);
    assert!(first > 180, "{first}");
    // Only the beginning and the end, which are no whole buckets, and what came since.
    let again = ask(&versioned, 201 * MINUTE);
    assert!(again < 60, "{again}");
    // A late sample makes the buckets that see it be computed again.
    versioned.add(1, 100 * MINUTE + 1, 7.0);
    let late = ask(&versioned, 201 * MINUTE);
    assert!(late > again && late < first / 2, "{late}");
    assert!(cache.figures().hits > cache.figures().misses / 4, "{:?}", cache.figures());
}

#[test]
fn other_namespaces_and_lookbacks_are_other_questions() {
    let mut versioned = Versioned::default();
    (0..60).for_each(|minute| versioned.add(1, minute * MINUTE, minute as f64));
    let cache = ResultCache::new(1 << 20);
    let span = (0, 60 * MINUTE, MINUTE);
    let ask = |namespace: &str, lookback_ms: i64, source: &Versioned| {
        let versions = |_: i64, _: i64| 1;
        let cached = Cached { cache: &cache, namespace, versions: &versions };
        let options = Options { lookback_ms, ..Options::default() };
        cached.range("m_total", span, source, &options, &|| None).unwrap().value
    };
    let full = ask("acme", 300_000, &versioned);
    assert_ne!(full, ask("other", 300_000, &Versioned::default()));
    assert_ne!(full, ask("acme", 1, &Versioned::default()));
    assert_eq!(full, ask("acme", 300_000, &versioned));
}

#[test]
fn memory_is_bounded() {
    let mut versioned = Versioned::default();
    for minute in 0..600 {
        (0..20).for_each(|instance| versioned.add(instance, minute * MINUTE, 1.0));
    }
    let cache = ResultCache::new(100_000);
    for query in ["m_total", "m_total + 1", "m_total + 2", "sum(m_total)"] {
        check(&versioned, &cache, query, (0, 600 * MINUTE, MINUTE));
        let figures = cache.figures();
        assert!(figures.bytes <= 100_000, "{figures:?}");
    }
    assert_eq!(ResultCache::new(0).figures().bytes, 0);
}

proptest! {
    #[test]
    fn answers_are_those_without_a_cache(
        samples in prop::collection::vec((0_u8..3, 0_i64..200, -5..50_i32), 1..60),
        asked in prop::collection::vec((0..QUERIES.len(), 0_i64..150, 1_i64..90, prop::sample::select(vec![15_000_i64, 60_000, 70_000])), 1..12),
    ) {
        let mut versioned = Versioned::default();
        let cache = ResultCache::new(200_000);
        let (mut samples, mut asked) = (samples.into_iter(), asked.into_iter());
        // Samples, many of them late, and questions in turns.
        loop {
            for (instance, minute, value) in samples.by_ref().take(6) {
                versioned.add(instance, minute * MINUTE, f64::from(value));
            }
            let Some((query, start, width, step_ms)) = asked.next() else { break };
            let start_ms = start * MINUTE;
            let span = (start_ms, start_ms + width * MINUTE, step_ms);
            check(&versioned, &cache, QUERIES[query], span);
            check(&versioned, &cache, QUERIES[query], (span.0 + step_ms, span.1 + step_ms, step_ms));
        }
    }
}
