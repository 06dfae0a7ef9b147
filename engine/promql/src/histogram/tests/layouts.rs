//! Bounds, walks, compaction, resolution, validity and equality.

use std::sync::Arc;

use super::histogram;
use crate::histogram::bounds::exponential_bound;
use crate::histogram::{BucketSpan, Histogram, HistogramError, NanEffect};

fn spans(pairs: &[(i32, u32)]) -> Vec<BucketSpan> {
    pairs.iter().map(|&(offset, length)| BucketSpan { offset, length }).collect()
}

fn positive(pairs: &[(i32, u32)], counts: &[f64]) -> Histogram {
    Histogram { positive_spans: spans(pairs), positive: counts.to_vec(), ..Histogram::default() }
}

#[test]
fn bounds_are_those_of_the_upstream_table() {
    // Between 0.5 and 1: index, schema and bound as Prometheus lists them.
    for (index, schema, expected) in [
        (1, 1, 0.7071067811865475),
        (1, 2, 0.5946035575013605),
        (3, 2, 0.8408964152537144),
        (7, 3, 0.9170040432046711),
        (15, 4, 0.9576032806985735),
        (31, 5, 0.9785720620876999),
        (13, 6, 0.5755946149764913),
        (63, 6, 0.9892280131939752),
        (65, 7, 0.7109463010845827),
        (127, 7, 0.9945994234836328),
        (1, 8, 0.5013556375251013),
        (77, 8, 0.6159056423670379),
        (129, 8, 0.7090239421602076),
        (181, 8, 0.8162207259936375),
        (255, 8, 0.9972960560854698),
    ] {
        let scale = 1 << schema;
        assert_eq!(exponential_bound(index - scale, schema), expected, "{index} of schema {schema}");
        assert_eq!(exponential_bound(index + scale, schema), expected * 4.0);
    }
}

#[test]
fn bounds_at_the_ends_of_floats() {
    for (index, schema, expected) in [
        (0, 0, 1.0),
        (10, 0, 1024.0),
        (1023, 0, 2f64.powi(1023)),
        (1024, 0, f64::MAX),
        (1025, 0, f64::INFINITY),
        (1024 << 8, 8, f64::MAX),
        ((1024 << 8) + 1, 8, f64::INFINITY),
        (64, -4, f64::MAX),
        (65, -4, f64::INFINITY),
        (-1, -4, 2f64.powi(-16)),
        (1, -9, 2f64.powi(512)),
        (2, -9, f64::MAX),
        (-1022, 0, f64::MIN_POSITIVE),
        (-1074, 0, f64::from_bits(1)),
        (-1073, 0, f64::from_bits(2)),
        (-1076, 0, 0.0),
        (i64::MAX, 8, f64::INFINITY),
        (i64::MIN, -4, 0.0),
    ] {
        assert_eq!(exponential_bound(index, schema), expected, "{index} of schema {schema}");
    }
}

#[test]
fn walks_go_up_and_down() {
    let h =
        histogram("{{schema:0 count:9 z_bucket:2 z_bucket_w:0.6 buckets:[1 2] n_offset:1 n_buckets:[3 1]}}");
    let bounds: Vec<_> = h.buckets().map(|b| (b.lower, b.upper, b.count, b.index)).collect();
    let expected = [
        (-4.0, -2.0, 1.0, Some(2)),
        (-2.0, -1.0, 3.0, Some(1)),
        (-0.6, 0.6, 2.0, None),
        (0.6, 1.0, 1.0, Some(0)),
        (1.0, 2.0, 2.0, Some(1)),
    ];
    assert_eq!(bounds, expected);
    let mut down: Vec<_> = h.buckets().rev().collect();
    down.reverse();
    assert_eq!(down, h.buckets().collect::<Vec<_>>());
}

