//! Which series belong together, and what a group adds up at each step.

use std::sync::Arc;

use super::Aggregation;
use super::fold::{Fold, Histograms, OfHistograms};
use crate::block::{ABSENT, Block, Cell, Row, is_absent};
use crate::error::{EvalError, Result};
use crate::exec::{Boxed, Context, open, ordered};
use crate::labels::Labels;
use crate::order::sorted_by;
use crate::plan::Aggregate;
use crate::signature::{METADATA, Numbers, Signature};

/// Steps of a group that are finished before somebody asks whether the query has ended.
const STEPS_UNCHECKED: usize = 16;

/// Groups with what they added up.
struct Groups<F> {
    numbers: Numbers,
    rows: Vec<Group>,
    /// Series come in no order, but the groups are wanted in that of their first ones.
    reorders: bool,
    steps: usize,
    /// Steps of a group follow each other.
    folds: Vec<F>,
    /// By group, of those that have any.
    histograms: Vec<Option<Box<[Option<Histograms>]>>>,
    ignored: bool,
}

/// What a group gives.
struct Group {
    labels: Labels,
    drop_name: bool,
    /// Of its series the first in order, where groups are put in order.
    first: Option<Labels>,
}

/// Adds all series up: each part of the input by a thread of its own.
pub(super) fn run<F: Fold>(of: &Aggregation<'_>, param: &[f64]) -> Result<Block> {
    let (plan, cx) = (of.plan, of.cx);
    let mut parts = open::parts(&plan.input, of.grid, cx, cx.parts)?;
    let last = parts.pop();
    let fold = |part: Boxed<'_>| fold_part::<F>(plan, part, of.grid.steps, cx);
    let beside = |part: Boxed<'_>| {
        let folded = fold(part);
        cx.source.thread_ends();
        folded
    };
    let all = std::thread::scope(|scope| {
        let others: Vec<_> = parts.into_iter().map(|part| scope.spawn(|| beside(part))).collect();
        let own = last.map(fold);
        let others = others.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => Err(EvalError::internal("a thread of the query ended early")),
        });
        let mut all: Vec<_> = others.collect();
        all.extend(own);
        all
    });
    let mut merged: Option<Groups<F>> = None;
    for part in all {
        let part = part?;
        match &mut merged {
            None => merged = Some(part),
            Some(merged) => merged.merge(plan, part, cx)?,
        }
    }
    match merged {
        Some(groups) => groups.finish(plan, param, cx),
        None => Ok(Block::new(of.grid.steps)),
    }
}

fn fold_part<F: Fold>(
    plan: &Aggregate,
    mut part: Boxed<'_>,
    steps: usize,
    cx: &Context<'_>,
) -> Result<Groups<F>> {
    let mut groups = Groups::<F>::new(steps, ordered::is_wanted(&plan.input, cx));
    let mut held = cx.holds_nothing();
    while let Some(block) = part.next()? {
        cx.check()?;
        let before = groups.folds.len();
        groups.take(plan, &block);
        held.grow((groups.folds.len() - before) * size_of::<F>())?;
    }
    Ok(groups)
}

/// The labels of a group.
pub(super) fn group_labels(plan: &Aggregate, labels: &Labels) -> Labels {
    labels.retain(|name| counts(plan, name))
}

/// Whether a label tells groups apart.
pub(super) fn counts(plan: &Aggregate, name: &str) -> bool {
    let named = plan.grouping.iter().any(|label| label == name);
    if plan.without { !named && !METADATA.contains(&name) } else { named }
}

/// What tells groups apart.
pub(super) fn signature(plan: &Aggregate) -> Signature<'_> {
    Signature { only: !plan.without, labels: &plan.grouping }
}

impl<F: Fold> Groups<F> {
    fn new(steps: usize, reorders: bool) -> Self {
        Self {
            numbers: Numbers::default(),
            rows: Vec::new(),
            reorders,
            steps,
            folds: Vec::new(),
            histograms: Vec::new(),
            ignored: false,
        }
    }

    fn group(&mut self, plan: &Aggregate, labels: &Labels, drop_name: bool) -> usize {
        let (number, new) = self.numbers.number(signature(plan), labels);
        if new {
            self.rows.push(Group { labels: group_labels(plan, labels), drop_name: false, first: None });
            self.folds.resize(self.folds.len() + self.steps, F::new());
            self.histograms.push(None);
        }
        self.rows[number].drop_name |= drop_name;
        number
    }

    fn note_first(&mut self, group: usize, labels: &Labels) {
        let first = &mut self.rows[group].first;
        if first.as_ref().is_none_or(|first| labels < first) {
            *first = Some(labels.clone());
        }
    }

    fn take(&mut self, plan: &Aggregate, block: &Block) {
        for (at, row) in block.rows.iter().enumerate() {
            let group = self.group(plan, &row.labels, row.drop_name);
            if self.reorders {
                self.note_first(group, &row.labels);
            }
            let folds = &mut self.folds[group * self.steps..][..self.steps];
            for (fold, value) in folds.iter_mut().zip(block.floats(at)) {
                if !is_absent(*value) {
                    fold.add(*value);
                }
            }
            if row.histograms.is_some() {
                self.take_histograms(group, block, at);
            }
        }
    }

