//! Operators: each gives blocks of series until there are no more.
//!
//! A pipeline below an aggregation is opened once for each part of its source, and the parts are
//! read by threads of their own. What has to see all series (joins, sets, orders) collects them, in
//! the order of their labels where the query depends on it (`ordered`); terms of a chain of joins
//! are collected side by side ([`ahead`]).

mod absent;
mod aggregate;
mod ahead;
mod brought;
mod classic;
mod context;
mod info;
mod invariant;
mod join;
mod labels;
mod map;
mod open;
mod ordered;
mod scalar;
mod select;
mod set;
mod sort;
mod subquery;
pub(crate) mod window;
mod with_scalar;

pub(crate) use ahead::Chains;
pub(crate) use context::{Context, Held, Usage};
pub(crate) use open::{collect, open};
pub(crate) use scalar::evaluate as evaluate_scalar;
pub(crate) use window::matrix;

use crate::block::Block;
use crate::error::Result;

/// Gives the series of a vector, some at a time.
pub(crate) trait Operator: Send {
    /// The next series, `None` after the last. A block is never empty.
    fn next(&mut self) -> Result<Option<Block>>;
}

/// An operator within a query.
pub(crate) type Boxed<'a> = Box<dyn Operator + 'a>;

/// Values that a block should have about: enough that its overhead is nothing, few enough that it
/// stays in a cache.
const BLOCK_VALUES: usize = 32 << 10;

/// Series for a block of a grid.
pub(crate) fn rows_of_a_block(steps: usize) -> usize {
    (BLOCK_VALUES / steps.max(1)).clamp(1, 4_096)
}
