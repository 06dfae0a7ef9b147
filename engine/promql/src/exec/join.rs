//! Arithmetic and comparison of two vectors, whose series are paired by their labels.
//!
//! Pairs are found once; what may differ from step to step is only which series have a sample.

use std::collections::hash_map::Entry;

use ahash::HashMap;
use isinglass_lang::promql::ast::{Cardinality, Span};

use super::{Context, Held, Operator, ahead};
use crate::arithmetic;
use crate::binary::{self, Operand, Sides};
use crate::block::{Block, Row, is_absent};
use crate::error::{EvalError, Result};
use crate::grid::Grid;
use crate::labels::Labels;
use crate::merge::same_labelset;
use crate::plan::{Join, Matching, Vector};
use crate::signature::{METADATA, Numbers, Signature};

/// Gives the results of all pairs at once.
pub(super) struct JoinOperator<'a> {
    plan: &'a Join,
    grid: Grid,
    cx: &'a Context<'a>,
    done: bool,
}

impl<'a> JoinOperator<'a> {
    pub(super) fn new(plan: &'a Join, grid: Grid, cx: &'a Context<'a>) -> Self {
        Self { plan, grid, cx, done: false }
    }
}

impl Operator for JoinOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let (joins, operands) = chain(self.plan);
        let mut joins = joins.into_iter();
        let mut left: Option<(Block, Held<'_>)> = None;
        // All operands in any case, for their errors and warnings.
        ahead::each(&operands, self.grid, self.cx, |right, held| {
            left = match left.take() {
                None => Some((right, held)),
                Some((block, _held)) => joins.next().map(|join| self.pair(join, block, right)).transpose()?,
            };
            Ok(())
        })?;
        Ok(left.map(|(block, _)| block).filter(|block| !block.is_empty()))
    }
}

impl<'a> JoinOperator<'a> {
    fn pair(&self, plan: &Join, left: Block, right: Block) -> Result<(Block, Held<'a>)> {
        let unfilled = plan.matching.fill_left.is_none() && plan.matching.fill_right.is_none();
        let out = if unfilled && (left.is_empty() || right.is_empty()) {
            Block::new(self.grid.steps)
        } else {
            Pairing::new(plan, left, right, self.cx)?.run()?
        };
        let mut held = self.cx.holds_nothing();
        held.grow(out.bytes())?;
        Ok((out, held))
    }
}

/// `a + b + c` as its joins, the innermost first, and its operands, of which there is one more.
fn chain(last: &Join) -> (Vec<&Join>, Vec<&Vector>) {
    let mut joins = vec![last];
    let mut first = &last.left;
    while let Vector::Join(join) = first {
        joins.push(join);
        first = &join.left;
    }
    joins.reverse();
    let rights = joins.iter().map(|join| &join.right);
    let operands = std::iter::once(first).chain(rights).collect();
    (joins, operands)
}

/// Both sides, the one that may have only one series of each group to the right.
struct Pairing<'a> {
    plan: &'a Join,
    cx: &'a Context<'a>,
    many: Block,
    one: Block,
    /// The sides stand the other way round in the text.
    swapped: bool,
    /// Rows of each group, `many` and `one`.
    groups: Vec<(Vec<usize>, Vec<usize>)>,
    out: Output,
}

/// Results by their labels.
struct Output {
    block: Block,
    rows: HashMap<Labels, usize>,
    /// Which group gave a result of a row at a step.
    given_by: Vec<u32>,
}

/// No group gave a result yet.
const NOBODY: u32 = u32::MAX;

impl<'a> Pairing<'a> {
    fn new(plan: &'a Join, left: Block, right: Block, cx: &'a Context<'a>) -> Result<Self> {
        let swapped = plan.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        let steps = many.steps;
        let signature = signature(&plan.matching);
        let mut numbers = Numbers::default();
        let mut groups: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
        for (at, row) in many.rows.iter().enumerate() {
            cx.check_at(at)?;
            let (number, new) = numbers.number(signature, &row.labels);
            if new {
                groups.push((Vec::new(), Vec::new()));
            }
            groups[number].0.push(at);
        }
        for (at, row) in one.rows.iter().enumerate() {
            cx.check_at(at)?;
            let (number, new) = numbers.number(signature, &row.labels);
            if new {
                groups.push((Vec::new(), Vec::new()));
            }
            groups[number].1.push(at);
        }
        let out = Output { block: Block::new(steps), rows: HashMap::default(), given_by: Vec::new() };
        Ok(Self { plan, cx, many, one, swapped, groups, out })
    }

    fn run(mut self) -> Result<Block> {
        self.check_one_side()?;
        let groups = std::mem::take(&mut self.groups);
        for (number, (many, one)) in groups.iter().enumerate() {
            self.cx.check()?;
            self.group(number as u32, many, one)?;
        }
        let mut block = self.out.block;
        block.retain_present();
        Ok(block)
    }

