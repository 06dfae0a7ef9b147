//! Native histograms of remote write: integer and float, exponential and with
//! custom bounds.

use isinglass_model::batch::{HistogramRow, STALE_NAN_BITS};
use isinglass_model::reason::code;
use isinglass_model::series::SeriesRef;

use super::invalid_histogram;
use crate::item::{Fault, Stop};
use crate::wire::{Field, Reader, unzigzag};

/// The schema of histograms with custom bounds.
const CUSTOM_BOUNDS: i32 = -53;

/// One side of a histogram: runs of buckets and the counts in them.
#[derive(Default)]
pub(crate) struct Layout {
    /// (offset, length) runs.
    pub(crate) spans: Vec<(i32, i32)>,
    /// Absolute counts.
    pub(crate) buckets: Vec<f64>,
}

/// The counts of an integer histogram, for the check that they add up.
pub(crate) struct Counts {
    pub(crate) count: u64,
    pub(crate) zero: u64,
    /// All buckets of both sides.
    pub(crate) buckets: u128,
}

impl Counts {
    /// A histogram whose sum is no number may have observations in no bucket.
    pub(crate) fn check(&self, sum: Option<f64>) -> Result<(), Fault> {
        let observed = self.buckets + u128::from(self.zero);
        let count = u128::from(self.count);
        let agrees = if sum.is_some_and(f64::is_nan) { observed <= count } else { observed == count };
        if agrees {
            return Ok(());
        }
        let reason = match sum.is_some_and(f64::is_nan) {
            true => code::NATIVE_HISTOGRAM_COUNT_NOT_BIG_ENOUGH,
            false => code::NATIVE_HISTOGRAM_COUNT_MISMATCH,
        };
        Err(Fault::new(reason, format!("{observed} observations in buckets, but the count is {count}")))
    }
}

/// The fields as they come.
#[derive(Default)]
struct Raw {
    count_int: Option<u64>,
    count_float: Option<f64>,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_int: u64,
    zero_float: f64,
    positive: RawSide,
    negative: RawSide,
    reset_hint: i32,
    time_ms: i64,
    start_ms: i64,
    custom_bounds: Vec<f64>,
}

#[derive(Default)]
struct RawSide {
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

/// Reads a `Histogram` and checks it as Prometheus does.
pub(super) fn read(reader: Reader<'_>, series: SeriesRef) -> Result<HistogramRow, Stop> {
    let raw = Raw::read(reader)?;
    // Prometheus marks a stale histogram by its sum alone.
    if raw.sum.to_bits() == STALE_NAN_BITS {
        return Ok(raw.stale(series)?);
    }
    Ok(raw.check(series)?)
}

impl Raw {
    fn read(mut reader: Reader<'_>) -> Result<Self, Stop> {
        let mut raw = Self::default();
        while let Some(field) = reader.next()? {
            match field.number {
                1 => raw.count_int = Some(field.varint()?),
                2 => raw.count_float = Some(field.double()?),
                3 => raw.sum = field.double()?,
                4 => raw.schema = field.sint32()?,
                5 => raw.zero_threshold = field.double()?,
                6 => raw.zero_int = field.varint()?,
                7 => raw.zero_float = field.double()?,
                8..=10 => raw.negative.read(&field, 8)?,
                11..=13 => raw.positive.read(&field, 11)?,
                14 => raw.reset_hint = field.int32()?,
                15 => raw.time_ms = field.int64()?,
                16 => field.fixed64s(|bits| raw.custom_bounds.push(f64::from_bits(bits)))?,
                17 => raw.start_ms = field.int64()?,
                _ => {}
            }
        }
        Ok(raw)
    }

    fn row(self, series: SeriesRef, count: Option<f64>) -> Result<HistogramRow, Fault> {
        Ok(HistogramRow {
            series,
            time_ms: self.time_ms,
            start_ms: self.start_ms,
            count,
            sum: count.map(|_| self.sum),
            schema: check_schema(self.schema)?,
            zero_threshold: self.zero_threshold,
            zero_count: 0.0,
            positive_spans: Vec::new(),
            positive_buckets: Vec::new(),
            negative_spans: Vec::new(),
            negative_buckets: Vec::new(),
            custom_bounds: Vec::new(),
            reset_hint: match self.reset_hint {
                1 => "yes",
                2 => "no",
                3 => "gauge",
                _ => "unknown",
            },
            float: self.count_float.is_some(),
            min: None,
            max: None,
        })
    }

    fn stale(self, series: SeriesRef) -> Result<HistogramRow, Fault> {
        self.row(series, None)
    }

    fn check(mut self, series: SeriesRef) -> Result<HistogramRow, Fault> {
        let custom = check_schema(self.schema)? == CUSTOM_BOUNDS as i16;
        let float = self.count_float.is_some();
        let positive = std::mem::take(&mut self.positive).layout(float)?;
        let negative = std::mem::take(&mut self.negative).layout(float)?;
        if custom {
            self.check_custom(&positive.0, &negative.0)?;
        } else if !self.custom_bounds.is_empty() {
            let message = "custom bounds on an exponential histogram";
            return Err(Fault::new(code::NATIVE_HISTOGRAM_CUSTOM_BUCKETS_MISMATCH, message));
        }
        let (count, zero) = match self.count_float {
            Some(count) => (check_count(count, "count")?, check_count(self.zero_float, "zero count")?),
            None => {
                let count = self.count_int.unwrap_or(0);
                let counts = Counts { count, zero: self.zero_int, buckets: positive.1 + negative.1 };
                counts.check(Some(self.sum))?;
                (count as f64, self.zero_int as f64)
            }
        };
        let bounds = std::mem::take(&mut self.custom_bounds);
        let row = self.row(series, Some(count))?;
        Ok(HistogramRow {
            zero_count: zero,
            positive_spans: positive.0.spans,
            positive_buckets: positive.0.buckets,
            negative_spans: negative.0.spans,
            negative_buckets: negative.0.buckets,
            custom_bounds: bounds,
            ..row
        })
    }

