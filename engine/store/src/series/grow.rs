//! A vector of atomics that grows without moving: readers need no lock.

use std::sync::OnceLock;

const FIRST: usize = 64;
const BUCKETS: usize = 26;

/// Bucket `k` holds `64 << k` elements; the index says which, so that an element
/// never moves and a tenant with a handful of series pays for 64.
pub(crate) struct Grow<T> {
    buckets: [OnceLock<Box<[T]>>; BUCKETS],
}

impl<T: Default> Grow<T> {
    pub(crate) fn new() -> Self {
        Self { buckets: [const { OnceLock::new() }; BUCKETS] }
    }

    /// The element, if its bucket exists.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        let (bucket, offset) = locate(index);
        self.buckets.get(bucket)?.get()?.get(offset)
    }

    /// The buckets that exist, each with the index of its first element.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (usize, &[T])> {
        let first = |bucket: usize| (FIRST << bucket) - FIRST;
        let made = self.buckets.iter().enumerate();
        made.filter_map(move |(bucket, made)| Some((first(bucket), &**made.get()?)))
    }

    /// The element; makes its bucket. `None` beyond four billion elements.
    pub(crate) fn at(&self, index: usize) -> Option<&T> {
        let (bucket, offset) = locate(index);
        let make = || (0..FIRST << bucket).map(|_| T::default()).collect();
        self.buckets.get(bucket)?.get_or_init(make).get(offset)
    }
}

#[inline]
fn locate(index: usize) -> (usize, usize) {
    let shifted = index + FIRST;
    let bucket = shifted.ilog2() as usize - FIRST.ilog2() as usize;
    (bucket, shifted - (FIRST << bucket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_its_own_place() {
        let mut places: Vec<_> = (0..10_000).map(locate).collect();
        assert!(places.iter().all(|(bucket, offset)| *offset < FIRST << bucket));
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 10_000);
    }

    #[test]
    fn absent_until_made() {
        let grow = Grow::<u8>::new();
        assert!(grow.get(100).is_none());
        assert!(grow.at(100).is_some());
        assert!(grow.get(101).is_some());
        assert!(grow.get(10).is_none());
        assert!(grow.at(usize::MAX / 2).is_none());
        let made: Vec<_> = grow.buckets().map(|(first, bucket)| (first, bucket.len())).collect();
        assert_eq!(made, [(64, 128)]);
    }
}
