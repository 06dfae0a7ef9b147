//! Bloom filters of files, kept for those who look for other ids.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use datafusion::parquet::bloom_filter::Sbbf;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use foyer_memory::{Cache, CacheBuilder, S3FifoConfig};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::caches::CacheFigures;

/// What an entry takes besides its filters.
const ENTRY_BYTES: usize = 256;
/// Bytes of a block of a filter.
const BLOCK_BYTES: usize = 32;

/// The filters of one column of a file, one a row group; none where there is none.
#[derive(Debug)]
pub(super) struct Filters(Vec<Option<Sbbf>>);

impl Filters {
    /// Reads them all at once. Their bytes come through the cache of pieces of files, which checks
    /// them.
    pub(super) async fn read(
        path: &Path,
        footer: &ParquetMetaData,
        leaf: usize,
        objects: &dyn ObjectStore,
    ) -> Result<Self, Unreadable> {
        let places: Vec<_> = footer.row_groups().iter().map(|group| place(group.column(leaf))).collect();
        let ranges: Vec<_> = places.iter().flatten().cloned().collect();
        let mut read = objects.get_ranges(path, &ranges).await?.into_iter();
        let mut filter = |place: Option<Range<u64>>| {
            let bytes = place.and_then(|_| read.next());
            bytes.map(|bytes| Sbbf::from_bytes(&bytes)).transpose()
        };
        Ok(Self(places.into_iter().map(&mut filter).collect::<Result<_, _>>()?))
    }

    /// The filter of a row group.
    pub(super) fn get(&self, group: usize) -> Option<&Sbbf> {
        self.0.get(group)?.as_ref()
    }

    fn bytes(&self) -> usize {
        let blocks: usize = self.0.iter().flatten().map(Sbbf::num_blocks).sum();
        ENTRY_BYTES + blocks * BLOCK_BYTES
    }
}

/// Where the filter of a column of a row group lies, if it has one.
fn place(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let offset = u64::try_from(column.bloom_filter_offset()?).ok()?;
    let length = u64::try_from(column.bloom_filter_length()?).ok()?;
    Some(offset..offset.checked_add(length)?)
}

/// Filters that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error(transparent)]
    Object(#[from] object_store::Error),
    #[error(transparent)]
    Filter(#[from] ParquetError),
}

/// The filters that were used last. A file is written once, under a name that nothing else ever
/// has.
pub(crate) struct FilterCache {
    held: Cache<(Path, usize), Arc<Filters>, RandomState>,
    bytes_max: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl FilterCache {
    /// Keeps at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        let held = CacheBuilder::new(bytes_max)
            .with_name("id_filters")
            .with_shards(1)
            .with_eviction_config(S3FifoConfig::default())
            .with_hash_builder(RandomState::new())
            .with_weighter(|(path, _): &(Path, usize), filters: &Arc<Filters>| {
                path.as_ref().len() + filters.bytes()
            })
            .build();
        Self { held, bytes_max, hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(crate) fn figures(&self) -> CacheFigures {
        CacheFigures {
            name: "id_filters",
            entries: Some(self.held.entries() as u64),
            bytes: self.held.usage() as u64,
            bytes_max: self.bytes_max as u64,
            hits: Some(self.hits.load(Ordering::Relaxed)),
            misses: Some(self.misses.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn get(&self, path: &Path, leaf: usize) -> Option<Arc<Filters>> {
        let found = self.held.get(&(path.clone(), leaf)).map(|entry| Arc::clone(entry.value()));
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Keeps filters, unless they alone would take most of the place.
    pub(super) fn put(&self, path: &Path, leaf: usize, filters: &Arc<Filters>) {
        if filters.bytes() <= self.bytes_max / 2 {
            drop(self.held.insert((path.clone(), leaf), Arc::clone(filters)));
        }
    }
}

impl fmt::Debug for FilterCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterCache").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_bounded() {
        let cache = FilterCache::new(1 << 20);
        let path = |n: usize| Path::from(format!("t/spans/{n}.parquet"));
        for n in 0..1_000 {
            let filters = Arc::new(Filters(vec![Some(Sbbf::new(&[0; 32 << 10])), None]));
            cache.put(&path(n), 1, &filters);
            assert!(cache.get(&path(n), 1).is_some() && cache.get(&path(n), 0).is_none());
            assert!(cache.figures().bytes <= 1 << 20, "{n}");
        }
        assert!(cache.figures().entries.is_some_and(|entries| entries > 20));
        cache.put(&path(0), 0, &Arc::new(Filters(vec![Some(Sbbf::new(&[0; 600 << 10]))])));
        assert!(cache.get(&path(0), 0).is_none());
    }
}
