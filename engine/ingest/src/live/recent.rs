//! A table of what was seen lately.

use std::hash::Hash;
use std::time::Duration;

use hashbrown::HashMap;

/// What is remembered at most where there is no limit on its number.
pub(super) const REMEMBERED_MAX: usize = 1_000_000;

/// A full table is looked through for what has gone idle once in so long, so that a sender
/// of many new keys does not pay for it with each of them.
const PAUSE: Duration = Duration::from_secs(1);

/// Values by key, each for as long as it is seen again within a time.
pub(super) struct Recent<K, V> {
    known: HashMap<K, (Duration, V), ahash::RandomState>,
    swept_at: Duration,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self { known: HashMap::default(), swept_at: Duration::ZERO }
    }
}

impl<K: Hash + Eq, V: Default> Recent<K, V> {
    /// The value of a key that is seen now, which may be new; `None` if there is no room for
    /// a new one.
    pub(super) fn see(&mut self, key: K, max: usize, idle: Duration, now: Duration) -> Option<&mut V> {
        let fresh = |seen: Duration| now.saturating_sub(seen) < idle;
        let known = self.known.get(&key).is_some_and(|(seen, _)| fresh(*seen));
        if !known && !self.make_room(max, idle, now) {
            return None;
        }
        let entry = self.known.entry(key).or_insert_with(|| (now, V::default()));
        if !known {
            entry.1 = V::default();
        }
        entry.0 = now;
        Some(&mut entry.1)
    }

    /// The value of a key.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.known.get_mut(key).map(|(_, value)| value)
    }

    /// Whether nothing was seen lately.
    pub(super) fn is_idle(&mut self, idle: Duration, now: Duration) -> bool {
        self.sweep(idle, now);
        self.known.is_empty()
    }

    fn make_room(&mut self, max: usize, idle: Duration, now: Duration) -> bool {
        let pause = if self.known.len() >= max { PAUSE.min(idle) } else { idle };
        if now.saturating_sub(self.swept_at) >= pause {
            self.sweep(idle, now);
        }
        self.known.len() < max
    }

    fn sweep(&mut self, idle: Duration, now: Duration) {
        self.swept_at = now;
        self.known.retain(|_, (seen, _)| now.saturating_sub(*seen) < idle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_seen_again_stays() {
        let at = Duration::from_secs;
        let mut recent = Recent::<u32, u32>::default();
        *recent.see(1, 2, IDLE, at(100)).unwrap() = 7;
        recent.see(2, 2, IDLE, at(101)).unwrap();
        assert!(recent.see(3, 2, IDLE, at(102)).is_none(), "full");
        assert_eq!(recent.see(1, 2, IDLE, at(109)), Some(&mut 7));
        assert!(recent.see(3, 2, IDLE, at(111)).is_some(), "2 has gone");
        assert_eq!(recent.see(1, 2, IDLE, at(119)), Some(&mut 0), "1 went idle and comes anew");
        assert!(!recent.is_idle(IDLE, at(120)));
        assert!(recent.is_idle(IDLE, at(129)));
    }
}
