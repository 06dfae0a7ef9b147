//! `label_replace` and `label_join`.

use super::{Boxed, Context, Operator};
use crate::block::Block;
use crate::error::{ErrorKind, EvalError, Result};
use crate::labels::{Labels, METRIC_NAME};
use crate::merge;
use crate::plan::{LabelJoin, LabelReplace};

/// Calls that each double a label make it longer than any memory.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Changes the labels of each series. Series that become the same one are made one.
pub(super) struct Relabel<'a> {
    input: Boxed<'a>,
    change: Change<'a>,
    cx: &'a Context<'a>,
}

enum Change<'a> {
    Replace(&'a LabelReplace),
    Join(&'a LabelJoin),
}

impl<'a> Relabel<'a> {
    pub(super) fn replace(plan: &'a LabelReplace, input: Boxed<'a>, cx: &'a Context<'a>) -> Self {
        Self { input, change: Change::Replace(plan), cx }
    }

    pub(super) fn join(plan: &'a LabelJoin, input: Boxed<'a>, cx: &'a Context<'a>) -> Self {
        Self { input, change: Change::Join(plan), cx }
    }
}

impl Operator for Relabel<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        let mut all: Option<Block> = None;
        let mut held = self.cx.holds_nothing();
        while let Some(mut block) = self.input.next()? {
            for row in &mut block.rows {
                // A pattern over a long text takes long.
                self.cx.check()?;
                if let Some((to, labels)) = self.change.apply(&row.labels)? {
                    row.labels = labels;
                    // A name that was set on purpose stays.
                    row.drop_name &= to != METRIC_NAME;
                }
            }
            held.grow(block.bytes())?;
            match &mut all {
                Some(all) => all.append(block),
                None => all = Some(block),
            }
        }
        all.map(|all| merge::same_labels(all, self.cx)).transpose()
    }
}

impl Change<'_> {
    /// The label that changed and all labels then; `None` where nothing changes.
    fn apply(&self, labels: &Labels) -> Result<Option<(&str, Labels)>> {
        let (to, value) = match self {
            Self::Replace(replace) => {
                let Some(found) = replace.pattern.captures(labels.get(&replace.from)) else {
                    return Ok(None);
                };
                let mut value = String::new();
                found.expand(&replace.replacement, &mut value);
                (&replace.to, value)
            }
            Self::Join(join) => {
                let values: Vec<_> = join.from.iter().map(|name| labels.get(name)).collect();
                (&join.to, values.join(&join.separator))
            }
        };
        if value.len() > VALUE_BYTES_MAX {
            let (got, limit) = (value.len(), VALUE_BYTES_MAX);
            let message =
                format!("a label value of {got} bytes is longer than {limit}, the limit of a query");
            return Err(EvalError::of(ErrorKind::Limit, message));
        }
        Ok(Some((to, labels.builder().set(to, &value).build())))
    }
}
