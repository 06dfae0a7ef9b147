//! Columns as people see them.
//!
//! | in a file | shown |
//! |---|---|
//! | `binary` of an id | lower-case hex text |
//! | 64-bit nanoseconds | `Timestamp(ns, UTC)` |
//! | a metric's microseconds | `Timestamp(ns, UTC)` |
//! | `value`, `value_int`, `value_scale` of a sample | `value` |
//!
//! [`ShownExec`] makes one from the other, and hands filters down the other way.

pub(crate) mod convert;
mod exec;
pub(crate) mod expr;
pub(crate) mod filter;

pub(crate) use exec::{Scanned, ShownColumn, ShownExec};