#[test]
fn walks_end_where_spans_and_counts_do_not_fit() {
    for (pairs, counts, indices) in [
        (&[(0, 1)][..], &[1.0, 2.0, 3.0][..], &[0][..]),
        (&[(2, 9), (1, 1)], &[1.0, 2.0], &[2, 3]),
        (&[(0, 0), (3, 2), (1, 0), (1, 1)], &[1.0, 2.0, 3.0], &[3, 4, 7]),
        (&[(0, u32::MAX), (i32::MAX, u32::MAX)], &[1.0], &[0]),
        (&[], &[1.0], &[]),
    ] {
        let h = positive(pairs, counts);
        let up: Vec<_> = h.positive_buckets().filter_map(|b| b.index).collect();
        let mut down: Vec<_> = h.positive_buckets().rev().filter_map(|b| b.index).collect();
        down.reverse();
        assert_eq!((up.as_slice(), down.as_slice()), (indices, indices), "{pairs:?}");
    }
}

#[test]
fn compaction() {
    let (a, b, c) = (1.0, 2.0, 3.0);
    for (pairs, counts, max_empty, expected_pairs, expected) in [
        (&[(0, 3)][..], &[0.0, a, 0.0][..], 0, &[(1, 1)][..], &[a][..]),
        (&[(0, 5)], &[a, 0.0, 0.0, b, c], 0, &[(0, 1), (2, 2)], &[a, b, c]),
        (&[(0, 5)], &[a, 0.0, 0.0, b, c], 2, &[(0, 5)], &[a, 0.0, 0.0, b, c]),
        (&[(0, 5)], &[a, 0.0, 0.0, b, c], 1, &[(0, 1), (2, 2)], &[a, b, c]),
        (&[(-3, 1), (0, 1), (5, 0), (2, 1)], &[a, b, c], 0, &[(-3, 2), (7, 1)], &[a, b, c]),
        (&[(-3, 1), (2, 1)], &[a, b], 2, &[(-3, 4)], &[a, 0.0, 0.0, b]),
        (&[(7, 2), (1, 1)], &[0.0, 0.0, 0.0], 0, &[], &[]),
        (&[(7, 1), (1, 1), (1, 1)], &[a, 0.0, b], 0, &[(7, 1), (3, 1)], &[a, b]),
    ] {
        let mut h = positive(pairs, counts);
        h.compact(max_empty);
        assert_eq!(
            (&h.positive_spans, h.positive.as_slice()),
            (&spans(expected_pairs), expected),
            "{pairs:?}"
        );
    }
}

#[test]
fn compaction_of_a_vast_gap_fills_nothing() {
    let mut h = positive(&[(i32::MIN, 1), (i32::MAX, 1)], &[1.0, 1.0]);
    h.compact(usize::MAX);
    assert_eq!(h.positive.len(), 2);
}

#[test]
fn lower_resolutions() {
    let fine = histogram("{{schema:2 count:10 offset:-1 buckets:[1 2 3 0 4] n_offset:5 n_buckets:[1 1]}}");
    let coarse = fine.copy_to_schema(0).expect("coarser");
    assert_eq!((coarse.positive_spans, coarse.positive), (spans(&[(0, 2)]), vec![3.0, 7.0]));
    assert_eq!((coarse.negative_spans, coarse.negative), (spans(&[(2, 1)]), vec![2.0]));
    for schema in [3, -53] {
        let refused = Err(HistogramError::NotCoarser { from: 2, to: schema });
        assert_eq!(fine.copy_to_schema(schema), refused);
    }
}

#[test]
fn schemas_of_the_future_and_of_nobody() {
    for (schema, expected) in
        [(8, Ok(8)), (9, Ok(8)), (52, Ok(8)), (-9, Ok(-9)), (-53, Ok(-53)), (53, Err(())), (-10, Err(()))]
    {
        let mut h = Histogram { schema, ..positive(&[(1, 2)], &[1.0, 1.0]) };
        let known = h.reduce_to_known_schema().map(|()| h.schema).map_err(|_| ());
        assert_eq!(known, expected, "{schema}");
    }
}

