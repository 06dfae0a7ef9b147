//! `info`: labels of info series, such as `target_info`, joined to the series that they describe.

use std::collections::{BTreeMap, BTreeSet};

use ahash::HashMap;
use isinglass_lang::promql::ast::{MatchOp, Matcher};

use super::context::Held;
use super::{Context, Operator, collect};
use crate::block::{Block, Cell, Row};
use crate::error::{EvalError, Result};
use crate::grid::Grid;
use crate::labels::{Labels, METRIC_NAME};
use crate::matching::Matchers;
use crate::plan::{Info, Leaf, Vector, Wanted, reference};

/// Labels that say which target a series belongs to.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Gives all series with the labels joined to them.
pub(super) struct InfoOperator<'a> {
    plan: &'a Info,
    grid: Grid,
    cx: &'a Context<'a>,
    done: bool,
}

impl<'a> InfoOperator<'a> {
    pub(super) fn new(plan: &'a Info, grid: Grid, cx: &'a Context<'a>) -> Self {
        Self { plan, grid, cx, done: false }
    }
}

impl Operator for InfoOperator<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        let (base, _base) = collect(&self.plan.input, self.grid, self.cx)?;
        if base.is_empty() {
            return Ok(None);
        }
        let names = self.names()?;
        let (infos, _infos) = self.info_series(&base, &names)?;
        let known = Known::new(self.plan, names, infos)?;
        let mut out = Output { block: Block::new(self.grid.steps), rows: HashMap::default() };
        for row in 0..base.rows.len() {
            self.cx.check()?;
            known.enrich(&base, row, &mut out)?;
        }
        out.block.retain_present();
        Ok((!out.block.is_empty()).then_some(out.block))
    }
}

impl InfoOperator<'_> {
    /// What the names of info series match.
    fn names(&self) -> Result<Matchers> {
        let names = self.plan.matchers.iter().filter(|matcher| matcher.label == METRIC_NAME);
        Matchers::new(&names.cloned().collect::<Vec<_>>())
    }

    /// The info series of the targets of the base series, at the times at which those were read.
    /// As upstream, where a base series has an identifying label, an info series without it is
    /// not one of any.
    fn info_series(&self, base: &Block, names: &Matchers) -> Result<(Block, Held<'_>)> {
        let mut matchers = self.plan.matchers.clone();
        for label in IDENTIFYING {
            let described = base.rows.iter().filter(|row| !is_info(names, &row.labels));
            let mut values: BTreeSet<&str> = described.map(|row| row.labels.get(label)).collect();
            values.remove("");
            if !values.is_empty() {
                let value = values.into_iter().map(regex::escape).collect::<Vec<_>>().join("|");
                matchers.push(Matcher { label: label.to_owned(), op: MatchOp::Matches, value });
            }
        }
        let (at_ms, offset_ms) = (self.plan.at_ms, self.plan.offset_ms);
        let span = isinglass_lang::promql::ast::Span::default();
        let leaf = Leaf { matchers, offset_ms, at_ms, extension: None, stats: false, span };
        debug_assert_eq!(leaf.reference(0), reference(0, at_ms, offset_ms));
        let newest = Vector::Select(leaf.clone(), Wanted::Timestamp);
        collect(&newest, self.grid, self.cx)
    }
}

/// Info series by the target that they describe. Their values are the times of their samples.
struct Known {
    block: Block,
    by_target: HashMap<[String; 2], Vec<usize>>,
    /// Base series that these match are info series themselves.
    names: Matchers,
    /// Labels that are wanted, all where none is named.
    wanted: Vec<(String, bool)>,
}

impl Known {
    fn new(plan: &Info, names: Matchers, block: Block) -> Result<Self> {
        let of_name = |matcher: &&Matcher| matcher.label == METRIC_NAME;
        let mut wanted: BTreeMap<String, bool> = BTreeMap::new();
        for matcher in plan.matchers.iter().filter(|matcher| !of_name(matcher)) {
            let empty = Matchers::new(std::slice::from_ref(matcher))?.matches(&Labels::empty());
            *wanted.entry(matcher.label.clone()).or_insert(true) &= empty;
        }
        let mut by_target: HashMap<_, Vec<usize>> = HashMap::default();
        for (at, row) in block.rows.iter().enumerate() {
            by_target.entry(target(&row.labels)).or_default().push(at);
        }
        Ok(Self { block, by_target, names, wanted: wanted.into_iter().collect() })
    }

