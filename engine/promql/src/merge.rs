//! Series that have come to have the same labels.

use std::collections::hash_map::Entry;

use ahash::HashMap;

use crate::block::{Block, is_absent};
use crate::error::{EvalError, Result};
use crate::exec::Context;

/// Makes series with the same labels one, which is an error where two have a sample at a step.
pub(crate) fn same_labels(block: Block, cx: &Context<'_>) -> Result<Block> {
    if is_unique(&block, cx)? {
        return Ok(block);
    }
    let mut seen: HashMap<_, usize> = HashMap::default();
    let mut merged = Block::new(block.steps);
    for (at, row) in block.rows.iter().enumerate() {
        cx.check_at(at)?;
        let floats = block.floats(at);
        match seen.entry(row.labels.clone()) {
            Entry::Vacant(new) => {
                new.insert(merged.rows.len());
                merged.push(row.clone()).copy_from_slice(floats);
            }
            Entry::Occupied(old) => join(&mut merged, *old.get(), &block, at)?,
        }
    }
    Ok(merged)
}

fn is_unique(block: &Block, cx: &Context<'_>) -> Result<bool> {
    let mut first = HashMap::with_capacity_and_hasher(block.rows.len(), ahash::RandomState::default());
    for (at, row) in block.rows.iter().enumerate() {
        cx.check_at(at)?;
        if first.insert(row.labels.clone(), ()).is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn join(into: &mut Block, to: usize, from: &Block, row: usize) -> Result<()> {
    for step in 0..from.steps {
        if from.cell(row, step).is_absent() {
            continue;
        }
        if !into.cell(to, step).is_absent() {
            return Err(same_labelset());
        }
        let value = from.floats(row)[step];
        let histogram = from.rows[row].histograms.as_ref().and_then(|all| all[step].clone());
        let steps = into.steps;
        let (target, floats) = into.row_mut(to);
        if is_absent(value) {
            if let Some(histogram) = histogram {
                target.set_histogram(step, steps, histogram);
            }
        } else {
            floats[step] = value;
        }
        target.drop_name |= from.rows[row].drop_name;
    }
    Ok(())
}

/// As Prometheus says it.
pub(crate) fn same_labelset() -> EvalError {
    EvalError::execution("vector cannot contain metrics with the same labelset")
}
