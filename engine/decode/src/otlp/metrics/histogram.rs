//! Histograms with explicit bounds, as classic series.

use isinglass_model::reason::code;

use super::identity::{Metric, Part};
use super::point::Point;
use super::{Scratch, exemplar};
use crate::item::{Fault, split};
use crate::series::Sink;
use crate::wire::{Reader, WireError};

/// Reads a `HistogramDataPoint`. Its smallest and largest observation have no
/// place in classic series and are left out, as Prometheus does.
pub(super) fn read(
    sink: &mut Sink<'_>,
    metric: &Metric<'_>,
    message: Reader<'_>,
    scratch: &mut Scratch,
) -> Result<(), WireError> {
    let mut count = 0;
    let mut sum = None;
    scratch.counts.clear();
    scratch.bounds.clear();
    let read = Point::read(sink, metric.kind, message, |field| {
        match field.number {
            4 => count = field.fixed64()?,
            5 => sum = Some(field.double()?),
            6 => field.fixed64s(|value| scratch.counts.push(value))?,
            7 => field.fixed64s(|bits| scratch.bounds.push(f64::from_bits(bits)))?,
            _ => {}
        }
        Ok(())
    });
    let mut point = match split(read)?.and_then(|point| check(scratch).map(|()| point)) {
        Ok(point) => point,
        Err(fault) => return Point::reject(sink, metric.kind, message, &fault),
    };
    scratch.saw(point.time_ms);
    sink.take(3 + scratch.counts.len() as u64 + point.exemplars, message)?;
    sink.decoded.samples.bytes += message.len();
    if let Some(sum) = sum {
        metric.write(sink, &mut point, Part::Sum, sum)?;
    }
    metric.write(sink, &mut point, Part::Count, count as f64)?;
    let mut below = 0_u64;
    for (bound, in_bucket) in scratch.bounds.iter().zip(&scratch.counts) {
        below = below.saturating_add(*in_bucket);
        metric.write(sink, &mut point, Part::Bucket(*bound), below as f64)?;
    }
    metric.write(sink, &mut point, Part::Bucket(f64::INFINITY), count as f64)?;
    point.close(sink)?;
    exemplar::read_all(sink, &point, |sink, value| {
        // The first bucket that the value is in; NaN is in the last.
        let bounds = if scratch.counts.is_empty() { &[] } else { scratch.bounds.as_slice() };
        let at = bounds.partition_point(|bound| value > *bound || value.is_nan());
        let bound = bounds.get(at).copied().unwrap_or(f64::INFINITY);
        metric.series(sink, &point, Part::Bucket(bound))
    })
}

fn check(scratch: &Scratch) -> Result<(), Fault> {
    let (counts, bounds) = (scratch.counts.len(), scratch.bounds.len());
    if counts != 0 && counts != bounds + 1 {
        let message = format!("a histogram with {bounds} bounds and {counts} bucket counts");
        return Err(Fault::new(code::DATA_POINT_INVALID, message));
    }
    let rising = scratch.bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !rising || !scratch.bounds.iter().all(|bound| bound.is_finite()) {
        let message = "the bounds of a histogram do not rise, or are not finite";
        return Err(Fault::new(code::DATA_POINT_INVALID, message));
    }
    Ok(())
}