    fn check_custom(&self, positive: &Layout, negative: &Layout) -> Result<(), Fault> {
        let zero = self.zero_int != 0 || self.zero_float != 0.0 || self.zero_threshold != 0.0;
        if zero || !negative.spans.is_empty() || !negative.buckets.is_empty() {
            let message = "a histogram with custom bounds has a zero bucket or negative buckets";
            return Err(Fault::new(code::NATIVE_HISTOGRAM_CUSTOM_BUCKETS_MISMATCH, message));
        }
        let rising = self.custom_bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || !self.custom_bounds.iter().all(|bound| bound.is_finite()) {
            let message = "custom bounds do not rise, or are not finite";
            return Err(Fault::new(code::NATIVE_HISTOGRAM_CUSTOM_BUCKETS_INVALID, message));
        }
        // One bucket more than there are bounds: the last one has no upper end.
        let end: i64 =
            positive.spans.iter().map(|(offset, length)| i64::from(*offset) + i64::from(*length)).sum();
        let first = positive.spans.first().map_or(0, |(offset, _)| *offset);
        if first < 0 || end > self.custom_bounds.len() as i64 + 1 {
            let message = format!("buckets beyond the {} custom bounds", self.custom_bounds.len());
            return Err(Fault::new(code::NATIVE_HISTOGRAM_CUSTOM_BUCKETS_MISMATCH, message));
        }
        Ok(())
    }
}

impl RawSide {
    /// Reads spans (`first`), deltas (`first + 1`) or counts (`first + 2`).
    fn read(&mut self, field: &Field<'_>, first: u32) -> Result<(), Stop> {
        match field.number - first {
            0 => {
                let (mut offset, mut length) = (0, 0);
                let mut span = field.message()?;
                while let Some(field) = span.next()? {
                    match field.number {
                        1 => offset = field.sint32()?,
                        2 => length = field.varint()? as u32,
                        _ => {}
                    }
                }
                self.spans.push((offset, length));
            }
            1 => field.varints(|value| self.deltas.push(unzigzag(value)))?,
            _ => field.fixed64s(|bits| self.counts.push(f64::from_bits(bits)))?,
        }
        Ok(())
    }

    /// Checks the side; gives its layout and, of an integer histogram, the sum
    /// of its counts.
    fn layout(self, float: bool) -> Result<(Layout, u128), Fault> {
        let (buckets, total) = if float { (self.float_counts()?, 0) } else { self.integer_counts()? };
        let mut spans = Vec::with_capacity(self.spans.len());
        let mut wanted = 0_u64;
        for (at, (offset, length)) in self.spans.iter().enumerate() {
            if at > 0 && *offset < 0 {
                let message = format!("span {at} begins {offset} buckets after the one before");
                return Err(Fault::new(code::NATIVE_HISTOGRAM_SPAN_NEGATIVE_OFFSET, message));
            }
            wanted += u64::from(*length);
            let length =
                i32::try_from(*length).map_err(|_| invalid_histogram("a span of more than 2^31 buckets"))?;
            spans.push((*offset, length));
        }
        if wanted != buckets.len() as u64 {
            let message = format!("spans of {wanted} buckets, but {} counts", buckets.len());
            return Err(Fault::new(code::NATIVE_HISTOGRAM_SPANS_BUCKETS_MISMATCH, message));
        }
        Ok((Layout { spans, buckets }, total))
    }

    fn float_counts(&self) -> Result<Vec<f64>, Fault> {
        if !self.deltas.is_empty() {
            return Err(invalid_histogram("a float histogram with integer buckets"));
        }
        self.counts.iter().map(|count| check_count(*count, "a bucket")).collect()
    }

    fn integer_counts(&self) -> Result<(Vec<f64>, u128), Fault> {
        if !self.counts.is_empty() {
            return Err(invalid_histogram("an integer histogram with float buckets"));
        }
        let mut count = 0_i64;
        let mut total = 0;
        let mut buckets = Vec::with_capacity(self.deltas.len());
        for delta in &self.deltas {
            count = count
                .checked_add(*delta)
                .filter(|count| *count >= 0)
                .ok_or_else(|| negative("a bucket with a negative count"))?;
            total += u128::from(count.unsigned_abs());
            buckets.push(count as f64);
        }
        Ok((buckets, total))
    }
}

fn check_schema(schema: i32) -> Result<i16, Fault> {
    match schema {
        -4..=8 | CUSTOM_BOUNDS => Ok(schema as i16),
        _ => {
            let message = format!("schema {schema}; known are -4 to 8 and {CUSTOM_BOUNDS}");
            Err(Fault::new(code::INVALID_NATIVE_HISTOGRAM_SCHEMA, message))
        }
    }
}

fn check_count(count: f64, what: &str) -> Result<f64, Fault> {
    // NaN is none of an observer, but a recording rule that divides by zero gives it, and
    // Prometheus stores it.
    if count < 0.0 { Err(negative(format!("{what} of a histogram is {count}"))) } else { Ok(count) }
}

fn negative(message: impl Into<String>) -> Fault {
    Fault::new(code::NATIVE_HISTOGRAM_NEGATIVE_BUCKET_COUNT, message)
}
