//! `topk`, `bottomk`, `limitk` and `limit_ratio`: some of the series as they are.

use std::cmp::Ordering;
use std::sync::Arc;

use isinglass_lang::promql::ast::AggregateOp;

use super::candidates;
use super::groups::signature;
use crate::block::{ABSENT, Block, Cell, Row};
use crate::error::Result;
use crate::exec::context::Held;
use crate::exec::{Context, open, ordered};
use crate::grid::Grid;
use crate::hash::prometheus_hash;
use crate::histogram::Histogram;
use crate::plan::Aggregate;
use crate::signature::Numbers;

/// A sample that is among those kept of its group and step.
#[derive(Debug, Clone)]
struct Kept {
    /// Its number among all series.
    row: usize,
    value: f64,
    histogram: Option<Arc<Histogram>>,
}

impl Kept {
    /// The value that ranks it; `limitk` has histograms, which upstream takes for 0 there.
    fn ranked(&self) -> f64 {
        if self.histogram.is_some() { 0.0 } else { self.value }
    }
}

/// Keeps at most `counts[step]` series of each group.
pub(super) fn run(plan: &Aggregate, counts: &[usize], grid: Grid, cx: &Context<'_>) -> Result<Block> {
    let mut ranking = Ranking::new(plan, counts, cx);
    if ordered::is_wanted(&plan.input, cx) {
        let (block, _held, ignored) = candidates::read(plan, counts, grid, cx)?;
        ranking.ignored = ignored;
        ranking.take_all(&block)?;
        return ranking.finish();
    }
    let mut input = open(&plan.input, grid, cx)?;
    while let Some(block) = input.next()? {
        ranking.take_all(&block)?;
    }
    ranking.finish()
}

/// Series that come in order, and those of them that are kept so far.
pub(super) struct Ranking<'a> {
    plan: &'a Aggregate,
    counts: &'a [usize],
    cx: &'a Context<'a>,
    numbers: Numbers,
    /// Of each group and step.
    kept: Vec<Vec<Kept>>,
    rows: Vec<Row>,
    held: Held<'a>,
    /// Histograms came that the aggregation ignores.
    pub(super) ignored: bool,
    had_place: Vec<bool>,
}

impl<'a> Ranking<'a> {
    pub(super) fn new(plan: &'a Aggregate, counts: &'a [usize], cx: &'a Context<'a>) -> Self {
        Self {
            plan,
            counts,
            cx,
            numbers: Numbers::default(),
            kept: Vec::new(),
            rows: Vec::new(),
            held: cx.holds_nothing(),
            ignored: false,
            had_place: vec![false; counts.len()],
        }
    }

    fn take_all(&mut self, block: &Block) -> Result<()> {
        (0..block.rows.len()).try_for_each(|row| self.take(block, row))
    }

    /// Looks where the next series has a place.
    pub(super) fn take(&mut self, block: &Block, row: usize) -> Result<()> {
        let (of, steps) = (&block.rows[row], self.counts.len());
        let (group, new) = self.numbers.number(signature(self.plan), &of.labels);
        if new {
            self.kept.resize(self.kept.len() + steps, Vec::new());
        }
        let number = self.rows.len();
        self.cx.check_at(number)?;
        self.rows.push(Row { histograms: None, ..of.clone() });
        let (op, mut more) = (self.plan.op, 0);
        let kept = self.kept[group * steps..].iter_mut().zip(self.counts);
        let cells = block.floats(row).iter().zip(&mut self.had_place);
        for (step, ((kept, count), (float, had_place))) in kept.zip(cells).enumerate() {
            let (value, histogram) = match of.cell(*float, step) {
                Cell::Float(value) => (value, None),
                Cell::Histogram(histogram) if op == AggregateOp::Limitk => (ABSENT, Some(histogram)),
                other => {
                    self.ignored |= !other.is_absent();
                    *had_place = false;
                    continue;
                }
            };
            let before = kept.len();
            *had_place = offer(op, kept, *count, (number, value, histogram));
            more += kept.len() - before;
        }
        if more > 0 { self.held.grow(more * size_of::<Kept>()) } else { Ok(()) }
    }

    /// At which steps the last series had a place.
    pub(super) fn had_place(&self) -> &[bool] {
        &self.had_place
    }

