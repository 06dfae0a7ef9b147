//! Attributes that some files have in columns of their own.
//!
//! Merged files of `logs` and `spans` have, beside the map of all attributes, a column for each
//! that many rows have ([`isinglass_store::AttributeColumn`]). The tables do not show them. What
//! is asked of the map is answered from them, file by file:
//!
//! ```text
//! ProjectionExec: get_field(attributes, 'status')        ProjectionExec: attributes['status']
//!   ShownExec                                    rule      ShownExec: …, attributes['status']
//!     DataSourceExec: attributes                 ───▶        DataSourceExec: attributes['status']
//!                                                              file with the column ─▶ the column
//!                                                              file without it      ─▶ the map
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`wanted`] | what is wanted of which attribute, and what a set of files has of it |
//! | [`adapter`] | where one file has it |
//!
//! The rule is in [`crate::rules`], because it changes plans.

mod adapter;
mod wanted;

pub(crate) use adapter::InFiles;
pub(crate) use wanted::{Available, Wanted};
