//! Exemplars of remote write.

use isinglass_model::limits::HardCaps;
use isinglass_model::reason::code;
use isinglass_model::series::SeriesRef;

use super::labels;
use crate::ids::{optional_span_id, optional_trace_id};
use crate::item::{Fault, Stop, split};
use crate::json_text::write_string;
use crate::schema::REMOTE_EXEMPLAR;
use crate::series::{Sink, checked_time};
use crate::value::excerpt;
use crate::wire::{Reader, WireError};

/// An exemplar that was read.
struct Exemplar {
    value: f64,
    time_ms: i64,
    trace_id: Option<[u8; 16]>,
    span_id: Option<[u8; 8]>,
    attributes: Vec<(String, String)>,
}

/// Reads an exemplar and adds it to its series.
pub(super) fn read(sink: &mut Sink<'_>, series: SeriesRef, message: Reader<'_>) -> Result<(), WireError> {
    match split(fields(message))? {
        Ok(exemplar) => {
            let out = &mut sink.decoded.exemplars;
            out.series.push(series);
            out.time_ms.push(exemplar.time_ms);
            out.value.push(exemplar.value);
            out.trace_id.push(exemplar.trace_id);
            out.span_id.push(exemplar.span_id);
            out.attributes.push(exemplar.attributes);
            Ok(())
        }
        Err(fault) => sink.reject(&fault, 1, &REMOTE_EXEMPLAR, message),
    }
}

fn fields(mut fields: Reader<'_>) -> Result<Exemplar, Stop> {
    let mut exemplar =
        Exemplar { value: 0.0, time_ms: 0, trace_id: None, span_id: None, attributes: Vec::new() };
    let mut seen = Vec::new();
    let mut chars = 0;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                let (name, value) = label(field.message()?)?;
                if seen.contains(&name) {
                    return Err(invalid(format!("label name {name:?} of an exemplar occurs twice")).into());
                }
                seen.push(name);
                chars += name.chars().count() + value.chars().count();
                let max = HardCaps::DEFAULT.exemplar_label_chars_max;
                if chars > max {
                    let message = format!("the labels of an exemplar have more than {max} characters");
                    return Err(Fault::new(code::EXEMPLAR_LABELS_TOO_LONG, message).into());
                }
                exemplar.take_label(name, value);
            }
            2 => exemplar.value = field.double()?,
            3 => exemplar.time_ms = field.int64()?,
            _ => {}
        }
    }
    if seen.is_empty() {
        return Err(invalid("an exemplar without labels").into());
    }
    exemplar.time_ms = checked_time(exemplar.time_ms)?;
    Ok(exemplar)
}

fn label(message: Reader<'_>) -> Result<(&str, &str), Stop> {
    let (name, value) = labels::pair(message)?;
    match (simdutf8::basic::from_utf8(name), simdutf8::basic::from_utf8(value)) {
        (Ok(""), _) => Err(invalid("a label of an exemplar has no name").into()),
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(invalid(format!("label {:?} of an exemplar is not UTF-8", excerpt(name))).into()),
    }
}

#[cold]
fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(code::EXEMPLAR_LABELS_INVALID, message)
}

impl Exemplar {
    /// Ids go to their columns if they are ids, all else is kept as JSON text.
    fn take_label(&mut self, name: &str, value: &str) {
        match name {
            "trace_id" | "traceID" | "traceId" if self.trace_id.is_none() => {
                self.trace_id = hex::decode(value).ok().and_then(|id| optional_trace_id(&id).ok().flatten());
                if self.trace_id.is_some() {
                    return;
                }
            }
            "span_id" | "spanID" | "spanId" if self.span_id.is_none() => {
                self.span_id =
                    hex::decode(value).ok().and_then(|id| optional_span_id(&id, name).ok().flatten());
                if self.span_id.is_some() {
                    return;
                }
            }
            _ => {}
        }
        let mut text = Vec::with_capacity(value.len() + 2);
        write_string(&mut text, value);
        self.attributes.push((name.to_owned(), String::from_utf8(text).unwrap_or_default()));
    }
}
