//! `absent` and `absent_over_time`: 1 where there is nothing.

use super::window::WindowOperator;
use super::{Boxed, Context, Operator, subquery};
use crate::block::{ABSENT, Block, Row};
use crate::error::Result;
use crate::grid::Grid;
use crate::labels::Labels;
use crate::plan::{Window, WindowInput};

/// Answers with the labels that the selector fixes.
pub(super) struct Absent<'a> {
    inputs: Vec<Boxed<'a>>,
    labels: Labels,
    grid: Grid,
    done: bool,
}

impl<'a> Absent<'a> {
    pub(super) fn new(input: Boxed<'a>, labels: &[(String, String)], grid: Grid) -> Self {
        Self::of(vec![input], labels, grid)
    }

    pub(super) fn of_window(
        window: &'a Window,
        labels: &[(String, String)],
        grid: Grid,
        cx: &'a Context<'a>,
    ) -> Result<Self> {
        let inputs = match &window.input {
            WindowInput::Samples(leaf) => WindowOperator::open(window, leaf, grid, cx, 1)?,
            WindowInput::Subquery(subquery) => subquery::open(window, subquery, grid, cx, 1)?,
        };
        Ok(Self::of(inputs, labels, grid))
    }

    fn of(inputs: Vec<Boxed<'a>>, labels: &[(String, String)], grid: Grid) -> Self {
        let labels = Labels::new(labels.iter().map(|(name, value)| (name, value)));
        Self { inputs, labels, grid, done: false }
    }
}

impl Operator for Absent<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let mut values = vec![1.0; self.grid.steps];
        for input in &mut self.inputs {
            while let Some(block) = input.next()? {
                for row in 0..block.rows.len() {
                    for (step, value) in values.iter_mut().enumerate() {
                        if !block.cell(row, step).is_absent() {
                            *value = ABSENT;
                        }
                    }
                }
            }
        }
        let mut block = Block::new(self.grid.steps);
        block.push(Row::new(self.labels.clone())).copy_from_slice(&values);
        Ok(block.has_any(0).then_some(block))
    }
}
