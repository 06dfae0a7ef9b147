//! Several batches as one.
//!
//! A call of a plugin has its price whatever it is about, and so has each label set that it answers.
//! Requests that came one after the other are shown together; what a plugin says of a row does not
//! depend on the rows beside it.

use arrow_buffer::{ArrowNativeType, BooleanBufferBuilder, Buffer, NullBuffer, ScalarBuffer};
use hashbrown::HashTable;

use super::{Column, ColumnData, Columns, Encoding, Shape, TextBuffers};
use crate::labels::LabelSet;

/// Batches of one shape, one behind the other.
pub struct Joined {
    parts: Vec<Box<dyn Columns>>,
    /// The first row of each.
    starts: Vec<usize>,
    rows: usize,
}

impl Joined {
    /// Of batches that are all of the shape of the first; `None` if there is none, or another shape.
    pub fn new(parts: Vec<Box<dyn Columns>>) -> Option<Self> {
        let shape = parts.first()?.shape();
        if parts.iter().any(|part| part.shape() != shape) {
            return None;
        }
        let mut rows = 0;
        let mut starts = Vec::with_capacity(parts.len());
        for part in &parts {
            starts.push(rows);
            rows += part.rows();
        }
        Some(Self { parts, starts, rows })
    }

    /// How many entries of a column each part has: rows, but for columns of which a row has several.
    fn entries(&self, name: &str) -> Vec<usize> {
        let rows = || self.parts.iter().map(|part| part.rows()).collect();
        let Some((prefix, rest)) = name.split_once('.').filter(|(prefix, _)| !prefix.contains(':')) else {
            return rows();
        };
        if rest == "offsets" {
            return rows();
        }
        let offsets = format!("{prefix}.offsets");
        let of = |part: &Box<dyn Columns>| part.column(&offsets, Encoding::Values);
        let all: Vec<Option<Column>> = self.parts.iter().map(of).collect();
        if all.iter().all(Option::is_none) {
            return rows();
        }
        let count = |column: &Option<Column>| match column.as_ref().map(|column| &column.data) {
            Some(ColumnData::Offsets(offsets)) => length_of(offsets),
            _ => 0,
        };
        all.iter().map(count).collect()
    }
}

impl Columns for Joined {
    fn shape(&self) -> Shape {
        self.parts[0].shape()
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str, encoding: Encoding) -> Option<Column> {
        let found: Vec<Option<Column>> = self.parts.iter().map(|part| part.column(name, encoding)).collect();
        let first = found.iter().flatten().next()?;
        let entries = if found.iter().all(Option::is_some) { Vec::new() } else { self.entries(name) };
        let parts: Vec<Part<'_>> = found
            .iter()
            .enumerate()
            .map(|(at, column)| match column {
                Some(column) => Part { column: Some(column), entries: len(&column.data) },
                None => Part { column: None, entries: entries[at] },
            })
            .collect();
        Some(Column { data: joined(&first.data, &parts)?, validity: validity(&first.data, &parts) })
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes()).sum()
    }

    fn labels_of(&self, row: usize, read: &mut dyn FnMut(&LabelSet)) {
        let part = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        self.parts[part].labels_of(row - self.starts[part], read);
    }
}

/// A column of one part; `None` = all of its entries are null.
struct Part<'a> {
    column: Option<&'a Column>,
    entries: usize,
}

fn len(data: &ColumnData) -> usize {
    match data {
        ColumnData::U8(values) => values.len(),
        ColumnData::U32(values) => values.len(),
        ColumnData::I64(values) => values.len(),
        ColumnData::F64(values) => values.len(),
        ColumnData::Fixed { width, data } => data.len().checked_div(*width as usize).unwrap_or(0),
        ColumnData::Text(text) => text.offsets.len().saturating_sub(1),
        ColumnData::Dictionary { keys, .. } => keys.len(),
        ColumnData::Offsets(offsets) => offsets.len().saturating_sub(1),
    }
}

/// Entries that offsets are about.
fn length_of(offsets: &[i32]) -> usize {
    let (first, last) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    usize::try_from(last - first).unwrap_or(0)
}

