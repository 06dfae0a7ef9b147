//! `and`, `or` and `unless`: labels decide, values do not.

use isinglass_lang::promql::ast::BinaryOp;

use super::{Boxed, Context, Operator, ahead, collect, open};
use crate::block::{ABSENT, Block};
use crate::error::Result;
use crate::grid::Grid;
use crate::merge;
use crate::plan::Set;
use crate::signature::{Numbers, Signature};

/// Keeps samples by what the other side has at their step.
pub(super) struct SetOperator<'a> {
    plan: &'a Set,
    grid: Grid,
    cx: &'a Context<'a>,
    state: State<'a>,
}

enum State<'a> {
    New,
    /// `and` and `unless` go through the left side, knowing the right one.
    Filtering(Boxed<'a>, Presence),
    Done,
}

/// At which steps a signature has a sample.
struct Presence {
    numbers: Numbers,
    steps: usize,
    present: Vec<bool>,
}

impl<'a> SetOperator<'a> {
    pub(super) fn new(plan: &'a Set, grid: Grid, cx: &'a Context<'a>) -> Self {
        Self { plan, grid, cx, state: State::New }
    }

    fn signature(&self) -> Signature<'a> {
        Signature { only: self.plan.on, labels: &self.plan.labels }
    }

    fn or(&self) -> Result<Option<Block>> {
        let mut both = Vec::with_capacity(2);
        ahead::each(&[&self.plan.left, &self.plan.right], self.grid, self.cx, |block, held| {
            both.push((block, held));
            Ok(())
        })?;
        let (Some((mut right, _right)), Some((mut left, _left))) = (both.pop(), both.pop()) else {
            return Ok(None);
        };
        let presence = Presence::of(&left, self.signature(), self.cx)?;
        filter(&mut right, presence, self.signature(), false, self.cx)?;
        left.append(right);
        let all = merge::same_labels(left, self.cx)?;
        Ok((!all.is_empty()).then_some(all))
    }

    fn start(&self) -> Result<State<'a>> {
        let (right, _held) = collect(&self.plan.right, self.grid, self.cx)?;
        let presence = Presence::of(&right, self.signature(), self.cx)?;
        Ok(State::Filtering(open(&self.plan.left, self.grid, self.cx)?, presence))
    }
}

impl Operator for SetOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        if self.plan.op == BinaryOp::Or {
            let first = matches!(self.state, State::New);
            self.state = State::Done;
            return if first { self.or() } else { Ok(None) };
        }
        if matches!(self.state, State::New) {
            self.state = self.start()?;
        }
        let (signature, wanted, cx) = (self.signature(), self.plan.op == BinaryOp::And, self.cx);
        let State::Filtering(left, presence) = &mut self.state else { return Ok(None) };
        while let Some(mut block) = left.next()? {
            presence.filter(&mut block, signature, wanted, cx)?;
            if !block.is_empty() {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

fn filter(
    block: &mut Block,
    mut by: Presence,
    signature: Signature<'_>,
    wanted: bool,
    cx: &Context<'_>,
) -> Result<()> {
    by.filter(block, signature, wanted, cx)
}

impl Presence {
    fn of(block: &Block, signature: Signature<'_>, cx: &Context<'_>) -> Result<Self> {
        let mut numbers = Numbers::default();
        let mut present: Vec<bool> = Vec::new();
        for (at, row) in block.rows.iter().enumerate() {
            cx.check()?;
            let (number, new) = numbers.number(signature, &row.labels);
            if new {
                present.resize(present.len() + block.steps, false);
            }
            let steps = &mut present[number * block.steps..][..block.steps];
            for (step, present) in steps.iter_mut().enumerate() {
                *present |= !block.cell(at, step).is_absent();
            }
        }
        Ok(Self { numbers, steps: block.steps, present })
    }

    /// Keeps samples whose signature is there at their step, or is not.
    fn filter(
        &mut self,
        block: &mut Block,
        signature: Signature<'_>,
        wanted: bool,
        cx: &Context<'_>,
    ) -> Result<()> {
        for at in 0..block.rows.len() {
            cx.check()?;
            let number = self.numbers.find(signature, &block.rows[at].labels);
            let (row, floats) = block.row_mut(at);
            for (step, float) in floats.iter_mut().enumerate() {
                let there = number.is_some_and(|number| self.present[number * self.steps + step]);
                if there != wanted {
                    *float = ABSENT;
                    row.clear_histogram(step);
                }
            }
        }
        block.retain_present();
        Ok(())
    }
}
