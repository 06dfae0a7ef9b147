use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::{BLOCK_ROWS, Builder, Key, Marks, MarksWanted, unzigzag, zigzag};

fn batch(rows: &[Key]) -> RecordBatch {
    let bigint = |of: fn(&Key) -> i64| Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef;
    let time: TimestampMicrosecondArray = rows.iter().map(|row| Some(row.2)).collect();
    RecordBatch::try_from_iter([
        ("metric_id", bigint(|row| row.0)),
        ("series_id", bigint(|row| row.1)),
        ("time", Arc::new(time.with_timezone("UTC")) as ArrayRef),
    ])
    .unwrap()
}

fn marks(rows: &[Key], batch_rows: usize) -> Option<String> {
    let mut builder = Builder::default();
    for rows in rows.chunks(batch_rows) {
        builder.push(&batch(rows)).unwrap();
    }
    builder.finish()
}

/// Some metrics with some series of `rows` each, one after the other at about every 10 s.
fn rows(seed: u64, metrics: i64, series: i64, rows: i64) -> Vec<Key> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut all = Vec::new();
    for metric in 0..metrics {
        for series in 0..series {
            let jitter = random.random_range(0..1_000_000);
            let rows = random.random_range(0..=rows);
            all.extend((0..rows).map(|at| (metric * 7, series - 3, at * 10_000_000 + jitter)));
        }
    }
    all
}

#[test]
fn an_hour_of_a_day_is_a_small_part_of_the_rows() {
    let all: Vec<Key> =
        (0..500).flat_map(|series| (0..8_640).map(move |at| (1, series * 11, at * 10_000_000))).collect();
    let text = marks(&all, 16_384).unwrap();
    // Of 0.9 bytes that a sample has at the least.
    assert!(text.len() as f64 / (all.len() as f64) < 0.01, "{} bytes", text.len());
    let marks = Marks::parse(&text).unwrap();
    let time = (3_600_000_000 * 17, 3_600_000_000 * 18 - 1);
    let found = marks.rows(&MarksWanted { metric_id: 1, series_ids: None, time }).unwrap();
    let rows: usize = found.iter().map(ExactSizeIterator::len).sum();
    assert!((500 * 360..500 * (360 + 2 * BLOCK_ROWS)).contains(&rows), "{rows}");
    let three = MarksWanted { metric_id: 1, series_ids: Some(&[11, 22, 5_489]), time };
    let rows: usize = marks.rows(&three).unwrap().iter().map(ExactSizeIterator::len).sum();
    assert!((3 * 360..3 * (360 + 2 * BLOCK_ROWS) + BLOCK_ROWS).contains(&rows), "{rows}");
    // All but the block whose end nobody knows.
    let none = MarksWanted { metric_id: 2, series_ids: None, time };
    assert_eq!(marks.rows(&none).unwrap(), [all.len() / BLOCK_ROWS * BLOCK_ROWS..all.len()]);
}

/// What the first release with marks wrote.
#[test]
fn version_1() {
    const TEXT: &str = "AYAE6CADBQAAAAAAAAD+/////////wUQgIDygYOJhQaAgOiSJgAAAAIJAAAAAAAAAAQMgLjzoiKAgOiSJgAA";
    let rows = |series| (0..2_100).map(move |at| (5, series, 1_700_000_000_000_000 + at * 10_000_000));
    let all: Vec<Key> = rows(-2).chain(rows(9)).collect();
    assert_eq!(marks(&all, 1_000).unwrap(), TEXT);
    let time = (1_700_000_000_000_000 + 6_000_000_000, 1_700_000_000_000_000 + 6_500_000_000);
    let found = |series: &[i64]| {
        let wanted = MarksWanted { metric_id: 5, series_ids: Some(series), time };
        Marks::parse(TEXT).unwrap().rows(&wanted).unwrap()
    };
    assert_eq!(found(&[-2]), [512..1_024, 4_096..4_200]);
    assert_eq!(found(&[-2, 9]), [512..1_024, 2_560..3_072, 4_096..4_200]);
}

