//! What holds for all histograms, and what no input may break.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{assert_same, close};
use crate::histogram::bounds::exponential_bound;
use crate::histogram::classic::{bucket_fraction, bucket_quantile};
use crate::histogram::convert::from_classic;
use crate::histogram::{BucketSpan, CUSTOM_BUCKETS, Histogram, ResetHint};

fn hint() -> impl Strategy<Value = ResetHint> {
    use ResetHint::{Gauge, NotReset, Reset, Unknown};
    prop::sample::select(vec![Unknown, Reset, NotReset, Gauge])
}

/// Spans with as many counts, small whole ones so that sums are exact.
fn side() -> impl Strategy<Value = (Vec<BucketSpan>, Vec<f64>)> {
    let span = (0..4i32, 0..4u32).prop_map(|(offset, length)| BucketSpan { offset, length });
    (-9..9i32, vec(span, 0..4)).prop_flat_map(|(first, mut spans)| {
        spans.iter_mut().take(1).for_each(|span| span.offset = first);
        let buckets = spans.iter().map(|span| span.length as usize).sum::<usize>();
        (Just(spans), vec((0..6u32).prop_map(f64::from), buckets))
    })
}

fn exponential() -> impl Strategy<Value = Histogram> {
    // Bounds of buckets in all schemas: see `counts_in` for others.
    let thresholds = vec![0.0, 2f64.powi(-16), 1.0, 2f64.powi(16)];
    let zero = (prop::sample::select(thresholds), 0..5u32);
    (-4..=8i32, hint(), zero, side(), side()).prop_map(|(schema, reset_hint, zero, positive, negative)| {
        let mut histogram = Histogram {
            schema,
            reset_hint,
            zero_threshold: zero.0,
            zero_count: f64::from(zero.1),
            positive_spans: positive.0,
            positive: positive.1,
            negative_spans: negative.0,
            negative: negative.1,
            ..Histogram::default()
        };
        histogram.with_plain_body(|body| {
            // Senders leave no buckets inside the zero bucket.
            let outside = |index: i64, _: &f64| exponential_bound(index - 1, schema) >= zero.0;
            body.positive.retain(outside);
            body.negative.retain(outside);
        });
        histogram.count = in_buckets(&histogram);
        histogram.sum = histogram.count * 1.5;
        histogram
    })
}

fn custom() -> impl Strategy<Value = Histogram> {
    let bounds = prop::collection::btree_set(-5..9i32, 0..6);
    (bounds, hint()).prop_flat_map(|(bounds, reset_hint)| {
        let buckets = bounds.len() + 1;
        vec((0..6u32).prop_map(f64::from), buckets).prop_map(move |positive| {
            let count = positive.iter().sum::<f64>();
            Histogram {
                schema: CUSTOM_BUCKETS,
                reset_hint,
                count,
                sum: count * 1.5,
                positive_spans: vec![BucketSpan { offset: 0, length: positive.len() as u32 }],
                positive,
                custom_bounds: bounds.iter().map(|bound| f64::from(*bound)).collect::<Arc<[f64]>>(),
                ..Histogram::default()
            }
        })
    })
}

/// Two of one kind.
fn pair() -> impl Strategy<Value = (Histogram, Histogram)> {
    prop_oneof![(exponential(), exponential()), (custom(), custom())]
}

fn any_valid() -> impl Strategy<Value = Histogram> {
    prop_oneof![exponential(), custom()]
}

