//! Exponential histograms, as native histograms.

use isinglass_model::batch::HistogramRow;
use isinglass_model::labels::Temporality;
use isinglass_model::reason::code;

use super::identity::{Metric, Part};
use super::point::{Kind, Point};
use super::{Scratch, exemplar};
use crate::item::{Fault, Stop, split};
use crate::remote_write::{Counts, Layout, invalid_histogram};
use crate::series::Sink;
use crate::wire::{Reader, WireError};

/// The finest resolution of a native histogram.
const SCHEMA_MAX: i32 = 8;
/// The coarsest.
const SCHEMA_MIN: i32 = -4;
/// What Prometheus takes for a zero bucket of which the width is not said.
const ZERO_THRESHOLD: f64 = 1e-128;
/// Gaps up to this long are filled with empty buckets rather than a new run.
const GAP_MAX: i64 = 2;

/// The fields of the type.
#[derive(Default)]
struct Fields<'a> {
    count: u64,
    sum: Option<f64>,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Option<Reader<'a>>,
    negative: Option<Reader<'a>>,
    min: Option<f64>,
    max: Option<f64>,
}

/// Reads an `ExponentialHistogramDataPoint`.
pub(super) fn read(
    sink: &mut Sink<'_>,
    metric: &Metric<'_>,
    message: Reader<'_>,
    scratch: &mut Scratch,
) -> Result<(), WireError> {
    let mut fields = Fields::default();
    let read = Point::read(sink, Kind::Exponential, message, |field| {
        match field.number {
            4 => fields.count = field.fixed64()?,
            5 => fields.sum = Some(field.double()?),
            6 => fields.scale = field.sint32()?,
            7 => fields.zero_count = field.fixed64()?,
            8 => fields.positive = Some(field.message()?),
            9 => fields.negative = Some(field.message()?),
            12 => fields.min = Some(field.double()?),
            13 => fields.max = Some(field.double()?),
            14 => fields.zero_threshold = field.double()?,
            _ => {}
        }
        Ok(())
    });
    let converted = read.and_then(|point| Ok((fields.convert(metric, &point, scratch)?, point)));
    let (mut row, point) = match split(converted)? {
        Ok(converted) => converted,
        Err(fault) => return Point::reject(sink, Kind::Exponential, message, &fault),
    };
    scratch.saw(point.time_ms);
    sink.take(1 + point.exemplars, message)?;
    match metric.series(sink, &point, Part::Whole) {
        Ok(series) => {
            row.series = series;
            sink.decoded.histograms.rows.push(row);
            exemplar::read_all(sink, &point, |_, _| Ok(series))
        }
        Err(refused) => sink.refuse(refused, 1 + point.exemplars, metric.kind.message(), message),
    }
}

impl Fields<'_> {
    fn convert(
        &self,
        metric: &Metric<'_>,
        point: &Point<'_>,
        scratch: &mut Scratch,
    ) -> Result<HistogramRow, Stop> {
        if self.scale < SCHEMA_MIN {
            let message = format!("scale {}, the smallest is {SCHEMA_MIN}", self.scale);
            return Err(Fault::new(code::INVALID_NATIVE_HISTOGRAM_SCHEMA, message).into());
        }
        let schema = self.scale.min(SCHEMA_MAX);
        let merge = self.scale.abs_diff(schema);
        let (positive, above) = side(self.positive, merge, &mut scratch.counts)?;
        let (negative, below) = side(self.negative, merge, &mut scratch.counts)?;
        if !point.stale {
            Counts { count: self.count, zero: self.zero_count, buckets: above + below }.check(self.sum)?;
        }
        let known = |value: f64| (!point.stale).then_some(value);
        Ok(HistogramRow {
            // Set once the series is known.
            series: isinglass_model::series::SeriesRef(u32::MAX),
            time_ms: point.time_ms,
            start_ms: point.start_ms,
            count: known(self.count as f64),
            sum: self.sum.and_then(known),
            schema: schema as i16,
            zero_threshold: if self.zero_threshold > 0.0 { self.zero_threshold } else { ZERO_THRESHOLD },
            zero_count: known(self.zero_count as f64).unwrap_or_default(),
            positive_spans: positive.spans,
            positive_buckets: positive.buckets,
            negative_spans: negative.spans,
            negative_buckets: negative.buckets,
            custom_bounds: Vec::new(),
            // As in Prometheus: the hint is only sure where values do not add up.
            reset_hint: if metric.temporality == Temporality::Delta { "gauge" } else { "unknown" },
            float: false,
            min: self.min.and_then(known),
            max: self.max.and_then(known),
        })
    }
}

