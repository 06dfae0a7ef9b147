//! The columns of attributes of one file while it is written.

use std::sync::Arc;

use ahash::RandomState;
use arrow_array::builder::{Float64Builder, StringBuilder};
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow_schema::{Schema, SchemaRef};
use hashbrown::HashTable;

use super::find::{Finder, NOWHERE};
use super::{COLUMN, number};
use crate::files::parquet::attribute_field;
use crate::tables::{AttributeColumn, AttributeValues};

/// Distinct values of a column of texts. One that has more is given up.
const TEXTS_MAX: usize = 64 << 10;

/// Makes the columns, chunk by chunk.
#[derive(Debug)]
pub(in crate::files::merge) struct Columns {
    schema: SchemaRef,
    finder: Finder,
    columns: Vec<Column>,
    hasher: RandomState,
    /// Values that may still be told apart, of all columns together.
    room: usize,
}

#[derive(Debug)]
struct Column {
    attribute: AttributeColumn,
    /// Hashes of its values so far, of texts.
    texts: HashTable<u64>,
    /// Whether it had a value that it cannot hold: from there on it is null.
    given_up: bool,
}

impl Columns {
    /// Beside the columns of `schema`. `room` is how many values are told apart at most; a
    /// column that has a new one beyond it is given up.
    pub(in crate::files::merge) fn new(
        schema: &SchemaRef,
        attributes: &[AttributeColumn],
        room: usize,
    ) -> Self {
        let beside = attributes.iter().map(|attribute| Arc::new(attribute_field(attribute)));
        let fields: Vec<_> = schema.fields().iter().cloned().chain(beside).collect();
        let column = |attribute: &AttributeColumn| Column {
            attribute: attribute.clone(),
            texts: HashTable::new(),
            given_up: false,
        };
        Self {
            schema: if attributes.is_empty() { Arc::clone(schema) } else { Arc::new(Schema::new(fields)) },
            finder: Finder::new(attributes.iter().map(|attribute| attribute.key.as_str())),
            columns: attributes.iter().map(column).collect(),
            hasher: RandomState::new(),
            room,
        }
    }

    /// The columns of the file.
    pub(in crate::files::merge) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows with the columns beside them.
    pub(in crate::files::merge) fn beside(&mut self, rows: RecordBatch) -> Result<RecordBatch, String> {
        if self.columns.is_empty() {
            return Ok(rows);
        }
        let map = rows.column_by_name(COLUMN).and_then(|array| array.as_map_opt());
        let map = map.ok_or_else(|| format!("there is no map {COLUMN}"))?;
        let values = map.values().as_string_opt::<i32>().ok_or("values of attributes are no strings")?;
        let found = self.finder.find(map)?;
        let mut arrays = rows.columns().to_vec();
        for (column, entries) in self.columns.iter_mut().zip(&found) {
            arrays.push(column.array(values, entries, &self.hasher, &mut self.room));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|error| error.to_string())
    }

    /// The attributes, and what their columns hold for all rows so far.
    pub(in crate::files::merge) fn held(self) -> Vec<AttributeColumn> {
        let held = self.columns.into_iter().map(|Column { attribute, given_up, .. }| AttributeColumn {
            values: if given_up { AttributeValues::Unusable } else { attribute.values },
            ..attribute
        });
        held.collect()
    }
}

impl Column {
    fn array(
        &mut self,
        values: &StringArray,
        entries: &[u32],
        hasher: &RandomState,
        room: &mut usize,
    ) -> ArrayRef {
        let array = match self.attribute.values {
            _ if self.given_up => None,
            AttributeValues::Text => self.texts(values, entries, hasher, room),
            AttributeValues::Number => numbers(values, entries),
            AttributeValues::Unusable => None,
        };
        array.unwrap_or_else(|| {
            self.given_up = true;
            *room += self.texts.len();
            self.texts = HashTable::new();
            new_null_array(attribute_field(&self.attribute).data_type(), entries.len())
        })
    }

    /// `None` if there are too many.
    fn texts(
        &mut self,
        values: &StringArray,
        entries: &[u32],
        hasher: &RandomState,
        room: &mut usize,
    ) -> Option<ArrayRef> {
        let mut array = StringBuilder::with_capacity(entries.len(), 8 * entries.len());
        for entry in entries {
            let value = value_of(values, *entry);
            if let Some(value) = value
                && !self.take(hasher.hash_one(value), room)
            {
                return None;
            }
            array.append_option(value);
        }
        Some(Arc::new(array.finish()))
    }

