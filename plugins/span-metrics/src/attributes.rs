//! Columns that the configuration names, whatever type they have.

use std::borrow::Cow;

use isinglass_plugin::{
    Batch, Data, Dictionary, Encoding, Groups, Integers, Keys, LabelValues, Request, Shape, TextData, View,
};

/// A request for a column that a batch may lack.
pub(crate) fn request(slot: u16, name: String) -> Request {
    Request {
        shape: Shape::Spans,
        slot,
        name: Cow::Owned(name),
        encoding: Encoding::Dictionary,
        optional: true,
    }
}

/// A column of text or integers.
#[derive(Debug)]
pub(crate) enum Values<'a> {
    Text(Dictionary<'a>),
    Integers { column: Integers<'a>, distinct: Groups },
}

impl<'a> Values<'a> {
    /// The column of a slot, if the batch has it.
    pub(crate) fn read(batch: &'a Batch, slot: u16) -> Option<Self> {
        let values = match batch.column(slot)?.data {
            Data::I64(_) => Integers::read(batch, slot)
                .map(|column| Self::Integers { column, distinct: Groups::by_integers(column) }),
            _ => Dictionary::read(batch, slot).map(Self::Text),
        };
        Some(values.expect("the host gives text or integers"))
    }

    /// To group rows by.
    pub(crate) fn keys(&self) -> Keys<'_> {
        match self {
            Self::Text(column) => (*column).into(),
            Self::Integers { distinct, .. } => Keys::new(distinct.ids(), distinct.len() as u64),
        }
    }

    /// The key of a row, null rows having one of their own, and how many there are.
    pub(crate) fn key(&self, row: usize) -> u32 {
        match self {
            Self::Text(column) if column.validity().is_valid(row) => column.keys()[row],
            Self::Text(column) => column.distinct().len() as u32,
            Self::Integers { distinct, .. } => distinct.ids()[row],
        }
    }

    /// One more than the largest key.
    pub(crate) fn distinct(&self) -> u64 {
        match self {
            Self::Text(column) => column.distinct().len() as u64 + 1,
            Self::Integers { distinct, .. } => distinct.len() as u64,
        }
    }

    /// The text of a row; empty if it has none.
    pub(crate) fn text(&self, row: usize) -> Cow<'a, str> {
        match self {
            Self::Text(column) => Cow::Borrowed(column.get(row).unwrap_or_default()),
            Self::Integers { column, .. } => {
                column.get(row).map_or(Cow::Borrowed(""), |value| Cow::Owned(value.to_string()))
            }
        }
    }

    /// Asks a question of the text of every row, once per distinct value.
    pub(crate) fn per_row<T: Copy>(&self, rows: usize, none: T, answer: impl Fn(&str) -> T) -> Vec<T> {
        match self {
            Self::Text(column) => {
                let answers = column.per_distinct(answer);
                let valid = column.validity();
                let of = |row| if valid.is_valid(row) { answers[column.keys()[row] as usize] } else { none };
                (0..rows).map(of).collect()
            }
            Self::Integers { column, distinct } => {
                let of =
                    |row: &u32| column.get(*row as usize).map_or(none, |value| answer(&value.to_string()));
                let answers: Vec<T> = distinct.first_rows().iter().map(of).collect();
                distinct.ids().iter().map(|id| answers[*id as usize]).collect()
            }
        }
    }

    /// As a label with a key per group.
    pub(crate) fn label(&self, groups: &Groups) -> Option<(Vec<u32>, LabelValues)> {
        let Self::Integers { distinct, .. } = self else { return None };
        let keys = groups.first_rows().iter().map(|row| distinct.ids()[*row as usize]).collect();
        let texts: Vec<Cow<'_, str>> =
            distinct.first_rows().iter().map(|row| self.text(*row as usize)).collect();
        let values: TextData = texts.iter().map(|text| &**text).collect();
        Some((keys, LabelValues::Own(values)))
    }
}

/// The name of a label made of that of an attribute.
pub(crate) fn label_name(attribute: &str) -> String {
    let key = attribute.split_once(':').map_or(attribute, |(_, key)| key);
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let name: String = key.chars().map(plain).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}
