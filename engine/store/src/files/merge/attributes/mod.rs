//! Attributes that get a column of their own in a merged file, beside the map.
//!
//! To read one attribute of many rows, all of the map is decoded: keys and values of all of
//! them. So those that many rows have stand in a column each besides. The table knows nothing of
//! these columns, the commit's tags say which there are, and the map stays whole.
//!
//! ```text
//! inputs ─▶ spots: a few rows here and there ─▶ sample: what keys there are ─▶ columns to be made
//!                                                                                     │
//! chunk of merged rows ─▶ find: where in the map a row has each key ─▶ columns: values, or given up
//! ```
//!
//! The columns of a file must be known before its first row, and its rows come sorted by service:
//! the first ones say little of the rest. So the inputs are looked at all over before the merge
//! begins. What the sample did not show is seen while a file is written: a column that does not
//! hold for all rows is given up, and is not in the tag.

mod columns;
mod find;
mod sample;
mod spots;

use arrow_array::types::Float64Type;
use arrow_cast::parse::Parser as _;
use isinglass_model::Kind;

pub(super) use columns::Columns;
pub(super) use spots::sample;

/// The column whose keys get columns.
const COLUMN: &str = "attributes";

/// The same, of kinds that have such columns.
pub(super) fn column(kind: Kind) -> Option<&'static str> {
    matches!(kind, Kind::Logs | Kind::Spans).then_some(COLUMN)
}

/// What `CAST(text AS DOUBLE)` makes of a text: this is the function that it calls. A column
/// with NaN has no least and greatest value that all readers agree on, so it is no number here.
fn number(text: &str) -> Option<f64> {
    Float64Type::parse(text).filter(|number| !number.is_nan())
}

#[cfg(test)]
pub(super) mod tests;
