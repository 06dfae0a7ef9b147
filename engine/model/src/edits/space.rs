//! Keys and values of the items of a batch, as transformers are shown them.
//!
//! The entries of a row are its promoted attributes in the order of their list, then those of
//! the map in its order. So an entry says where it is stored, and an edit finds it again.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, MapArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::Buffer;

use super::Pairs;
use crate::batch::text_column;
use crate::columns::{Column, ColumnData, Encoding, TextBuffers};
use crate::kind::Kind;
use crate::tables::Type;
use crate::tables::promoted::{LOG, Promoted, RESOURCE, SPAN};

/// Where the pairs of one sort are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Space {
    pub(super) promoted: &'static [Promoted],
    /// The column of maps, or of lists of structs with maps in them.
    pub(super) column: &'static str,
    pub(super) nested: bool,
}

/// The pairs of a kind of batch; `None` = it has none of the sort.
pub(super) fn space(kind: Kind, pairs: Pairs) -> Option<Space> {
    let flat = |promoted, column| Some(Space { promoted, column, nested: false });
    match (kind, pairs) {
        (Kind::Logs, Pairs::Attributes) => flat(LOG, "attributes"),
        (Kind::Spans, Pairs::Attributes) => flat(SPAN, "attributes"),
        (Kind::Logs | Kind::Spans, Pairs::Resource) => flat(RESOURCE, "resource"),
        (Kind::Logs | Kind::Spans, Pairs::Scope) => flat(&[], "scope"),
        (Kind::Spans, Pairs::Events) => Some(Space { promoted: &[], column: "events", nested: true }),
        (Kind::Spans, Pairs::Links) => Some(Space { promoted: &[], column: "links", nested: true }),
        _ => None,
    }
}

/// Where an entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// In the column of this promoted attribute.
    Promoted(u16),
    /// In the map, at this entry of all rows.
    Map(u32),
}

/// The entries of all rows.
#[derive(Debug)]
pub(super) struct Entries {
    /// `rows + 1` offsets into `at`.
    pub(super) offsets: Vec<i32>,
    pub(super) at: Vec<At>,
}

/// A value as it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Json(&'a str),
}

impl Value<'_> {
    /// As JSON text.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Json(json) => out.extend_from_slice(json.as_bytes()),
            Self::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
            // Writing into memory does not fail.
            Self::Text(text) => serde_json::to_writer(out, text).unwrap_or_default(),
        }
    }

    /// As validators count bytes: of a string itself, of anything else as JSON text.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(value) => value.to_string().len(),
            Self::Json(json) if json.starts_with('"') => {
                serde_json::from_str::<String>(json).map_or(json.len(), |text| text.len())
            }
            Self::Json(json) => json.len(),
        }
    }
}

/// The pairs of one sort in a batch.
pub(super) struct Listed<'a> {
    pub(super) space: Space,
    columns: Vec<Option<Stored<'a>>>,
    map: Option<(&'a StringArray, &'a StringArray)>,
    pub(super) entries: Entries,
}

enum Stored<'a> {
    Text(&'a arrow_array::Int32Array, &'a StringArray),
    Integers(&'a arrow_array::Int64Array),
}

impl<'a> Stored<'a> {
    fn of(batch: &'a RecordBatch, promoted: &Promoted) -> Option<Self> {
        let array = batch.column_by_name(promoted.column)?;
        match promoted.ty {
            Type::Dictionary => {
                let array = array.as_dictionary_opt::<Int32Type>()?;
                Some(Self::Text(array.keys(), array.values().as_string_opt::<i32>()?))
            }
            Type::Bigint => Some(Self::Integers(array.as_primitive_opt::<Int64Type>()?)),
            _ => None,
        }
    }

    fn get(&self, row: usize) -> Option<Value<'a>> {
        match self {
            Self::Text(keys, values) => {
                keys.is_valid(row).then(|| Value::Text(values.value(keys.value(row) as usize)))
            }
            Self::Integers(values) => values.is_valid(row).then(|| Value::Integer(values.value(row))),
        }
    }
}

