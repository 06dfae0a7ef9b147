//! Wherever rows lie, and however many threads read them, values are the same.

use isinglass_model::Tenant;
use isinglass_promql::value::STALE;
use isinglass_promql::{MemorySource, Options, Sample, Value, instant, range};
use isinglass_promqltest::{Answer, LoadedPoint, LoadedSeries};
use isinglass_query::{PromqlRequest, PromqlTime, QueryConfig};

use super::answers::difference;
use super::loaded::{floats, remember, store};
use crate::fixture::Fixture;

const MINUTE_MS: i64 = 60_000;

/// Where rows lie when a query comes.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Unflushed,
    Flushed,
    /// Every other append in a file, the last ones in memory.
    Half,
    /// All files made one.
    Merged,
    /// Merged, and then some more.
    MergedAndMore,
}

const LAYOUTS: [Layout; 5] =
    [Layout::Unflushed, Layout::Flushed, Layout::Half, Layout::Merged, Layout::MergedAndMore];

/// Bits that a value column has to keep.
fn odd(at: i64) -> f64 {
    match at {
        0 => f64::from_bits(0x7ff8_0000_0000_0001),
        1 => f64::from_bits(0xfff8_dead_beef_0001),
        2 => -0.0,
        3 => f64::INFINITY,
        4 => f64::MIN_POSITIVE / 2.0,
        5 => STALE,
        other => other as f64 / 3.0,
    }
}

/// Four appends: series of several metrics, ints and fractions, markers, gaps, late rows.
fn appends() -> Vec<Vec<LoadedSeries>> {
    let part = |part: i64| {
        let times = move |every: i64| (part * 90..(part + 1) * 90).step_by(every as usize);
        let mut series = Vec::new();
        for job in 0..40_i64 {
            let name = job.to_string();
            let counter = times(1).map(move |n| (n * MINUTE_MS / 4, (n * (job + 1)) as f64));
            series.push(floats(&[("__name__", "requests_total"), ("job", &name)], counter));
            let gauge = times(3).map(move |n| {
                let value = if n % 30 == 0 { STALE } else { (n + job) as f64 / 8.0 };
                (n * MINUTE_MS / 4 + job, value)
            });
            series.push(floats(
                &[("__name__", "load"), ("job", &name), ("even", if job % 2 == 0 { "yes" } else { "" })],
                gauge,
            ));
        }
        let before_1970 = times(2).map(move |n| ((n - 400) * MINUTE_MS, odd(n % 11)));
        series.push(floats(&[("__name__", "odd"), ("x", "é\n\"")], before_1970));
        series
    };
    let mut all: Vec<Vec<LoadedSeries>> = (0..4).map(part).collect();
    // What the first append has comes once more, late, with other times between.
    let late = (0..60).map(|n| (n * MINUTE_MS / 4 + 1_000, 7.0 * n as f64));
    all[3].push(floats(&[("__name__", "requests_total"), ("job", "3"), ("late", "1")], late.clone()));
    all[2].push(floats(&[("__name__", "requests_total"), ("job", "4")], late));
    all
}

struct Loaded {
    fixture: Fixture,
    memory: MemorySource,
}

async fn loaded(layout: Layout, threads: usize, appends: &[Vec<LoadedSeries>]) -> Loaded {
    let fixture = Fixture::empty(QueryConfig { threads, ..QueryConfig::default() }).await;
    let (tenant, mut memory) = (Tenant::default(), MemorySource::default());
    for (at, series) in appends.iter().enumerate() {
        remember(&mut memory, series);
        store(&fixture.store, &tenant, series).await;
        let last = at + 1 == appends.len();
        match layout {
            Layout::Unflushed => {}
            Layout::Half if at % 2 == 1 || last => {}
            Layout::Flushed | Layout::Half | Layout::Merged => fixture.store.flush().await.unwrap(),
            Layout::MergedAndMore if at == 1 => fixture.store.compact().await.unwrap(),
            Layout::MergedAndMore => {}
        }
        if last && matches!(layout, Layout::Merged) {
            fixture.store.compact().await.unwrap();
        }
    }
    Loaded { fixture, memory }
}

impl Loaded {
    async fn check(&self, text: &str, time: PromqlTime, context: &str) {
        let request = PromqlRequest::new(text, time);
        let stored = match self.fixture.engine.promql(&Tenant::default(), request).await {
            Err(error) => Answer::error(error.message()),
            Ok(answer) => {
                Answer { warnings: answer.warnings, infos: answer.infos, ..Answer::of(answer.value) }
            }
        };
        let options = Options::default();
        let remembered = match time {
            PromqlTime::Instant { time_ms } => instant(text, time_ms, &self.memory, &options, &|| None),
            PromqlTime::Range { start_ms, end_ms, step_ms } => {
                range(text, (start_ms, end_ms, step_ms), &self.memory, &options, &|| None)
            }
        };
        let remembered = match remembered {
            Err(error) => Answer::error(error.to_string()),
            Ok(answer) => {
                Answer { warnings: answer.warnings, infos: answer.infos, ..Answer::of(answer.value) }
            }
        };
        let difference = difference(&stored, &remembered);
        assert!(difference.is_none(), "{context}: {text} {time:?}\n   {}", difference.unwrap_or_default());
    }
}

