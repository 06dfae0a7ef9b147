//! Halves that wait: found by key, let go the oldest first, both in constant time.

use std::time::Duration;

use hashbrown::HashMap;
use isinglass_model::deltas::{HalfKey, Halves};

use super::super::counters::Exemplar;
use super::sets::SetId;

/// A row that is one side of something.
#[derive(Debug, Clone)]
pub(super) struct Half {
    pub(super) key: HalfKey,
    pub(super) flags: u8,
    pub(super) set: SetId,
    pub(super) value: f64,
    /// Nanoseconds since 1970, 0 = none.
    pub(super) time: i64,
    pub(super) weight: f64,
    /// For an exemplar.
    pub(super) point: Option<Exemplar>,
    pub(super) arrived: Duration,
}

impl Half {
    /// A half of a batch.
    pub(super) fn of(
        halves: &Halves,
        at: usize,
        set: SetId,
        point: Option<Exemplar>,
        arrived: Duration,
    ) -> Self {
        Self {
            key: halves.keys[at],
            flags: halves.flags[at],
            set,
            value: halves.values[at],
            time: halves.times.get(at).copied().unwrap_or(0),
            weight: halves.weights.get(at).copied().unwrap_or(1.0),
            point,
            arrived,
        }
    }

    pub(super) fn is_second(&self) -> bool {
        self.flags & Halves::SECOND != 0
    }

    pub(super) fn is_marked(&self) -> bool {
        self.flags & Halves::MARKED != 0
    }

    pub(super) fn counts_alone(&self) -> bool {
        self.flags & Halves::ALONE != 0
    }
}

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

/// All that wait. Those of one key are of one side: others would have been pairs.
#[derive(Debug)]
pub(super) struct Pending {
    /// The oldest half of each key.
    by_key: HashMap<HalfKey, u32, ahash::RandomState>,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl Default for Pending {
    fn default() -> Self {
        Self { by_key: HashMap::default(), slots: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes the oldest half that this one makes a pair with.
    pub(super) fn take_other(&mut self, half: &Half) -> Option<Half> {
        let at = *self.by_key.get(&half.key)?;
        let waiting = self.slots.get(at as usize)?.as_ref()?;
        (waiting.half.is_second() != half.is_second()).then(|| self.remove(at))?
    }

    /// Takes the oldest of all if it arrived before then.
    pub(super) fn take_oldest(&mut self, before: Duration) -> Option<Half> {
        let oldest = self.slots.get(self.oldest as usize)?.as_ref()?;
        // The oldest of all is the oldest of its key.
        (oldest.half.arrived < before).then(|| self.remove(self.oldest))?
    }

    /// Adds a half, the newest of all.
    pub(super) fn insert(&mut self, half: Half) {
        let key = half.key;
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
        let first = *self.by_key.entry(key).or_insert(at);
        let last = self.slot(first).map_or(NONE, |first| std::mem::replace(&mut first.last, at));
        if let Some(last) = self.slot(last) {
            last.same = at;
        }
    }

    /// Takes out the oldest half of a key.
    fn remove(&mut self, at: u32) -> Option<Half> {
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
        match self.slot(same) {
            Some(next) => {
                next.last = last;
                self.by_key.insert(half.key, same);
            }
            None => drop(self.by_key.remove(&half.key)),
        }
        Some(half)
    }

    fn slot(&mut self, at: u32) -> Option<&mut Slot> {
        self.slots.get_mut(at as usize)?.as_mut()
    }
}
