//! A native histogram, of whichever series.

use isinglass_model::batch::HistogramRow;
use isinglass_store::StoredHistogram;

use crate::derived::Exponential;

/// Resolutions whose buckets are exponential.
const SCALES: std::ops::RangeInclusive<i16> = -4..=8;

/// What is compared of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Histogram {
    pub(super) time_ms: i64,
    pub(super) start_ms: i64,
    /// `None`: a stale marker.
    pub(super) count: Option<f64>,
    pub(super) sum: f64,
    pub(super) schema: i16,
    pub(super) zeros: f64,
    /// Index and count.
    pub(super) buckets: Vec<(i32, f64)>,
}

impl Histogram {
    /// Its buckets; none of those that have bounds of their own.
    pub(super) fn counts(&self) -> Exponential {
        match i8::try_from(self.schema) {
            Ok(scale) if SCALES.contains(&self.schema) => {
                Exponential::with(scale, self.zeros, self.buckets.iter().copied())
            }
            _ => Exponential::default(),
        }
    }

    /// All of it as bytes, the same for the same.
    pub(super) fn hash_into(&self, hash: &mut xxhash_rust::xxh3::Xxh3) {
        for part in [self.time_ms, self.start_ms, self.schema.into(), self.buckets.len() as i64] {
            hash.update(&part.to_le_bytes());
        }
        let count = self.count.unwrap_or(f64::NAN);
        for part in [if count.is_nan() { f64::NAN } else { count }, self.sum, self.zeros] {
            hash.update(&part.to_bits().to_le_bytes());
        }
        for (index, count) in &self.buckets {
            hash.update(&index.to_le_bytes());
            hash.update(&count.to_bits().to_le_bytes());
        }
    }
}

impl From<StoredHistogram> for Histogram {
    fn from(stored: StoredHistogram) -> Self {
        let StoredHistogram { time_ms, start_ms, count, sum, schema, zero_count: zeros, buckets, .. } =
            stored;
        Self { time_ms, start_ms, count, sum, schema, zeros, buckets }
    }
}

impl From<&HistogramRow> for Histogram {
    fn from(row: &HistogramRow) -> Self {
        let mut next = 0;
        let indexes = row.positive_spans.iter().flat_map(|(offset, length)| {
            let first = next + offset;
            next = first + length;
            first..next
        });
        Self {
            time_ms: row.time_ms,
            start_ms: row.start_ms,
            count: row.count,
            sum: row.sum.unwrap_or(0.0),
            schema: row.schema,
            zeros: row.zero_count,
            buckets: indexes.zip(row.positive_buckets.iter().copied()).collect(),
        }
    }
}
