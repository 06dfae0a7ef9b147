//! Classic histograms and their conversion.

use super::{assert_same, close, histogram};
use crate::histogram::classic::{ClassicBucket, Forced, bucket_fraction, bucket_quantile};
use crate::histogram::convert::{ConvertError, from_classic};

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

const POSITIVE: [ClassicBucket; 5] = [(0.0, 0.0), (2.0, 10.0), (4.0, 20.0), (6.0, 30.0), (INF, 30.0)];
const NEGATIVE: [ClassicBucket; 4] = [(-0.2, 10.0), (-0.1, 20.0), (0.3, 20.0), (INF, 30.0)];
const FALLING: [ClassicBucket; 6] =
    [(0.1, 20.0), (1.0, 10.0), (10.0, 50.0), (100.0, 40.0), (1000.0, 90.0), (INF, 80.0)];

fn quantile(q: f64, buckets: &[ClassicBucket]) -> f64 {
    bucket_quantile(q, &mut buckets.to_vec()).value
}

#[test]
fn quantiles() {
    type Expected = (f64, f64);
    let cases: [(&[ClassicBucket], &[Expected]); 4] = [
        (
            &POSITIVE,
            &[(-0.1, -INF), (1.01, INF), (NAN, NAN), (0.0, 0.0), (1.0 / 6.0, 1.0), (0.5, 3.0), (1.0, 6.0)],
        ),
        (&NEGATIVE, &[(0.0, -0.2), (0.25, -0.2), (0.5, -0.15), (0.6667, -0.1 + 0.4), (1.0, 0.3)]),
        // Counts lifted to 20 20 50 50 90 90.
        (&FALLING, &[(0.01, 0.0045), (0.5, 8.5), (0.99, 979.75)]),
        (&[(1.0, 0.0), (INF, 0.0)], &[(0.5, NAN)]),
    ];
    for (buckets, expected) in cases {
        for &(q, expected) in expected {
            let found = quantile(q, buckets);
            assert!(close(found, expected) || (found - expected).abs() < 1e-3, "{q} of {buckets:?}: {found}");
        }
    }
}

#[test]
fn buckets_that_give_no_quantile() {
    for buckets in [&[][..], &[(INF, 3.0)], &[(1.0, 2.0), (2.0, 3.0)], &[(NAN, 2.0), (1.0, 3.0)]] {
        assert!(quantile(0.5, buckets).is_nan(), "{buckets:?}");
        assert!(bucket_fraction(0.0, 1.0, &mut buckets.to_vec()).is_nan() || buckets == [(INF, 3.0)]);
    }
}

#[test]
fn order_and_repetition_do_not_matter() {
    let shuffled = [(INF, 30.0), (4.0, 12.0), (2.0, 10.0), (4.0, 8.0), (6.0, 30.0)];
    assert_eq!(quantile(0.5, &shuffled), 3.0);
}

#[test]
fn falling_counts_are_told() {
    let found = bucket_quantile(0.5, &mut FALLING.to_vec());
    assert_eq!(found.forced_monotonic, Some(Forced { min_bucket: 1.0, max_bucket: INF, max_diff: 10.0 }));
    let almost = &mut vec![(1.0, 1.0), (2.0, 1.0 - 1e-13), (INF, 2.0)];
    let found = bucket_quantile(0.5, almost);
    assert_eq!((found.forced_monotonic, found.fixed_precision), (None, true));
    assert_eq!(almost[1].1, 1.0);
}

#[test]
fn fractions() {
    let cases: [(&[ClassicBucket], f64, f64, f64); 11] = [
        (&POSITIVE, 0.0, 4.0, 2.0 / 3.0),
        (&POSITIVE, 0.0, 6.0, 1.0),
        (&POSITIVE, 0.0, 3.5, 1.75 / 3.0),
        (&POSITIVE, 400.0, INF, 0.0),
        (&POSITIVE, 2.0, 2.0, 0.0),
        (&POSITIVE, 3.0, 2.0, 0.0),
        (&POSITIVE, NAN, 2.0, NAN),
        (&NEGATIVE, -INF, -0.1, 2.0 / 3.0),
        (&NEGATIVE, -INF, INF, 1.0),
        (&NEGATIVE, -0.15, -0.1, 0.5 / 3.0),
        (&[(1.0, 0.0), (INF, 0.0)], 0.0, 5.0, NAN),
    ];
    for (buckets, lower, upper, expected) in cases {
        let found = bucket_fraction(lower, upper, &mut buckets.to_vec());
        assert!(close(found, expected), "{lower} to {upper} of {buckets:?}: {found}, not {expected}");
    }
}

#[test]
fn conversion() {
    let (ten, both) = ((10.0, 3.0), [(INF, 4.0), (5.0, 1.0), (10.0, 3.0)]);
    let expected = "{{schema:-53 sum:9 count:4 custom_values:[5 10] buckets:[1 2 1]}}";
    for (buckets, count) in [
        (&both[..], Some(4.0)),
        (&both, None),
        (&[(5.0, 1.0), ten], Some(4.0)),
        (&[(5.0, 1.0), ten, (5.0, 2.0), (INF, 4.0)], None),
    ] {
        let found = from_classic(buckets, count, Some(9.0)).expect("consistent");
        found.validate().expect("valid");
        assert_same(&found, &histogram(expected), &format!("{buckets:?}"));
    }
    let found = from_classic(&[], Some(3.0), None).expect("consistent");
    assert_same(&found, &histogram("{{schema:-53 count:3 buckets:[3]}}"), "only a count");
}

#[test]
fn conversion_of_nonsense() {
    use ConvertError::{BoundNotANumber, CountMismatch, NegativeBucket, NegativeCount, NotCumulative};
    let cases: [(&[ClassicBucket], Option<f64>, ConvertError); 5] = [
        (&[(1.0, -1.0)], None, NegativeBucket { bound: 1.0, count: -1.0 }),
        (&[(1.0, 1.0)], Some(-1.0), NegativeCount(-1.0)),
        (&[(2.0, 1.0), (1.0, 2.0)], None, NotCumulative { count: 1.0, before: 2.0 }),
        (&[(1.0, 1.0), (INF, 2.0)], Some(3.0), CountMismatch { count: 3.0, bound: INF, last: 2.0 }),
        (&[(NAN, 1.0)], None, BoundNotANumber),
    ];
    for (buckets, count, expected) in cases {
        assert_eq!(from_classic(buckets, count, None), Err(expected), "{buckets:?}");
    }
}
