//! The columns of a batch, ready to be pushed into a guest.
//!
//! A batch is asked for a column once, however many plugins want it. Buffers are
//! shared with the batch and copied only where a guest could not read them as
//! they are: offsets that do not start at 0, keys of null rows.

use std::ops::Range;

use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use isinglass_model::columns::{self as model, Columns, Encoding, Shape, TextBuffers};
use isinglass_model::labels::LabelSet;

use crate::abi::{ColumnIn, DataIn, DictionaryIn, FixedIn, TextIn};

/// A column that a plugin asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) slot: u16,
    pub(crate) name: String,
    pub(crate) encoding: Encoding,
    pub(crate) optional: bool,
}

/// Text whose offsets start at 0 and end with the data.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) offsets: ScalarBuffer<i32>,
    pub(crate) data: Buffer,
}

/// The buffers of a column.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Bytes(ScalarBuffer<u8>),
    U32(ScalarBuffer<u32>),
    I64(ScalarBuffer<i64>),
    F64(ScalarBuffer<f64>),
    Fixed { width: u32, data: Buffer },
    Text(Text),
    Dictionary { keys: ScalarBuffer<u32>, values: Text },
    Offsets(ScalarBuffer<i32>),
}

/// A column of a batch or of a cut of it.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) data: Data,
    validity: Option<Buffer>,
    /// The offsets by which rows of the batch own entries of this column;
    /// `None` = one entry per row.
    entries: Option<ScalarBuffer<i32>>,
}

/// Dictionaries up to this size are pushed whole with every cut of a batch.
const SMALL_DICTIONARY_BYTES: usize = 64 << 10;

impl Text {
    pub(crate) fn new(text: &TextBuffers) -> Self {
        let (Some(first), Some(last)) = (text.offsets.first(), text.offsets.last()) else {
            return Self { offsets: vec![0].into(), data: Buffer::from(&[]) };
        };
        Self { offsets: rebased(&text.offsets), data: bytes_between(&text.data, *first, *last) }
    }

    fn slice(&self, values: Range<usize>) -> Self {
        let offsets = self.offsets.slice(values.start, values.len() + 1);
        let (first, last) = (offsets[0], offsets[values.len()]);
        Self { offsets: rebased(&offsets), data: bytes_between(&self.data, first, last) }
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The bytes of a value.
    pub(crate) fn value(&self, at: usize) -> &[u8] {
        &self.data[self.offsets[at] as usize..self.offsets[at + 1] as usize]
    }

    fn bytes(&self) -> usize {
        self.data.len() + 4 * self.offsets.len()
    }

    /// The values at `indexes`, in that order.
    fn gather(&self, indexes: &[u32]) -> Self {
        let mut offsets = Vec::with_capacity(indexes.len() + 1);
        let mut data = Vec::new();
        offsets.push(0);
        for index in indexes {
            data.extend_from_slice(self.value(*index as usize));
            // No more data than `self` has, whose offsets fit.
            offsets.push(data.len() as i32);
        }
        Self { offsets: offsets.into(), data: Buffer::from_vec(data) }
    }
}

fn bytes_between(data: &Buffer, first: i32, last: i32) -> Buffer {
    data.slice_with_length(first as usize, (last - first) as usize)
}

fn rebased(offsets: &ScalarBuffer<i32>) -> ScalarBuffer<i32> {
    match offsets.first() {
        None | Some(0) => offsets.clone(),
        Some(first) => offsets.iter().map(|offset| offset - first).collect(),
    }
}

/// Keys as the guest reads them: unsigned, 0 where the row is null.
fn keys(keys: &ScalarBuffer<i32>, validity: Option<&NullBuffer>) -> ScalarBuffer<u32> {
    match validity {
        None => keys.inner().clone().into(),
        Some(valid) => keys
            .iter()
            .zip(valid.iter())
            .map(|(key, valid)| if valid { key.cast_unsigned() } else { 0 })
            .collect(),
    }
}

impl Prepared {
    pub(crate) fn new(column: model::Column, entries: Option<ScalarBuffer<i32>>) -> Self {
        let data = match column.data {
            model::ColumnData::U8(values) => Data::Bytes(values),
            model::ColumnData::U32(values) => Data::U32(values),
            model::ColumnData::I64(values) => Data::I64(values),
            model::ColumnData::F64(values) => Data::F64(values),
            model::ColumnData::Fixed { width, data } => Data::Fixed { width, data },
            model::ColumnData::Text(text) => Data::Text(Text::new(&text)),
            model::ColumnData::Dictionary { keys: ids, values } => {
                Data::Dictionary { keys: keys(&ids, column.validity.as_ref()), values: Text::new(&values) }
            }
            model::ColumnData::Offsets(offsets) => Data::Offsets(offsets),
        };
        let validity = column.validity.map(|valid| valid.inner().sliced());
        Self { data, validity, entries }
    }

