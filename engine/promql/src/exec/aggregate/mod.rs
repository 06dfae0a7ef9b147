//! Aggregations.
//!
//! | module | holds |
//! |---|---|
//! | [`groups`] | which series belong together, and what a group adds up at each step |
//! | [`fold`] | what each operator adds up |
//! | [`rank`] | `topk`, `bottomk`, `limitk`, `limit_ratio`: some of the series as they are |
//! | [`candidates`] | which of them have to wait for others that are read later |
//! | [`count_values`] | a group for each value |
//! | [`params`] | what parameters may be |

mod candidates;
mod count_values;
mod fold;
mod groups;
mod params;
mod rank;

use std::sync::Arc;

use isinglass_lang::promql::ast::AggregateOp;
pub(super) use params::warn_of_quantile;

use super::{Context, Operator};
use crate::block::Block;
use crate::error::Result;
use crate::grid::Grid;
use crate::plan::Aggregate;

/// Gives the groups of an aggregation at once.
pub(super) struct Aggregation<'a> {
    plan: &'a Aggregate,
    grid: Grid,
    cx: &'a Context<'a>,
    done: bool,
}

impl<'a> Aggregation<'a> {
    pub(super) fn new(plan: &'a Aggregate, grid: Grid, cx: &'a Context<'a>) -> Self {
        Self { plan, grid, cx, done: false }
    }

    fn run(&self) -> Result<Block> {
        let (plan, grid, cx) = (self.plan, self.grid, self.cx);
        let param: Arc<[f64]> = match &plan.param {
            Some(param) => super::evaluate_scalar(param, grid, cx)?,
            None => Arc::default(),
        };
        match plan.op {
            AggregateOp::Sum => groups::run::<fold::Sums>(self, &param),
            AggregateOp::Avg => groups::run::<fold::Averages>(self, &param),
            AggregateOp::Count => groups::run::<fold::Counts>(self, &param),
            AggregateOp::Group => groups::run::<fold::Ones>(self, &param),
            AggregateOp::Min => groups::run::<fold::Smallest>(self, &param),
            AggregateOp::Max => groups::run::<fold::Largest>(self, &param),
            AggregateOp::Stddev => groups::run::<fold::Deviations>(self, &param),
            AggregateOp::Stdvar => groups::run::<fold::Variances>(self, &param),
            AggregateOp::Quantile => {
                params::warn_of_quantiles(&param, plan.param_span, &cx.annotations);
                groups::run::<fold::Quantiles>(self, &param)
            }
            AggregateOp::CountValues => count_values::run(plan, grid, cx),
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk => match params::counts(&param)? {
                Some(counts) => rank::run(plan, &counts, grid, cx),
                None => self.nothing(),
            },
            AggregateOp::LimitRatio => match params::ratios(&param, plan.param_span, &cx.annotations)? {
                Some(ratios) => rank::by_ratio(plan, &ratios, grid, cx),
                None => self.nothing(),
            },
        }
    }
}

impl Aggregation<'_> {
    /// Where no series is wanted, what is aggregated is evaluated for its errors and warnings.
    fn nothing(&self) -> Result<Block> {
        let mut input = super::open::open(&self.plan.input, self.grid, self.cx)?;
        while input.next()?.is_some() {
            self.cx.check()?;
        }
        Ok(Block::new(self.grid.steps))
    }
}

impl Operator for Aggregation<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let block = self.run()?;
        Ok((!block.is_empty()).then_some(block))
    }
}
