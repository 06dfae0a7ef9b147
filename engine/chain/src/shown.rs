//! The rows of a batch that a call is shown.

use std::ops::Range;
use std::sync::Arc;

/// Rows of a batch, ascending. The guest counts them from 0.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Rows of the batch, or of `picked`.
    range: Range<usize>,
    picked: Option<Arc<[u32]>>,
}

impl From<Range<usize>> for Shown {
    fn from(range: Range<usize>) -> Self {
        Self { range, picked: None }
    }
}

impl Shown {
    /// The first so many.
    pub(crate) fn all(rows: usize) -> Self {
        (0..rows).into()
    }

    /// Those that are true.
    pub(crate) fn of(fit: &[bool]) -> Self {
        let count = fit.iter().filter(|fit| **fit).count();
        match count {
            0 => Self::all(0),
            _ if count == fit.len() => Self::all(count),
            _ => {
                let picked = (0..).zip(fit).filter(|(_, fit)| **fit).map(|(row, _)| row);
                Self { range: 0..count, picked: Some(picked.collect()) }
            }
        }
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Some of them, as they are counted here.
    pub(crate) fn part(&self, part: &Range<usize>) -> Self {
        let range = self.range.start + part.start..self.range.start + part.end;
        Self { range, picked: self.picked.clone() }
    }

    /// The rows of the batch where they follow each other, else `None` and which they are.
    pub(crate) fn rows(&self) -> Result<Range<usize>, &[u32]> {
        match &self.picked {
            None => Ok(self.range.clone()),
            Some(picked) => Err(&picked[self.range.clone()]),
        }
    }

    /// The row of the batch that is counted as `at` here.
    pub(crate) fn row(&self, at: usize) -> usize {
        let at = self.range.start + at;
        self.picked.as_ref().map_or(at, |picked| picked[at] as usize)
    }

    /// The rows of the batch.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|at| self.row(at))
    }
}
