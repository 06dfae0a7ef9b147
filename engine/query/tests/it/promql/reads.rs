//! What is read is little where little is wanted.

use isinglass_model::Tenant;
use isinglass_query::{PromqlAnswer, PromqlConfig, PromqlRequest, PromqlTime, QueryConfig};

use super::loaded::{floats, store};
use crate::fixture::Fixture;

const SERIES: i64 = 600;
const SAMPLES: i64 = 400;
const STEP_MS: i64 = 15_000;

/// Numbers that zstd can do nothing about.
fn noise(n: i64) -> f64 {
    let mixed = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    f64::from_bits((mixed ^ (mixed >> 29)) & 0x3fff_ffff_ffff_ffff)
}

async fn fixture() -> Fixture {
    // Without a cache of samples, so that pages are read.
    let promql = PromqlConfig { sample_cache_bytes: 0, ..PromqlConfig::default() };
    let fixture = Fixture::empty(QueryConfig { threads: 2, promql, ..QueryConfig::default() }).await;
    let tenant = Tenant::default();
    for day in 0..2 {
        for metric in ["a", "b"] {
            let series: Vec<_> = (0..SERIES)
                .map(|n| {
                    let points =
                        (0..SAMPLES).map(|at| (day * 86_400_000 + at * STEP_MS, noise(n * SAMPLES + at)));
                    floats(&[("__name__", metric), ("n", &n.to_string())], points)
                })
                .collect();
            store(&fixture.store, &tenant, &series).await;
        }
    }
    fixture.store.flush().await.unwrap();
    fixture
}

async fn ask(fixture: &Fixture, text: &str) -> PromqlAnswer {
    let time = PromqlTime::Instant { time_ms: (SAMPLES - 1) * STEP_MS };
    let request = PromqlRequest::new(text, time);
    fixture.engine.promql(&Tenant::default(), request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn few_series_are_few_pages() {
    let fixture = fixture().await;
    let all = ask(&fixture, "count_over_time(a[2h])").await;
    let rows = (SERIES * SAMPLES) as u64;
    assert_eq!(all.used.samples, rows);
    assert_eq!((all.scan.files_pruned, all.scan.head_rows), (1, 0), "the other day: {:?}", all.scan);
    assert!(all.scan.rows >= rows && all.scan.rows < 2 * rows, "{:?}", all.scan);

    let one = ask(&fixture, r#"count_over_time(a{n="7"}[2h])"#).await;
    assert_eq!(one.used.samples, SAMPLES as u64);
    // A page has 20,000 rows, and a series may lie in two.
    assert!(one.scan.rows <= 2 * 20_480, "{:?}", one.scan);
    assert!(one.scan.rows_pruned >= 2 * rows - 2 * 20_480, "{:?}", one.scan);
    assert!(one.scan.bytes_read * 4 < all.scan.bytes_read, "{:?} {:?}", one.scan, all.scan);

    let nothing = ask(&fixture, r#"a{n="7"} offset 40d"#).await;
    assert_eq!((nothing.scan.files, nothing.scan.bytes_read), (0, 0), "{:?}", nothing.scan);

    // The same bytes are in the list of queries.
    let read = fixture.text("SELECT read_bytes FROM system.queries WHERE text LIKE '%offset 40d'").await;
    assert_eq!(read.unwrap(), "0");
}
