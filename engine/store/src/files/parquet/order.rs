//! The order of the rows of a file.

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use isinglass_model::tables::{Table, Type};

use super::dictionary::Merged;
use crate::files::delta::Extent;
use crate::files::{FilesError, Result};

/// A row of some batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pick {
    pub(super) batch: u32,
    pub(super) row: u32,
}

/// The rows of all batches in the order of the table.
#[derive(Debug)]
pub(super) struct Order {
    rows: Vec<Pick>,
    extent: Extent,
}

/// What rows are sorted by: everything but the time in 128 bits that compare
/// as the columns do, then the time, then where the row came from, so that the
/// order is a total one.
type Key = (u128, i64, Pick);

impl Order {
    pub(super) fn of(table: &Table, batches: &[RecordBatch]) -> Result<Self> {
        let mut keys =
            keys(table, batches).map_err(|problem| FilesError::Rows { kind: table.kind, problem })?;
        let extent = extent(table, &keys);
        keys.sort_unstable();
        Ok(Self { rows: keys.into_iter().map(|(_, _, pick)| pick).collect(), extent })
    }

    pub(super) fn rows(&self) -> &[Pick] {
        &self.rows
    }

    pub(super) fn extent(&self) -> Extent {
        self.extent
    }
}

/// The first sort columns make the prefix; the last one is the time, or there
/// is none beside them, and then time only breaks ties.
fn keys(table: &Table, batches: &[RecordBatch]) -> Result<Vec<Key>, String> {
    let prefix_columns: Vec<&str> =
        table.sorted_by.iter().copied().filter(|column| *column != table.time).collect();
    let prefixes = Prefixes::of(table, &prefix_columns, batches)?;
    let mut keys = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for (number, batch) in batches.iter().enumerate() {
        let times = times(column(batch, table.time)?)?;
        let number = u32::try_from(number).map_err(|_| "more than 2^32 batches".to_owned())?;
        let prefixes = prefixes.of_batch(number as usize)?;
        for (row, time) in times.into_iter().enumerate() {
            let pick = Pick {
                batch: number,
                row: u32::try_from(row).map_err(|_| "more than 2^32 rows".to_owned())?,
            };
            keys.push((prefixes.of_row(row), time, pick));
        }
    }
    Ok(keys)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, String> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("a batch has no column {name}"))?;
    if column.null_count() > 0 { Err(format!("column {name} has nulls")) } else { Ok(column) }
}

fn times(array: &ArrayRef) -> Result<Vec<i64>, String> {
    Ok(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().values().to_vec(),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().values().to_vec()
        }
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().values().iter().map(|day| i64::from(*day)).collect()
        }
        other => return Err(format!("time as {other}")),
    })
}

/// The sort columns before the time, of all batches.
enum Prefixes<'a> {
    None,
    /// One 16-byte id.
    Ids(Vec<&'a ArrayRef>),
    /// Two columns of 64 bits that compare as unsigned ones.
    Pairs(Vec<[Half<'a>; 2]>),
}

enum Half<'a> {
    Long(&'a [i64]),
    /// Keys of a batch's dictionary, and the rank of each of its values.
    Ranked(&'a [i32], Vec<u32>),
}

impl<'a> Prefixes<'a> {
    fn of(table: &Table, columns: &[&str], batches: &'a [RecordBatch]) -> Result<Self, String> {
        let ty = |name: &str| table.position(name).map(|position| table.columns[position].ty);
        match columns {
            [] => Ok(Self::None),
            [id] if ty(id) == Some(Type::Id(16)) => {
                let ids: Vec<_> = batches.iter().map(|batch| column(batch, id)).collect::<Result<_, _>>()?;
                if ids.iter().any(|id| *id.data_type() != DataType::FixedSizeBinary(16)) {
                    return Err(format!("column {id} is no binary of 16 bytes"));
                }
                Ok(Self::Ids(ids))
            }
            [first, second] => {
                let (first, second) = (halves(first, batches)?, halves(second, batches)?);
                Ok(Self::Pairs(
                    first.into_iter().zip(second).map(|(first, second)| [first, second]).collect(),
                ))
            }
            other => Err(format!("no order for the columns {other:?}")),
        }
    }

    fn of_batch(&self, batch: usize) -> Result<BatchPrefixes<'_>, String> {
        Ok(match self {
            Self::None => BatchPrefixes::None,
            Self::Ids(ids) => BatchPrefixes::Ids(ids[batch].as_fixed_size_binary()),
            Self::Pairs(pairs) => BatchPrefixes::Pair(&pairs[batch]),
        })
    }
}

fn halves<'a>(name: &str, batches: &'a [RecordBatch]) -> Result<Vec<Half<'a>>, String> {
    let arrays: Vec<&ArrayRef> = batches.iter().map(|batch| column(batch, name)).collect::<Result<_, _>>()?;
    let dictionaries = arrays.iter().all(|array| array.as_dictionary_opt::<Int32Type>().is_some());
    if !dictionaries {
        let longs =
            arrays.iter().map(|array| Some(Half::Long(array.as_primitive_opt::<Int64Type>()?.values())));
        return longs.collect::<Option<_>>().ok_or_else(|| format!("column {name} cannot be sorted by"));
    }
    let merged = Merged::of(name, arrays.iter().map(|array| Some(*array)))?;
    let ranks = merged.ranks();
    Ok(arrays
        .iter()
        .enumerate()
        .map(|(batch, array)| {
            let of_value = merged.keys_of(batch).iter().map(|key| ranks[*key as usize]).collect();
            Half::Ranked(array.as_dictionary::<Int32Type>().keys().values(), of_value)
        })
        .collect())
}

enum BatchPrefixes<'a> {
    None,
    Ids(&'a arrow_array::FixedSizeBinaryArray),
    Pair(&'a [Half<'a>; 2]),
}

impl BatchPrefixes<'_> {
    #[inline]
    fn of_row(&self, row: usize) -> u128 {
        match self {
            Self::None => 0,
            Self::Ids(ids) => ids.value(row).try_into().map_or(0, u128::from_be_bytes),
            Self::Pair([first, second]) => {
                u128::from(first.of_row(row)) << 64 | u128::from(second.of_row(row))
            }
        }
    }
}

impl Half<'_> {
    #[inline]
    fn of_row(&self, row: usize) -> u64 {
        match self {
            Self::Long(values) => flip(values[row]),
            // Keys are in range: `column` refused nulls.
            Self::Ranked(keys, ranks) => u64::from(ranks[keys[row] as usize]),
        }
    }
}

/// Signed order as unsigned order, and back.
fn flip(value: i64) -> u64 {
    value.cast_unsigned() ^ (1 << 63)
}

fn extent(table: &Table, keys: &[Key]) -> Extent {
    let range = |of: &dyn Fn(&Key) -> i64| Some((keys.iter().map(of).min()?, keys.iter().map(of).max()?));
    let has_ids = table.sorted_by.starts_with(&["metric_id", "series_id"]);
    Extent {
        rows: keys.len() as u64,
        time: range(&|key| key.1),
        metric_id: range(&|key| (flip((key.0 >> 64) as u64 as i64)).cast_signed()).filter(|_| has_ids),
        series_id: range(&|key| flip(key.0 as u64 as i64).cast_signed()).filter(|_| has_ids),
    }
}
