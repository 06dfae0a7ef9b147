//! The byte strings of an aggregate, until the values are wanted.
//!
//! What the plugin makes of each batch is appended; once that is twice what it was when all of a
//! group was merged last, it is merged again. So a byte is merged a few times, whatever the number
//! of batches, and what is held is at most twice what is needed.

use arrow_buffer::Buffer;
use isinglass_model::columns::TextBuffers;
use isinglass_model::functions::{CallError, ColumnFunction, States};

/// Bytes of states that are shown to a plugin at once, if no single group has more.
const CALL_BYTES_MAX: usize = 4 << 20;
/// Below this nothing is merged on the way.
const HELD_BYTES_MIN: usize = if cfg!(test) { 64 } else { 1 << 20 };

/// States of groups, several of one among them.
#[derive(Debug, Default)]
pub(super) struct Held {
    groups: Vec<u32>,
    /// End of each in `data`.
    ends: Vec<usize>,
    data: Vec<u8>,
    /// Bytes and states after the last merge.
    merged: usize,
}

impl Held {
    pub(super) fn push(&mut self, group: u32, state: &[u8]) {
        if !state.is_empty() {
            self.groups.push(group);
            self.data.extend_from_slice(state);
            self.ends.push(self.data.len());
        }
    }

    fn state(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.data[start..self.ends[at]]
    }

    fn weight(&self) -> usize {
        self.data.len() + 16 * self.groups.len()
    }

    pub(super) fn bytes(&self) -> usize {
        // While it is merged there are two of them.
        2 * (self.data.capacity() + 8 * self.ends.capacity() + 4 * self.groups.capacity())
    }

    /// Merges if it has become much.
    pub(super) fn settle_if_large(&mut self, function: &dyn ColumnFunction) -> Result<(), CallError> {
        if self.weight() > HELD_BYTES_MIN.max(2 * self.merged) {
            *self = self.settled(function)?;
        }
        Ok(())
    }

    /// One state per group that has any, in their order.
    pub(super) fn settled(&self, function: &dyn ColumnFunction) -> Result<Self, CallError> {
        let mut order: Vec<usize> = (0..self.groups.len()).collect();
        order.sort_by_key(|at| self.groups[*at]);
        let mut out = Self::default();
        for call in self.calls(&order) {
            let mut groups: Vec<u32> = call.iter().map(|at| self.groups[*at]).collect();
            let local = renumber(&mut groups);
            if local.len() == call.len() {
                call.iter().for_each(|at| out.push(self.groups[*at], self.state(*at)));
                continue;
            }
            let states = States { groups, bytes: text(call.iter().map(|at| self.state(*at))) };
            let merged = function.merge(local.len(), &states)?;
            each(&merged, |group, state| out.push(local[group as usize], state));
        }
        out.merged = out.weight();
        Ok(out)
    }

    /// Parts of `order`, which is sorted by group, each with whole groups.
    fn calls<'a>(&self, order: &'a [usize]) -> Vec<&'a [usize]> {
        let mut calls = Vec::new();
        let (mut from, mut bytes) = (0, 0);
        for at in 0..order.len() {
            let begins = at > from && self.groups[order[at]] != self.groups[order[at - 1]];
            if begins && bytes >= CALL_BYTES_MAX {
                calls.push(&order[from..at]);
                (from, bytes) = (at, 0);
            }
            bytes += self.state(order[at]).len() + 8;
        }
        if from < order.len() {
            calls.push(&order[from..]);
        }
        calls
    }

    /// Takes the states of the first groups, which are settled; the numbers of others sink.
    pub(super) fn take_first(&mut self, groups: usize) -> Self {
        let (mut first, mut rest) = (Self::default(), Self::default());
        for at in 0..self.groups.len() {
            match self.groups[at].checked_sub(u32::try_from(groups).unwrap_or(u32::MAX)) {
                None => first.push(self.groups[at], self.state(at)),
                Some(group) => rest.push(group, self.state(at)),
            }
        }
        rest.merged = rest.weight();
        *self = rest;
        first
    }

    /// The state of each of so many groups, empty for one without.
    pub(super) fn by_group(&self, groups: usize) -> impl Iterator<Item = &[u8]> {
        let mut at = 0;
        (0..groups).map(move |group| match self.groups.get(at) {
            Some(of) if *of as usize == group => {
                at += 1;
                self.state(at - 1)
            }
            _ => &[],
        })
    }
}