    /// The column as the guest gets it.
    pub(crate) fn lower(&self, slot: u16) -> ColumnIn<'_> {
        let data = match &self.data {
            Data::Bytes(values) => DataIn::Bytes(values),
            Data::U32(values) => DataIn::U32(values),
            Data::I64(values) => DataIn::I64(values),
            Data::F64(values) => DataIn::F64(values),
            Data::Fixed { width, data } => DataIn::Fixed(FixedIn { width: *width, data }),
            Data::Text(text) => DataIn::Text(TextIn { offsets: &text.offsets, data: &text.data }),
            Data::Dictionary { keys, values } => {
                DataIn::Dictionary(DictionaryIn { keys, offsets: &values.offsets, data: &values.data })
            }
            Data::Offsets(offsets) => DataIn::Offsets(offsets),
        };
        let bytes = self.len().div_ceil(8);
        let validity = self.validity.as_deref().map(|bits| bits.get(..bytes).unwrap_or(bits));
        ColumnIn { slot, validity, data }
    }

    /// Number of entries, which is the number of rows unless rows own ranges of them.
    pub(crate) fn len(&self) -> usize {
        match &self.data {
            Data::Bytes(values) => values.len(),
            Data::U32(values) => values.len(),
            Data::I64(values) => values.len(),
            Data::F64(values) => values.len(),
            Data::Fixed { width, data } => data.len().checked_div(*width as usize).unwrap_or(0),
            Data::Text(text) => text.len(),
            Data::Dictionary { keys, .. } => keys.len(),
            Data::Offsets(offsets) => offsets.len().saturating_sub(1),
        }
    }

    fn entries_of(&self, rows: &Range<usize>) -> Range<usize> {
        match &self.entries {
            None => rows.clone(),
            Some(offsets) => offsets[rows.start] as usize..offsets[rows.end] as usize,
        }
    }

    /// Whether any entry is null.
    pub(crate) fn has_nulls(&self) -> bool {
        self.validity.is_some()
    }

    /// Whether an entry is not null.
    pub(crate) fn is_valid(&self, entry: usize) -> bool {
        self.validity.as_ref().is_none_or(|bits| bits[entry / 8] >> (entry % 8) & 1 == 1)
    }

    /// The values of a dictionary that is too large to be pushed with every cut.
    pub(crate) fn large_dictionary(&self) -> Option<(&ScalarBuffer<u32>, &Text)> {
        match &self.data {
            Data::Dictionary { keys, values } if values.bytes() > SMALL_DICTIONARY_BYTES => {
                Some((keys, values))
            }
            _ => None,
        }
    }

    /// Bytes that `rows` of this column take in the guest, without the values of
    /// large dictionaries.
    pub(crate) fn bytes_of(&self, rows: &Range<usize>) -> usize {
        let entries = self.entries_of(rows);
        match &self.data {
            Data::Bytes(_) => entries.len(),
            Data::U32(_) | Data::Offsets(_) => 4 * entries.len(),
            Data::I64(_) | Data::F64(_) => 8 * entries.len(),
            Data::Fixed { width, .. } => *width as usize * entries.len(),
            Data::Text(text) => {
                let data = text.offsets[entries.end] - text.offsets[entries.start];
                4 * entries.len() + data as usize
            }
            Data::Dictionary { values, .. } => {
                let values = if values.bytes() > SMALL_DICTIONARY_BYTES { 0 } else { values.bytes() };
                4 * entries.len() + values
            }
        }
    }

    /// The entries of `rows` as a large dictionary counts them.
    pub(crate) fn entries_in(&self, rows: &Range<usize>) -> Range<usize> {
        self.entries_of(rows)
    }