/// Fields that need not fit each other.
fn nonsense() -> impl Strategy<Value = Histogram> {
    let spans = || {
        let offset = prop_oneof![any::<i32>(), -3..3i32];
        let length = prop_oneof![any::<u32>(), 0..3u32];
        vec((offset, length).prop_map(|(offset, length)| BucketSpan { offset, length }), 0..4)
    };
    let float = || prop_oneof![any::<f64>(), Just(f64::NAN), Just(0.0), Just(1.0), Just(f64::INFINITY)];
    let schema = prop_oneof![any::<i32>(), -4..9i32, Just(CUSTOM_BUCKETS)];
    let sides = (spans(), vec(float(), 0..5), spans(), vec(float(), 0..5));
    (schema, hint(), [float(), float(), float(), float()], sides, vec(float(), 0..4)).prop_map(
        |(schema, reset_hint, [zero_threshold, zero_count, count, sum], sides, bounds)| Histogram {
            schema,
            reset_hint,
            zero_threshold,
            zero_count,
            count,
            sum,
            positive_spans: sides.0,
            positive: sides.1,
            negative_spans: sides.2,
            negative: sides.3,
            custom_bounds: Arc::from(bounds),
        },
    )
}

fn in_buckets(histogram: &Histogram) -> f64 {
    histogram.zero_count + histogram.positive.iter().chain(&histogram.negative).sum::<f64>()
}

/// Runs everything there is on two histograms and a number.
fn exercise(one: &Histogram, other: &Histogram, value: f64) {
    let _ = (one.validate(), one.equals(other), one.size_bytes(), one.has_overflow());
    let _ = (one.detect_reset(other), one.avg(), one.stddev(), one.fraction(value, 2.0), one.quantile(value));
    let _ = (one.to_string(), one.json_buckets().count(), one.buckets().rev().count());
    let _ = (
        one.trim_upper(value),
        one.trim_lower(value),
        one.copy_to_schema(0),
        one.copy_to_schema(other.schema),
    );
    let (mut sum, mut difference, mut compensated) = (one.clone(), one.clone(), one.clone());
    let mut lost = None;
    let _ = (sum.add(other), difference.sub(other), compensated.kahan_add(other, &mut lost));
    let _ = (compensated.kahan_add(one, &mut lost), sum.reduce_to_known_schema());
    compensated.compact(3);
    difference.div(value);
    difference.neg();
}

