//! Lower resolutions.

use super::bounds::{SCHEMA_MAX, SCHEMAS_KNOWN};
use super::{Histogram, HistogramError};

impl Histogram {
    /// Merges buckets to those of a lower schema.
    ///
    /// # Errors
    ///
    /// [`HistogramError::NotCoarser`] where `schema` is higher, or either of them has custom buckets.
    pub fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        if schema == self.schema {
            return Ok(());
        }
        if schema > self.schema || self.uses_custom_buckets() || schema == super::CUSTOM_BUCKETS {
            return Err(HistogramError::NotCoarser { from: self.schema, to: schema });
        }
        self.with_plain_body(|body| body.coarsen(schema));
        Ok(())
    }

    /// A copy in a lower schema.
    ///
    /// # Errors
    ///
    /// As [`Histogram::reduce_resolution`].
    pub fn copy_to_schema(&self, schema: i32) -> Result<Histogram, HistogramError> {
        let mut copy = self.clone();
        copy.reduce_resolution(schema)?;
        Ok(copy)
    }

    /// Brings a histogram read from storage to a schema that queries compute with: schemas that are finer than
    /// any sender may use today, but reserved, are reduced to the finest of today.
    ///
    /// # Errors
    ///
    /// [`HistogramError::UnknownSchema`] for schemas that are not reserved.
    pub fn reduce_to_known_schema(&mut self) -> Result<(), HistogramError> {
        if self.uses_custom_buckets() {
            return Ok(());
        }
        if !SCHEMAS_KNOWN.contains(&self.schema) {
            return Err(HistogramError::UnknownSchema(self.schema));
        }
        self.reduce_resolution(self.schema.min(SCHEMA_MAX))
    }
}
