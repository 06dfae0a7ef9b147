//! Edits of attributes that are stored in promoted columns and a map.

use std::sync::Arc;

use arrow_array::{ArrayRef, MapArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::columns::{self, Sparse};
use super::space::{At, Listed, Space, Value};
use super::{Additions, PairEdits, ascending};
use crate::limits::HardCaps;
use crate::tables::promoted::Promoted;
use crate::tables::{TEXT_MAP_ENTRIES, Type};

/// What becomes of an entry.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fate<'e> {
    pub(super) removed: bool,
    pub(super) key: Option<&'e str>,
    pub(super) value: Option<&'e str>,
}

/// The edits of one sort of pairs, by entry and by row of the whole batch.
#[derive(Debug, Default)]
pub(super) struct Plan<'e> {
    /// Ascending by entry.
    pub(super) fates: Vec<(usize, Fate<'e>)>,
    /// Ascending by row.
    pub(super) added: Vec<(usize, &'e str, &'e str)>,
}

impl<'e> Plan<'e> {
    /// Takes over the edits of a range of rows and of the entries that they have.
    pub(super) fn add(
        &mut self,
        edits: &'e PairEdits,
        rows: &std::ops::Range<usize>,
        entries: &std::ops::Range<usize>,
        json: bool,
    ) -> Result<(), String> {
        let what = edits.of.prefix();
        ascending(what, &edits.removed, entries.len())?;
        let mut fates: Vec<(usize, Fate<'e>)> = Vec::new();
        let removed = |at: &u32| (*at as usize, Fate { removed: true, ..Fate::default() });
        fates.extend(edits.removed.iter().map(removed));
        for (at, key) in edits.renamed.checked(what, entries.len())? {
            check_key(what, key)?;
            fates.push((at, Fate { key: Some(key), ..Fate::default() }));
        }
        if json {
            edits.changed.pool.iter().try_for_each(|value| check_json(what, value))?;
        }
        let changed = edits.changed.checked(what, entries.len())?;
        fates.extend(changed.map(|(at, value)| (at, Fate { value: Some(value), ..Fate::default() })));
        fates.sort_by_key(|(at, _)| *at);
        for (at, fate) in fates {
            let entry = entries.start + at;
            match self.fates.last_mut().filter(|(last, _)| *last == entry) {
                Some((_, known)) => {
                    known.removed |= fate.removed;
                    known.key = known.key.or(fate.key);
                    known.value = known.value.or(fate.value);
                }
                None => self.fates.push((entry, fate)),
            }
        }
        self.add_new(&edits.added, what, rows, json)
    }

    fn add_new(
        &mut self,
        added: &'e Additions,
        what: &str,
        rows: &std::ops::Range<usize>,
        json: bool,
    ) -> Result<(), String> {
        let Additions { rows: of, names, texts, pool } = added;
        if of.len() != names.len() || of.len() != texts.len() {
            return Err(format!("{what}: the columns of what is added differ in length"));
        }
        if !of.is_sorted() || of.last().is_some_and(|last| *last as usize >= rows.len()) {
            return Err(format!("{what}: rows of what is added do not ascend, or are too many"));
        }
        // A text may be many rows' value.
        let mut valid = vec![false; if json { pool.len() } else { 0 }];
        for ((row, name), text) in of.iter().zip(names).zip(texts) {
            let (Some(key), Some(value)) = (pool.get(*name), pool.get(*text)) else {
                return Err(format!("{what}: key {} of {} texts", name.max(text), pool.len()));
            };
            check_key(what, key)?;
            if let Some(valid) = valid.get_mut(*text as usize).filter(|valid| !**valid) {
                check_json(what, value)?;
                *valid = true;
            }
            self.added.push((rows.start + *row as usize, key, value));
        }
        Ok(())
    }
}

fn check_key(what: &str, key: &str) -> Result<(), String> {
    if key.is_empty() { Err(format!("{what}: a key is empty")) } else { Ok(()) }
}

fn check_json(what: &str, value: &str) -> Result<(), String> {
    let valid = serde_json::from_str::<serde::de::IgnoredAny>(value).is_ok();
    if valid { Ok(()) } else { Err(format!("{what}: a value is not JSON text")) }
}

/// The new columns of these pairs.
pub(super) fn edited(
    listed: &Listed<'_>,
    batch: &RecordBatch,
    plan: &Plan<'_>,
) -> Result<Vec<(&'static str, ArrayRef)>, String> {
    let space = listed.space;
    let mut writer = Writer { space, columns: vec![Sparse::new(); space.promoted.len()], map: Maps::new() };
    let mut fates = plan.fates.iter().peekable();
    let mut added = plan.added.iter().peekable();
    for row in 0..batch.num_rows() {
        let range = listed.range(row);
        let touched = fates.peek().is_some_and(|(entry, _)| *entry < range.end)
            || added.peek().is_some_and(|(of, ..)| *of == row);
        if !touched {
            for entry in range {
                if let At::Map(_) = listed.entries.at[entry] {
                    writer.map.push(listed.key(entry), listed.value(row, entry));
                }
            }
            writer.map.close();
            continue;
        }
        let mut moved: Vec<(&str, Value<'_>)> = Vec::new();
        let mut count = 0;
        for entry in range {
            let fate = fates.next_if(|(at, _)| *at == entry).map(|(_, fate)| *fate).unwrap_or_default();
            let untouched = !fate.removed && fate.key.is_none() && fate.value.is_none();
            count += usize::from(!fate.removed);
            match listed.entries.at[entry] {
                At::Promoted(_) if untouched => {}
                at => {
                    if let At::Promoted(column) = at {
                        writer.columns[usize::from(column)].push((row, None));
                    }
                    if !fate.removed {
                        let value = fate.value.map_or(listed.value(row, entry), Value::Json);
                        moved.push((fate.key.unwrap_or(listed.key(entry)), value));
                    }
                }
            }
        }
        while let Some((_, key, value)) = added.next_if(|(of, ..)| *of == row) {
            moved.push((key, Value::Json(value)));
            count += 1;
        }
        if count > HardCaps::DEFAULT.labels_max {
            return Err(format!(
                "a row of {count} attributes, the limit is {}",
                HardCaps::DEFAULT.labels_max
            ));
        }
        let taken = |column: usize| {
            let here = listed.range(row).any(|entry| listed.entries.at[entry] == At::Promoted(column as u16));
            here && writer.columns[column].last().is_none_or(|(of, _)| *of != row)
        };
        let free: Vec<bool> = (0..space.promoted.len()).map(|column| !taken(column)).collect();
        writer.row(row, moved, free);
    }
    writer.finish(batch)
}

struct Writer<'a> {
    space: Space,
    /// By promoted attribute: rows that it gains or loses.
    columns: Vec<Sparse<Owned<'a>>>,
    map: Maps,
}

#[derive(Debug, Clone)]
enum Owned<'a> {
    Text(std::borrow::Cow<'a, str>),
    Integer(i64),
}

impl<'a> Writer<'a> {
    /// Promotes what can be, and puts the rest into the map.
    fn row(&mut self, row: usize, pairs: Vec<(&str, Value<'a>)>, mut free: Vec<bool>) {
        for (key, value) in pairs {
            let place = self.space.promoted.iter().position(|promoted| promoted.key == key);
            let place = place.filter(|place| free[*place]);
            match place.and_then(|place| Some((place, promotable(&self.space.promoted[place], value)?))) {
                None => self.map.push(key, value),
                Some((place, value)) => {
                    free[place] = false;
                    let column = &mut self.columns[place];
                    match column.last_mut().filter(|(of, _)| *of == row) {
                        Some(cell) => cell.1 = Some(value),
                        None => column.push((row, Some(value))),
                    }
                }
            }
        }
        self.map.close();
    }

    fn finish(self, batch: &RecordBatch) -> Result<Vec<(&'static str, ArrayRef)>, String> {
        let rows = batch.num_rows();
        let mut out = Vec::new();
        for (promoted, cells) in self.space.promoted.iter().zip(&self.columns) {
            if cells.is_empty() {
                continue;
            }
            let array = batch.column_by_name(promoted.column);
            let new = match promoted.ty {
                Type::Dictionary => {
                    let cells = cells.iter().map(|(row, cell)| {
                        let text = cell.as_ref().and_then(|cell| match cell {
                            Owned::Text(text) => Some(&**text),
                            Owned::Integer(_) => None,
                        });
                        (*row, text)
                    });
                    columns::with_texts(promoted.ty, array, rows, &cells.collect())
                }
                _ => {
                    let cells = cells.iter().map(|(row, cell)| {
                        let number = cell.as_ref().and_then(|cell| match cell {
                            Owned::Text(_) => None,
                            Owned::Integer(number) => Some(*number),
                        });
                        (*row, number)
                    });
                    columns::with_numbers(promoted.ty, array, rows, &cells.collect())
                }
            };
            out.push((promoted.column, new));
        }
        out.push((self.space.column, self.map.finish()?));
        Ok(out)
    }
}

/// The value as its column holds it; `None` = it is of another type.
fn promotable<'a>(promoted: &Promoted, value: Value<'a>) -> Option<Owned<'a>> {
    match (promoted.ty, value) {
        (Type::Dictionary, Value::Text(text)) => Some(Owned::Text(text.into())),
        (Type::Dictionary, Value::Json(json)) if json.trim_start().starts_with('"') => {
            serde_json::from_str::<String>(json).ok().map(|text| Owned::Text(text.into()))
        }
        (Type::Bigint, Value::Integer(number)) => Some(Owned::Integer(number)),
        (Type::Bigint, Value::Json(json)) => serde_json::from_str(json).ok().map(Owned::Integer),
        _ => None,
    }
}

