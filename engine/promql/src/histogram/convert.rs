//! Classic histograms as native ones with custom buckets.

use std::sync::Arc;

use super::classic::ClassicBucket;
use super::{BucketSpan, CUSTOM_BUCKETS, Histogram};

/// Cumulative counts that are none.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// A count below zero.
    #[error("bucket count must be non-negative: le={bound}, count={count}")]
    NegativeBucket {
        /// The bucket's bound.
        bound: f64,
        /// Its count.
        count: f64,
    },
    /// A total below zero.
    #[error("count must be non-negative: count={0}")]
    NegativeCount(f64),
    /// A count lower than that of the bucket before.
    #[error("count is not cumulative: {count} < {before}")]
    NotCumulative {
        /// A count.
        count: f64,
        /// The count before it.
        before: f64,
    },
    /// A total other than the count of the last bucket.
    #[error("count mismatch: count={count} != le={bound} count={last}")]
    CountMismatch {
        /// The total.
        count: f64,
        /// The last bucket's bound.
        bound: f64,
        /// Its count.
        last: f64,
    },
    /// A bound of NaN.
    #[error("bucket bound is not a number")]
    BoundNotANumber,
}

/// Makes a native histogram with custom buckets of cumulative counts by upper bound.
///
/// Buckets may come in any order; of equal bounds the first counts. Without a bucket of `+Inf`, `count` makes
/// one; without `count`, the highest bucket's does. Without `sum` it is 0.
///
/// # Errors
///
/// Counts that are negative, fall, or end at another total.
pub fn from_classic(
    buckets: &[ClassicBucket],
    count: Option<f64>,
    sum: Option<f64>,
) -> Result<Histogram, ConvertError> {
    let mut cumulative = sorted(buckets)?;
    if let Some(count) = count.filter(|count| *count < 0.0) {
        return Err(ConvertError::NegativeCount(count));
    }
    let highest = cumulative.last().map_or(0.0, |(_, count)| *count);
    let count = count.unwrap_or(highest);
    if cumulative.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
        cumulative.push((f64::INFINITY, count));
    }
    match cumulative.last() {
        Some(&(bound, last)) if last != count => Err(ConvertError::CountMismatch { count, bound, last }),
        _ => Ok(native(&cumulative, count, sum.unwrap_or(0.0))),
    }
}

fn sorted(buckets: &[ClassicBucket]) -> Result<Vec<ClassicBucket>, ConvertError> {
    for &(bound, count) in buckets {
        if bound.is_nan() {
            return Err(ConvertError::BoundNotANumber);
        }
        if count < 0.0 {
            return Err(ConvertError::NegativeBucket { bound, count });
        }
    }
    let mut sorted = buckets.to_vec();
    sorted.sort_by(|(one, _), (other, _)| (one + 0.0).total_cmp(&(other + 0.0)));
    sorted.dedup_by(|(bound, _), (kept, _)| bound == kept);
    match sorted.windows(2).find(|pair| pair[1].1 < pair[0].1) {
        Some(pair) => Err(ConvertError::NotCumulative { count: pair[1].1, before: pair[0].1 }),
        None => Ok(sorted),
    }
}

/// Of rising cumulative counts, the last of them at `+Inf`.
fn native(cumulative: &[ClassicBucket], count: f64, sum: f64) -> Histogram {
    let befores = std::iter::once(0.0).chain(cumulative.iter().map(|(_, count)| *count));
    let finite = cumulative.len().saturating_sub(1);
    let mut histogram = Histogram {
        schema: CUSTOM_BUCKETS,
        count,
        sum,
        positive_spans: vec![BucketSpan { offset: 0, length: cumulative.len() as u32 }],
        positive: cumulative.iter().zip(befores).map(|((_, count), before)| count - before).collect(),
        custom_bounds: cumulative[..finite].iter().map(|(bound, _)| *bound).collect::<Arc<[f64]>>(),
        ..Histogram::default()
    };
    histogram.compact(0);
    histogram
}
