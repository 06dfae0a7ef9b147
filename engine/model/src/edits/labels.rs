//! Edits of label sets.

use std::ops::Range;

use super::pairs::Plan;
use super::{Editable, Edits, Pairs, Spoilt};
use crate::batch::SeriesBatch;
use crate::labels::{LabelSet, LabelSetError, METRIC_NAME};
use crate::limits::HardCaps;
use crate::reason::code;

impl Editable for SeriesBatch {
    fn edit(&mut self, edits: &[(Range<usize>, Edits)]) -> Result<Vec<Spoilt>, String> {
        let mut ends = vec![0];
        ends.extend(self.labels.iter().scan(0, |end, set| {
            *end += set.len();
            Some(*end)
        }));
        let mut plan = Plan::default();
        for (rows, edits) in edits {
            edits.check()?;
            if !edits.texts.is_empty() || !edits.numbers.is_empty() {
                return Err("series have labels only".to_owned());
            }
            let entries = ends[rows.start]..ends[rows.end];
            for pairs in &edits.pairs {
                if pairs.of != Pairs::Labels {
                    return Err(format!("series have no {}", pairs.of.prefix()));
                }
                plan.add(pairs, rows, &entries, false)?;
            }
        }
        let (mut fates, mut added) = (plan.fates.iter().peekable(), plan.added.iter().peekable());
        let mut spoilt = Vec::new();
        let mut changed = Vec::new();
        for (row, set) in self.labels.iter().enumerate() {
            let touched = fates.peek().is_some_and(|(entry, _)| *entry < ends[row + 1])
                || added.peek().is_some_and(|(of, ..)| *of == row);
            if !touched {
                continue;
            }
            let mut labels = Vec::with_capacity(set.len());
            for (entry, (name, value)) in (ends[row]..).zip(set.iter()) {
                let fate = fates.next_if(|(at, _)| *at == entry).map(|(_, fate)| *fate).unwrap_or_default();
                if !fate.removed {
                    labels.push((fate.key.unwrap_or(name), fate.value.unwrap_or(value)));
                }
            }
            while let Some((_, name, value)) = added.next_if(|(of, ..)| *of == row) {
                labels.push((name, value));
            }
            match made(labels, set) {
                Ok(set) => changed.push((row, set)),
                Err((reason, message)) => spoilt.push(Spoilt { row, reason: reason.into(), message }),
            }
        }
        for (row, set) in changed {
            self.labels[row] = set;
        }
        Ok(spoilt)
    }
}

/// The label set, or why it is none; with the words of decode.
fn made(mut labels: Vec<(&str, &str)>, of: &LabelSet) -> Result<LabelSet, (&'static str, String)> {
    let max = HardCaps::DEFAULT.labels_max;
    if labels.len() > max {
        let message = format!("a series with {} labels, the limit is {max}", labels.len());
        return Err((code::MAX_LABEL_NAMES_PER_SERIES, message));
    }
    if !labels.iter().any(|(name, value)| *name == METRIC_NAME && !value.is_empty()) {
        return Err((code::MISSING_METRIC_NAME, "a series without a metric name (__name__)".to_owned()));
    }
    LabelSet::new(&mut labels, of.temporality()).map_err(|error| {
        let reason = match &error {
            LabelSetError::Duplicate(_) => code::DUPLICATE_LABEL_NAMES,
            LabelSetError::TooLong { .. } => code::LABEL_NAME_TOO_LONG,
            LabelSetError::Damaged(_) => code::LABEL_INVALID,
        };
        (reason, error.to_string())
    })
}