    /// Wherever the other side has anything at all, a group may have one sample of the "one" side
    /// only.
    fn check_one_side(&self) -> Result<()> {
        let several = |one: &&Vec<usize>| one.len() > 1;
        let crowded: Vec<_> = self.groups.iter().map(|(_, one)| one).filter(several).collect();
        if crowded.is_empty() {
            return Ok(());
        }
        let matters = |step: usize| {
            self.fill(false).is_some()
                || (0..self.many.rows.len()).any(|row| !self.many.cell(row, step).is_absent())
        };
        for step in 0..self.one.steps {
            self.cx.check()?;
            for rows in &crowded {
                let mut there = rows.iter().filter(|row| !self.one.cell(**row, step).is_absent());
                if let (Some(first), Some(second)) = (there.next(), there.next())
                    && matters(step)
                {
                    return Err(self.duplicate(*first, *second));
                }
            }
        }
        Ok(())
    }

    fn duplicate(&self, first: usize, second: usize) -> EvalError {
        let (first, second) = (&self.one.rows[first].labels, &self.one.rows[second].labels);
        let group = signature(&self.plan.matching).of(second);
        // In an order that does not depend on how series are read.
        let (first, second) = if first < second { (first, second) } else { (second, first) };
        let side = if self.swapped { "left" } else { "right" };
        EvalError::execution(format!(
            "found duplicate series for the match group {group} on the {side} hand-side of the \
             operation: [{first}, {second}];many-to-many matching not allowed: matching labels must \
             be unique on one side"
        ))
    }

    /// The value that stands in for a missing sample of the "one" or the "many" side. Upstream
    /// turns the sides of `group_right` round, but not their fills.
    fn fill(&self, one: bool) -> Option<f64> {
        let matching = &self.plan.matching;
        if one { matching.fill_right } else { matching.fill_left }
    }

    fn group(&mut self, number: u32, many: &[usize], one: &[usize]) -> Result<()> {
        if one.is_empty() && self.fill(true).is_none() || many.is_empty() && self.fill(false).is_none() {
            return Ok(());
        }
        let steps = self.many.steps;
        let one_to_one = self.plan.matching.cardinality == Cardinality::OneToOne;
        if let ([many], [one]) = (many, one)
            && self.pair_of_floats(number, *many, *one)?
        {
            return Ok(());
        }
        let mut labels = PairLabels::default();
        // With names that differ, several series of a group have different results.
        let mut matched = vec![false; if one_to_one && many.len() > 1 { steps } else { 0 }];
        for row in many {
            self.cx.check()?;
            for step in 0..steps {
                let Some(left) = Operand::of(self.many.cell(*row, step)) else { continue };
                let found = one.iter().find(|one| !self.one.cell(**one, step).is_absent());
                let right = match found {
                    Some(one) => Operand::of(self.one.cell(*one, step)),
                    None => self.fill(true).map(Operand::Float),
                };
                let Some(right) = right else { continue };
                let Some(result) = self.apply(left, right) else { continue };
                if matched.get_mut(step).is_some_and(|matched| std::mem::replace(matched, true)) {
                    return Err(twice(true, true));
                }
                let key = (Some(*row), found.copied());
                let at = self.row_of(key, &mut labels);
                self.out.put(at, step, result, number, one_to_one)?;
            }
        }
        if let Some(fill) = self.fill(false) {
            self.filled(number, many, one, fill, &mut labels)?;
        }
        Ok(())
    }

    /// The usual case: one series to each side, floats alone, an operator that gives a number.
    /// Says whether it was.
    fn pair_of_floats(&mut self, number: u32, many: usize, one: usize) -> Result<bool> {
        let matching = &self.plan.matching;
        let plain = matching.fill_left.is_none() && matching.fill_right.is_none();
        let floats = self.many.rows[many].histograms.is_none() && self.one.rows[one].histograms.is_none();
        let Some(function) = arithmetic::of_numbers(self.plan.op) else { return Ok(false) };
        if !plain || !floats {
            return Ok(false);
        }
        let (labels, drop_name) = self.labels_of((Some(many), Some(one)));
        let at = self.out.row(labels, drop_name);
        let (steps, swapped) = (self.many.steps, self.swapped);
        let given_by = &mut self.out.given_by[at * steps..][..steps];
        let sides = self.many.floats(many).iter().zip(self.one.floats(one));
        let out = self.out.block.floats_mut(at).iter_mut().zip(given_by);
        for ((many, one), (out, given_by)) in sides.zip(out) {
            if is_absent(*many) || is_absent(*one) {
                continue;
            }
            if std::mem::replace(given_by, number) != NOBODY {
                return Err(same_labelset());
            }
            *out = if swapped { function(*one, *many) } else { function(*many, *one) };
        }
        Ok(true)
    }