    /// The column of a cut of the batch. Large dictionaries keep only the values
    /// that the cut uses.
    pub(crate) fn slice(&self, rows: &Range<usize>) -> Self {
        let entries = self.entries_of(rows);
        let (start, len) = (entries.start, entries.len());
        let data = match &self.data {
            Data::Bytes(values) => Data::Bytes(values.slice(start, len)),
            Data::U32(values) => Data::U32(values.slice(start, len)),
            Data::I64(values) => Data::I64(values.slice(start, len)),
            Data::F64(values) => Data::F64(values.slice(start, len)),
            Data::Fixed { width, data } => {
                let width_bytes = *width as usize;
                Data::Fixed {
                    width: *width,
                    data: data.slice_with_length(start * width_bytes, len * width_bytes),
                }
            }
            Data::Text(text) => Data::Text(text.slice(entries)),
            Data::Offsets(offsets) => Data::Offsets(rebased(&offsets.slice(start, len + 1))),
            Data::Dictionary { keys, values } => {
                let keys = keys.slice(start, len);
                if values.bytes() > SMALL_DICTIONARY_BYTES {
                    compact(&keys, values)
                } else {
                    Data::Dictionary { keys, values: values.clone() }
                }
            }
        };
        let validity = self.validity.as_ref().map(|bits| bits.bit_slice(start, len));
        Self { data, validity, entries: None }
    }
}

mod take;

/// A dictionary with only the values that `keys` point to, in order of first use.
fn compact(keys: &[u32], values: &Text) -> Data {
    const UNUSED: u32 = u32::MAX;
    let mut new_key = vec![UNUSED; values.len()];
    let mut used = Vec::new();
    let keys = keys
        .iter()
        .map(|key| match new_key.get_mut(*key as usize) {
            // A null row of a dictionary without values.
            None => 0,
            Some(new) => {
                if *new == UNUSED {
                    *new = used.len() as u32;
                    used.push(*key);
                }
                *new
            }
        })
        .collect();
    Data::Dictionary { keys, values: values.gather(&used) }
}

/// The columns of one batch that plugins asked for so far.
pub(crate) struct Offered<'a> {
    batch: &'a dyn Columns,
    known: Vec<(String, Encoding, Option<Prepared>)>,
}

impl<'a> Offered<'a> {
    pub(crate) fn new(batch: &'a dyn Columns) -> Self {
        Self { batch, known: Vec::new() }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.batch.shape()
    }

    pub(crate) fn rows(&self) -> usize {
        self.batch.rows()
    }

    /// Hands over the labels of a row's series.
    pub(crate) fn labels_of(&self, row: usize, read: &mut dyn FnMut(&LabelSet)) {
        self.batch.labels_of(row, read);
    }

    /// The series that the rows belong to, where they have numbers.
    pub(crate) fn series(&self) -> Option<model::SeriesOfRows> {
        self.batch.series()
    }

    /// One column; `None` if the batch does not have it.
    pub(crate) fn column(&mut self, name: &str, encoding: Encoding) -> Option<&Prepared> {
        let at = self.find(name, encoding);
        self.known[at].2.as_ref()
    }

    /// The columns that answer `requests`, each with its slot; `None` if one
    /// that is not optional is missing.
    pub(crate) fn project(&mut self, requests: &[Request]) -> Option<Vec<(u16, &Prepared)>> {
        let mut found = Vec::with_capacity(requests.len());
        for request in requests {
            let at = self.find(&request.name, request.encoding);
            match (&self.known[at].2, request.optional) {
                (Some(_), _) => found.push((request.slot, at)),
                (None, true) => {}
                (None, false) => return None,
            }
        }
        Some(found.into_iter().filter_map(|(slot, at)| Some((slot, self.known[at].2.as_ref()?))).collect())
    }

    fn find(&mut self, name: &str, encoding: Encoding) -> usize {
        let position = self.known.iter().position(|(known, as_, _)| *as_ == encoding && known == name);
        position.unwrap_or_else(|| {
            let prepared = self.batch.column(name, encoding).map(|column| {
                let entries = match column.data {
                    model::ColumnData::Offsets(_) => None,
                    _ => self.entries(name),
                };
                Prepared::new(column, entries)
            });
            self.known.push((name.to_owned(), encoding, prepared));
            self.known.len() - 1
        })
    }

    /// `attr.key` belongs to the entries of `attr.offsets`, if there is such a column.
    fn entries(&mut self, name: &str) -> Option<ScalarBuffer<i32>> {
        // A key of attributes may have a point in it, too.
        let (prefix, _) = name.split_once('.').filter(|(prefix, _)| !prefix.contains(':'))?;
        let at = self.find(&format!("{prefix}.offsets"), Encoding::Values);
        match &self.known[at].2.as_ref()?.data {
            Data::Offsets(offsets) => Some(offsets.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
