//! Events and links of spans: lists of structs.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, ListArray, StructArray, new_null_array};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use isinglass_model::kind::Kind;
use isinglass_model::tables::Table;

use super::maps::Maps;
use super::primitive::{Ids, Numbers};
use super::text::Texts;
use crate::item::Stop;
use crate::value::{key_value, utf8};
use crate::wire::Reader;

/// Where the list of each row ends.
#[derive(Default)]
struct Rows {
    ends: Vec<i32>,
}

impl Rows {
    fn closed(&self) -> i32 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn close_row(&mut self, row: usize, elements: usize) {
        if elements as i32 > self.closed() {
            self.ends.resize(row, self.closed());
            self.ends.push(elements as i32);
        }
    }

    /// Forgets `row` and all after it; gives the elements that stay.
    fn truncate(&mut self, row: usize) -> usize {
        self.ends.truncate(row);
        self.closed() as usize
    }

    /// The list column `name` of spans over these elements.
    fn finish(
        mut self,
        name: &str,
        rows: usize,
        elements: usize,
        columns: Vec<Option<ArrayRef>>,
    ) -> Result<Option<ArrayRef>, ArrowError> {
        if elements == 0 {
            return Ok(None);
        }
        let wrong = || ArrowError::SchemaError(format!("{name} is no list of structs"));
        let table = Table::of(Kind::Spans);
        let position = table.position(name).ok_or_else(wrong)?;
        let DataType::List(element) = table.batch_field(position).data_type() else { return Err(wrong()) };
        let DataType::Struct(fields) = element.data_type() else { return Err(wrong()) };
        let columns = columns.into_iter().zip(fields.iter());
        let columns =
            columns.map(|(c, field)| c.unwrap_or_else(|| new_null_array(field.data_type(), elements)));
        let values = StructArray::try_new(fields.clone(), columns.collect(), None)?;
        self.ends.resize(rows, self.closed());
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends).collect();
        let filled: NullBuffer = offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
        let nulls = (filled.null_count() > 0).then_some(filled);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let list = ListArray::try_new(Arc::clone(element), offsets, super::array(values), nulls)?;
        Ok(Some(super::array(list)))
    }
}

/// The column `events`.
#[derive(Default)]
pub(crate) struct Events {
    rows: Rows,
    time: Numbers<i64>,
    name: Texts,
    attributes: Maps,
    dropped: Numbers<i32>,
}

impl Events {
    /// Adds an event to the row that is open.
    pub(crate) fn push(&mut self, mut reader: Reader<'_>) -> Result<(), Stop> {
        let at = self.name.len();
        let mut time = 0;
        let mut name: &[u8] = &[];
        let mut dropped = 0;
        while let Some(field) = reader.next()? {
            match field.number {
                1 => time = field.fixed64()?,
                2 => name = field.bytes()?,
                3 => push_attribute(&mut self.attributes, field.message()?)?,
                4 => dropped = field.int32()?,
                _ => {}
            }
        }
        // Later than any clock shows: the last nanosecond that can be held.
        self.time.set(at, i64::try_from(time).unwrap_or(i64::MAX));
        if dropped != 0 {
            self.dropped.set(at, dropped);
        }
        self.attributes.close_row(at);
        self.name.push(utf8(name, "an event name")?);
        Ok(())
    }

    pub(crate) fn close_row(&mut self, row: usize) {
        self.rows.close_row(row, self.name.len());
    }

    pub(crate) fn truncate(&mut self, row: usize) {
        let elements = self.rows.truncate(row);
        self.time.truncate(elements);
        self.name.truncate(elements);
        self.attributes.truncate(elements);
        self.dropped.truncate(elements);
    }

    pub(crate) fn finish(self, rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
        let elements = self.name.len();
        let columns = vec![
            self.time.finish::<Int64Type>(elements)?,
            Some(super::array(self.name.finish()?)),
            self.attributes.finish(elements)?,
            self.dropped.finish::<Int32Type>(elements)?,
        ];
        self.rows.finish("events", rows, elements, columns)
    }
}

/// The column `links`.
#[derive(Default)]
pub(crate) struct Links {
    rows: Rows,
    elements: usize,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    trace_state: Texts,
    flags: Numbers<i32>,
    attributes: Maps,
    dropped: Numbers<i32>,
}

impl Links {
    /// Adds a link to the row that is open.
    pub(crate) fn push(&mut self, mut reader: Reader<'_>) -> Result<(), Stop> {
        let at = self.elements;
        let (mut trace_id, mut span_id): (&[u8], &[u8]) = (&[], &[]);
        let mut trace_state: &[u8] = &[];
        let mut dropped = 0;
        let mut flags = 0;
        while let Some(field) = reader.next()? {
            match field.number {
                1 => trace_id = field.bytes()?,
                2 => span_id = field.bytes()?,
                3 => trace_state = field.bytes()?,
                4 => push_attribute(&mut self.attributes, field.message()?)?,
                5 => dropped = field.int32()?,
                6 => flags = field.fixed32()?,
                _ => {}
            }
        }
        self.trace_id.set(at, crate::ids::trace_id(trace_id, "trace_id of a link")?);
        self.span_id.set(at, crate::ids::span_id(span_id, "span_id of a link")?);
        match trace_state {
            [] => self.trace_state.push_null(),
            text => self.trace_state.push(utf8(text, "trace_state of a link")?),
        }
        if flags != 0 {
            self.flags.set(at, flags.cast_signed());
        }
        if dropped != 0 {
            self.dropped.set(at, dropped);
        }
        self.attributes.close_row(at);
        self.elements += 1;
        Ok(())
    }

    pub(crate) fn close_row(&mut self, row: usize) {
        self.rows.close_row(row, self.elements);
    }

    pub(crate) fn truncate(&mut self, row: usize) {
        self.elements = self.rows.truncate(row);
        self.trace_id.truncate(self.elements);
        self.span_id.truncate(self.elements);
        self.trace_state.truncate(self.elements);
        self.flags.truncate(self.elements);
        self.attributes.truncate(self.elements);
        self.dropped.truncate(self.elements);
    }

    pub(crate) fn finish(self, rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
        let elements = self.elements;
        let columns = vec![
            self.trace_id.finish(elements)?,
            self.span_id.finish(elements)?,
            self.trace_state.finish_optional()?,
            self.flags.finish::<Int32Type>(elements)?,
            self.attributes.finish(elements)?,
            self.dropped.finish::<Int32Type>(elements)?,
        ];
        self.rows.finish("links", rows, elements, columns)
    }
}

fn push_attribute(maps: &mut Maps, reader: Reader<'_>) -> Result<(), Stop> {
    let (key, value) = key_value(reader)?;
    let key = utf8(key, "an attribute key")?;
    maps.push(key.as_bytes(), value)?;
    Ok(())
}
