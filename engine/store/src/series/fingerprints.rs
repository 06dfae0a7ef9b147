//! From the hash of raw label bytes to a series, without a lock on the hit path.
//!
//! An immutable map answers nearly everything: a resolver takes it once per request.
//! New entries go into a small overlay behind a lock, which is merged into a new map
//! when it has grown to a part of it, so that an insert costs O(1) in the long run.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashMap;
use isinglass_model::series::{Fingerprint, SeriesRef};
use parking_lot::RwLock;

/// Fingerprints are hashes already.
#[derive(Default)]
pub(crate) struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }

    fn write_i64(&mut self, value: i64) {
        self.0 ^= value.cast_unsigned();
    }

    fn write_u128(&mut self, value: u128) {
        self.0 ^= value as u64 ^ (value >> 64) as u64;
    }
}

pub(crate) type Map = HashMap<u128, SeriesRef, BuildHasherDefault<Folded>>;

/// Overlay entries before the first merge.
const OVERLAY_MIN: usize = 256;

pub(crate) struct Fingerprints {
    map: ArcSwap<Map>,
    overlay: RwLock<Map>,
    entries_max: usize,
}

impl Fingerprints {
    /// At `entries_max` everything is forgotten: the labels are parsed again.
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { map: ArcSwap::default(), overlay: RwLock::default(), entries_max }
    }

    /// The map of now, for one request.
    pub(crate) fn snapshot(&self) -> Arc<Map> {
        self.map.load_full()
    }

    /// Looks into `snapshot`, then into what came since, which renews `snapshot`.
    #[inline]
    pub(crate) fn get(&self, snapshot: &mut Arc<Map>, fingerprint: Fingerprint) -> Option<SeriesRef> {
        if let Some(series) = snapshot.get(&fingerprint.0) {
            return Some(*series);
        }
        if let Some(series) = self.overlay.read().get(&fingerprint.0) {
            return Some(*series);
        }
        let newest = self.map.load();
        if Arc::ptr_eq(&newest, snapshot) {
            return None;
        }
        *snapshot = Arc::clone(&newest);
        snapshot.get(&fingerprint.0).copied()
    }

    pub(crate) fn insert(&self, fingerprint: Fingerprint, series: SeriesRef) {
        let mut overlay = self.overlay.write();
        overlay.insert(fingerprint.0, series);
        let known = self.map.load();
        if overlay.len() < OVERLAY_MIN + known.len() / 2 {
            return;
        }
        let mut merged = Map::default();
        if known.len() + overlay.len() <= self.entries_max {
            merged.reserve(known.len() + overlay.len());
            merged.extend(known.iter().map(|(key, value)| (*key, *value)));
            merged.extend(overlay.iter().map(|(key, value)| (*key, *value)));
        }
        // Before the overlay is emptied: who misses there finds it here.
        self.map.store(Arc::new(merged));
        overlay.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(n: u32) -> Fingerprint {
        Fingerprint(u128::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }

    #[test]
    fn an_old_snapshot_finds_what_came_later() {
        let prints = Fingerprints::new(usize::MAX);
        let mut old = prints.snapshot();
        for n in 0..10_000 {
            prints.insert(fingerprint(n), SeriesRef(n));
            assert_eq!(prints.get(&mut old, fingerprint(n)), Some(SeriesRef(n)));
        }
        let mut new = prints.snapshot();
        assert!(new.len() > 5_000);
        for n in 0..10_000 {
            assert_eq!(prints.get(&mut new, fingerprint(n)), Some(SeriesRef(n)), "{n}");
        }
        assert_eq!(prints.get(&mut new, fingerprint(10_000)), None);
    }

    #[test]
    fn bounded() {
        let prints = Fingerprints::new(1_000);
        for n in 0..10_000 {
            prints.insert(fingerprint(n), SeriesRef(n));
        }
        assert!(prints.snapshot().len() + prints.overlay.read().len() <= 2_000);
    }
}
