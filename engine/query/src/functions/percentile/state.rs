//! What is known of groups as columns, for the second half of a query on several threads.
//!
//! The same six columns that DataFusion's accumulator has: most centroids, sum, count, greatest
//! and least value, and a list of means and weights in turn.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{ArrayRef, Float64Array, ListArray, UInt64Array};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use datafusion::common::{Result, exec_datafusion_err, internal_err};

use super::digest::{Centroid, Extremes};
use super::groups::{Groups, Settled};

/// A row per group.
pub(super) fn of_groups(settled: &Settled, most: usize) -> Result<Vec<ArrayRef>> {
    let groups = settled.extremes.len();
    let of = |group: usize| &settled.centroids[settled.starts[group]..settled.starts[group + 1]];
    let sum = |group: usize| of(group).iter().map(|one| one.mean * one.weight).sum::<f64>();
    let count = |group: usize| of(group).iter().map(|one| one.weight).sum::<f64>();
    let pairs: Vec<f64> = settled.centroids.iter().flat_map(|one| [one.mean, one.weight]).collect();
    columns(
        most,
        Float64Array::from_iter_values((0..groups).map(sum)),
        Float64Array::from_iter_values((0..groups).map(count)),
        Float64Array::from_iter_values(settled.extremes.iter().map(|extremes| extremes.max)),
        Float64Array::from_iter_values(settled.extremes.iter().map(|extremes| extremes.min)),
        offsets(settled.starts.iter().map(|start| 2 * start))?,
        pairs,
    )
}

/// A row per value, as if each had a group of its own; what is not `wanted` is no value.
pub(super) fn of_rows(
    values: &Float64Array,
    wanted: Option<&NullBuffer>,
    most: usize,
) -> Result<Vec<ArrayRef>> {
    let is_wanted = |row: usize| wanted.is_none_or(|wanted| wanted.is_valid(row));
    let each = |missing: f64, of: fn(f64) -> f64| {
        let value = |row: usize| if is_wanted(row) { of(values.value(row)) } else { missing };
        Float64Array::from_iter_values((0..values.len()).map(value))
    };
    let pairs = (0..values.len()).filter(|row| is_wanted(*row)).flat_map(|row| [values.value(row), 1.0]);
    let mut end = 0;
    let ends = (0..values.len()).map(|row| {
        end += if is_wanted(row) { 2 } else { 0 };
        end
    });
    columns(
        most,
        each(0.0, |value| value),
        each(0.0, |_| 1.0),
        each(f64::NAN, |value| value),
        each(f64::NAN, |value| value),
        offsets(std::iter::once(0).chain(ends))?,
        pairs.collect(),
    )
}

fn columns(
    most: usize,
    sum: Float64Array,
    count: Float64Array,
    max: Float64Array,
    min: Float64Array,
    offsets: OffsetBuffer<i32>,
    pairs: Vec<f64>,
) -> Result<Vec<ArrayRef>> {
    let item = Arc::new(Field::new_list_field(DataType::Float64, true));
    let lists = ListArray::try_new(item, offsets, Arc::new(Float64Array::from(pairs)), None)?;
    let most = UInt64Array::from_value(most as u64, sum.len());
    Ok(vec![Arc::new(most), Arc::new(sum), Arc::new(count), Arc::new(max), Arc::new(min), Arc::new(lists)])
}

fn offsets(ends: impl Iterator<Item = usize>) -> Result<OffsetBuffer<i32>> {
    let small = |end| {
        i32::try_from(end)
            .map_err(|_| exec_datafusion_err!("percentiles of more than {} centroids at once", i32::MAX / 2))
    };
    Ok(OffsetBuffer::new(ScalarBuffer::from(ends.map(small).collect::<Result<Vec<_>>>()?)))
}

/// Adds rows of state to the groups that they belong to.
pub(super) fn merge(states: &[ArrayRef], of_rows: &[usize], groups: &mut Groups) -> Result<()> {
    let [_, _, _, max, min, lists] = states else {
        return internal_err!("the state of a percentile has six columns, {} came", states.len());
    };
    let (Some(max), Some(min)) =
        (max.as_primitive_opt::<Float64Type>(), min.as_primitive_opt::<Float64Type>())
    else {
        return internal_err!("the extremes of a percentile are floats");
    };
    let Some((lists, pairs)) = lists
        .as_list_opt::<i32>()
        .and_then(|lists| Some((lists, lists.values().as_primitive_opt::<Float64Type>()?)))
    else {
        return internal_err!("the centroids of a percentile are lists of floats");
    };
    for (row, group) in of_rows.iter().enumerate() {
        let (start, end) = (lists.value_offsets()[row] as usize, lists.value_offsets()[row + 1] as usize);
        let centroids = pairs.values()[start..end].chunks_exact(2);
        let centroids = centroids.map(|pair| Centroid { mean: pair[0], weight: pair[1] });
        groups.merge(*group, centroids, Extremes { min: min.value(row), max: max.value(row) });
        groups.settle_if_full();
    }
    Ok(())
}
