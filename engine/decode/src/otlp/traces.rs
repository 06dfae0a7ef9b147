//! `ExportTraceServiceRequest` to a batch of spans.

use arrow_array::types::{Int32Type, Int64Type};
use arrow_schema::ArrowError;
use isinglass_model::batch::{Decoded, SpanBatch};
use isinglass_model::kind::{Kind, Signal};
use isinglass_model::reason::code;
use isinglass_model::tables::spans::{KINDS, STATUSES};

use super::{head, next_element, next_of};
use crate::columns::{
    Attributes, Dictionary, Events, Finished, Ids, Links, Numbers, Resource, Scope, Shared,
};
use crate::ids::{optional_span_id, span_id, trace_id};
use crate::item::{Fault, Stop, reject, split};
use crate::schema::SPAN;
use crate::value::{key_value, not_utf8};
use crate::wire::{Reader, WireError};

/// Reads a request.
pub(crate) fn decode(mut body: Reader<'_>, decoded: &mut Decoded) -> Result<(), WireError> {
    let mut spans = Spans::new();
    while let Some(resource_spans) = next_of(&mut body, 1)? {
        spans.read_resource_spans(resource_spans, decoded)?;
    }
    decoded.spans = spans.finish();
    Ok(())
}

/// The columns of `spans` under construction.
struct Spans {
    rows: usize,
    shared: Shared,
    attributes: Attributes,
    time: Numbers<i64>,
    duration: Numbers<i64>,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    parent_span_id: Ids<8>,
    name: Dictionary,
    kind: Dictionary,
    status: Dictionary,
    status_message: Dictionary,
    trace_state: Dictionary,
    flags: Numbers<i32>,
    size_bytes: Numbers<i32>,
    events: Events,
    links: Links,
    dropped_attributes: Numbers<i32>,
    dropped_events: Numbers<i32>,
    dropped_links: Numbers<i32>,
}

/// The fields of a span that are set when it was read to its end.
#[derive(Default)]
struct Head<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    parent_span_id: &'a [u8],
    trace_state: &'a [u8],
    name: &'a [u8],
    kind: i32,
    start: u64,
    end: u64,
    status: Option<Reader<'a>>,
    flags: u32,
    dropped_attributes: i32,
    dropped_events: i32,
    dropped_links: i32,
}

impl Spans {
    fn new() -> Self {
        Self {
            rows: 0,
            shared: Shared::default(),
            attributes: Attributes::of_spans(),
            time: Numbers::default(),
            duration: Numbers::default(),
            trace_id: Ids::default(),
            span_id: Ids::default(),
            parent_span_id: Ids::default(),
            name: Dictionary::default(),
            kind: Dictionary::default(),
            status: Dictionary::default(),
            status_message: Dictionary::default(),
            trace_state: Dictionary::default(),
            flags: Numbers::default(),
            size_bytes: Numbers::default(),
            events: Events::default(),
            links: Links::default(),
            dropped_attributes: Numbers::default(),
            dropped_events: Numbers::default(),
            dropped_links: Numbers::default(),
        }
    }

    fn read_resource_spans(&mut self, mut group: Reader<'_>, decoded: &mut Decoded) -> Result<(), WireError> {
        let resource = self.shared.read_resource(head(group)?, |_, _| Ok(()))?;
        let start = self.rows;
        while let Some(scope_spans) = next_element(&mut group)? {
            self.read_scope_spans(scope_spans, &resource, decoded)?;
        }
        if let Ok(resource) = &resource {
            self.shared.close_resource(resource, start, self.rows);
        }
        Ok(())
    }