#[test]
fn short_series_have_no_marks() {
    assert_eq!(marks(&[], 10), None);
    let all: Vec<Key> = (0..500).flat_map(|series| (0..360).map(move |at| (1, series, at))).collect();
    assert_eq!(marks(&all, 16_384), None);
}

#[test]
fn rows_in_another_order_have_no_marks() {
    let all: Vec<Key> = (0..3).flat_map(|series| (0..4_000).map(move |at| (1, series, at))).collect();
    assert!(marks(&all, 1_000).is_some());
    for (one, other) in [(0, 1), (511, 512), (3_999, 4_000), (5_000, 9_000), (1_234, 1_235)] {
        let mut all = all.clone();
        all.swap(one, other);
        assert_eq!(marks(&all, 1_000), None, "{one} and {other}");
    }
}

#[test]
fn what_is_no_mark_is_not_used() {
    let all = rows(1, 2, 3, 9_000);
    let text = marks(&all, 1_000).unwrap();
    assert!(Marks::parse(&text).is_some());
    for bad in ["", "?", "AQ", &text[4..], &format!("Ag{}", &text[2..])] {
        let used = Marks::parse(bad).and_then(|marks| {
            marks.rows(&MarksWanted { metric_id: 0, series_ids: None, time: (0, i64::MAX) })
        });
        assert_eq!(used, None, "{bad}");
    }
}

#[test]
fn zigzag_is_undone() {
    for value in [0, -1, 1, i64::MIN, i64::MAX] {
        assert_eq!(unzigzag(zigzag(value)), value);
    }
    assert_eq!((zigzag(-1), zigzag(1)), (1, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No wanted row is left out, whatever the lengths of series and of batches.
    #[test]
    fn all_wanted_rows_are_found(
        seed in any::<u64>(),
        metrics in 1..4_i64,
        series in 1..12_i64,
        long in 1..6_000_i64,
        batch_rows in 1..5_000_usize,
        metric in 0..4_i64,
        ids in proptest::option::of(proptest::collection::btree_set(-4..10_i64, 0..4)),
        from in -1..60_000_i64,
        len in 0..20_000_i64,
    ) {
        let all = rows(seed, metrics, series, long);
        let Some(text) = marks(&all, batch_rows) else { return Ok(()) };
        let ids: Option<Vec<i64>> = ids.map(|ids| ids.into_iter().collect());
        let time = (from * 1_000_000, (from + len) * 1_000_000);
        let wanted = MarksWanted { metric_id: metric * 7, series_ids: ids.as_deref(), time };
        let found = Marks::parse(&text).unwrap().rows(&wanted).unwrap();
        prop_assert!(found.is_sorted_by(|a, b| a.end < b.start));
        prop_assert!(found.iter().all(|range| !range.is_empty() && range.end <= all.len()));
        for (at, (metric, series, at_time)) in all.iter().enumerate() {
            let is_wanted = *metric == wanted.metric_id
                && ids.as_ref().is_none_or(|ids| ids.contains(series))
                && (time.0..=time.1).contains(at_time);
            prop_assert!(!is_wanted || found.iter().any(|range| range.contains(&at)), "row {at}");
        }
    }

    /// A footer is checked by its CRC; what passes it all the same must not bring the process down.
    #[test]
    fn damage_is_no_panic(seed in any::<u64>(), at in any::<prop::sample::Index>(), bit in 0..6_u8) {
        let text = marks(&rows(seed, 2, 3, 5_000), 4_096).unwrap_or_default();
        prop_assume!(!text.is_empty());
        let mut bytes = text.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Some(marks) = std::str::from_utf8(&bytes).ok().and_then(Marks::parse) {
            drop(marks.rows(&MarksWanted { metric_id: 7, series_ids: None, time: (0, i64::MAX) }));
        }
    }
}
