//! The attributes of items: promoted ones to their columns, the rest to a map,
//! and all of them to the index that validators read.

use std::sync::LazyLock;

use arrow_schema::ArrowError;
use isinglass_model::batch::AttributeIndex;
use isinglass_model::limits::HardCaps;
use isinglass_model::reason::code;
use isinglass_model::tables::promoted::{LOG, Promoted, SPAN};

use super::Finished;
use super::dictionary::Interner;
use super::maps::Maps;
use super::promoted::{Column, Places, Value, places};
use crate::item::{Fault, Stop};
use crate::value::{Any, not_utf8};

/// No key, no column.
const NONE: i32 = -1;

/// Attributes of the items of one batch.
pub(crate) struct Attributes {
    promoted: &'static [Promoted],
    places: &'static Places,
    /// The code for an item with more attributes than can be held.
    too_many: &'static str,
    keys: Interner,
    /// Per key: the column it goes to.
    column_of: Vec<i32>,
    /// Per key, and for the start of an item at 0: the key that came after it
    /// last time. Items of one sender carry the same keys in the same order,
    /// so most keys are recognised without a hash.
    follows: Vec<i32>,
    previous: i32,
    columns: Vec<Column>,
    residual: Maps,
    offsets: Vec<i32>,
    index_keys: Vec<i32>,
    value_lengths: Vec<u32>,
}

impl Attributes {
    /// For spans.
    pub(crate) fn of_spans() -> Self {
        static PLACES: LazyLock<Places> = LazyLock::new(|| places(SPAN));
        Self::new(SPAN, &PLACES, code::TOO_MANY_ATTRIBUTES)
    }

    /// For log records.
    pub(crate) fn of_logs() -> Self {
        static PLACES: LazyLock<Places> = LazyLock::new(|| places(LOG));
        Self::new(LOG, &PLACES, code::STRUCTURED_METADATA_TOO_MANY)
    }

    fn new(promoted: &'static [Promoted], places: &'static Places, too_many: &'static str) -> Self {
        Self {
            promoted,
            places,
            too_many,
            keys: Interner::default(),
            column_of: Vec::new(),
            follows: vec![NONE],
            previous: NONE,
            columns: std::iter::repeat_with(Column::default).take(promoted.len()).collect(),
            residual: Maps::default(),
            offsets: vec![0],
            index_keys: Vec::new(),
            value_lengths: Vec::new(),
        }
    }

    /// Adds an attribute to `row`, the row that is open.
    #[inline]
    pub(crate) fn push(&mut self, row: usize, key: &[u8], value: Any<'_>) -> Result<(), Stop> {
        let key = self.key(key)?;
        if self.index_keys.len() - self.offsets[row] as usize >= HardCaps::DEFAULT.labels_max {
            let max = HardCaps::DEFAULT.labels_max;
            return Err(Fault::new(self.too_many, format!("an item has more than {max} attributes")).into());
        }
        let length = match self.promote(row, key, value)? {
            Some(value_set) => promoted_length(value, value_set),
            None => {
                let written = self.residual.push(self.keys.get(key), value)?;
                if let Any::Text(text) = value { text.len() } else { written }
            }
        };
        self.index_keys.push(key);
        self.value_lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Whether `row`, the row that is open, has an attribute of this key.
    pub(crate) fn holds(&self, row: usize, key: &[u8]) -> bool {
        self.index_keys[self.offsets[row] as usize..].iter().any(|number| self.keys.get(*number) == key)
    }

    /// The number of a key.
    #[inline]
    fn key(&mut self, key: &[u8]) -> Result<i32, Fault> {
        let slot = (self.previous + 1) as usize;
        let guess = self.follows[slot];
        if guess != NONE && self.keys.get(guess) == key {
            self.previous = guess;
            return Ok(guess);
        }
        let number = self.keys.intern(key).map_err(|_| not_utf8(key, "an attribute key"))?;
        if number as usize == self.column_of.len() {
            self.column_of.push(self.places.get(key).map_or(NONE, |at| *at as i32));
            self.follows.push(NONE);
        }
        self.follows[slot] = number;
        self.previous = number;
        Ok(number)
    }

    /// Puts the value into its column; `None` if it has none, is of another
    /// type, or the key comes a second time.
    #[inline]
    fn promote(&mut self, row: usize, key: i32, value: Any<'_>) -> Result<Option<Value>, Fault> {
        let at = self.column_of[key as usize];
        if at == NONE {
            return Ok(None);
        }
        let column = &mut self.columns[at as usize];
        if column.has(row) {
            return Ok(None);
        }
        let prepared = column.prepare(self.promoted[at as usize].ty, value).map_err(|_| match value {
            Any::Text(text) => not_utf8(text, "an attribute value"),
            _ => not_utf8(&[], "an attribute value"),
        })?;
        if let Some(value) = prepared {
            column.set_range(row, row + 1, value);
        }
        Ok(prepared)
    }

    /// Closes `row`.
    pub(crate) fn close_row(&mut self, row: usize) {
        self.residual.close_row(row);
        self.offsets.push(self.index_keys.len() as i32);
        self.previous = NONE;
    }

    /// Forgets `row`, which is open or was the last to be closed.
    pub(crate) fn truncate(&mut self, row: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(row));
        self.residual.truncate(row);
        self.offsets.truncate(row + 1);
        let kept = self.offsets[row] as usize;
        self.index_keys.truncate(kept);
        self.value_lengths.truncate(kept);
        self.previous = NONE;
    }

    /// Adds the columns to the batch.
    pub(crate) fn finish(self, rows: usize, batch: &mut Finished) -> Result<AttributeIndex, ArrowError> {
        for (promoted, column) in self.promoted.iter().zip(self.columns) {
            batch.push(promoted.column, column.finish(rows)?);
        }
        batch.push("attributes", self.residual.finish(rows)?);
        Ok(AttributeIndex {
            offsets: self.offsets.into(),
            keys: self.index_keys.into(),
            key_values: self.keys.finish(),
            value_lengths: self.value_lengths.into(),
        })
    }
}

/// Bytes of a value that went into a column: of text itself, of anything else
/// as JSON text.
fn promoted_length(value: Any<'_>, set: Value) -> usize {
    match (value, set) {
        (Any::Text(text), _) => text.len(),
        (_, Value::Bigint(value)) => {
            let digits = value.unsigned_abs().checked_ilog10().map_or(1, |log| log as usize + 1);
            digits + usize::from(value < 0)
        }
        (_, Value::Boolean(value)) => {
            if value {
                4
            } else {
                5
            }
        }
        (_, Value::Double(value)) => {
            let mut text = Vec::new();
            crate::json_text::write_f64(&mut text, value);
            text.len()
        }
        (_, Value::Key(_)) => 0,
    }
}
