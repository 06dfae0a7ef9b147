//! Halves that wait, in the order in which they came.

use std::time::Duration;

use super::half::Half;

/// No slot.
const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Slot {
    half: Half,
    /// Neighbours by age.
    older: u32,
    newer: u32,
    /// The next younger one of the same key.
    same: u32,
    /// Of the oldest of a key: the youngest.
    last: u32,
}

/// Halves in slots, each of which knows its neighbours: any of them comes out in constant time.
#[derive(Debug)]
pub(super) struct Aged {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl Default for Aged {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl Aged {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn get(&self, at: u32) -> Option<&Half> {
        self.slots.get(at as usize)?.as_ref().map(|slot| &slot.half)
    }

    /// The oldest of all if it arrived before then.
    pub(super) fn oldest(&self, before: Duration) -> Option<(u32, &Half)> {
        let half = self.get(self.oldest)?;
        (half.arrived < before).then_some((self.oldest, half))
    }

    /// Adds one, the newest of all, behind the others of its key, of which `first` is the oldest.
    pub(super) fn push(&mut self, half: Half, first: Option<u32>) -> u32 {
        let slot = Slot { half, older: self.newest, newer: NONE, same: NONE, last: NONE };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = Some(slot);
                at
            }
            None => {
                self.slots.push(Some(slot));
                // At most `pending_max`, which is an u32.
                self.slots.len() as u32 - 1
            }
        };
        match self.slot(self.newest) {
            Some(newest) => newest.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
        let last =
            self.slot(first.unwrap_or(at)).map_or(NONE, |first| std::mem::replace(&mut first.last, at));
        if let Some(last) = self.slot(last) {
            last.same = at;
        }
        at
    }

    /// Takes out the oldest of a key, and tells which is then.
    pub(super) fn take(&mut self, at: u32) -> Option<(Half, Option<u32>)> {
        let Slot { half, older, newer, same, last } = self.slots.get_mut(at as usize)?.take()?;
        self.free.push(at);
        match self.slot(older) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.slot(newer) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        let next = self.slot(same).map(|next| {
            next.last = last;
            same
        });
        Some((half, next))
    }

    /// Shows halves, the newest first, until one is said to be known.
    pub(super) fn newest_until(&mut self, mut known: impl FnMut(&mut Half) -> bool) {
        let mut at = self.newest;
        while let Some(slot) = self.slot(at) {
            if known(&mut slot.half) {
                return;
            }
            at = slot.older;
        }
    }

    fn slot(&mut self, at: u32) -> Option<&mut Slot> {
        self.slots.get_mut(at as usize)?.as_mut()
    }
}
