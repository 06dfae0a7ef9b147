//! `ExportMetricsServiceRequest` to rows of Prometheus series, as Prometheus'
//! own OTLP receiver translates them (underscores, with suffixes).
//!
//! | OTLP | rows |
//! |---|---|
//! | gauge, sum | one sample |
//! | histogram | `_bucket{le}` per bound and `+Inf`, `_count`, `_sum` if it has one |
//! | exponential histogram | one native histogram |
//! | summary | one sample per `quantile`, `_sum`, `_count` |
//! | exemplar | one exemplar |
//! | resource | one sample of `target_info` per time that its points have |
//!
//! A series is recognised by a hash composed of the bytes of its resource, its
//! metric and its attributes; labels are built when the hash was never seen.

use isinglass_model::batch::Decoded;
use isinglass_model::labels::Temporality;
use isinglass_model::reason::code;

use super::{head, next_element, next_of};
use crate::Context;
use crate::item::Fault;
use crate::series::Sink;
use crate::value::excerpt;
use crate::wire::{Reader, WireError};

mod exemplar;
mod exponential;
mod histogram;
mod identity;
mod name;
mod number;
mod point;
mod summary;
mod target_info;

use identity::{Metric, Resource};
use point::Kind;

/// Buffers that are used again for every point.
#[derive(Default)]
struct Scratch {
    counts: Vec<u64>,
    bounds: Vec<f64>,
    /// Times of the resource's points, for `target_info`.
    times: Vec<i64>,
}

impl Scratch {
    /// Notes the time of a point. Points of one export mostly share it.
    fn saw(&mut self, time_ms: i64) {
        if self.times.last() != Some(&time_ms) {
            self.times.push(time_ms);
        }
    }
}

/// Reads a request.
pub(crate) fn decode(mut body: Reader<'_>, context: &mut Context<'_>) -> Result<Decoded, WireError> {
    let mut sink = Sink::new(context);
    let mut scratch = Scratch::default();
    while let Some(mut group) = next_of(&mut body, 1)? {
        let resource = Resource::read(head(group)?, sink.salt)?;
        scratch.times.clear();
        while let Some(mut scope_metrics) = next_element(&mut group)? {
            while let Some(metric) = next_element(&mut scope_metrics)? {
                read_metric(&mut sink, &resource, metric, &mut scratch)?;
            }
        }
        target_info::write(&mut sink, &resource, &mut scratch.times)?;
    }
    Ok(sink.decoded)
}

fn read_metric(
    sink: &mut Sink<'_>,
    resource: &Resource<'_>,
    message: Reader<'_>,
    scratch: &mut Scratch,
) -> Result<(), WireError> {
    let Some((metric, mut data)) = open(sink, resource, message)? else { return Ok(()) };
    let fault = temporality_fault(&metric);
    while let Some(point) = next_of(&mut data, 1)? {
        match (&fault, metric.kind) {
            (Some(fault), kind) => sink.reject(fault, kind.rows(point)?, kind.message(), point)?,
            (None, Kind::Gauge | Kind::Sum) => number::read(sink, &metric, point, scratch)?,
            (None, Kind::Histogram) => histogram::read(sink, &metric, point, scratch)?,
            (None, Kind::Exponential) => exponential::read(sink, &metric, point, scratch)?,
            (None, Kind::Summary) => summary::read(sink, &metric, point, scratch)?,
        }
    }
    Ok(())
}

/// Opens a `Metric`: what it is, and the message that holds its points.
fn open<'a>(
    sink: &Sink<'_>,
    resource: &'a Resource<'a>,
    mut fields: Reader<'a>,
) -> Result<Option<(Metric<'a>, Reader<'a>)>, WireError> {
    let (mut name, mut description, mut unit): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
    let mut data = None;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => description = field.bytes()?,
            3 => unit = field.bytes()?,
            5 => data = Some((Kind::Gauge, field.message()?)),
            7 => data = Some((Kind::Sum, field.message()?)),
            9 => data = Some((Kind::Histogram, field.message()?)),
            10 => data = Some((Kind::Exponential, field.message()?)),
            11 => data = Some((Kind::Summary, field.message()?)),
            _ => {}
        }
    }
    let Some((kind, points)) = data else { return Ok(None) };
    let (temporality, monotonic) = aggregation(kind, points)?;
    let metric = Metric::new(resource, kind, temporality, monotonic, [name, description, unit], sink.salt);
    Ok(Some((metric, points)))
}

/// `aggregation_temporality` and `is_monotonic`, wherever they stand.
fn aggregation(kind: Kind, mut fields: Reader<'_>) -> Result<(Temporality, bool), WireError> {
    let (mut temporality, mut monotonic) = (0, false);
    if matches!(kind, Kind::Gauge | Kind::Summary) {
        return Ok((Temporality::Unspecified, false));
    }
    while let Some(field) = fields.next()? {
        match field.number {
            2 => temporality = field.int32()?,
            3 if kind == Kind::Sum => monotonic = field.varint()? != 0,
            _ => {}
        }
    }
    let temporality = u8::try_from(temporality).ok().and_then(Temporality::from_byte).unwrap_or_default();
    Ok((temporality, monotonic))
}

fn temporality_fault(metric: &Metric<'_>) -> Option<Fault> {
    let needed = !matches!(metric.kind, Kind::Gauge | Kind::Summary);
    (needed && metric.temporality == Temporality::Unspecified).then(|| {
        let name = excerpt(metric.name);
        Fault::new(code::DATA_POINT_INVALID, format!("metric {name:?} has no aggregation temporality"))
    })
}
