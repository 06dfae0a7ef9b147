//! Halves that wait: found by key, let go the oldest first, both in constant time.

use std::time::Duration;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use isinglass_model::deltas::HalfKey;

use super::PointOf;
use super::aged::Aged;
use super::half::{Half, Point};

/// All that wait. Those of one key are of one side: others would have been pairs.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The oldest half of each key.
    by_key: HashTable<(HalfKey, u32)>,
    hasher: ahash::RandomState,
    aged: Aged,
}

/// What becomes of a half that came.
pub(super) enum Met {
    /// It is a pair with this one, the oldest that waited for it.
    Other(Half),
    /// It waits.
    Nobody,
    /// It should wait, and there is no place.
    NoPlace,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.aged.len()
    }

    /// Finds the other one of a half, or lets it wait where fewer than `max` do. One look at the
    /// table either way: it is larger than the caches that are fast.
    pub(super) fn meet(&mut self, half: &Half, max: usize) -> Met {
        let Self { by_key, hasher, aged } = self;
        let found =
            by_key.entry(hash(hasher, &half.key), |(key, _)| *key == half.key, |(key, _)| hash(hasher, key));
        let has_place = aged.len() < max;
        match found {
            Entry::Occupied(mut entry) => {
                let first = entry.get().1;
                if aged.get(first).is_none_or(|waiting| waiting.is_second() == half.is_second()) {
                    if has_place {
                        aged.push(half.clone(), Some(first));
                        return Met::Nobody;
                    }
                    return Met::NoPlace;
                }
                let Some((other, next)) = aged.take(first) else { return Met::NoPlace };
                match next {
                    Some(next) => entry.get_mut().1 = next,
                    None => drop(entry.remove()),
                }
                Met::Other(other)
            }
            Entry::Vacant(entry) if has_place => {
                let key = half.key;
                entry.insert((key, aged.push(half.clone(), None)));
                Met::Nobody
            }
            Entry::Vacant(_) => Met::NoPlace,
        }
    }

    /// Takes the oldest of all if it arrived before then.
    pub(super) fn take_oldest(&mut self, before: Duration) -> Option<Half> {
        // It is the oldest of its key, too.
        let (at, half) = self.aged.oldest(before)?;
        let key = half.key;
        let (half, next) = self.aged.take(at)?;
        if let Ok(mut entry) = self.by_key.find_entry(hash(&self.hasher, &key), |(of, _)| *of == key) {
            match next {
                Some(next) => entry.get_mut().1 = next,
                None => drop(entry.remove()),
            }
        }
        Some(half)
    }

    /// Looks up the rows that halves of the batch that was taken point to: it goes now.
    pub(super) fn settle(&mut self, point_of: PointOf<'_>) {
        self.aged.newest_until(|half| {
            let Point::Row(..) = half.point else { return true };
            half.point = half.point.known(point_of).map_or(Point::None, Point::Known);
            false
        });
    }
}

/// Keyed, because senders choose the keys.
fn hash(hasher: &ahash::RandomState, key: &HalfKey) -> u64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x] = *key;
    hasher.hash_one((
        u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        u64::from_le_bytes([q, r, s, t, u, v, w, x]),
    ))
}
