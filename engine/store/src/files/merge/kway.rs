//! Which rows come next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::batch::{Batch, Prefix};
use super::input::Input;
use crate::files::Result;

/// Rows of one run of one batch, none of which comes after any row of another
/// slice that is still to come.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) prefix: Prefix,
    pub(super) batch: Arc<Batch>,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether the file is one that the caller named, or one made on the way.
    pub(super) original: bool,
}

/// The next row of an input. Of rows with one key that of the first input comes
/// first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    prefix: Prefix,
    time: i64,
    input: usize,
}

/// Merges inputs. An input is asked for its next batch when all of the last one
/// was handed out.
pub(super) struct Kway {
    places: Vec<Place>,
    heads: BinaryHeap<Reverse<Head>>,
    /// The input whose head is not in the heap.
    taken: Option<usize>,
}

struct Place {
    input: Input,
    /// The next row, if there is one: of this batch, in this run of it.
    batch: Option<Arc<Batch>>,
    row: usize,
    run: usize,
}

impl Kway {
    pub(super) async fn start(inputs: Vec<Input>) -> Result<Self> {
        let mut places = Vec::with_capacity(inputs.len());
        places.extend(inputs.into_iter().map(|input| Place { input, batch: None, row: 0, run: 0 }));
        let heads = BinaryHeap::with_capacity(places.len());
        let mut kway = Self { places, heads, taken: None };
        for input in 0..kway.places.len() {
            kway.push_head(input).await?;
        }
        Ok(kway)
    }

    /// The next rows; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Slice>> {
        if let Some(input) = self.taken.take() {
            self.push_head(input).await?;
        }
        let Some(Reverse(head)) = self.heads.pop() else { return Ok(None) };
        let limit = self.heads.peek().map(|Reverse(limit)| limit);
        let slice = self.places[head.input].take(&head, limit);
        self.taken = Some(head.input);
        Ok(slice)
    }

    async fn push_head(&mut self, input: usize) -> Result<()> {
        if let Some((prefix, time)) = self.places[input].head().await? {
            self.heads.push(Reverse(Head { prefix, time, input }));
        }
        Ok(())
    }
}

impl Place {
    async fn head(&mut self) -> Result<Option<(Prefix, i64)>> {
        if self.batch.as_ref().is_none_or(|batch| self.row == batch.rows()) {
            // Let go of before the next one is decoded.
            self.batch = None;
            self.batch = self.input.next_batch().await?.map(Arc::new);
            (self.row, self.run) = (0, 0);
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        if batch.runs()[self.run].end == self.row {
            self.run += 1;
        }
        Ok(Some((batch.runs()[self.run].prefix.clone(), batch.times()[self.row])))
    }

    /// Rows from `head` on, up to the head of the next input.
    fn take(&mut self, head: &Head, limit: Option<&Head>) -> Option<Slice> {
        let batch = self.batch.as_ref()?;
        let run = &batch.runs()[self.run];
        let (from, mut to) = (self.row, run.end);
        if let Some(limit) = limit.filter(|limit| limit.prefix == run.prefix) {
            let first = head.input < limit.input;
            let before = |time: &i64| *time < limit.time || (first && *time == limit.time);
            to = from + before_limit(&batch.times()[from..to], before);
        }
        self.row = to;
        let original = self.input.is_original();
        Some(Slice { prefix: run.prefix.clone(), batch: Arc::clone(batch), from, to, original })
    }
}

/// How many of these ascending times are before the limit. Mostly a few, if
/// times of two inputs interleave, or all.
fn before_limit(times: &[i64], before: impl Fn(&i64) -> bool) -> usize {
    if times.last().is_none_or(&before) {
        return times.len();
    }
    let mut step = 1;
    while step < times.len() && before(&times[step]) {
        step *= 2;
    }
    let from = step / 2;
    from + times[from..times.len().min(step)].partition_point(before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn galloping_finds_what_scanning_finds(mut times in prop::collection::vec(0i64..50, 1..60), limit in 0i64..50) {
            times.sort();
            times[0] = times[0].min(limit - 1);
            let expected = times.iter().take_while(|time| **time < limit).count();
            prop_assert_eq!(before_limit(&times, |time| *time < limit), expected);
        }
    }
}
