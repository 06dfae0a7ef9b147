//! `count_values`: a group for each value.

use ahash::HashMap;

use super::groups::{counts, group_labels};
use crate::block::{Block, Cell, Row, is_absent};
use crate::error::Result;
use crate::exec::{Context, open, ordered};
use crate::grid::Grid;
use crate::labels::Labels;
use crate::plan::Aggregate;

/// Counts the series of each value, written into a label.
pub(super) fn run(plan: &Aggregate, grid: Grid, cx: &Context<'_>) -> Result<Block> {
    let mut input = open(&plan.input, grid, cx)?;
    let mut rows: HashMap<Labels, usize> = HashMap::default();
    let mut out = Block::new(grid.steps);
    let mut held = cx.holds_nothing();
    while let Some(block) = input.next()? {
        cx.check()?;
        for row in 0..block.rows.len() {
            cx.check()?;
            let labels = group_labels(plan, &block.rows[row].labels);
            let mut last: Option<(String, usize)> = None;
            for step in 0..grid.steps {
                let value = match block.cell(row, step) {
                    Cell::Absent => continue,
                    Cell::Float(value) => crate::text::decimal(value),
                    Cell::Histogram(histogram) => histogram.to_string(),
                };
                let at = match &last {
                    Some((of, at)) if *of == value => *at,
                    _ => {
                        let labels = with_value(plan, &labels, &value);
                        let at = *rows.entry(labels).or_insert_with_key(|labels| {
                            out.push(Row::new(labels.clone()));
                            out.rows.len() - 1
                        });
                        held.grow(grid.steps * size_of::<f64>())?;
                        last = Some((value, at));
                        at
                    }
                };
                let count = &mut out.floats_mut(at)[step];
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
        }
    }
    // Upstream's order is that of a hash table.
    if cx.order_matters { ordered::by_labels(out, cx) } else { Ok(out) }
}

/// The labels of a group with its value. `without` takes it away where it takes its label away.
fn with_value(plan: &Aggregate, labels: &Labels, value: &str) -> Labels {
    if plan.without && !counts(plan, &plan.label) {
        return labels.clone();
    }
    labels.builder().set(&plan.label, value).build()
}