/// `None` where parts have one name for columns of different kinds.
fn joined(like: &ColumnData, parts: &[Part<'_>]) -> Option<ColumnData> {
    macro_rules! numbers {
        ($kind:ident) => {
            ColumnData::$kind(numbers(parts, |data| match data {
                ColumnData::$kind(values) => Some(values),
                _ => None,
            })?)
        };
    }
    Some(match like {
        ColumnData::U8(_) => numbers!(U8),
        ColumnData::U32(_) => numbers!(U32),
        ColumnData::I64(_) => numbers!(I64),
        ColumnData::F64(_) => numbers!(F64),
        ColumnData::Fixed { width, .. } => ColumnData::Fixed { width: *width, data: fixed(*width, parts)? },
        ColumnData::Text(_) => ColumnData::Text(texts(parts)?),
        ColumnData::Dictionary { .. } => dictionary(parts)?,
        ColumnData::Offsets(_) => ColumnData::Offsets(offsets(parts)?),
    })
}

fn numbers<T: ArrowNativeType + Default>(
    parts: &[Part<'_>],
    of: impl Fn(&ColumnData) -> Option<&ScalarBuffer<T>>,
) -> Option<ScalarBuffer<T>> {
    let mut all: Vec<T> = Vec::with_capacity(parts.iter().map(|part| part.entries).sum());
    for part in parts {
        match part.column {
            Some(column) => all.extend_from_slice(of(&column.data)?),
            None => all.resize(all.len() + part.entries, T::default()),
        }
    }
    Some(all.into())
}

fn fixed(width: u32, parts: &[Part<'_>]) -> Option<Buffer> {
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.entries * width as usize).sum());
    for part in parts {
        match part.column.map(|column| &column.data) {
            Some(ColumnData::Fixed { width: of, data }) if *of == width => all.extend_from_slice(data),
            Some(_) => return None,
            None => all.resize(all.len() + part.entries * width as usize, 0),
        }
    }
    Some(Buffer::from_vec(all))
}

fn texts(parts: &[Part<'_>]) -> Option<TextBuffers> {
    let (mut offsets, mut data) = (vec![0_i32], Vec::new());
    for part in parts {
        match part.column.map(|column| &column.data) {
            Some(ColumnData::Text(text)) => push_texts(&mut offsets, &mut data, text)?,
            Some(_) => return None,
            None => offsets.resize(offsets.len() + part.entries, i32::try_from(data.len()).ok()?),
        }
    }
    Some(TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) })
}

fn push_texts(offsets: &mut Vec<i32>, data: &mut Vec<u8>, text: &TextBuffers) -> Option<()> {
    let (Some(first), Some(last)) = (text.offsets.first(), text.offsets.last()) else { return Some(()) };
    let base = i32::try_from(data.len()).ok()?;
    base.checked_add(last - first)?;
    data.extend_from_slice(&text.data[*first as usize..*last as usize]);
    offsets.extend(text.offsets[1..].iter().map(|offset| base + (offset - first)));
    Some(())
}

/// Values that several parts have are there once.
fn dictionary(parts: &[Part<'_>]) -> Option<ColumnData> {
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.entries).sum());
    let (mut offsets, mut data) = (vec![0_i32], Vec::<u8>::new());
    let hasher = ahash::RandomState::new();
    let mut known = HashTable::<i32>::new();
    for part in parts {
        let (keys, values) = match part.column.map(|column| &column.data) {
            Some(ColumnData::Dictionary { keys, values }) => (keys, values),
            Some(_) => return None,
            None => {
                all.resize(all.len() + part.entries, 0);
                continue;
            }
        };
        let mut new_keys = Vec::with_capacity(values.offsets.len());
        for bounds in values.offsets.windows(2) {
            let value = &values.data[bounds[0] as usize..bounds[1] as usize];
            let at = |key: i32| &data[offsets[key as usize] as usize..offsets[key as usize + 1] as usize];
            let hash = hasher.hash_one(value);
            let found = known.find(hash, |key| at(*key) == value).copied();
            new_keys.push(match found {
                Some(key) => key,
                None => {
                    let key = i32::try_from(offsets.len() - 1).ok()?;
                    data.extend_from_slice(value);
                    offsets.push(i32::try_from(data.len()).ok()?);
                    let at =
                        |key: i32| &data[offsets[key as usize] as usize..offsets[key as usize + 1] as usize];
                    known.insert_unique(hash, key, |key| hasher.hash_one(at(*key)));
                    key
                }
            });
        }
        // What a null row points to has no meaning.
        all.extend(keys.iter().map(|key| new_keys.get(*key as usize).copied().unwrap_or(0)));
    }
    let values = TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) };
    Some(ColumnData::Dictionary { keys: all.into(), values })
}

fn offsets(parts: &[Part<'_>]) -> Option<ScalarBuffer<i32>> {
    let mut all = vec![0_i32];
    for part in parts {
        let base = all.last().copied().unwrap_or(0);
        match part.column.map(|column| &column.data) {
            Some(ColumnData::Offsets(offsets)) => {
                let first = offsets.first().copied().unwrap_or(0);
                base.checked_add(i32::try_from(length_of(offsets)).ok()?)?;
                all.extend(offsets.iter().skip(1).map(|offset| base + (offset - first)));
            }
            Some(_) => return None,
            None => all.resize(all.len() + part.entries, base),
        }
    }
    Some(all.into())
}

/// Which entries are valid. A row without entries has none, so offsets are never null.
fn validity(like: &ColumnData, parts: &[Part<'_>]) -> Option<NullBuffer> {
    let has_nulls = |part: &Part<'_>| part.column.is_none_or(|column| column.validity.is_some());
    if matches!(like, ColumnData::Offsets(_)) || !parts.iter().any(has_nulls) {
        return None;
    }
    let mut all = BooleanBufferBuilder::new(parts.iter().map(|part| part.entries).sum());
    for part in parts {
        match part.column {
            None => all.append_n(part.entries, false),
            Some(Column { validity: None, .. }) => all.append_n(part.entries, true),
            Some(Column { validity: Some(valid), .. }) => all.append_buffer(valid.inner()),
        }
    }
    Some(NullBuffer::new(all.finish()))
}

#[cfg(test)]
mod tests;