#[test]
fn what_is_valid() {
    for text in [
        "{{}}",
        "{{count:3 buckets:[1 2] n_buckets:[1]}}",
        "{{schema:-53 custom_values:[-2 3] count:1 buckets:[0 0 1]}}",
        "{{schema:-53 count:1 buckets:[1]}}",
    ] {
        assert_eq!(histogram(text).validate(), Ok(()), "{text}");
    }
    for (text, fault) in [
        ("{{schema:9}}", "invalid schema 9"),
        ("{{custom_values:[1]}}", "must not have custom bounds"),
        ("{{buckets:[1 -2]}}", "positive side: bucket number 2 has observation count of -2"),
        ("{{n_buckets:[-1]}}", "negative side: bucket number 1"),
        ("{{schema:-53 custom_values:[3 3]}}", "previous bound is 3 and current is 3"),
        ("{{schema:-53 custom_values:[1 Inf]}}", "+Inf bound must not"),
        ("{{schema:-53 custom_values:[NaN]}}", "not a number"),
        ("{{schema:-53 custom_values:[1] buckets:[1 1 1]}}", "only 1 custom bounds"),
        ("{{schema:-53 offset:-1 buckets:[1]}}", "span number 1 with offset -1"),
        ("{{schema:-53 z_bucket:1}}", "no zero count"),
        ("{{schema:-53 n_buckets:[1]}}", "no negative spans"),
    ] {
        let found = histogram(text).validate().expect_err(text).to_string();
        assert!(found.contains(fault), "{text}: {found}");
    }
    let missing = positive(&[(0, 2), (-1, 1)], &[1.0, 1.0, 1.0]).validate();
    assert!(missing.is_err_and(|fault| fault.to_string().contains("span number 2 with offset -1")));
    let missing = positive(&[(0, 2)], &[1.0]).validate();
    assert!(missing.is_err_and(|fault| fault.to_string().contains("spans need 2 buckets, have 1")));
}

#[test]
fn equality() {
    let nan = positive(&[(0, 2)], &[f64::NAN, 1.0]);
    assert!(nan.equals(&nan.clone()));
    assert!(nan.equals(&positive(&[(0, 1), (0, 0), (0, 1)], &[f64::NAN, 1.0])));
    assert!(!nan.equals(&positive(&[(0, 1), (1, 1)], &[f64::NAN, 1.0])));
    assert!(!positive(&[(0, 2)], &[1.0, 0.0]).equals(&positive(&[(0, 1)], &[1.0])));
    assert!(!positive(&[], &[]).equals(&Histogram { sum: -0.0, ..Histogram::default() }));
    let gauge = histogram("{{counter_reset_hint:gauge}}");
    assert!(gauge.equals(&Histogram::default()));
    let custom =
        |bounds: &[f64]| Histogram { schema: -53, custom_bounds: Arc::from(bounds), ..Histogram::default() };
    assert!(custom(&[1.0]).equals(&custom(&[1.0])));
    assert!(!custom(&[1.0]).equals(&custom(&[2.0])));
}

#[test]
fn observations_of_nan_are_told() {
    let all = histogram("{{schema:0 count:3 sum:NaN}}");
    let some = histogram("{{schema:0 count:15 sum:NaN buckets:[12]}}");
    let infinities = histogram("{{schema:0 count:12 sum:NaN buckets:[12]}}");
    for (h, q, value, told) in [
        (&all, 0.4, f64::NAN, Some(NanEffect::ResultIsNan)),
        (&some, 1.0, f64::NAN, Some(NanEffect::ResultIsNan)),
        (&some, 0.81, f64::NAN, Some(NanEffect::ResultIsNan)),
        (&some, 0.8, 1.0, Some(NanEffect::SkewedHigher)),
        (&some, 0.4, 0.7071067811865475, Some(NanEffect::SkewedHigher)),
        (&infinities, 0.5, 0.7071067811865475, None),
    ] {
        let found = h.quantile(q);
        assert!(super::close(found.value, value), "{q}: {found:?}");
        assert_eq!(found.nan_observations, told, "{q}");
    }
    assert_eq!(all.fraction(f64::NEG_INFINITY, 0.7), (0.0, true));
    assert_eq!(some.fraction(f64::NEG_INFINITY, f64::INFINITY), (0.8, true));
    assert_eq!(infinities.fraction(f64::NEG_INFINITY, f64::INFINITY), (1.0, false));
}

#[test]
fn sizes() {
    assert_eq!(Histogram::default().size_bytes(), 168);
    assert_eq!(histogram("{{schema:-53 custom_values:[1 2] buckets:[1 1 1]}}").size_bytes(), 168 + 8 * 6);
}
