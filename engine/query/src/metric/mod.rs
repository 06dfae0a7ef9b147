//! The schema `metrics`: one table per metric name.
//!
//! A row of `samples` has no labels, only `series_id`. Label columns are made
//! while rows pass by, from the series of the view: dictionary arrays with one
//! lookup a run of rows, and only for the labels asked for. A filter on labels
//! is answered by the series alone and becomes a set of series to read: by the
//! index where it says the same as a matcher, by label columns of the series that
//! are left where it does not.

mod columns;
mod labels;
mod matchers;
mod provider;

pub(crate) use columns::{free_name, label_type};
pub(crate) use provider::MetricTable;