const QUERIES: [&str; 22] = [
    "requests_total",
    "rate(requests_total[5m])",
    "sum by (even) (load)",
    "sum(rate(requests_total[10m]))",
    r#"load{job="7"}"#,
    r#"load{even=""}"#,
    r#"load{even!=""}"#,
    r#"load{even="yes", job!="2"}"#,
    r#"load{job=~"1.*"}"#,
    r#"load{job!~"1.*|2"}"#,
    r#"load{job=~".*"}"#,
    r#"load{job=~".+", nothing=""}"#,
    r#"load{nothing="x"}"#,
    r#"{job="3"}"#,
    r#"{__name__=~"load|requests.*", job="4"}"#,
    r#"{__name__!="load", job=~"[0-5]"}"#,
    r#"count_over_time({__name__=~".+"}[2m])"#,
    "nothing",
    "absent(nothing)",
    r#"requests_total / on (job) load"#,
    "last_over_time(load[1h]) offset 3m",
    "max_over_time(requests_total[30m:1m])",
];

#[tokio::test(flavor = "multi_thread")]
async fn values_do_not_depend_on_where_rows_lie() {
    let appends = appends();
    for layout in LAYOUTS {
        let loaded = loaded(layout, 2, &appends).await;
        for text in QUERIES {
            for time_ms in [0, 20 * MINUTE_MS, 20 * MINUTE_MS + 1_000, 80 * MINUTE_MS, 500 * MINUTE_MS] {
                loaded.check(text, PromqlTime::Instant { time_ms }, &format!("{layout:?}")).await;
            }
            let range =
                PromqlTime::Range { start_ms: -MINUTE_MS, end_ms: 95 * MINUTE_MS, step_ms: 7 * MINUTE_MS };
            loaded.check(text, range, &format!("{layout:?}")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_do_not_depend_on_the_number_of_threads() {
    let appends = appends();
    for threads in 1..=4 {
        let loaded = loaded(Layout::Half, threads, &appends).await;
        for text in QUERIES {
            let range = PromqlTime::Range { start_ms: 0, end_ms: 95 * MINUTE_MS, step_ms: 5 * MINUTE_MS };
            loaded.check(text, range, &format!("{threads} threads")).await;
        }
    }
}

/// The samples of one series as they come back, with the bits of their values.
async fn bits(loaded: &Loaded, text: &str, time_ms: i64) -> Vec<(i64, u64)> {
    let time = PromqlTime::Instant { time_ms };
    let request = PromqlRequest::new(text, time);
    match loaded.fixture.engine.promql(&Tenant::default(), request).await.unwrap().value {
        Value::Matrix(series) => {
            let points = series.into_iter().flat_map(|series| series.points);
            let bits = points.map(|point| match point.sample {
                Sample::Float(value) => (point.time_ms, value.to_bits()),
                Sample::Histogram(_) => panic!("a histogram"),
            });
            bits.collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bits_come_back_and_markers_end_series() {
    let appends = appends();
    for layout in LAYOUTS {
        let loaded = loaded(layout, 1, &appends).await;
        let got = bits(&loaded, "odd[360m]", -40 * MINUTE_MS).await;
        let all = (0..360).step_by(2).map(|n| ((n - 400) * MINUTE_MS, odd(n % 11).to_bits()));
        let wanted = all.filter(|(time, bits)| *time > -400 * MINUTE_MS && *bits != STALE.to_bits());
        assert_eq!(got, wanted.collect::<Vec<_>>(), "{layout:?}");
    }
}

/// Spans are open at their beginning and closed at their end, to the millisecond.
#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_exact() {
    let points: Vec<(i64, f64)> = (-3..=3).map(|n| (n * 1_000, n as f64)).collect();
    for layout in LAYOUTS {
        let appends = [vec![floats(&[("__name__", "m")], points.clone())], Vec::new()];
        let loaded = loaded(layout, 1, &appends).await;
        let times = async |text: &str, at| {
            bits(&loaded, text, at).await.into_iter().map(|(time, _)| time).collect::<Vec<_>>()
        };
        assert_eq!(times("m[2s]", 0).await, [-1_000, 0], "{layout:?}");
        assert_eq!(times("m[2s]", -1).await, [-2_000, -1_000], "{layout:?}");
        assert_eq!(times("m[2001ms]", 0).await, [-2_000, -1_000, 0], "{layout:?}");
        assert_eq!(times("m[1s]", -3_001).await, [0_i64; 0], "{layout:?}");
        assert_eq!(
            times("m[1h]", 1_000_000).await,
            (-3..=3).map(|n| n * 1_000).collect::<Vec<_>>(),
            "{layout:?}"
        );
        assert_eq!(times("m[1ms] @ 3", 0).await, [3_000], "{layout:?}");
    }
}

/// Of two samples of a series at one time the first accepted counts.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_accepted_counts() {
    let of = |value: f64| {
        vec![LoadedSeries {
            labels: isinglass_promql::Labels::new([("__name__", "m")]),
            points: (0..3)
                .map(|n| LoadedPoint { time_ms: n, start_ms: None, sample: Sample::Float(value + n as f64) })
                .collect(),
        }]
    };
    for layout in LAYOUTS {
        let loaded = loaded(layout, 1, &[of(0.0), of(10.0), of(20.0), of(30.0)]).await;
        let got = bits(&loaded, "m[1s]", 10).await;
        assert_eq!(got, [0, 1, 2].map(|n| (n, (n as f64).to_bits())), "{layout:?}");
    }
}
