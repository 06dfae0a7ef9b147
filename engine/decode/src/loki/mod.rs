//! Loki's push API to a batch of log records.

use isinglass_model::batch::Decoded;
use isinglass_model::kind::Signal;
use isinglass_model::reason::code;

use crate::columns::{Logs, Resource, Scope, Stream};
use crate::config::LogsConfig;
use crate::ids::{optional_span_id, optional_trace_id};
use crate::item::{Fault, Stop, reject, split};
use crate::json_line::{JsonLines, Own};
use crate::labels_text;
use crate::schema::ENTRY;
use crate::severity;
use crate::value::{Any, excerpt, not_utf8, utf8};
use crate::wire::{Reader, WireError};

mod json;
mod service;

pub(crate) use json::transcode;

/// Reads a `PushRequest`.
pub(crate) fn decode(
    mut body: Reader<'_>,
    config: &LogsConfig,
    decoded: &mut Decoded,
) -> Result<(), WireError> {
    let mut logs = Logs::new();
    let mut lines = JsonLines::new(config);
    while let Some(field) = body.next()? {
        if field.number == 1 {
            read_stream(&mut logs, &mut lines, field.message()?, decoded)?;
        }
    }
    decoded.logs = logs.finish();
    Ok(())
}

/// What the entries of a stream have in common.
struct Head {
    stream: Stream,
    resource: Resource,
    /// The severity that the labels state.
    level: Option<String>,
}

fn read_stream(
    logs: &mut Logs,
    lines: &mut JsonLines,
    stream: Reader<'_>,
    decoded: &mut Decoded,
) -> Result<(), WireError> {
    let mut selector: &[u8] = &[];
    let mut fields = stream;
    while let Some(field) = fields.next()? {
        if field.number == 1 {
            selector = field.bytes()?;
        }
    }
    let head = read_labels(logs, selector);
    let start = logs.row;
    let mut fields = stream;
    while let Some(field) = fields.next()? {
        if field.number != 2 {
            continue;
        }
        let entry = field.message()?;
        entry.check_room(logs.row)?;
        let read = match &head {
            Ok(head) => split(read_entry(logs, lines, entry, head))?,
            Err(fault) => Err(fault.clone()),
        };
        if let Err(fault) = read {
            logs.cancel_row();
            reject(decoded, Signal::Logs, &fault, 1, &ENTRY, entry)?;
        }
    }
    if let Ok(head) = &head {
        logs.shared.close_resource(&head.resource, start, logs.row);
    }
    Ok(())
}

/// The labels of a stream, canonical: sorted, without empty values, with
/// `service_name`.
fn read_labels(logs: &mut Logs, selector: &[u8]) -> Result<Head, Fault> {
    let invalid =
        |fault: String| Fault::new(code::INVALID_LABELS, format!("stream {:?}: {fault}", excerpt(selector)));
    let text =
        simdutf8::basic::from_utf8(selector).map_err(|_| not_utf8(selector, "the labels of a stream"))?;
    let mut labels = labels_text::parse(text).map_err(invalid)?;
    labels.sort_unstable();
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let message = format!("stream {:?}: label name {:?} occurs twice", excerpt(selector), pair[0].0);
        return Err(Fault::new(code::DUPLICATE_LABEL_NAMES, message));
    }
    labels.retain(|(_, value)| !value.is_empty());
    if labels.is_empty() {
        return Err(Fault::new(code::MISSING_LABELS, "a stream needs at least one label"));
    }
    let service = service::discover(&labels).to_owned();
    let resource = logs.shared.resource_of_labels(&service, &labels)?;
    let level = labels.iter().find(|(name, _)| severity::is_key(name)).map(|(_, value)| value.clone());
    if labels.iter().all(|(name, _)| name != service::LABEL) {
        labels.push((service::LABEL.to_owned(), service));
        labels.sort_unstable();
    }
    Ok(Head { stream: logs.stream(&labels), resource, level })
}

fn read_entry(logs: &mut Logs, lines: &mut JsonLines, entry: Reader<'_>, head: &Head) -> Result<(), Stop> {
    let mut time = 0;
    let mut line: &[u8] = &[];
    let mut metadata = Metadata::default();
    let mut fields = entry;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => time = timestamp(field.message()?)?,
            2 => line = field.bytes()?,
            3 => metadata.read(logs, field.message()?)?,
            _ => {}
        }
    }
    let row = logs.row;
    logs.time.set(row, time);
    let line = utf8(line, "the line")?;
    if let Some(id) = metadata.trace_id {
        logs.trace_id.set(row, id);
    }
    if let Some(id) = metadata.span_id {
        logs.span_id.set(row, id);
    }
    let level = metadata.level.or(head.level.as_deref().map(str::as_bytes));
    if let Some(word) = level {
        logs.set_severity(severity::of_text(word), word)?;
    }
    let own = Own {
        severity: level.is_some(),
        trace_id: metadata.trace_id.is_some(),
        span_id: metadata.span_id.is_some(),
    };
    if !lines.write(logs, line, own)?.severity {
        logs.set_severity(severity::of_body(line), &[])?;
    }
    logs.close_row(entry.len(), head.stream, &head.resource, &Scope::default())?;
    Ok(())
}

/// What structured metadata says beyond attributes.
#[derive(Default)]
struct Metadata<'a> {
    trace_id: Option<[u8; 16]>,
    span_id: Option<[u8; 8]>,
    level: Option<&'a [u8]>,
}

impl<'a> Metadata<'a> {
    /// Reads a name and a value. An id that is one goes to its column; all else
    /// is an attribute.
    fn read(&mut self, logs: &mut Logs, mut pair: Reader<'a>) -> Result<(), Stop> {
        let (mut name, mut value): (&[u8], &[u8]) = (&[], &[]);
        while let Some(field) = pair.next()? {
            match field.number {
                1 => name = field.bytes()?,
                2 => value = field.bytes()?,
                _ => {}
            }
        }
        match name {
            b"trace_id" | b"traceid" | b"traceID" | b"traceId" if self.trace_id.is_none() => {
                self.trace_id = hex::decode(value).ok().and_then(|id| optional_trace_id(&id).ok().flatten());
                if self.trace_id.is_some() {
                    return Ok(());
                }
            }
            b"span_id" | b"spanid" | b"spanID" | b"spanId" if self.span_id.is_none() => {
                self.span_id =
                    hex::decode(value).ok().and_then(|id| optional_span_id(&id, "span_id").ok().flatten());
                if self.span_id.is_some() {
                    return Ok(());
                }
            }
            _ => {}
        }
        if self.level.is_none() && std::str::from_utf8(name).is_ok_and(severity::is_key) {
            self.level = Some(value);
        }
        logs.attributes.push(logs.row, name, Any::Text(value))
    }
}

/// `google.protobuf.Timestamp` in nanoseconds.
fn timestamp(mut reader: Reader<'_>) -> Result<i64, Stop> {
    let (mut seconds, mut nanos) = (0_i64, 0);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => seconds = field.int64()?,
            2 => nanos = field.int32()?,
            _ => {}
        }
    }
    seconds.checked_mul(1_000_000_000).and_then(|time| time.checked_add(i64::from(nanos))).ok_or_else(|| {
        let reason = if seconds > 0 { code::TOO_FAR_IN_FUTURE } else { code::GREATER_THAN_MAX_SAMPLE_AGE };
        Fault::new(reason, format!("time {seconds} s is beyond the range of time")).into()
    })
}
