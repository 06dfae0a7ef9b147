//! From the hash of raw label bytes to a series, without a lock on the hit path.
//!
//! An immutable map answers nearly everything: a resolver takes it once per request.
//! New entries go into a small overlay behind a lock, which is merged into a new map
//! when it has grown to a part of it, so that an insert costs O(1) in the long run.

use std::sync::Arc;

use arc_swap::ArcSwap;
use hashbrown::HashTable;
use isinglass_model::series::{Fingerprint, SeriesRef};
use parking_lot::RwLock;

/// Fingerprints and their series. They are hashes already, so their two halves
/// make the hash of a table; an entry has 20 bytes, where a map of `u128` would take 32.
#[derive(Default)]
pub(crate) struct Map(HashTable<Entry>);

#[derive(Clone, Copy)]
struct Entry {
    fingerprint: [u32; 4],
    series: SeriesRef,
}

fn words(fingerprint: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|shift| (fingerprint >> shift) as u32)
}

impl Entry {
    fn hash(&self) -> u64 {
        let [a, b, c, d] = self.fingerprint;
        (u64::from(a) | u64::from(b) << 32) ^ (u64::from(c) | u64::from(d) << 32)
    }
}

impl Map {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn get(&self, fingerprint: u128) -> Option<SeriesRef> {
        let wanted = words(fingerprint);
        self.0
            .find(fingerprint as u64 ^ (fingerprint >> 64) as u64, |entry| entry.fingerprint == wanted)
            .map(|entry| entry.series)
    }

    fn insert(&mut self, entry: Entry) {
        let hash = entry.hash();
        match self.0.find_mut(hash, |known| known.fingerprint == entry.fingerprint) {
            Some(known) => *known = entry,
            None => {
                self.0.insert_unique(hash, entry, Entry::hash);
            }
        }
    }

    fn extend(&mut self, others: &Self) {
        others.0.iter().for_each(|entry| self.insert(*entry));
    }
}

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
        if let Some(series) = snapshot.get(fingerprint.0) {
            return Some(series);
        }
        if let Some(series) = self.overlay.read().get(fingerprint.0) {
            return Some(series);
        }
        let newest = self.map.load();
        if Arc::ptr_eq(&newest, snapshot) {
            return None;
        }
        *snapshot = Arc::clone(&newest);
        snapshot.get(fingerprint.0)
    }

    pub(crate) fn insert(&self, fingerprint: Fingerprint, series: SeriesRef) {
        let mut overlay = self.overlay.write();
        overlay.insert(Entry { fingerprint: words(fingerprint.0), series });
        let known = self.map.load();
        if overlay.len() < OVERLAY_MIN + known.len() / 2 {
            return;
        }
        let mut merged = Map::default();
        if known.len() + overlay.len() <= self.entries_max {
            merged.0.reserve(known.len() + overlay.len(), Entry::hash);
            merged.extend(&known);
            merged.extend(&overlay);
        }
        // Before the overlay is emptied: who misses there finds it here.
        self.map.store(Arc::new(merged));
        *overlay = Map::default();
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
