//! Columns of promoted attributes.

use arrow_array::ArrayRef;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_schema::ArrowError;
use hashbrown::HashMap;
use isinglass_model::tables::Type;
use isinglass_model::tables::promoted::Promoted;

use super::dictionary::{Dictionary, NotUtf8};
use super::primitive::Numbers;
use crate::value::Any;

/// Where the attribute of each key goes, by position in a list of promoted ones.
pub(super) type Places = HashMap<&'static [u8], usize, ahash::RandomState>;

/// The places of a list, by key and by column name. The latter is how Loki's
/// senders write the same attributes.
pub(super) fn places(list: &'static [Promoted]) -> Places {
    let by_key = list.iter().enumerate().map(|(at, promoted)| (promoted.key.as_bytes(), at));
    let by_column = list.iter().enumerate().map(|(at, promoted)| (promoted.column.as_bytes(), at));
    by_column.chain(by_key).collect()
}

/// A column that is made when it is first used.
#[derive(Default)]
pub(super) enum Column {
    #[default]
    Unused,
    Text(Dictionary),
    Bigint(Numbers<i64>),
    Double(Numbers<f64>),
    Boolean(Numbers<bool>),
}

/// A value ready to be set.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Key(i32),
    Bigint(i64),
    Double(f64),
    Boolean(bool),
}

impl Column {
    /// Takes a value of the column's type; `None` = it is of another type.
    #[inline]
    pub(super) fn prepare(&mut self, ty: Type, value: Any<'_>) -> Result<Option<Value>, NotUtf8> {
        Ok(match (ty, value) {
            (Type::Dictionary, Any::Text(text)) => {
                if matches!(self, Self::Unused) {
                    *self = Self::Text(Dictionary::default());
                }
                let Self::Text(column) = self else { return Ok(None) };
                Some(Value::Key(column.intern(text)?))
            }
            (Type::Bigint, Any::Int(value)) => Some(Value::Bigint(value)),
            (Type::Double, Any::Double(value)) => Some(Value::Double(value)),
            (Type::Boolean, Any::Bool(value)) => Some(Value::Boolean(value)),
            _ => None,
        })
    }

    /// Whether `row` has a value.
    #[inline]
    pub(super) fn has(&self, row: usize) -> bool {
        match self {
            Self::Unused => false,
            Self::Text(column) => column.has(row),
            Self::Bigint(column) => column.has(row),
            Self::Double(column) => column.has(row),
            Self::Boolean(column) => column.has(row),
        }
    }

    /// Sets the rows from `start` to before `end`.
    #[inline]
    pub(super) fn set_range(&mut self, start: usize, end: usize, value: Value) {
        if matches!(self, Self::Unused) {
            *self = match value {
                Value::Key(_) => Self::Text(Dictionary::default()),
                Value::Bigint(_) => Self::Bigint(Numbers::default()),
                Value::Double(_) => Self::Double(Numbers::default()),
                Value::Boolean(_) => Self::Boolean(Numbers::default()),
            };
        }
        match (self, value) {
            (Self::Text(column), Value::Key(key)) if end - start == 1 => column.set(start, key),
            (Self::Text(column), Value::Key(key)) => column.set_range(start, end, key),
            (Self::Bigint(column), Value::Bigint(value)) => column.set_range(start, end, value),
            (Self::Double(column), Value::Double(value)) => column.set_range(start, end, value),
            (Self::Boolean(column), Value::Boolean(value)) => column.set_range(start, end, value),
            // A column has one type, and so have its values.
            _ => {}
        }
    }

    /// Forgets `row` and all after it.
    pub(super) fn truncate(&mut self, row: usize) {
        match self {
            Self::Unused => {}
            Self::Text(column) => column.truncate(row),
            Self::Bigint(column) => column.truncate(row),
            Self::Double(column) => column.truncate(row),
            Self::Boolean(column) => column.truncate(row),
        }
    }

    pub(super) fn finish(self, rows: usize) -> Result<Option<ArrayRef>, ArrowError> {
        match self {
            Self::Unused => Ok(None),
            Self::Text(column) => column.finish(rows),
            Self::Bigint(column) => column.finish::<Int64Type>(rows),
            Self::Double(column) => column.finish::<Float64Type>(rows),
            Self::Boolean(column) => Ok(column.finish_bool(rows)),
        }
    }
}
