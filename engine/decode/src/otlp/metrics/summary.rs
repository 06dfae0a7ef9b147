//! Summaries.

use super::Scratch;
use super::identity::{Metric, Part};
use super::point::Point;
use crate::item::split;
use crate::series::Sink;
use crate::wire::{Reader, WireError};

/// Reads a `SummaryDataPoint`.
pub(super) fn read(
    sink: &mut Sink<'_>,
    metric: &Metric<'_>,
    message: Reader<'_>,
    scratch: &mut Scratch,
) -> Result<(), WireError> {
    let (mut count, mut sum, mut quantiles) = (0, 0.0, 0);
    let read = Point::read(sink, metric.kind, message, |field| {
        match field.number {
            4 => count = field.fixed64()?,
            5 => sum = field.double()?,
            6 => {
                quantile(field.message()?)?;
                quantiles += 1;
            }
            _ => {}
        }
        Ok(())
    });
    let mut point = match split(read)? {
        Ok(point) => point,
        Err(fault) => return Point::reject(sink, metric.kind, message, &fault),
    };
    scratch.saw(point.time_ms);
    sink.take(2 + quantiles, message)?;
    sink.decoded.samples.bytes += message.len();
    metric.write(sink, &mut point, Part::Sum, sum)?;
    metric.write(sink, &mut point, Part::Count, count as f64)?;
    let mut fields = message;
    while let Some(field) = fields.next()? {
        if field.number == 6 {
            let (quantile, value) = quantile(field.message()?)?;
            metric.write(sink, &mut point, Part::Quantile(quantile), value)?;
        }
    }
    point.close(sink)
}

/// Reads a `ValueAtQuantile`.
fn quantile(mut fields: Reader<'_>) -> Result<(f64, f64), WireError> {
    let (mut quantile, mut value) = (0.0, 0.0);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => quantile = field.double()?,
            2 => value = field.double()?,
            _ => {}
        }
    }
    Ok((quantile, value))
}