    fn take_histograms(&mut self, group: usize, block: &Block, row: usize) {
        for step in 0..self.steps {
            let Cell::Histogram(histogram) = block.cell(row, step) else { continue };
            match F::HISTOGRAMS {
                OfHistograms::Counted => self.folds[group * self.steps + step].add(1.0),
                OfHistograms::Ignored => self.ignored = true,
                of => self.histogram(group, step, of).add(histogram),
            }
        }
    }

    fn histogram(&mut self, group: usize, step: usize, of: OfHistograms) -> &mut Histograms {
        let steps = self.steps;
        let all = self.histograms[group].get_or_insert_with(|| vec![None; steps].into());
        all[step].get_or_insert_with(|| Histograms::new(of))
    }

    fn merge(&mut self, plan: &Aggregate, other: Self, cx: &Context<'_>) -> Result<()> {
        self.ignored |= other.ignored;
        for (at, (row, histograms)) in other.rows.into_iter().zip(other.histograms).enumerate() {
            cx.check_at(at)?;
            let group = self.group(plan, &row.labels, row.drop_name);
            if let Some(first) = &row.first {
                self.note_first(group, first);
            }
            let theirs = &other.folds[at * self.steps..][..self.steps];
            let ours = &mut self.folds[group * self.steps..][..self.steps];
            for (own, other) in ours.iter_mut().zip(theirs) {
                own.merge(other);
            }
            for (step, histogram) in histograms.into_iter().flatten().enumerate() {
                if let Some(histogram) = histogram {
                    self.histogram(group, step, F::HISTOGRAMS).merge(histogram);
                }
            }
        }
        Ok(())
    }

    fn finish(mut self, plan: &Aggregate, param: &[f64], cx: &Context<'_>) -> Result<Block> {
        if self.ignored {
            let text = format!("ignored histogram in {} aggregation", F::NAME);
            cx.annotations.info(plan.span, text);
        }
        let mut block = Block::new(self.steps);
        let order = if self.reorders { Some(self.order(cx)?) } else { None };
        let rows = std::mem::take(&mut self.rows);
        let histograms = std::mem::take(&mut self.histograms);
        for (group, (row, histograms)) in rows.into_iter().zip(histograms).enumerate() {
            let floats = block.push(Row { drop_name: row.drop_name, ..Row::new(row.labels) });
            let folds = &mut self.folds[group * self.steps..][..self.steps];
            for (step, (float, fold)) in floats.iter_mut().zip(folds).enumerate() {
                // A quantile sorts all that it was given.
                if step % STEPS_UNCHECKED == 0 {
                    cx.check()?;
                }
                *float = fold.result(param.get(step).copied().unwrap_or(f64::NAN));
            }
            if let Some(histograms) = histograms {
                finish_histograms(plan, &mut block, histograms, cx);
            }
        }
        if let Some(order) = order {
            block = ordered::permuted(block, &order, cx)?;
        }
        block.retain_present();
        Ok(block)
    }

    /// The groups by their first series.
    fn order(&self, cx: &Context<'_>) -> Result<Vec<usize>> {
        let first = |group: &usize| &self.rows[*group].first;
        sorted_by((0..self.rows.len()).collect(), |one, other| first(one).cmp(first(other)), || cx.check())
    }
}

/// The histograms of the last row.
fn finish_histograms(
    plan: &Aggregate,
    block: &mut Block,
    histograms: Box<[Option<Histograms>]>,
    cx: &Context<'_>,
) {
    let (steps, last) = (block.steps, block.rows.len() - 1);
    let (row, floats) = block.row_mut(last);
    for (step, histogram) in histograms.into_iter().enumerate() {
        let Some(histogram) = histogram else { continue };
        if !is_absent(floats[step]) {
            let text = "encountered a mix of histograms and floats for aggregation";
            cx.annotations.warn(plan.span, text);
            floats[step] = ABSENT;
            continue;
        }
        let (result, remarks) = match histogram {
            Histograms::Sum(sum) => sum.result(),
            Histograms::Average(average) => average.result(),
        };
        if remarks.incompatible {
            let name = crate::annotations::for_metric(row.labels.metric_name());
            let text = "vector contains a mix of histograms with exponential and custom buckets \
                        schemas";
            cx.annotations.warn(plan.span, format!("{text}{name}"));
        }
        if remarks.conflicting_resets() {
            let text = "conflicting counter resets during histogram aggregation";
            cx.annotations.warn(plan.span, text);
        }
        if remarks.reconciled {
            let text = "mismatched custom buckets were reconciled during aggregation";
            cx.annotations.info(plan.span, text);
        }
        if let Some(result) = result {
            row.set_histogram(step, steps, Arc::new(result));
        }
    }
}
