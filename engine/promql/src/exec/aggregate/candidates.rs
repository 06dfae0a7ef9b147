//! Series that `topk` and its family may keep, of those that come in no order.
//!
//! Which of equal values are kept follows from the order of the series. So all wait until the last
//! was read, but for those that the ones before them in the order leave no place: whatever else
//! comes, that stays so.

use super::rank::Ranking;
use crate::block::{ABSENT, Block};
use crate::error::Result;
use crate::exec::context::Held;
use crate::exec::{Context, open, ordered};
use crate::grid::Grid;
use crate::plan::Aggregate;

/// Values that wait before those without a place are looked for.
const VALUES: usize = 128 << 10;

/// Likewise series: to order many costs more for each than to order few.
const ROWS_MAX: usize = 4_096;
const ROWS_MIN: usize = 64;

/// Those that wait.
struct Candidates<'a> {
    plan: &'a Aggregate,
    counts: &'a [usize],
    cx: &'a Context<'a>,
    block: Block,
    held: Held<'a>,
    /// So many series may wait.
    room: usize,
    ignored: bool,
}

/// Reads the series of an aggregation: those that may be kept, in the order of their labels, and
/// whether there were histograms that it ignores.
pub(super) fn read<'a>(
    plan: &'a Aggregate,
    counts: &'a [usize],
    grid: Grid,
    cx: &'a Context<'a>,
) -> Result<(Block, Held<'a>, bool)> {
    let (block, held, room) = (Block::new(grid.steps), cx.holds_nothing(), room(grid.steps));
    let mut all = Candidates { plan, counts, cx, block, held, room, ignored: false };
    let mut input = open(&plan.input, grid, cx)?;
    while let Some(block) = input.next()? {
        cx.check()?;
        all.held.grow(block.bytes())?;
        all.block.append(block);
        if all.block.rows.len() >= all.room {
            all.thin()?;
        }
    }
    let block = ordered::by_labels(all.block, cx)?;
    Ok((block, all.held, all.ignored))
}

fn room(steps: usize) -> usize {
    (VALUES / steps.max(1)).clamp(ROWS_MIN, ROWS_MAX)
}

impl Candidates<'_> {
    /// Lets go of the samples that have no place among those before them.
    fn thin(&mut self) -> Result<()> {
        let steps = self.block.steps;
        let block = std::mem::replace(&mut self.block, Block::new(steps));
        let mut block = ordered::by_labels(block, self.cx)?;
        let mut ranking = Ranking::new(self.plan, self.counts, self.cx);
        for at in 0..block.rows.len() {
            ranking.take(&block, at)?;
            let (row, floats) = block.row_mut(at);
            for (step, (float, has_place)) in floats.iter_mut().zip(ranking.had_place()).enumerate() {
                if !has_place {
                    *float = ABSENT;
                    if row.histograms.is_some() {
                        row.clear_histogram(step);
                    }
                }
            }
        }
        self.ignored |= ranking.ignored;
        block.retain_present();
        self.held = self.cx.holds_nothing();
        self.held.grow(block.bytes())?;
        self.room = room(steps).max(2 * block.rows.len());
        self.block = block;
        Ok(())
    }
}
