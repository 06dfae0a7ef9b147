//! A hash table of numbers in shards: when it grows, one shard does.

use hashbrown::HashTable;

/// A table of a million numbers takes tens of milliseconds to grow; a shard of it takes one.
const SHARDS: usize = 32;

/// Numbers by the hash of what they stand for, which lies elsewhere.
pub(super) struct Sharded {
    shards: Box<[HashTable<u32>]>,
}

impl Default for Sharded {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

/// The table in a shard uses the lowest bits and the seven highest.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl Sharded {
    pub(super) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.shards[shard(hash)].find(hash, |number| is_it(*number)).copied()
    }

    /// Adds a number that is not there. `hash_of` says the hash of those that are.
    pub(super) fn insert(&mut self, hash: u64, number: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[shard(hash)].insert_unique(hash, number, |number| hash_of(*number));
    }

    pub(super) fn remove(&mut self, hash: u64, number: u32) {
        if let Ok(found) = self.shards[shard(hash)].find_entry(hash, |known| *known == number) {
            found.remove();
        }
    }
}
