//! Tables about the engine itself.
//!
//! Whoever knows something that people want to ask for in SQL, but that queries must
//! not know, implements [`SystemTable`]; it shows up in the schema `system`.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use crate::Tenant;

/// A table of the schema `system`. Its rows are made when they are asked for.
pub trait SystemTable: Send + Sync + fmt::Debug {
    /// Its name in the schema.
    fn name(&self) -> &'static str;

    /// Its columns.
    fn schema(&self) -> SchemaRef;

    /// All its rows for a tenant, in the types of the schema. They tell nothing about any
    /// other tenant, are few, and are made without waiting for anything.
    fn rows(&self, tenant: &Tenant) -> Result<RecordBatch, ArrowError>;
}
