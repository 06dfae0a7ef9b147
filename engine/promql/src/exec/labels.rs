//! `label_replace` and `label_join`.

use super::{Boxed, Operator};
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
}

enum Change<'a> {
    Replace(&'a LabelReplace),
    Join(&'a LabelJoin),
}

impl<'a> Relabel<'a> {
    pub(super) fn replace(plan: &'a LabelReplace, input: Boxed<'a>) -> Self {
        Self { input, change: Change::Replace(plan) }
    }

    pub(super) fn join(plan: &'a LabelJoin, input: Boxed<'a>) -> Self {
        Self { input, change: Change::Join(plan) }
    }
}

impl Operator for Relabel<'_> {
    fn next(&mut self) -> Result<Option<Block>> {
        let mut all: Option<Block> = None;
        while let Some(mut block) = self.input.next()? {
            for row in &mut block.rows {
                if let Some((to, labels)) = self.change.apply(&row.labels)? {
                    row.labels = labels;
                    // A name that was set on purpose stays.
                    row.drop_name &= to != METRIC_NAME;
                }
            }
            match &mut all {
                Some(all) => all.append(block),
                None => all = Some(block),
            }
        }
        all.map(merge::same_labels).transpose()
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
