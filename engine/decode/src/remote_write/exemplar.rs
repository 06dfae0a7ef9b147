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

/// An exemplar while it is read.
#[derive(Default)]
pub(super) struct Exemplar<'a> {
    pub(super) value: f64,
    pub(super) time_ms: i64,
    trace_id: Option<[u8; 16]>,
    span_id: Option<[u8; 8]>,
    attributes: Vec<(String, String)>,
    /// Names of all labels so far.
    names: Vec<&'a str>,
    /// Characters of all names and values so far.
    chars: usize,
}

/// Reads an exemplar and adds it to its series.
pub(super) fn read(sink: &mut Sink<'_>, series: SeriesRef, message: Reader<'_>) -> Result<(), WireError> {
    match split(fields(message))? {
        Ok(exemplar) => {
            exemplar.add(sink, series);
            Ok(())
        }
        Err(fault) => sink.reject(&fault, 1, &REMOTE_EXEMPLAR, message),
    }
}

fn fields(mut fields: Reader<'_>) -> Result<Exemplar<'_>, Stop> {
    let mut exemplar = Exemplar::default();
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                let (name, value) = labels::pair(field.message()?)?;
                exemplar.label(name, value)?;
            }
            2 => exemplar.value = field.double()?,
            3 => exemplar.time_ms = field.int64()?,
            _ => {}
        }
    }
    if exemplar.names.is_empty() {
        return Err(Fault::new(code::EXEMPLAR_LABELS_MISSING, "an exemplar without labels").into());
    }
    checked_time(exemplar.time_ms)?;
    Ok(exemplar)
}

#[cold]
fn invalid(message: impl Into<String>) -> Fault {
    Fault::new(code::EXEMPLAR_LABELS_INVALID, message)
}

impl<'a> Exemplar<'a> {
    /// Adds a label.
    pub(super) fn label(&mut self, name: &'a [u8], value: &'a [u8]) -> Result<(), Fault> {
        // A character has four bytes at most. Symbols of 2.0 are long at no cost to the
        // sender, so that nothing may look at all of one before its length was seen.
        let max = HardCaps::DEFAULT.exemplar_label_chars_max;
        if name.len().saturating_add(value.len()) > 4 * max {
            return Err(too_long(max));
        }
        let (name, value) = match (simdutf8::basic::from_utf8(name), simdutf8::basic::from_utf8(value)) {
            (Ok(""), _) => return Err(invalid("a label of an exemplar has no name")),
            (Ok(name), Ok(value)) => (name, value),
            _ => return Err(invalid(format!("label {:?} of an exemplar is not UTF-8", excerpt(name)))),
        };
        if self.names.contains(&name) {
            return Err(invalid(format!("label name {name:?} of an exemplar occurs twice")));
        }
        self.names.push(name);
        self.chars += name.chars().count() + value.chars().count();
        if self.chars > max {
            return Err(too_long(max));
        }
        self.take_label(name, value);
        Ok(())
    }

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

    /// Adds it to its series.
    pub(super) fn add(self, sink: &mut Sink<'_>, series: SeriesRef) {
        let out = &mut sink.decoded.exemplars;
        out.series.push(series);
        out.time_ms.push(self.time_ms);
        out.value.push(self.value);
        out.trace_id.push(self.trace_id);
        out.span_id.push(self.span_id);
        out.attributes.push(self.attributes);
    }
}

#[cold]
fn too_long(max: usize) -> Fault {
    let message = format!("the labels of an exemplar have more than {max} characters");
    Fault::new(code::EXEMPLAR_LABELS_TOO_LONG, message)
}
