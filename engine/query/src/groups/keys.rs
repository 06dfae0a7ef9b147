//! Numbers of groups, from the columns that they are made by.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};
use datafusion::common::{Result, exec_err};

use super::alone::Alone;
use super::numbers::Numbers;
use super::pairs::Pairs;
use super::texts::Texts;

/// Columns that groups are made by at most.
const COLUMNS_MAX: usize = 8;

/// The distinct values of one column.
#[derive(Debug)]
enum Values {
    Texts(Texts),
    Integers(Numbers),
    /// Nanoseconds, and their time zone.
    Times(Numbers, Option<Arc<str>>),
}

/// Groups by columns: the numbers of the first column are paired with those of the second, those of
/// the pairs with the third's, and so on.
#[derive(Debug)]
pub(super) struct Keys {
    columns: Vec<Values>,
    pairs: Vec<Pairs>,
    /// Where there is nothing to pair with.
    alone: Alone,
    /// Numbers of a column's rows, kept for its room.
    right: Vec<u32>,
}

impl Keys {
    /// No groups yet; `None` if such columns cannot be numbered here.
    pub(super) fn new(types: &[DataType]) -> Option<Self> {
        let values = |ty: &DataType| match ty {
            DataType::Utf8View => Some(Values::Texts(Texts::default())),
            DataType::Int64 => Some(Values::Integers(Numbers::default())),
            DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
                Some(Values::Times(Numbers::default(), zone.clone()))
            }
            _ => None,
        };
        let columns = types.iter().map(values).collect::<Option<Vec<_>>>()?;
        let pairs = columns.iter().skip(1).map(|_| Pairs::default()).collect();
        let can_be = match columns.as_slice() {
            // DataFusion is as fast with one column of numbers.
            [only] => matches!(only, Values::Texts(_)),
            several => (2..=COLUMNS_MAX).contains(&several.len()),
        };
        can_be.then(|| Self { columns, pairs, alone: Alone::default(), right: Vec::new() })
    }

    /// Writes the number of each row's group; they count from 0, without gaps, as they come.
    pub(super) fn number(&mut self, arrays: &[ArrayRef], groups: &mut Vec<u32>) -> Result<()> {
        let (Some((first, others)), Some((array, arrays))) =
            (self.columns.split_first_mut(), arrays.split_first())
        else {
            return exec_err!("groups without columns");
        };
        first.number(array, groups)?;
        if others.is_empty() {
            self.alone.number(groups);
            return Ok(());
        }
        let mut count = first.count();
        for ((values, array), pairs) in others.iter_mut().zip(arrays).zip(&mut self.pairs) {
            values.number(array, &mut self.right)?;
            pairs.number(groups, &self.right, count, values.count());
            count = pairs.len();
        }
        Ok(())
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.pairs.last().map_or_else(|| self.alone.len(), Pairs::len)
    }

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.columns.iter().map(Values::size).sum::<usize>()
            + self.pairs.iter().map(Pairs::size).sum::<usize>()
            + self.right.capacity() * size_of::<u32>()
    }

    /// What the groups are made by: a row for each, in the order of their numbers.
    pub(super) fn arrays(mut self) -> Result<Vec<ArrayRef>> {
        let mut left = match self.pairs.is_empty() {
            true => self.alone.values(),
            false => (0..self.len() as u32).collect(),
        };
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (values, pairs) in self.columns.iter_mut().skip(1).zip(&self.pairs).rev() {
            let right: Vec<u32> = left.iter().map(|number| pairs.get(*number).1).collect();
            arrays.push(values.array(&right)?);
            left.iter_mut().for_each(|number| *number = pairs.get(*number).0);
        }
        if let Some(values) = self.columns.first_mut() {
            arrays.push(values.array(&left)?);
        }
        arrays.reverse();
        Ok(arrays)
    }
}

impl Values {
    fn number(&mut self, array: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        match self {
            Self::Texts(texts) => match array.as_string_view_opt() {
                Some(array) => texts.number(array, out),
                None => return exec_err!("{} is not text", array.data_type()),
            },
            Self::Integers(numbers) => match array.as_primitive_opt::<Int64Type>() {
                Some(array) => numbers.number(array.values(), array.nulls(), out),
                None => return exec_err!("{} is not an integer", array.data_type()),
            },
            Self::Times(numbers, _) => match array.as_primitive_opt::<TimestampNanosecondType>() {
                Some(array) => numbers.number(array.values(), array.nulls(), out),
                None => return exec_err!("{} is not a time", array.data_type()),
            },
        }
        Ok(())
    }

    fn count(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.count(),
            Self::Integers(numbers) | Self::Times(numbers, _) => numbers.count(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.size(),
            Self::Integers(numbers) | Self::Times(numbers, _) => numbers.size(),
        }
    }

    fn array(&mut self, numbers: &[u32]) -> Result<ArrayRef> {
        Ok(match self {
            Self::Texts(texts) => texts.take(numbers)?,
            Self::Integers(values) => Arc::new(values.array(numbers)),
            Self::Times(values, zone) => {
                let times: PrimitiveArray<TimestampNanosecondType> = values.array(numbers).reinterpret_cast();
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
        })
    }
}