    fn read_scope_spans(
        &mut self,
        mut group: Reader<'_>,
        resource: &Result<Resource, Fault>,
        decoded: &mut Decoded,
    ) -> Result<(), WireError> {
        let scope = self.shared.read_scope(head(group)?)?;
        let start = self.rows;
        while let Some(span) = next_element(&mut group)? {
            span.check_room(self.rows)?;
            let read = match (resource, &scope) {
                (Ok(resource), Ok(scope)) => split(self.read_span(span, resource, scope))?,
                (Err(fault), _) | (_, Err(fault)) => Err(fault.clone()),
            };
            match read {
                Ok(()) => self.rows += 1,
                Err(fault) => {
                    self.truncate(self.rows);
                    reject(decoded, Signal::Traces, &fault, 1, &SPAN, span)?;
                }
            }
        }
        if let Ok(scope) = &scope {
            self.shared.close_scope(scope, start, self.rows);
        }
        Ok(())
    }

    fn read_span(&mut self, span: Reader<'_>, resource: &Resource, scope: &Scope) -> Result<(), Stop> {
        let row = self.rows;
        let mut head = Head::default();
        let mut fields = span;
        while let Some(field) = fields.next()? {
            match field.number {
                1 => head.trace_id = field.bytes()?,
                2 => head.span_id = field.bytes()?,
                3 => head.trace_state = field.bytes()?,
                4 => head.parent_span_id = field.bytes()?,
                5 => head.name = field.bytes()?,
                6 => head.kind = field.int32()?,
                7 => head.start = field.fixed64()?,
                8 => head.end = field.fixed64()?,
                9 => {
                    let (key, value) = key_value(field.message()?)?;
                    self.attributes.push(row, key, value)?;
                }
                10 => head.dropped_attributes = field.int32()?,
                11 => self.events.push(field.message()?)?,
                12 => head.dropped_events = field.int32()?,
                13 => self.links.push(field.message()?)?,
                14 => head.dropped_links = field.int32()?,
                15 => head.status = Some(field.message()?),
                16 => head.flags = field.fixed32()?,
                _ => {}
            }
        }
        self.set_head(row, &head)?;
        self.size_bytes.set(row, i32::try_from(span.len()).unwrap_or(i32::MAX));
        self.shared.close_row(row, resource, scope)?;
        self.attributes.close_row(row);
        self.events.close_row(row);
        self.links.close_row(row);
        Ok(())
    }

    fn set_head(&mut self, row: usize, head: &Head<'_>) -> Result<(), Stop> {
        self.trace_id
            .set(row, required_id(trace_id(head.trace_id, "trace_id")?, code::INVALID_TRACE_ID, "trace_id")?);
        self.span_id
            .set(row, required_id(span_id(head.span_id, "span_id")?, code::INVALID_SPAN_ID, "span_id")?);
        if let Some(parent) = optional_span_id(head.parent_span_id, "parent_span_id")? {
            self.parent_span_id.set(row, parent);
        }
        let (start, end) = (nanos(head.start, "start")?, nanos(head.end, "end")?);
        self.time.set(row, start);
        // Both are positive, so the difference fits; a negative one is kept.
        self.duration.set(row, end - start);
        set_text(&mut self.name, row, head.name, "name")?;
        if !head.trace_state.is_empty() {
            set_text(&mut self.trace_state, row, head.trace_state, "trace_state")?;
        }
        set_text(&mut self.kind, row, word(&KINDS, head.kind), "kind")?;
        self.set_status(row, head.status)?;
        set_nonzero(&mut self.flags, row, head.flags.cast_signed());
        set_nonzero(&mut self.dropped_attributes, row, head.dropped_attributes);
        set_nonzero(&mut self.dropped_events, row, head.dropped_events);
        set_nonzero(&mut self.dropped_links, row, head.dropped_links);
        Ok(())
    }

    fn set_status(&mut self, row: usize, status: Option<Reader<'_>>) -> Result<(), Stop> {
        let mut code = 0;
        let mut message: &[u8] = &[];
        let mut fields = status.unwrap_or(Reader::new(&[]));
        while let Some(field) = fields.next()? {
            match field.number {
                2 => message = field.bytes()?,
                3 => code = field.int32()?,
                _ => {}
            }
        }
        set_text(&mut self.status, row, word(&STATUSES, code), "status")?;
        if !message.is_empty() {
            set_text(&mut self.status_message, row, message, "status message")?;
        }
        Ok(())
    }