/// Calls `found` for each state with its group.
pub(super) fn each(states: &States, mut found: impl FnMut(u32, &[u8])) {
    for (group, ends) in states.groups.iter().zip(states.bytes.offsets.windows(2)) {
        found(*group, &states.bytes.data[ends[0] as usize..ends[1] as usize]);
    }
}

/// States one after the other.
pub(super) fn text<'a>(states: impl Iterator<Item = &'a [u8]>) -> TextBuffers {
    let (mut offsets, mut data) = (vec![0_i32], Vec::new());
    for state in states {
        data.extend_from_slice(state);
        offsets.push(i32::try_from(data.len()).unwrap_or(i32::MAX));
    }
    TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) }
}

/// Gives ascending groups numbers from 0; the answer says what they were.
fn renumber(groups: &mut [u32]) -> Vec<u32> {
    let mut known: Vec<u32> = Vec::new();
    for group in groups {
        if known.last() != Some(group) {
            known.push(*group);
        }
        *group = known.len() as u32 - 1;
    }
    known
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use isinglass_model::columns::Column;
    use isinglass_model::functions::{CallMemory, FunctionSignature, ValueType, Volatility};

    use super::*;

    /// Counts bytes; a state is as long as its count.
    #[derive(Debug)]
    struct Lengths(FunctionSignature);

    impl ColumnFunction for Lengths {
        fn signature(&self) -> &FunctionSignature {
            &self.0
        }

        fn identity(&self) -> &str {
            "test"
        }

        fn charged_to(&self, _: Arc<dyn CallMemory>) -> Arc<dyn ColumnFunction> {
            unreachable!("nobody pays")
        }

        fn call(&self, _: usize, _: &[Column]) -> Result<Column, CallError> {
            unreachable!("an aggregate")
        }

        fn accumulate(&self, _: usize, _: &[u32], _: usize, _: &[Column]) -> Result<States, CallError> {
            unreachable!("states are given")
        }

        fn merge(&self, groups: usize, states: &States) -> Result<States, CallError> {
            let mut lengths = vec![0; groups];
            each(states, |group, state| lengths[group as usize] += state.len());
            let merged: Vec<Vec<u8>> = lengths.into_iter().map(|length| vec![7; length]).collect();
            let numbers = (0..).take(groups).collect();
            Ok(States { groups: numbers, bytes: text(merged.iter().map(Vec::as_slice)) })
        }

        fn finish(&self, _: &States) -> Result<Column, CallError> {
            unreachable!("values are not asked for")
        }
    }

    fn lengths() -> Lengths {
        Lengths(FunctionSignature {
            name: "lengths".to_owned(),
            aggregate: true,
            arguments: vec![ValueType::Float64],
            returns: ValueType::Float64,
            volatility: Volatility::Immutable,
            help: String::new(),
        })
    }

    fn of(held: &Held, groups: usize) -> Vec<usize> {
        held.by_group(groups).map(<[u8]>::len).collect()
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_however_it_comes_and_goes(
            pushes in proptest::collection::vec((0_u32..20, 0_usize..9), 0..300),
            first in 0_usize..25,
        ) {
            let function = lengths();
            let (mut held, mut want) = (Held::default(), vec![0; 20]);
            for (group, length) in pushes {
                held.push(group, &vec![7; length]);
                want[group as usize] += length;
                held.settle_if_large(&function).unwrap();
            }
            held = held.settled(&function).unwrap();
            proptest::prop_assert_eq!(of(&held, 20), want.clone());
            let taken = held.take_first(first);
            let cut = first.min(20);
            proptest::prop_assert_eq!(of(&taken, cut), want[..cut].to_vec());
            proptest::prop_assert_eq!(of(&held, 20 - cut), want[cut..].to_vec());
        }
    }

    #[test]
    fn calls_hold_whole_groups() {
        let mut held = Held::default();
        for group in [2, 0, 1, 0, 1] {
            held.push(group, &vec![7; 3 << 20]);
        }
        let settled = held.settled(&lengths()).unwrap();
        assert_eq!(of(&settled, 3), [6 << 20, 6 << 20, 3 << 20]);
    }
}
