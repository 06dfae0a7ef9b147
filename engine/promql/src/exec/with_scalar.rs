//! Arithmetic and comparison of a vector with a scalar.

use std::sync::Arc;

use super::{Boxed, Context, Operator};
use crate::arithmetic;
use crate::binary::{self, Operand, Sides};
use crate::block::{ABSENT, Block, Cell, Row, is_absent};
use crate::error::Result;
use crate::plan::WithScalar;

/// Applies an operator to each sample and the scalar of its step.
pub(super) struct ScalarOperator<'a> {
    plan: &'a WithScalar,
    input: Boxed<'a>,
    scalar: Arc<[f64]>,
    cx: &'a Context<'a>,
}

impl<'a> ScalarOperator<'a> {
    pub(super) fn new(
        plan: &'a WithScalar,
        input: Boxed<'a>,
        scalar: Arc<[f64]>,
        cx: &'a Context<'a>,
    ) -> Self {
        Self { plan, input, scalar, cx }
    }
}

impl Operator for ScalarOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        while let Some(mut block) = self.input.next()? {
            for row in 0..block.rows.len() {
                let (row, floats) = block.row_mut(row);
                row.drop_name |= self.plan.bool_modifier || binary::changes_meaning(self.plan.op);
                self.apply(row, floats);
            }
            block.retain_present();
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

impl ScalarOperator<'_> {
    fn apply(&self, row: &mut Row, floats: &mut [f64]) {
        if row.histograms.is_none() && self.arithmetic(floats) {
            return;
        }
        for (step, float) in floats.iter_mut().enumerate() {
            let number = self.scalar[step];
            let cell = row.cell(*float, step);
            if cell.is_absent() {
                continue;
            }
            let kept = match self.sides(cell, number) {
                Some((sides, keeps)) => binary::apply(&sides, keeps),
                None => None,
            };
            match kept {
                Some(Operand::Float(value)) => {
                    *float = value;
                    row.clear_histogram(step);
                }
                Some(Operand::Histogram(histogram)) => {
                    *float = ABSENT;
                    let steps = self.scalar.len();
                    row.set_histogram(step, steps, histogram);
                }
                None => {
                    *float = ABSENT;
                    row.clear_histogram(step);
                }
            }
        }
    }

    /// The usual case in a loop that the compiler can unroll. Says whether it was.
    fn arithmetic(&self, floats: &mut [f64]) -> bool {
        let first = self.plan.scalar_first;
        let Some(function) = arithmetic::of_numbers(self.plan.op) else { return false };
        for (float, scalar) in floats.iter_mut().zip(&self.scalar[..]) {
            if !is_absent(*float) {
                let (one, other) = if first { (*scalar, *float) } else { (*float, *scalar) };
                *float = function(one, other);
            }
        }
        true
    }

    fn sides(&self, cell: Cell<'_>, number: f64) -> Option<(Sides<'_>, Option<Operand>)> {
        let vector = Operand::of(cell)?;
        let scalar = Operand::Float(number);
        let (left, right) =
            if self.plan.scalar_first { (scalar, vector.clone()) } else { (vector.clone(), scalar) };
        let sides = Sides {
            op: self.plan.op,
            bool_modifier: self.plan.bool_modifier,
            left,
            right,
            span: self.plan.span,
            annotations: &self.cx.annotations,
        };
        // A comparison keeps the vector's sample, on whichever side it stands.
        Some((sides, Some(vector)))
    }
}