/// Reads `Buckets`; gives its layout and the sum of its counts.
fn side(reader: Option<Reader<'_>>, merge: u32, counts: &mut Vec<u64>) -> Result<(Layout, u128), Stop> {
    let mut offset = 0;
    counts.clear();
    let mut fields = reader.unwrap_or(Reader::new(&[]));
    while let Some(field) = fields.next()? {
        match field.number {
            1 => offset = field.sint32()?,
            2 => field.varints(|count| counts.push(count))?,
            _ => {}
        }
    }
    let total = counts.iter().map(|count| u128::from(*count)).sum();
    Ok((layout(offset, counts, merge)?, total))
}

/// Dense buckets to runs. `2^merge` neighbours become one bucket, and indices
/// shift by one: OTLP's bucket 0 begins at 1, Prometheus' ends there.
fn layout(offset: i32, counts: &[u64], merge: u32) -> Result<Layout, Fault> {
    let mut layout = Layout::default();
    // Index behind the last bucket written.
    let mut next = 0_i64;
    let mut at = 0;
    while at < counts.len() {
        let index = bucket(offset, at, merge);
        let mut count = 0_u128;
        while at < counts.len() && bucket(offset, at, merge) == index {
            count += u128::from(counts[at]);
            at += 1;
        }
        if count > 0 {
            push(&mut layout, index, next, count as f64)?;
            next = index + 1;
        }
    }
    Ok(layout)
}

fn bucket(offset: i32, at: usize, merge: u32) -> i64 {
    // A shift of more than 63 would be the same as of 63: only the sign is left.
    ((i64::from(offset) + at as i64) >> merge.min(63)) + 1
}

fn push(layout: &mut Layout, index: i64, next: i64, count: f64) -> Result<(), Fault> {
    let gap = index - next;
    match layout.spans.last_mut() {
        Some(span) if gap <= GAP_MAX => {
            span.1 += gap as i32 + 1;
            layout.buckets.extend(std::iter::repeat_n(0.0, gap as usize));
        }
        _ => {
            let offset = i32::try_from(gap)
                .map_err(|_| invalid_histogram(format!("bucket {index} is out of range")))?;
            layout.spans.push((offset, 1));
        }
    }
    layout.buckets.push(count);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(offset: i32, counts: &[u64], merge: u32, spans: &[(i32, i32)], buckets: &[f64]) {
        let layout = layout(offset, counts, merge).unwrap();
        assert_eq!((layout.spans.as_slice(), layout.buckets.as_slice()), (spans, buckets));
    }

    #[test]
    fn dense_buckets_become_runs() {
        check(0, &[], 0, &[], &[]);
        check(0, &[1, 2], 0, &[(1, 2)], &[1.0, 2.0]);
        check(-3, &[1], 0, &[(-2, 1)], &[1.0]);
        check(0, &[0, 0, 3, 0], 0, &[(3, 1)], &[3.0]);
        // two empty buckets are filled, three are a gap
        check(0, &[1, 0, 0, 2], 0, &[(1, 4)], &[1.0, 0.0, 0.0, 2.0]);
        check(0, &[1, 0, 0, 0, 2], 0, &[(1, 1), (3, 1)], &[1.0, 2.0]);
    }

    #[test]
    fn finer_scales_are_merged() {
        // pairs (0,1) (2,3) and, shifted by one, (-1) (0,1) (2)
        check(0, &[1, 2, 3, 4], 1, &[(1, 2)], &[3.0, 7.0]);
        check(-1, &[1, 2, 3, 4], 1, &[(0, 3)], &[1.0, 5.0, 4.0]);
        check(-5, &[1, 1, 1, 1, 1, 1], 200, &[(0, 2)], &[5.0, 1.0]);
    }

    #[test]
    fn indices_out_of_range_are_refused() {
        assert!(layout(i32::MAX, &[1], 0).is_err());
        assert!(layout(i32::MIN, &[1], 0).is_ok());
    }

    proptest! {
        #[test]
        fn nothing_is_lost(offset in -1_000..1_000, counts in proptest::collection::vec(0..5_u64, 0..60), merge in 0..6_u32) {
            let layout = layout(offset, &counts, merge).unwrap();
            let total: u64 = counts.iter().sum();
            prop_assert_eq!(layout.buckets.iter().sum::<f64>(), total as f64);
            let length: i32 = layout.spans.iter().map(|(_, length)| *length).sum();
            prop_assert_eq!(length as usize, layout.buckets.len());
            // every count is where its index says
            let mut index = 0_i64;
            let mut buckets = layout.buckets.iter();
            for (gap, length) in &layout.spans {
                index += i64::from(*gap);
                for _ in 0..*length {
                    let wanted: u64 = (0..counts.len()).filter(|at| bucket(offset, *at, merge) == index).map(|at| counts[at]).sum();
                    prop_assert_eq!(*buckets.next().unwrap(), wanted as f64);
                    index += 1;
                }
            }
        }
    }
}
