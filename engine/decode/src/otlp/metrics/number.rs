//! Gauges and sums.

use isinglass_model::reason::code;

use super::identity::{Metric, Part};
use super::point::Point;
use super::{Scratch, exemplar};
use crate::item::{Fault, split};
use crate::series::Sink;
use crate::wire::{Reader, WireError};

/// Reads a `NumberDataPoint`.
pub(super) fn read(
    sink: &mut Sink<'_>,
    metric: &Metric<'_>,
    message: Reader<'_>,
    scratch: &mut Scratch,
) -> Result<(), WireError> {
    let mut value = None;
    let read = Point::read(sink, metric.kind, message, |field| {
        match field.number {
            4 => value = Some(field.double()?),
            6 => value = Some(field.fixed64()?.cast_signed() as f64),
            _ => {}
        }
        Ok(())
    });
    let point = match split(read)? {
        Ok(point) if point.stale || value.is_some() => point,
        Ok(_) => {
            let fault = Fault::new(code::DATA_POINT_INVALID, "a data point without a value");
            return Point::reject(sink, metric.kind, message, &fault);
        }
        Err(fault) => return Point::reject(sink, metric.kind, message, &fault),
    };
    scratch.saw(point.time_ms);
    sink.take(1 + point.exemplars, message)?;
    match metric.series(sink, &point, Part::Whole) {
        Ok(series) => {
            let value = point.value(value.unwrap_or_default());
            sink.decoded.samples.push(series, point.time_ms, value, point.start_ms);
            sink.decoded.samples.bytes += message.len();
            exemplar::read_all(sink, &point, |_, _| Ok(series))
        }
        Err(refused) => sink.refuse(refused, 1 + point.exemplars, metric.kind.message(), message),
    }
}