    /// Forgets `row`, as far as it was set.
    #[cold]
    fn truncate(&mut self, row: usize) {
        self.attributes.truncate(row);
        self.events.truncate(row);
        self.links.truncate(row);
        self.trace_id.truncate(row);
        self.span_id.truncate(row);
        self.parent_span_id.truncate(row);
        for column in [&mut self.time, &mut self.duration] {
            column.truncate(row);
        }
        let texts = [
            &mut self.name,
            &mut self.kind,
            &mut self.status,
            &mut self.status_message,
            &mut self.trace_state,
        ];
        texts.into_iter().for_each(|column| column.truncate(row));
        let counts = [
            &mut self.flags,
            &mut self.size_bytes,
            &mut self.dropped_attributes,
            &mut self.dropped_events,
            &mut self.dropped_links,
        ];
        counts.into_iter().for_each(|column| column.truncate(row));
    }

    fn finish(self) -> Option<SpanBatch> {
        if self.rows == 0 {
            return None;
        }
        let batch = self.try_finish();
        // Every builder was given the type that its column has.
        Some(batch.expect("columns of spans have the types of the table"))
    }

    fn try_finish(self) -> Result<SpanBatch, ArrowError> {
        let rows = self.rows;
        let mut batch = Finished::default();
        self.shared.finish(rows, &mut batch)?;
        let attributes = self.attributes.finish(rows, &mut batch)?;
        batch.push("time", self.time.finish::<Int64Type>(rows)?);
        batch.push("duration", self.duration.finish::<Int64Type>(rows)?);
        batch.push("trace_id", self.trace_id.finish(rows)?);
        batch.push("span_id", self.span_id.finish(rows)?);
        batch.push("parent_span_id", self.parent_span_id.finish(rows)?);
        batch.push("name", self.name.finish(rows)?);
        batch.push("kind", self.kind.finish(rows)?);
        batch.push("status", self.status.finish(rows)?);
        batch.push("status_message", self.status_message.finish(rows)?);
        batch.push("trace_state", self.trace_state.finish(rows)?);
        batch.push("flags", self.flags.finish::<Int32Type>(rows)?);
        batch.push("size_bytes", self.size_bytes.finish::<Int32Type>(rows)?);
        batch.push("events", self.events.finish(rows)?);
        batch.push("links", self.links.finish(rows)?);
        batch.push("dropped_attributes_count", self.dropped_attributes.finish::<Int32Type>(rows)?);
        batch.push("dropped_events_count", self.dropped_events.finish::<Int32Type>(rows)?);
        batch.push("dropped_links_count", self.dropped_links.finish::<Int32Type>(rows)?);
        Ok(SpanBatch { table: batch.into_batch(Kind::Spans)?, attributes: Some(attributes) })
    }
}

/// The word for a number; numbers of later versions are the first word.
fn word(words: &[&'static str], number: i32) -> &'static [u8] {
    usize::try_from(number).ok().and_then(|at| words.get(at)).unwrap_or(&words[0]).as_bytes()
}

fn set_text(column: &mut Dictionary, row: usize, text: &[u8], what: &str) -> Result<(), Fault> {
    let key = column.intern(text).map_err(|_| not_utf8(text, what))?;
    column.set(row, key);
    Ok(())
}

fn set_nonzero(column: &mut Numbers<i32>, row: usize, value: i32) {
    if value != 0 {
        column.set(row, value);
    }
}

fn required_id<const N: usize>(id: [u8; N], reason: &'static str, what: &str) -> Result<[u8; N], Fault> {
    if id == [0; N] { Err(Fault::new(reason, format!("{what} is all zero"))) } else { Ok(id) }
}

fn nanos(time: u64, what: &str) -> Result<i64, Fault> {
    i64::try_from(time).map_err(|_| {
        Fault::new(
            code::SPAN_TIME_INVALID,
            format!("{what} of the span is {time} ns, beyond the range of time"),
        )
    })
}
