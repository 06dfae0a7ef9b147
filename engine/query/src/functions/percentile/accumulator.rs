//! Percentiles of all groups at once.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::groups::{Groups, Settled};
use super::state;

/// One percentile of the values of each group.
#[derive(Debug)]
pub(super) struct Percentiles {
    q: f64,
    /// Type of the values and of the answer: a float.
    ty: DataType,
    groups: Groups,
    total: usize,
}

impl Percentiles {
    /// `most` is the number of centroids asked for.
    pub(super) fn new(q: f64, most: usize, ty: DataType) -> Self {
        Self { q, ty, groups: Groups::new(most), total: 0 }
    }

    fn grow(&mut self, total: usize) -> Result<()> {
        if u32::try_from(total).is_err() {
            return exec_err!("percentiles of {total} groups, of at most {}", u32::MAX);
        }
        self.total = total;
        self.groups.grow(total);
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Settled {
        let first = match emit_to {
            EmitTo::All => self.total,
            EmitTo::First(first) => first.min(self.total),
        };
        self.total -= first;
        self.groups.take_first(first)
    }
}

impl GroupsAccumulator for Percentiles {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups)?;
        let values = floats(values)?;
        match wanted(&values, opt_filter) {
            None => self.groups.extend(group_indices, values.values()),
            Some(wanted) => {
                wanted
                    .valid_indices()
                    .for_each(|row| self.groups.push(group_indices[row], values.value(row)));
            }
        }
        self.groups.settle_if_full();
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups)?;
        state::merge(values, group_indices, &mut self.groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let settled = self.emit(emit_to);
        let found: Float64Array = settled.quantiles(self.q).collect();
        Ok(arrow_cast::cast(&found, &self.ty)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let settled = self.emit(emit_to);
        state::of_groups(&settled, self.groups.most())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let values = floats(values)?;
        state::of_rows(&values, wanted(&values, opt_filter).as_ref(), self.groups.most())
    }

    fn size(&self) -> usize {
        self.groups.size_bytes()
    }
}

/// The first argument as 64-bit floats.
fn floats(values: &[ArrayRef]) -> Result<Float64Array> {
    let Some(values) = values.first() else { return internal_err!("a percentile has an argument") };
    let values = match values.data_type() {
        DataType::Float64 => Arc::clone(values),
        _ => arrow_cast::cast(values, &DataType::Float64)?,
    };
    Ok(values.as_primitive::<Float64Type>().clone())
}

/// Rows that count; `None` if all do.
fn wanted(values: &Float64Array, filter: Option<&BooleanArray>) -> Option<NullBuffer> {
    // A filter that is null says no.
    let filter = filter.map(|filter| match filter.nulls() {
        Some(nulls) => NullBuffer::new(filter.values() & nulls.inner()),
        None => NullBuffer::new(filter.values().clone()),
    });
    let wanted = NullBuffer::union(values.nulls(), filter.as_ref());
    wanted.filter(|wanted| wanted.null_count() > 0)
}
