//! What is the same at all steps, repeated.

use super::{Boxed, Operator};
use crate::block::Block;
use crate::error::Result;

/// Repeats the one step of its input.
pub(super) struct Repeat<'a> {
    input: Boxed<'a>,
    steps: usize,
}

impl<'a> Repeat<'a> {
    pub(super) fn new(input: Boxed<'a>, steps: usize) -> Self {
        Self { input, steps }
    }
}

impl Operator for Repeat<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        let Some(once) = self.input.next()? else { return Ok(None) };
        let mut block = Block::new(self.steps);
        block.values.reserve_exact(once.rows.len() * self.steps);
        for (mut row, value) in once.rows.into_iter().zip(once.values) {
            if let Some(histograms) = &mut row.histograms {
                *histograms = vec![histograms[0].clone(); self.steps].into();
            }
            block.push(row).fill(value);
        }
        Ok(Some(block))
    }
}
