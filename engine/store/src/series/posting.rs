//! The series that have a label with one value.

use std::sync::Arc;

use roaring::{MultiOps, RoaringBitmap};

/// Refs in a plain list; beyond that a bitmap is smaller and faster.
const LISTED_MAX: usize = 64;

/// Refs of series. Most values of a label that tells hosts or pods apart have a handful,
/// so those stand in the 16 bytes of the value itself.
pub(super) enum Posting {
    Few {
        len: u8,
        refs: [u32; 3],
    },
    // A boxed vector, so that the enum has 16 bytes.
    #[allow(clippy::box_collection, reason = "a vector in place would double the size of every posting")]
    Listed(Box<Vec<u32>>),
    /// Copied on write while a reader has it.
    Mapped(Arc<RoaringBitmap>),
}

impl Default for Posting {
    fn default() -> Self {
        Self::Few { len: 0, refs: [0; 3] }
    }
}

impl Posting {
    /// Adds a ref, which usually is the highest.
    pub(super) fn insert(&mut self, series: u32) {
        match self {
            Self::Few { len, refs } => {
                let mut listed = refs[..usize::from(*len)].to_vec();
                insert_sorted(&mut listed, series);
                if let Some(room) = refs.get_mut(..listed.len()) {
                    room.copy_from_slice(&listed);
                    *len = listed.len() as u8;
                } else {
                    *self = Self::Listed(Box::new(listed));
                }
            }
            Self::Listed(listed) => {
                insert_sorted(listed, series);
                if listed.len() > LISTED_MAX {
                    *self = Self::Mapped(Arc::new(listed.iter().copied().collect()));
                }
            }
            Self::Mapped(map) => {
                Arc::make_mut(map).insert(series);
            }
        }
    }

    /// The refs of one that is no bitmap.
    fn listed(&self) -> &[u32] {
        match self {
            Self::Few { len, refs } => &refs[..usize::from(*len)],
            Self::Listed(listed) => listed,
            Self::Mapped(_) => &[],
        }
    }

    /// Whether one of the series is among `others`.
    pub(super) fn meets(&self, others: &RoaringBitmap) -> bool {
        match self {
            Self::Mapped(map) => !map.is_disjoint(others),
            small => small.listed().iter().any(|series| others.contains(*series)),
        }
    }
}

fn insert_sorted(list: &mut Vec<u32>, series: u32) {
    if let Err(at) = list.binary_search(&series) {
        list.insert(at, series);
    }
}

/// Postings that were taken under a lock, to be united without one.
#[derive(Default)]
pub(super) struct Taken {
    refs: Vec<u32>,
    maps: Vec<Arc<RoaringBitmap>>,
}

impl Taken {
    pub(super) fn take(&mut self, posting: &Posting) {
        match posting {
            Posting::Mapped(map) => self.maps.push(Arc::clone(map)),
            small => self.refs.extend_from_slice(small.listed()),
        }
    }

    pub(super) fn union(mut self) -> Arc<RoaringBitmap> {
        if self.refs.is_empty() && self.maps.len() == 1 {
            return self.maps.pop().unwrap_or_default();
        }
        self.refs.sort_unstable();
        self.refs.dedup();
        let listed = RoaringBitmap::from_sorted_iter(self.refs).unwrap_or_default();
        let all: Vec<&RoaringBitmap> = self.maps.iter().map(|map| &**map).chain([&listed]).collect();
        Arc::new(all.union())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bytes() {
        assert_eq!(size_of::<Posting>(), 16);
    }

    #[test]
    fn holds_what_was_put_in_however_many() {
        for count in [0_u32, 1, 3, 4, 64, 65, 5_000] {
            let mut posting = Posting::default();
            // Not in order, and some twice.
            for n in (0..count).rev().chain(0..count.min(10)) {
                posting.insert(n * 7);
            }
            let mut taken = Taken::default();
            taken.take(&posting);
            taken.take(&posting);
            assert!(taken.union().iter().eq((0..count).map(|n| n * 7)), "{count}");
            let last = RoaringBitmap::from_iter([count.saturating_sub(1) * 7]);
            assert_eq!(posting.meets(&last), count > 0);
        }
    }
}
