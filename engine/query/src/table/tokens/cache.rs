//! Indexes, or parts of them, in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashMap;
use isinglass_store::TokenIndex;
use object_store::path::Path;
use parking_lot::Mutex;

/// What an entry takes besides its content.
const ENTRY_BYTES: usize = 256;

/// What is known of the index of a file.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Its header.
    Index(Arc<TokenIndex>),
    /// It cannot be used.
    Unusable,
}

/// The token indexes that queries read last. Shared by all of them; an index belongs to one
/// file of one tenant, whose name nothing else ever has.
#[derive(Debug)]
pub(crate) struct TokenCache {
    bytes_max: usize,
    held: Mutex<Held>,
    /// Indexes that were asked for and could not be used.
    unusable: AtomicU64,
}

#[derive(Debug, Default)]
struct Held {
    files: HashMap<Path, File, RandomState>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct File {
    known: Known,
    stripes: Vec<(usize, Bytes)>,
    bytes: usize,
    last_use: u64,
}

/// Figures of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenStats {
    /// Bytes held now.
    pub cached_bytes: u64,
    /// Indexes that were missing, damaged or of another release when they were asked for:
    /// their files were read without them.
    pub unusable: u64,
}

impl TokenCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, held: Mutex::default(), unusable: AtomicU64::new(0) }
    }

    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(crate) fn stats(&self) -> TokenStats {
        TokenStats {
            cached_bytes: self.held.lock().bytes as u64,
            unusable: self.unusable.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count_unusable(&self) {
        self.unusable.fetch_add(1, Ordering::Relaxed);
    }

    /// What is known of a file's index, and those of some stripes that are here.
    pub(super) fn get(&self, file: &Path, stripes: &[usize]) -> Option<(Known, Vec<(usize, Bytes)>)> {
        let mut held = self.held.lock();
        held.uses += 1;
        let now = held.uses;
        let found = held.files.get_mut(file)?;
        found.last_use = now;
        let here = found.stripes.iter().filter(|(stripe, _)| stripes.contains(stripe)).cloned();
        Some((found.known.clone(), here.collect()))
    }

    /// Keeps what was read of an index. Files that were not used for the longest time go for it.
    pub(super) fn put(&self, file: &Path, known: Known, stripes: Vec<(usize, Bytes)>) {
        let mut held = self.held.lock();
        held.uses += 1;
        let now = held.uses;
        let mut entry = held.take(file).unwrap_or_else(|| File::new(file, known.clone(), now));
        (entry.known, entry.last_use) = (known, now);
        for (stripe, content) in stripes {
            if entry.stripes.iter().all(|(known, _)| *known != stripe) {
                entry.bytes += content.len() + ENTRY_BYTES / 8;
                entry.stripes.push((stripe, content));
            }
        }
        held.bytes += entry.bytes;
        held.files.insert(file.clone(), entry);
        while held.bytes > self.bytes_max {
            held.drop_older_half();
        }
    }
}

impl File {
    fn new(file: &Path, known: Known, now: u64) -> Self {
        let header = match &known {
            Known::Index(index) => index.memory_bytes(),
            Known::Unusable => 0,
        };
        let bytes = ENTRY_BYTES + file.as_ref().len() + header;
        Self { known, stripes: Vec::new(), bytes, last_use: now }
    }
}

impl Held {
    fn take(&mut self, file: &Path) -> Option<File> {
        let taken = self.files.remove(file)?;
        self.bytes -= taken.bytes;
        Some(taken)
    }

    /// Half of them at a time, so that the search for them costs little for each.
    fn drop_older_half(&mut self) {
        let mut uses: Vec<u64> = self.files.values().map(|file| file.last_use).collect();
        let middle = uses.len() / 2;
        let Some(median) = (!uses.is_empty()).then(|| *uses.select_nth_unstable(middle).1) else { return };
        self.files.retain(|_, file| file.last_use > median);
        self.bytes = self.files.values().map(|file| file.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded_and_what_was_used_stays() {
        let cache = TokenCache::new(1 << 20);
        let path = |n: usize| Path::from(format!("t/logs/{n}.parquet"));
        for n in 0..10_000 {
            cache.put(
                &path(n),
                Known::Unusable,
                vec![(0, vec![7; 2_000].into()), (5, vec![7; 2_000].into())],
            );
            assert!(cache.get(&path(0), &[5]).is_some_and(|(_, stripes)| stripes.len() == 1), "{n}");
            assert!(cache.stats().cached_bytes <= 1 << 20);
        }
        assert!(cache.get(&path(1), &[]).is_none());
        let (_, stripes) = cache.get(&path(9_999), &[0, 4, 5]).unwrap();
        assert_eq!(stripes.iter().map(|(stripe, _)| *stripe).collect::<Vec<_>>(), [0, 5]);
        let held = cache.held.lock();
        assert_eq!(held.bytes, held.files.values().map(|file| file.bytes).sum::<usize>());
        drop(held);
        // What is larger than all of it is not kept.
        cache.put(&path(1), Known::Unusable, vec![(0, vec![7; 2 << 20].into())]);
        assert_eq!(cache.stats().cached_bytes, 0);
    }
}
