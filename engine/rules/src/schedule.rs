//! When a group is due: at multiples of its interval, shifted so that groups do not all start at
//! once. The shift comes from the group's names, so that it is the same after a restart.

use isinglass_model::tenant::{DEFAULT_TENANT, Tenant};
use xxhash_rust::xxh64::xxh64;

use crate::ports::UnixNanos;

/// The times at which a group is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    interval: i64,
    offset: i64,
    last: UnixNanos,
}

/// A time at which a group is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The time of the evaluation.
    pub time: UnixNanos,
    /// Evaluations before it that were missed.
    pub missed: u64,
}

/// A number of a group, from the names of its file and itself, as in Prometheus; tenants other
/// than the default one are part of it, so that their groups do not start at once either.
pub fn group_hash(tenant: &Tenant, file: &str, group: &str) -> u64 {
    let mut bytes = Vec::new();
    let tenant = Some(tenant.as_str()).filter(|tenant| *tenant != DEFAULT_TENANT);
    let labels = [Some(("file", file)), Some(("name", group)), tenant.map(|tenant| ("tenant", tenant))];
    for (name, value) in labels.into_iter().flatten() {
        push(&mut bytes, name);
        push(&mut bytes, value);
    }
    xxh64(&bytes, 0)
}

/// A length in one byte, or 255 and three bytes; and the text.
fn push(bytes: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 255 => bytes.push(length),
        _ => {
            bytes.push(255);
            bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
        }
    }
    bytes.extend_from_slice(text.as_bytes());
}

impl Schedule {
    /// A group that is first due after `now`. The interval in nanoseconds is at least 1.
    pub fn new(interval: i64, hash: u64, now: UnixNanos) -> Self {
        let interval = interval.max(1);
        let offset = i64::try_from(hash % interval.unsigned_abs()).unwrap_or(0);
        let mut schedule = Self { interval, offset, last: 0 };
        schedule.last = schedule.slot(now);
        schedule
    }

    /// The latest time at or before `now` that is one of the group's.
    fn slot(&self, now: UnixNanos) -> UnixNanos {
        let shifted = now.saturating_sub(self.offset);
        shifted - shifted.rem_euclid(self.interval) + self.offset
    }

    /// When it is due next.
    pub fn next(&self) -> UnixNanos {
        self.last.saturating_add(self.interval)
    }

    /// Whether it is due. A clock that was set back by more than an interval starts anew.
    pub fn due(&mut self, now: UnixNanos) -> Option<Due> {
        let slot = self.slot(now);
        let ahead = slot.saturating_sub(self.last);
        if ahead <= 0 && ahead >= -self.interval {
            return None;
        }
        let missed = u64::try_from(ahead / self.interval - 1).unwrap_or(0);
        self.last = slot;
        Some(Due { time: slot, missed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(tenant: &str, file: &str, group: &str) -> u64 {
        group_hash(&Tenant::new(tenant).unwrap(), file, group)
    }

    #[test]
    fn groups_are_due_at_their_own_times() {
        let mut schedule = Schedule::new(100, 1_030, 1_000);
        assert_eq!(schedule.next(), 1_030);
        assert_eq!(schedule.due(1_029), None);
        assert_eq!(schedule.due(1_031), Some(Due { time: 1_030, missed: 0 }));
        assert_eq!(schedule.due(1_129), None);
        assert_eq!(schedule.due(1_130), Some(Due { time: 1_130, missed: 0 }));
        assert_eq!(schedule.due(1_440), Some(Due { time: 1_430, missed: 2 }));
    }

    #[test]
    fn a_clock_that_is_set_back() {
        let mut schedule = Schedule::new(100, 0, 1_000);
        assert_eq!(schedule.due(950), None);
        assert_eq!(schedule.due(510), Some(Due { time: 500, missed: 0 }));
        assert_eq!(schedule.next(), 600);
    }

    #[test]
    fn times_before_the_epoch() {
        let mut schedule = Schedule::new(100, 30, -1_000);
        assert_eq!(schedule.next(), -970);
        assert_eq!(schedule.due(-970), Some(Due { time: -970, missed: 0 }));
        assert!(Schedule::new(0, u64::MAX, i64::MAX).next() > 0);
    }

    #[test]
    fn hashes_tell_groups_apart() {
        let all =
            [hash("default", "a", "b"), hash("default", "ab", ""), hash("x", "a", "b"), hash("y", "a", "b")];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one));
        }
        assert_ne!(hash("default", &"x".repeat(300), "b"), hash("default", &"x".repeat(301), "b"));
    }
}