    /// The series that are kept anywhere. At one step, the best come first.
    fn finish(self) -> Result<Block> {
        let (op, steps) = (self.plan.op, self.counts.len());
        if self.ignored {
            let text = format!("ignored histogram in {} aggregation", op.text());
            self.cx.annotations.info(self.plan.span, text);
        }
        let mut block = Block::new(steps);
        let mut places = vec![usize::MAX; self.rows.len()];
        for (at, mut kept) in self.kept.into_iter().enumerate() {
            self.cx.check()?;
            if op != AggregateOp::Limitk {
                kept.sort_by(|one, other| worse_first(op, other.value, one.value));
            }
            for one in kept {
                if places[one.row] == usize::MAX {
                    places[one.row] = block.rows.len();
                    block.push(self.rows[one.row].clone());
                }
                let step = at % steps;
                let (row, floats) = block.row_mut(places[one.row]);
                floats[step] = one.value;
                if let Some(histogram) = one.histogram {
                    row.set_histogram(step, steps, histogram);
                }
            }
        }
        Ok(block)
    }
}

/// Offers a sample to those kept of its group and step, and says whether it has a place.
fn offer(
    op: AggregateOp,
    kept: &mut Vec<Kept>,
    count: usize,
    (row, value, histogram): (usize, f64, Option<&Arc<Histogram>>),
) -> bool {
    let offered = || Kept { row, value, histogram: histogram.cloned() };
    if kept.len() < count {
        kept.push(offered());
        // Upstream's `limitk` takes the first, too, and gives them in the order of a heap.
        sift_up(op, kept);
        return true;
    }
    let Some(worst) = kept.first_mut() else { return false };
    if op == AggregateOp::Limitk || worse_first(op, worst.value, value).is_ge() {
        return false;
    }
    *worst = offered();
    sift_down(op, kept);
    true
}

/// Moves the last of a heap, whose worst stands first, to its place. Which of equal values are kept
/// follows from the steps of this, so that they are those of Go's `container/heap`.
fn sift_up(op: AggregateOp, heap: &mut [Kept]) {
    let mut at = heap.len().saturating_sub(1);
    while at > 0 {
        let parent = (at - 1) / 2;
        if !is_worse(op, &heap[at], &heap[parent]) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

/// Moves the first of a heap to its place, as [`sift_up`] the last.
fn sift_down(op: AggregateOp, heap: &mut [Kept]) {
    let mut at = 0;
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        if left >= heap.len() {
            break;
        }
        let of_right = right < heap.len() && is_worse(op, &heap[right], &heap[left]);
        let child = if of_right { right } else { left };
        if !is_worse(op, &heap[child], &heap[at]) {
            break;
        }
        heap.swap(at, child);
        at = child;
    }
}

/// As upstream has it, NaN is worse than NaN.
fn is_worse(op: AggregateOp, one: &Kept, other: &Kept) -> bool {
    let (one, other) = (one.ranked(), other.ranked());
    one.is_nan() || worse_first(op, one, other) == Ordering::Less
}

/// NaN is worst for either.
fn worse_first(op: AggregateOp, one: f64, other: f64) -> Ordering {
    match (one.is_nan(), other.is_nan()) {
        (false, false) => {
            let order = one.partial_cmp(&other).unwrap_or(Ordering::Equal);
            if op == AggregateOp::Bottomk { order.reverse() } else { order }
        }
        (one, other) => other.cmp(&one),
    }
}

/// Keeps the series whose hash falls into a share: of a negative ratio, those that its positive
/// counterpart leaves out.
pub(super) fn by_ratio(plan: &Aggregate, ratios: &[f64], grid: Grid, cx: &Context<'_>) -> Result<Block> {
    let mut input = open(&plan.input, grid, cx)?;
    let mut all = Block::new(grid.steps);
    let mut held = cx.holds_nothing();
    while let Some(mut block) = input.next()? {
        cx.check()?;
        for at in 0..block.rows.len() {
            let share = prometheus_hash(&block.rows[at].labels) as f64 / u64::MAX as f64;
            let (row, floats) = block.row_mut(at);
            for (step, float) in floats.iter_mut().enumerate() {
                if !is_within(ratios[step], share) {
                    *float = ABSENT;
                    row.clear_histogram(step);
                }
            }
        }
        block.retain_present();
        held.grow(block.bytes())?;
        all.append(block);
    }
    Ok(all)
}

fn is_within(ratio: f64, share: f64) -> bool {
    (ratio >= 0.0 && share < ratio) || (ratio < 0.0 && share >= 1.0 + ratio)
}