impl<'a> Listed<'a> {
    pub(super) fn of(batch: &'a RecordBatch, space: Space) -> Self {
        let columns: Vec<_> = space.promoted.iter().map(|promoted| Stored::of(batch, promoted)).collect();
        let column = batch.column_by_name(space.column);
        let (map, ranges): (Option<&MapArray>, Vec<std::ops::Range<usize>>) = match column {
            None => (None, Vec::new()),
            Some(array) if space.nested => nested_ranges(array.as_list::<i32>()),
            Some(array) => {
                let map = array.as_map();
                let range = |row: usize| match map.is_valid(row) {
                    true => map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize,
                    false => 0..0,
                };
                (Some(map), (0..map.len()).map(range).collect())
            }
        };
        let mut entries = Entries { offsets: vec![0], at: Vec::new() };
        let used: Vec<(u16, &Stored<'_>)> =
            (0..).zip(&columns).filter_map(|(at, column)| Some((at, column.as_ref()?))).collect();
        for row in 0..batch.num_rows() {
            let here = used.iter().filter(|(_, column)| column.get(row).is_some());
            entries.at.extend(here.map(|(at, _)| At::Promoted(*at)));
            let range = ranges.get(row).cloned().unwrap_or(0..0);
            entries.at.extend(range.map(|at| At::Map(u32::try_from(at).unwrap_or(u32::MAX))));
            entries.offsets.push(i32::try_from(entries.at.len()).unwrap_or(i32::MAX));
        }
        let map = map.map(|map| (map.keys().as_string::<i32>(), map.values().as_string::<i32>()));
        Self { space, columns, map, entries }
    }

    pub(super) fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.entries.offsets[row] as usize..self.entries.offsets[row + 1] as usize
    }

    pub(super) fn key(&self, entry: usize) -> &'a str {
        match (self.entries.at[entry], self.map) {
            (At::Promoted(at), _) => self.space.promoted[usize::from(at)].key,
            (At::Map(at), Some((keys, _))) => keys.value(at as usize),
            (At::Map(_), None) => "",
        }
    }

    pub(super) fn value(&self, row: usize, entry: usize) -> Value<'a> {
        match (self.entries.at[entry], self.map) {
            (At::Promoted(at), _) => {
                let column = self.columns[usize::from(at)].as_ref();
                column.and_then(|column| column.get(row)).unwrap_or(Value::Json("null"))
            }
            (At::Map(at), Some((_, values))) if values.is_valid(at as usize) => {
                Value::Json(values.value(at as usize))
            }
            (At::Map(_), _) => Value::Json("null"),
        }
    }

    /// `offsets`, `key` or `value`.
    pub(super) fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        let rows = self.entries.offsets.len() - 1;
        let count = self.entries.at.len();
        let data = match name {
            "offsets" => ColumnData::Offsets(self.entries.offsets.clone().into()),
            "key" => text_column((0..count).map(|entry| self.key(entry)), encoding),
            "value" => {
                let values =
                    (0..rows).flat_map(|row| self.range(row).map(move |entry| self.value(row, entry)));
                if encoding == Encoding::Lengths {
                    let bytes = values.map(|value| u32::try_from(value.bytes()).unwrap_or(u32::MAX));
                    ColumnData::U32(bytes.collect::<Vec<_>>().into())
                } else {
                    json_column(values, encoding)
                }
            }
            _ => return None,
        };
        Some(Column::new(data))
    }
}

fn json_column<'a>(values: impl Iterator<Item = Value<'a>>, encoding: Encoding) -> ColumnData {
    let (mut offsets, mut data) = (vec![0_i32], Vec::new());
    for value in values {
        value.write(&mut data);
        offsets.push(i32::try_from(data.len()).unwrap_or(i32::MAX));
    }
    if encoding == Encoding::Values {
        return ColumnData::Text(TextBuffers { offsets: offsets.into(), data: Buffer::from(data) });
    }
    let text =
        |ends: &[i32]| std::str::from_utf8(&data[ends[0] as usize..ends[1] as usize]).unwrap_or_default();
    text_column(offsets.windows(2).map(text), encoding)
}

/// The maps in a list of structs, and per row the entries of all its elements.
fn nested_ranges(list: &arrow_array::ListArray) -> (Option<&MapArray>, Vec<std::ops::Range<usize>>) {
    let Some(map) = attributes_of(list.values().as_struct()) else { return (None, Vec::new()) };
    let entries = map.value_offsets();
    let range = |row: usize| {
        let (from, to) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
        if list.is_valid(row) { entries[from] as usize..entries[to] as usize } else { 0..0 }
    };
    (Some(map), (0..list.len()).map(range).collect())
}

/// The attributes of events or links.
pub(super) fn attributes_of(elements: &StructArray) -> Option<&MapArray> {
    elements.column_by_name("attributes")?.as_map_opt()
}
