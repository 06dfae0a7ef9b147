//! What windows hold, charged to the pool of their query.
//!
//! DataFusion's two operators for windows charge nobody for the rows that they keep, and the one for
//! whole partitions keeps its input beside a copy of it.
//!
//! - [`WholeWindowExec`] takes the place of that one (`WindowAggExec`). It charges what it gathers,
//!   and puts it together column by column, so that no more than one column is there twice.
//! - `BoundedWindowAggExec` gives rows on as soon as their frames are known. Where that is not at
//!   once, [`metered`] puts it between two nodes that count rows, [`WindowRowsExec`]: what has gone
//!   in and not come out is held.
//!
//! Not charged are the rows that a `RANGE` or `GROUPS` frame reaches back over, of which only the
//! operator knows how many they are, and what accumulators keep, such as the texts of a running
//! `count(DISTINCT …)`.

mod held;
mod rows;
mod size;
mod whole;

pub(crate) use rows::metered;
pub(crate) use whole::WholeWindowExec;

#[cfg(test)]
mod tests;