    fn enrich(&self, base: &Block, row: usize, out: &mut Output) -> Result<()> {
        let of = &base.rows[row];
        if is_info(&self.names, &of.labels) {
            for step in 0..base.steps {
                out.put(&of.labels, of.drop_name, step, base.cell(row, step));
            }
            return Ok(());
        }
        let target = target(&of.labels);
        let known = if target == [String::new(), String::new()] { None } else { self.by_target.get(&target) };
        let mut last: Option<(Vec<usize>, Option<Labels>)> = None;
        for step in 0..base.steps {
            let cell = base.cell(row, step);
            if cell.is_absent() {
                continue;
            }
            let infos = self.newest(known.map_or(&[], Vec::as_slice), step)?;
            if last.as_ref().is_none_or(|(of, _)| *of != infos) {
                let labels = self.joined(&of.labels, &infos)?;
                last = Some((infos, labels));
            }
            if let Some((_, Some(labels))) = &last {
                out.put(labels, of.drop_name, step, cell);
            }
        }
        Ok(())
    }

    /// Of each info metric, the series with the newest sample at a step.
    fn newest(&self, known: &[usize], step: usize) -> Result<Vec<usize>> {
        let mut newest: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for row in known {
            let Cell::Float(time) = self.block.cell(*row, step) else { continue };
            let labels = &self.block.rows[*row].labels;
            let kept = newest.entry(labels.metric_name()).or_insert((time, *row));
            #[expect(clippy::float_cmp, reason = "times are whole milliseconds")]
            if kept.1 != *row && kept.0 == time {
                let other = &self.block.rows[kept.1].labels;
                return Err(EvalError::execution(format!(
                    "found duplicate series for info metric: existing {other} @ {time}, new {labels} @ {time}"
                )));
            }
            if time > kept.0 {
                *kept = (time, *row);
            }
        }
        Ok(newest.into_values().map(|(_, row)| row).collect())
    }

    /// The labels with those of the info series; `None` where a label is missing that must not.
    fn joined(&self, base: &Labels, infos: &[usize]) -> Result<Option<Labels>> {
        let mut joined: BTreeMap<&str, &str> = BTreeMap::new();
        for info in infos {
            for (name, value) in self.block.rows[*info].labels.iter() {
                let wanted = self.wanted.is_empty() || self.wanted.iter().any(|(label, _)| label == name);
                if name == METRIC_NAME || IDENTIFYING.contains(&name) || !wanted {
                    continue;
                }
                if let Some(other) = joined.insert(name, value)
                    && other != value
                    && base.get(name).is_empty()
                {
                    return Err(EvalError::execution(format!("conflicting label: {name}")));
                }
            }
        }
        let must_be_there = self.wanted.iter().any(|(_, empty)| !empty);
        if infos.is_empty() && must_be_there {
            return Ok(None);
        }
        let mut builder = base.builder();
        for (name, value) in joined {
            if base.get(name).is_empty() {
                builder.set(name, value);
            }
        }
        Ok(Some(builder.build()))
    }
}

/// Whether a series is an info series itself, by its name.
fn is_info(names: &Matchers, labels: &Labels) -> bool {
    names.matches(&labels.retain(|name| name == METRIC_NAME))
}

fn target(labels: &Labels) -> [String; 2] {
    IDENTIFYING.map(|label| labels.get(label).to_owned())
}

/// Results by their labels.
struct Output {
    block: Block,
    rows: HashMap<Labels, usize>,
}

impl Output {
    fn put(&mut self, labels: &Labels, drop_name: bool, step: usize, cell: Cell<'_>) {
        let at = *self.rows.entry(labels.clone()).or_insert_with(|| {
            self.block.push(Row { drop_name, ..Row::new(labels.clone()) });
            self.block.rows.len() - 1
        });
        let steps = self.block.steps;
        let (row, floats) = self.block.row_mut(at);
        match cell {
            Cell::Absent => {}
            Cell::Float(value) => floats[step] = value,
            Cell::Histogram(histogram) => row.set_histogram(step, steps, std::sync::Arc::clone(histogram)),
        }
    }
}