    /// Samples of the "one" side that nothing went with.
    fn filled(
        &mut self,
        number: u32,
        many: &[usize],
        one: &[usize],
        fill: f64,
        labels: &mut PairLabels,
    ) -> Result<()> {
        for step in 0..self.one.steps {
            self.cx.check_at(step)?;
            if many.iter().any(|row| !self.many.cell(*row, step).is_absent()) {
                continue;
            }
            let there = one.iter().find(|row| !self.one.cell(**row, step).is_absent()).copied();
            let Some(row) = there else { continue };
            let Some(right) = Operand::of(self.one.cell(row, step)) else { continue };
            if let Some(result) = self.apply(Operand::Float(fill), right) {
                let at = self.row_of((None, Some(row)), labels);
                self.out.put(at, step, result, number, false)?;
            }
        }
        Ok(())
    }

    fn apply(&self, many: Operand, one: Operand) -> Option<Operand> {
        let (left, right) = if self.swapped { (one, many) } else { (many, one) };
        let sides = Sides {
            op: self.plan.op,
            bool_modifier: self.plan.bool_modifier,
            left,
            right,
            span: self.span(),
            annotations: &self.cx.annotations,
        };
        binary::apply(&sides, None)
    }

    fn span(&self) -> Span {
        self.plan.span
    }

    /// The row of the result of a pair; a side that was filled in is `None`.
    fn row_of(&mut self, pair: Pair, known: &mut PairLabels) -> usize {
        if let Some((last, at)) = known.last
            && last == pair
        {
            return at;
        }
        let (labels, drop_name) = self.labels_of(pair);
        let at = self.out.row(labels, drop_name);
        known.last = Some((pair, at));
        at
    }

    fn labels_of(&self, (many, one): Pair) -> (Labels, bool) {
        let matching = &self.plan.matching;
        let of_group = |row: &Row| signature(matching).of(&row.labels);
        let many_labels = match (many, one) {
            (Some(row), _) => self.many.rows[row].labels.clone(),
            (None, Some(row)) => of_group(&self.one.rows[row]),
            (None, None) => Labels::empty(),
        };
        let one_labels = one.map(|row| &self.one.rows[row].labels);
        let labels = result_labels(self.plan, &many_labels, one_labels);
        let was_dropped = many.is_some_and(|row| self.many.rows[row].drop_name);
        (labels, self.plan.bool_modifier || was_dropped)
    }
}

/// The row of the last pair: most pairs are the same at all steps.
#[derive(Default)]
struct PairLabels {
    last: Option<(Pair, usize)>,
}

/// A row of each side; a side that was filled in has none.
type Pair = (Option<usize>, Option<usize>);

fn signature(matching: &Matching) -> Signature<'_> {
    Signature { only: matching.on, labels: &matching.labels }
}

/// The labels of a result: those of the "many" side, without the name where values change their
/// meaning, with the labels asked for of the "one" side.
fn result_labels(plan: &Join, many: &Labels, one: Option<&Labels>) -> Labels {
    let matching = &plan.matching;
    let one_to_one = matching.cardinality == Cardinality::OneToOne;
    let changes = binary::changes_meaning(plan.op);
    let named = |name: &str| matching.labels.iter().any(|label| label == name);
    let kept = many.retain(|name| {
        let metadata = changes && METADATA.contains(&name);
        !metadata && (!one_to_one || named(name) == matching.on)
    });
    if matching.include.is_empty() {
        return kept;
    }
    let mut builder = kept.builder();
    for name in &matching.include {
        builder.set(name, one.map_or("", |one| one.get(name)));
    }
    builder.build()
}

impl Output {
    fn row(&mut self, labels: Labels, drop_name: bool) -> usize {
        match self.rows.entry(labels) {
            Entry::Occupied(known) => {
                let at = *known.get();
                self.block.rows[at].drop_name |= drop_name;
                at
            }
            Entry::Vacant(new) => {
                let at = self.block.rows.len();
                self.block.push(Row { drop_name, ..Row::new(new.key().clone()) });
                self.given_by.resize((at + 1) * self.block.steps, NOBODY);
                new.insert(at);
                at
            }
        }
    }

    fn put(&mut self, at: usize, step: usize, result: Operand, group: u32, one_to_one: bool) -> Result<()> {
        let steps = self.block.steps;
        let given_by = std::mem::replace(&mut self.given_by[at * steps + step], group);
        if given_by != NOBODY {
            return Err(twice(given_by == group, one_to_one));
        }
        let (row, floats) = self.block.row_mut(at);
        match result {
            Operand::Float(value) => floats[step] = value,
            Operand::Histogram(histogram) => row.set_histogram(step, steps, histogram),
        }
        Ok(())
    }
}

fn twice(same_group: bool, one_to_one: bool) -> EvalError {
    let text = match (same_group, one_to_one) {
        (false, _) => return same_labelset(),
        (true, true) => {
            "multiple matches for labels: many-to-one matching must be explicit \
             (group_left/group_right)"
        }
        (true, false) => "multiple matches for labels: grouping labels must ensure unique matches",
    };
    EvalError::execution(text)
}
