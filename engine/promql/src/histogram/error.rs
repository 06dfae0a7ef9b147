//! What is wrong with a histogram or with an operation on two.

use super::bounds::{SCHEMA_MAX, SCHEMA_MIN};

/// A histogram that contradicts itself, or an operation that its buckets do not allow.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// Exponential buckets cannot be mapped to custom ones.
    #[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
    IncompatibleSchemas,
    /// A schema that no version of the format knows.
    #[error("unknown schema {0}: not reserved for exponential buckets, nor for custom ones")]
    UnknownSchema(i32),
    /// A schema that a sender may not use.
    #[error("invalid schema {0}: neither from {SCHEMA_MIN} to {SCHEMA_MAX} nor for custom buckets")]
    InvalidSchema(i32),
    /// Resolution can only go down, and only between exponential schemas.
    #[error("cannot reduce resolution from schema {from} to {to}")]
    NotCoarser {
        /// The histogram's schema.
        from: i32,
        /// The schema asked for.
        to: i32,
    },
    /// What is wrong on one side.
    #[error("{side} side: {fault}")]
    Side {
        /// Positive or negative.
        side: &'static str,
        /// What is wrong there.
        fault: LayoutFault,
    },
    /// What is wrong with custom buckets.
    #[error("custom buckets: {0}")]
    Custom(LayoutFault),
    /// An exponential schema together with custom bounds.
    #[error("histogram with exponential schema must not have custom bounds")]
    BoundsWithoutCustomSchema,
}

/// Spans, counts or bounds that do not fit each other.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LayoutFault {
    /// Only the first span may begin below the end of the one before.
    #[error("span number {number} with offset {offset}")]
    NegativeOffset {
        /// Counted from 1.
        number: usize,
        /// Its offset.
        offset: i32,
    },
    /// As many counts as the spans say.
    #[error("spans need {needed} buckets, have {found} buckets")]
    BucketsMissing {
        /// By the spans.
        needed: u64,
        /// Counts there are.
        found: usize,
    },
    /// Counts are not below zero.
    #[error("bucket number {number} has observation count of {count}")]
    NegativeCount {
        /// Counted from 1.
        number: usize,
        /// Its count.
        count: f64,
    },
    /// Bounds rise.
    #[error("previous bound is {previous} and current is {current}")]
    BoundsNotRising {
        /// A bound.
        previous: f64,
        /// The one behind it.
        current: f64,
    },
    /// The last bucket ends at infinity by itself.
    #[error("last +Inf bound must not be explicitly defined")]
    InfiniteBound,
    /// A bound may not be NaN.
    #[error("a bound is not a number")]
    BoundNotANumber,
    /// There is a bucket for each bound and the last one.
    #[error(
        "only {bounds} custom bounds defined which is insufficient to cover total span length of {length}"
    )]
    BoundsMissing {
        /// Bounds there are.
        bounds: usize,
        /// Buckets the spans reach over.
        length: i64,
    },
    /// A field that custom buckets have no use for.
    #[error("must have no {0}")]
    Unexpected(&'static str),
}
