//! The caches that queries read through, and what they hold and did.
//!
//! | name | holds | bound |
//! |---|---|---|
//! | `pieces_memory` | verified pieces of data files, in memory | `store.cache.memory_bytes` |
//! | `pieces_disk` | the same on a local disk, of tables in a remote store | `store.cache.disk_bytes` |
//! | `metadata` | footers and page indexes of data files, decoded | `query.metadata_cache_bytes` |
//! | `token_indexes` | token indexes of files of logs | 3/4 of `query.token_cache_bytes` |
//! | `id_filters` | Bloom filters of ids in data files | 1/4 of `query.token_cache_bytes` |
//! | `promql_samples` | samples of series in data files, decoded | `query.promql.sample_cache_bytes` |
//! | `promql_results` | results of PromQL range queries | `query.promql.result_cache_bytes` |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use datafusion::common::{HashMap, Result, TableReference};
use datafusion::execution::cache::cache_manager::CachedFileMetadataEntry;
use datafusion::execution::cache::default_cache::DefaultCache;
use datafusion::execution::cache::{Cache, CacheEntryInfo};
use isinglass_promql::front::ResultCache;
use isinglass_store::{CacheStats, Store, TierStats};
use object_store::path::Path;

use crate::config::QueryConfig;
use crate::promql::SampleCache;
use crate::table::{FilterCache, TokenCache};

/// All of them.
pub(crate) struct Caches {
    store: Store,
    pub(crate) metadata: Arc<MetadataCache>,
    pub(crate) tokens: Arc<TokenCache>,
    pub(crate) filters: Arc<FilterCache>,
    pub(crate) samples: Arc<SampleCache>,
    pub(crate) results: Arc<ResultCache>,
}

/// One cache, since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheFigures {
    /// Its name.
    pub name: &'static str,
    /// What it holds, if that is counted.
    pub entries: Option<u64>,
    /// Bytes held.
    pub bytes: u64,
    /// The bound on them.
    pub bytes_max: u64,
    /// How often it had what it was asked for, if that is counted.
    pub hits: Option<u64>,
    /// How often it had not.
    pub misses: Option<u64>,
}

impl Caches {
    pub(crate) fn new(store: Store, config: &QueryConfig) -> Self {
        let filter_bytes = config.token_cache_bytes / 4;
        Self {
            store,
            metadata: Arc::new(MetadataCache::new(config.metadata_cache_bytes)),
            tokens: Arc::new(TokenCache::new(config.token_cache_bytes - filter_bytes)),
            filters: Arc::new(FilterCache::new(filter_bytes)),
            samples: Arc::new(SampleCache::new(config.promql.sample_cache_bytes)),
            results: Arc::new(ResultCache::new(config.promql.result_cache_bytes)),
        }
    }

    /// Each with its figures; a disk tier only if there is one.
    pub(crate) fn figures(&self) -> Vec<CacheFigures> {
        let mut figures = pieces(&self.store.stats().cache);
        figures.push(self.metadata.figures());
        figures.push(CacheFigures {
            name: "token_indexes",
            entries: None,
            bytes: self.tokens.stats().cached_bytes,
            bytes_max: self.tokens.bytes_max() as u64,
            hits: None,
            misses: None,
        });
        figures.push(self.filters.figures());
        figures.push(self.samples.figures());
        let results = self.results.figures();
        figures.push(CacheFigures {
            name: "promql_results",
            entries: None,
            bytes: results.bytes as u64,
            bytes_max: results.bytes_max as u64,
            hits: Some(results.hits),
            misses: Some(results.misses),
        });
        figures
    }
}

fn pieces(stats: &CacheStats) -> Vec<CacheFigures> {
    let tier = |name, tier: TierStats, misses| CacheFigures {
        name,
        entries: Some(tier.entries),
        bytes: tier.bytes,
        bytes_max: tier.bytes_max,
        hits: Some(tier.hits),
        misses: Some(misses),
    };
    let from_disk = stats.disk.map_or(0, |disk| disk.tier.hits);
    let mut figures = vec![tier("pieces_memory", stats.memory, stats.misses + stats.waits + from_disk)];
    figures.extend(stats.disk.map(|disk| tier("pieces_disk", disk.tier, stats.misses)));
    figures
}

/// DataFusion's cache of file metadata, with hits and misses counted.
pub(crate) struct MetadataCache {
    held: DefaultCache<Path, CachedFileMetadataEntry>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl MetadataCache {
    fn new(bytes_max: usize) -> Self {
        Self { held: DefaultCache::new(bytes_max), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    pub(crate) fn figures(&self) -> CacheFigures {
        CacheFigures {
            name: "metadata",
            entries: Some(self.held.len() as u64),
            bytes: self.held.memory_used() as u64,
            bytes_max: self.held.cache_limit() as u64,
            hits: Some(self.hits.load(Ordering::Relaxed)),
            misses: Some(self.misses.load(Ordering::Relaxed)),
        }
    }
}

impl Cache<Path, CachedFileMetadataEntry> for MetadataCache {
    fn get(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        let found = self.held.get(path);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    fn put(&self, path: &Path, entry: CachedFileMetadataEntry) -> Option<CachedFileMetadataEntry> {
        self.held.put(path, entry)
    }

    fn remove(&self, path: &Path) -> Option<CachedFileMetadataEntry> {
        self.held.remove(path)
    }

    fn contains_key(&self, path: &Path) -> bool {
        self.held.contains_key(path)
    }

    fn len(&self) -> usize {
        self.held.len()
    }

    fn clear(&self) {
        self.held.clear();
    }

    fn name(&self) -> String {
        "metadata".to_owned()
    }

    fn cache_limit(&self) -> usize {
        self.held.cache_limit()
    }

    fn update_cache_limit(&self, limit: usize) {
        self.held.update_cache_limit(limit);
    }

    fn cache_ttl(&self) -> Option<Duration> {
        self.held.cache_ttl()
    }

    fn update_cache_ttl(&self, ttl: Option<Duration>) {
        self.held.update_cache_ttl(ttl);
    }

    fn drop_table_entries(&self, table: &TableReference) -> Result<()> {
        self.held.drop_table_entries(table)
    }

    fn list_entries(&self) -> HashMap<Path, CacheEntryInfo<CachedFileMetadataEntry>> {
        self.held.list_entries()
    }
}
