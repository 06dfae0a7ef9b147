//! Exemplars of data points.

use isinglass_model::limits::HardCaps;
use isinglass_model::reason::code;
use isinglass_model::series::SeriesRef;

use super::point::{Point, millis};
use crate::ids::{optional_span_id, optional_trace_id};
use crate::item::{Fault, Stop, split};
use crate::schema::OTLP_EXEMPLAR;
use crate::series::{Refused, Sink};
use crate::value::{Any, key_value, utf8};
use crate::wire::{Reader, WireError};

/// An exemplar that was read.
struct Exemplar {
    value: f64,
    time_ms: i64,
    trace_id: Option<[u8; 16]>,
    span_id: Option<[u8; 8]>,
    attributes: Vec<(String, String)>,
}

/// Reads all exemplars of a point and adds each to the series that `series_of`
/// gives for its value.
#[inline]
pub(super) fn read_all(
    sink: &mut Sink<'_>,
    point: &Point<'_>,
    series_of: impl FnMut(&mut Sink<'_>, f64) -> Result<SeriesRef, Refused>,
) -> Result<(), WireError> {
    if point.exemplars == 0 { Ok(()) } else { read_some(sink, point, series_of) }
}

fn read_some(
    sink: &mut Sink<'_>,
    point: &Point<'_>,
    mut series_of: impl FnMut(&mut Sink<'_>, f64) -> Result<SeriesRef, Refused>,
) -> Result<(), WireError> {
    let mut fields = point.message;
    while let Some(field) = fields.next()? {
        if field.number != point.kind.exemplars() {
            continue;
        }
        let message = field.message()?;
        match split(Exemplar::read(message, point.time_ms))? {
            Ok(exemplar) => match series_of(sink, exemplar.value) {
                Ok(series) => exemplar.write(sink, series),
                Err(refused) => sink.refuse(refused, 1, &OTLP_EXEMPLAR, message)?,
            },
            Err(fault) => sink.reject(&fault, 1, &OTLP_EXEMPLAR, message)?,
        }
    }
    Ok(())
}

impl Exemplar {
    fn read(mut fields: Reader<'_>, point_time_ms: i64) -> Result<Self, Stop> {
        let (mut value, mut time) = (None, 0);
        let (mut trace_id, mut span_id): (&[u8], &[u8]) = (&[], &[]);
        let mut attributes = Vec::new();
        while let Some(field) = fields.next()? {
            match field.number {
                2 => time = field.fixed64()?,
                3 => value = Some(field.double()?),
                4 => span_id = field.bytes()?,
                5 => trace_id = field.bytes()?,
                6 => value = Some(field.fixed64()?.cast_signed() as f64),
                7 => {
                    let (key, value) = key_value(field.message()?)?;
                    attributes.push((utf8(key, "an exemplar attribute key")?.to_owned(), json(value)?));
                }
                _ => {}
            }
        }
        let value =
            value.ok_or_else(|| Fault::new(code::DATA_POINT_INVALID, "an exemplar without a value"))?;
        let trace_id = optional_trace_id(trace_id)?;
        let span_id = optional_span_id(span_id, "span_id")?;
        // As in Prometheus: the link to the trace is worth more than the
        // attributes, so these alone are left out if they are too long.
        if too_long(&attributes, trace_id.is_some(), span_id.is_some()) {
            attributes.clear();
        }
        Ok(Self { value, time_ms: millis(time, point_time_ms)?, trace_id, span_id, attributes })
    }

    fn write(self, sink: &mut Sink<'_>, series: SeriesRef) {
        let out = &mut sink.decoded.exemplars;
        out.series.push(series);
        out.time_ms.push(self.time_ms);
        out.value.push(self.value);
        out.trace_id.push(self.trace_id);
        out.span_id.push(self.span_id);
        out.attributes.push(self.attributes);
    }
}

fn json(value: Any<'_>) -> Result<String, Stop> {
    let mut text = Vec::new();
    value.write_json(&mut text)?;
    Ok(String::from_utf8(text).unwrap_or_default())
}

/// Whether the labels that Prometheus would make have too many characters.
fn too_long(attributes: &[(String, String)], trace_id: bool, span_id: bool) -> bool {
    let ids =
        if trace_id { "trace_id".len() + 32 } else { 0 } + if span_id { "span_id".len() + 16 } else { 0 };
    let text = |value: &str| {
        let quoted = value.starts_with('"') && value.len() > 1;
        value.chars().count() - if quoted { 2 } else { 0 }
    };
    let attributes: usize = attributes.iter().map(|(key, value)| key.chars().count() + text(value)).sum();
    ids + attributes > HardCaps::DEFAULT.exemplar_label_chars_max
}
