//! What a series costs in memory, counted byte by byte.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::series::Fingerprint;

use super::SeriesTable;

/// Counts what this thread has. Tests of other threads do not disturb it.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends frees what it has after its own counter is gone.
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: everything is done by the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const SERIES: usize = 50_000;

/// Half gauges of hosts, half counters of pods, ten labels each; every fourth series has a
/// label of 32 bytes that no other has.
fn labels(n: usize) -> LabelSet {
    let (half, group) = (n / 2, n / 2 / 20);
    let text = |prefix: &str, n: usize| format!("{prefix}{n}");
    let labels = if n % 2 == 0 {
        [
            (METRIC_NAME, text("cpu_usage_", half % 20)),
            ("hostname", text("host_", group)),
            ("region", text("eu-west-", group % 9)),
            ("datacenter", text("eu-west-1", group % 27)),
            ("rack", text("", group * 7_919 % 100)),
            ("os", text("Ubuntu15.", group % 3)),
            ("arch", text("x", group % 2)),
            ("team", text("team-", group % 4)),
            ("service", text("", group % 20)),
            ("service_version", text("", group % 2)),
        ]
    } else {
        [
            (METRIC_NAME, text("http_requests_total", 0)),
            ("job", text("svc-", group % 10)),
            ("instance", text("10.0.0.1:80", group)),
            ("namespace", text("ns-", group % 5)),
            ("cluster", text("c", 1)),
            ("pod", format!("svc-{}-{group:08x}-xk2f9", group % 10)),
            ("handler", text("/api/items", half % 3)),
            ("code", text("", 200 + half % 13)),
            ("method", text("GET", 0)),
            ("id", if half % 2 == 0 { format!("{n:032x}") } else { "none".into() }),
        ]
    };
    let mut labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
    LabelSet::new(&mut labels, Temporality::Unspecified).unwrap()
}

/// Everything of the table: labels, postings, ids, verdicts, fingerprints, a day.
#[test]
fn bytes_per_series() {
    let before = LIVE.get();
    let table = Arc::new(SeriesTable::new(1, 1_000_000));
    for n in 0..SERIES {
        let fingerprint = xxhash_rust::xxh3::xxh3_128(&n.to_le_bytes());
        let series = table.intern(Fingerprint(fingerprint), labels(n), super::SeriesLimits::NONE).unwrap();
        table.mark_stored(series);
        table.days.of(20_000).insert(series);
    }
    let each = (LIVE.get() - before) as usize / SERIES;
    let packed: usize = (0..SERIES).map(|n| labels(n).as_bytes().len()).sum();
    // A million series in 600 MiB would be 629; the label sets alone take some 240 packed.
    assert!(each < 260, "{each} bytes a series, whose label set has {} bytes", packed / SERIES);
    drop(table);
    assert!(LIVE.get() - before < 4_096, "{} bytes stay", LIVE.get() - before);
}
