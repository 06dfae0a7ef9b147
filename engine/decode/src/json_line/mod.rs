//! Log lines that are JSON objects, taken apart into columns.
//!
//! | field at the top of the object | goes to |
//! |---|---|
//! | the first of `message`, `msg`, `log` that is text | `body` |
//! | a level (see [`severity::is_key`]) that is text | `severity`, `severity_text` |
//! | `trace_id`, `span_id` and their spellings, if hex of the right length | `trace_id`, `span_id` |
//! | any other, nested ones with dots between the names | its promoted column, else `attributes` |
//!
//! What the record states itself is not overruled: a field that has nowhere to go
//! because of that is an attribute. A line without a message keeps its text in
//! `body`, and its fields are columns all the same. A line that cannot be taken
//! apart without loss is kept as it came.

use std::borrow::Cow;

use crate::columns::Logs;
use crate::config::LogsConfig;
use crate::ids::{optional_span_id, optional_trace_id};
use crate::item::Stop;
use crate::severity;
use crate::value::Any;

mod fields;

use fields::Fields;

/// Fields that hold the message, the first one counts.
const MESSAGE: [&str; 3] = ["message", "msg", "log"];

/// What a record states about itself, beside its line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Own {
    pub(crate) severity: bool,
    pub(crate) trace_id: bool,
    pub(crate) span_id: bool,
}

/// Takes lines apart. Its buffers are used again from line to line.
pub(crate) struct JsonLines {
    config: LogsConfig,
    fields: Fields,
}

/// Where a field goes that is no attribute.
enum Role<'l> {
    Level(Cow<'l, str>),
    TraceId([u8; 16]),
    SpanId([u8; 8]),
}

impl JsonLines {
    pub(crate) fn new(config: &LogsConfig) -> Self {
        Self { config: config.clone(), fields: Fields::default() }
    }

    /// Whether lines are taken apart at all.
    pub(crate) fn parses(&self) -> bool {
        self.config.parse_json
    }

    /// Writes the body of the row that is open, and whatever else the line has
    /// for it. The answer is what is stated now by the record or its line.
    pub(crate) fn write(&mut self, logs: &mut Logs, line: &str, own: Own) -> Result<Own, Stop> {
        if !self.config.parse_json || !self.read(logs, line) {
            logs.body.push(line);
            return Ok(own);
        }
        self.take(logs, line, own)
    }

    /// Finds the fields of a line; whether it can be taken apart.
    fn read(&mut self, logs: &Logs, line: &str) -> bool {
        line.len() <= self.config.parse_json_bytes_max
            && line.trim_ascii_start().starts_with('{')
            && self.fields.read(line, self.config.parse_json_fields_max)
            && self.fields.iter(line).all(|field| !logs.attributes.holds(logs.row, field.key.as_bytes()))
    }

    fn take(&self, logs: &mut Logs, line: &str, own: Own) -> Result<Own, Stop> {
        let row = logs.row;
        let message = MESSAGE.iter().find_map(|name| {
            let at = self.fields.iter(line).position(|field| field.key == *name)?;
            Some((at, self.fields.iter(line).nth(at)?.text()?))
        });
        match &message {
            Some((_, text)) => logs.body.push(text),
            None => logs.body.push(line),
        }
        let mut stated = own;
        for (at, field) in self.fields.iter(line).enumerate() {
            if message.as_ref().is_some_and(|(message, _)| *message == at) {
                continue;
            }
            match role(field.key, || field.text(), stated) {
                Some(Role::Level(word)) => {
                    logs.set_severity(severity::of_text(word.as_bytes()), word.as_bytes())?;
                    stated.severity = true;
                }
                Some(Role::TraceId(id)) => {
                    logs.trace_id.set(row, id);
                    stated.trace_id = true;
                }
                Some(Role::SpanId(id)) => {
                    logs.span_id.set(row, id);
                    stated.span_id = true;
                }
                None => push(logs, field)?,
            }
        }
        Ok(stated)
    }
}

/// What a field is beside an attribute; one that is stated already is none.
fn role<'l>(key: &str, text: impl FnOnce() -> Option<Cow<'l, str>>, stated: Own) -> Option<Role<'l>> {
    match key {
        "trace_id" | "traceid" | "traceID" | "traceId" | "trace.id" if !stated.trace_id => {
            let id = hex::decode(text()?.as_bytes()).ok()?;
            optional_trace_id(&id).ok().flatten().map(Role::TraceId)
        }
        "span_id" | "spanid" | "spanID" | "spanId" | "span.id" if !stated.span_id => {
            let id = hex::decode(text()?.as_bytes()).ok()?;
            optional_span_id(&id, "span_id").ok().flatten().map(Role::SpanId)
        }
        _ if !stated.severity && severity::is_key(key) => text().map(Role::Level),
        _ => None,
    }
}

fn push(logs: &mut Logs, field: fields::Field<'_, '_>) -> Result<(), Stop> {
    let text;
    let value = match field.text() {
        Some(unescaped) => {
            text = unescaped;
            Any::Text(text.as_bytes())
        }
        None => field.other(),
    };
    logs.attributes.push(logs.row, field.key.as_bytes(), value)
}