proptest! {
    #[test]
    fn generated_histograms_are_valid(h in any_valid()) {
        prop_assert_eq!(h.validate(), Ok(()));
    }

    #[test]
    fn adding_and_subtracting_gives_back_the_counts((one, other) in pair()) {
        let mut there = one.clone();
        let added = there.add(&other).expect("one kind");
        prop_assert_eq!(in_buckets(&there), there.count);
        prop_assert_eq!(there.count, one.count + other.count);
        let reconciled = there.clone();
        there.sub(&other).expect("one kind");
        prop_assert_eq!(in_buckets(&there), one.count);
        if !added.custom_buckets_reconciled && reconciled.has_layout_of(&one) {
            assert_same(&there, &one, "there and back");
        }
    }

    #[test]
    fn compensated_sums_agree_with_plain_ones((one, other) in pair()) {
        let (mut plain, mut compensated) = (one.clone(), one);
        let mut lost = None;
        prop_assert_eq!(plain.add(&other), compensated.kahan_add(&other, &mut lost));
        assert_same(&compensated, &plain, "whole numbers lose nothing");
        prop_assert_eq!(lost.map(|lost| in_buckets(&lost)), Some(0.0));
    }

    #[test]
    fn addition_is_symmetric((one, other) in pair()) {
        let (mut there, mut back) = (one.clone(), other.clone());
        there.add(&other).expect("one kind");
        back.add(&one).expect("one kind");
        assert_same(&there, &back, "either order");
    }

    #[test]
    fn compaction_keeps_all_populated_buckets(h in any_valid(), max_empty in 0..5usize) {
        let populated = |h: &Histogram| h.buckets().filter(|b| b.count != 0.0).collect::<Vec<_>>();
        let mut compact = h.clone();
        compact.compact(max_empty);
        prop_assert_eq!(populated(&compact), populated(&h));
        prop_assert_eq!(compact.validate(), Ok(()));
        let again = compact.clone();
        compact.compact(max_empty);
        prop_assert_eq!(compact, again);
    }

    #[test]
    fn lower_resolutions_keep_the_count(h in exponential(), lower in 0..4i32) {
        let coarse = h.copy_to_schema(h.schema - lower).expect("coarser");
        prop_assert_eq!(in_buckets(&coarse), h.count);
        prop_assert!(!coarse.detect_reset(&h) || coarse.reset_hint == ResetHint::Reset);
    }

    #[test]
    fn nothing_is_reset_by_growth((one, other) in pair()) {
        let mut grown = one.clone();
        grown.add(&other).expect("one kind");
        grown.reset_hint = ResetHint::Unknown;
        prop_assert!(!grown.detect_reset(&one));
    }

    #[test]
    fn quantiles_rise_with_their_share(h in any_valid(), mut shares in vec(0.0..=1.0f64, 2..9)) {
        shares.sort_by(f64::total_cmp);
        let quantiles: Vec<_> = shares.iter().map(|q| h.quantile(*q).value).collect();
        for pair in quantiles.windows(2) {
            let slack = pair[0].abs() * 1e-9;
            prop_assert!(pair[0] <= pair[1] + slack || pair[0].is_nan(), "{quantiles:?}");
        }
    }

    #[test]
    fn fractions_add_up(h in any_valid(), at in -9.0..9.0f64) {
        let (below, above) = (h.fraction(f64::NEG_INFINITY, at).0, h.fraction(at, f64::INFINITY).0);
        prop_assert!(h.count == 0.0 || close(below + above, 1.0), "{below} + {above}");
    }

    #[test]
    fn trimming_above_and_below_shares_the_count(h in exponential(), at in -9.0..9.0f64) {
        let (below, above) = (h.trim_upper(at), h.trim_lower(at));
        prop_assert!(close(below.count + above.count, h.count), "{} + {}", below.count, above.count);
        prop_assert_eq!(h.trim_upper(f64::INFINITY), h.clone());
        prop_assert_eq!(h.trim_lower(f64::NEG_INFINITY), h);
    }

    #[test]
    fn test_notation_gives_back_the_histogram(h in any_valid()) {
        let text = h.to_test_text();
        let (mut read, given) = Histogram::parse_test(&text).expect(&text);
        prop_assert_eq!(given, h.reset_hint != ResetHint::Unknown);
        let mut h = h;
        h.compact(0);
        read.compact(0);
        prop_assert_eq!(read, h);
    }

    #[test]
    fn converted_histograms_are_valid(counts in vec(0..9u32, 1..6)) {
        let cumulative: Vec<_> = counts.iter().scan(0, |sum, count| { *sum += count; Some(f64::from(*sum)) }).collect();
        let buckets: Vec<_> = cumulative.iter().enumerate().map(|(at, count)| (at as f64, *count)).collect();
        let converted = from_classic(&buckets, None, None).expect("rising");
        prop_assert_eq!(converted.validate(), Ok(()));
        prop_assert_eq!(in_buckets(&converted), converted.count);
    }

    #[test]
    fn valid_histograms_break_nothing(one in any_valid(), other in any_valid(), value in any::<f64>()) {
        exercise(&one, &other, value);
    }

    #[test]
    fn nonsense_breaks_nothing(one in nonsense(), other in nonsense(), value in any::<f64>()) {
        exercise(&one, &other, value);
    }

    #[test]
    fn classic_nonsense_breaks_nothing(buckets in vec((any::<f64>(), any::<f64>()), 0..6), value in any::<f64>()) {
        let with_last = || { let mut all = buckets.clone(); all.push((f64::INFINITY, value)); all };
        let _ = (bucket_quantile(value, &mut buckets.clone()), bucket_quantile(0.3, &mut with_last()));
        let _ = (bucket_fraction(value, 2.0, &mut with_last()), from_classic(&buckets, Some(value), None));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\{\\{[a-z_:\\[\\]0-9 .exINaf-]{0,40}\\}\\}|.{0,20}") {
        let _ = Histogram::parse_test(&text);
    }
}