    /// Whether a value is known or there is room for it.
    fn take(&mut self, hash: u64, room: &mut usize) -> bool {
        if self.texts.find(hash, |known| *known == hash).is_some() {
            return true;
        }
        if *room == 0 || self.texts.len() == TEXTS_MAX {
            return false;
        }
        *room -= 1;
        self.texts.insert_unique(hash, hash, |known| *known);
        true
    }
}

/// `None` if one of the texts is no number.
fn numbers(values: &StringArray, entries: &[u32]) -> Option<ArrayRef> {
    let mut array = Float64Builder::with_capacity(entries.len());
    for entry in entries {
        match value_of(values, *entry) {
            Some(value) => array.append_value(number(value)?),
            None => array.append_null(),
        }
    }
    Some(Arc::new(array.finish()))
}

fn value_of(values: &StringArray, entry: u32) -> Option<&str> {
    let entry = (entry != NOWHERE).then_some(entry as usize)?;
    values.is_valid(entry).then(|| values.value(entry))
}

#[cfg(test)]
mod tests {
    use arrow_array::Float64Array;
    use arrow_array::types::Float64Type;

    use super::super::tests::{Row, map_of};
    use super::*;
    use crate::tables::AttributeValues::{Number, Text};

    fn rows_of(rows: &[Row]) -> RecordBatch {
        let map: ArrayRef = Arc::new(map_of(rows));
        RecordBatch::try_from_iter_with_nullable([(COLUMN, map, true)]).unwrap()
    }

    fn row(value: impl ToString) -> Row {
        Some(vec![("k".to_owned(), Some(value.to_string()))])
    }

    fn columns(values: AttributeValues, room: usize) -> Columns {
        let attribute = AttributeColumn { key: "k".to_owned(), values };
        Columns::new(&rows_of(&[]).schema(), &[attribute], room)
    }

    /// Whether texts of so many values, and one more, are held.
    fn check_texts(room: usize, max: usize) {
        let mut columns = columns(Text, room);
        let texts: Vec<Row> = (0..max).map(row).collect();
        let rows = columns.beside(rows_of(&texts)).unwrap();
        assert!(!columns.columns[0].given_up);
        assert_eq!(rows.column(1).as_string::<i32>().value(max - 1), (max - 1).to_string());
        columns.beside(rows_of(&texts)).unwrap();
        assert!(!columns.columns[0].given_up);
        let rows = columns.beside(rows_of(&[row("0"), row("new")])).unwrap();
        assert_eq!((rows.column(1).null_count(), columns.room), (2, room));
        let rows = columns.beside(rows_of(&[row("0")])).unwrap();
        assert_eq!(rows.column(1).null_count(), 1);
        assert_eq!(columns.held()[0].values, AttributeValues::Unusable);
    }

    #[test]
    fn texts_of_so_many_values() {
        check_texts(usize::MAX, TEXTS_MAX);
        check_texts(7, 7);
    }

    /// The text and the number that stands for it, bit for bit.
    fn check_number(text: &str, want: f64) {
        let rows = columns(Number, 0).beside(rows_of(&[row(text), None])).unwrap();
        let found = rows.column(1).as_primitive::<Float64Type>();
        assert_eq!((found.value(0).to_bits(), found.is_null(1)), (want.to_bits(), true), "{text}");
        let text: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let cast = arrow_cast::cast(&text, &arrow_schema::DataType::Float64).unwrap();
        assert_eq!(cast.as_primitive::<Float64Type>(), &Float64Array::from(vec![want]));
    }

    #[test]
    fn numbers_are_what_a_cast_makes_of_the_text() {
        check_number("-0", -0.0);
        check_number("1e999", f64::INFINITY);
        check_number("-inf", f64::NEG_INFINITY);
        check_number(" \t1.50\n", 1.5);
        check_number("5e-324", f64::from_bits(1));
        check_number("17976931348623157e292", f64::MAX);
        for text in ["", "NaN", "0x10", "1_000", "\"1\"", "true", "null"] {
            let mut columns = columns(Number, 0);
            let rows = columns.beside(rows_of(&[row("1"), row(text)])).unwrap();
            assert_eq!(rows.column(1).null_count(), 2, "{text}");
            assert_eq!(columns.held()[0].values, AttributeValues::Unusable, "{text}");
        }
    }
}