/// A column of maps; an empty one is null.
pub(super) struct Maps {
    offsets: Vec<i32>,
    keys: Texts,
    values: Texts,
}

#[derive(Default)]
struct Texts {
    ends: Vec<i32>,
    data: Vec<u8>,
}

impl Texts {
    fn close(&mut self) {
        self.ends.push(i32::try_from(self.data.len()).unwrap_or(i32::MAX));
    }

    fn finish(self) -> Result<StringArray, String> {
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends).collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, self.data.into(), None).map_err(|error| error.to_string())
    }
}

impl Maps {
    pub(super) fn new() -> Self {
        Self { offsets: vec![0], keys: Texts::default(), values: Texts::default() }
    }

    pub(super) fn push(&mut self, key: &str, value: Value<'_>) {
        self.keys.data.extend_from_slice(key.as_bytes());
        self.keys.close();
        value.write(&mut self.values.data);
        self.values.close();
    }

    pub(super) fn close(&mut self) {
        self.offsets.push(i32::try_from(self.keys.ends.len()).unwrap_or(i32::MAX));
    }

    pub(super) fn finish(self) -> Result<ArrayRef, String> {
        let limit = i32::MAX as usize;
        if self.keys.data.len() >= limit || self.values.data.len() >= limit {
            return Err("attributes of a batch exceed 2 GiB".to_owned());
        }
        let filled: NullBuffer = self.offsets.windows(2).map(|pair| pair[0] < pair[1]).collect();
        let nulls = (filled.null_count() > 0).then_some(filled);
        let DataType::Struct(fields) = TEXT_MAP_ENTRIES.data_type() else {
            return Err("entries of a map are no struct".to_owned());
        };
        let arrays: Vec<ArrayRef> = vec![Arc::new(self.keys.finish()?), Arc::new(self.values.finish()?)];
        let wrong = |error: arrow_schema::ArrowError| error.to_string();
        let entries = StructArray::try_new(fields.clone(), arrays, None).map_err(wrong)?;
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let map = MapArray::try_new(Arc::clone(&TEXT_MAP_ENTRIES), offsets, entries, nulls, false);
        Ok(Arc::new(map.map_err(wrong)?))
    }
}
