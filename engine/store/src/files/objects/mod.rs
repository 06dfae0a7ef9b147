//! The object store that all tables lie in, whichever it is.
//!
//! ```text
//! queries, merges, series          Delta log, epochs, new files
//!          │                                    │
//!    checked: CRC-32C of a MiB                  │
//!    cache: verified pieces of 1 MiB            │
//!          └────────────────┬───────────────────┘
//!                        metered: calls, errors, bytes, time
//!                           │
//!              local folder · S3 · Google · Azure · memory
//!                           └ tries again, with pauses and bounds
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`location`] | what `store.url` says |
//! | [`options`] | `[store.objects]` |
//! | [`build`] | the store of a location |
//! | [`probe`] | does it refuse a second create? |
//! | [`metered`], [`counters`] | what is counted |
//! | [`checked`] | reads that are compared with their checksums |
//! | [`cache`] | what was read and compared, in memory and on a local disk |

mod build;
mod cache;
mod checked;
mod counters;
mod location;
mod metered;
mod options;
mod probe;

use std::path::Path as FilePath;
use std::sync::Arc;

use isinglass_model::Clock;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use self::cache::{BlockCache, DiskOptions, Rule};
use self::location::Location;
use self::metered::Metered;
use super::{FilesError, Result};
use crate::StoreConfig;

pub(crate) use cache::PIECE_BYTES;
pub use cache::{CacheConfig, CacheStats, DiskStats, TierStats};
pub(crate) use checked::Checker;
pub(in crate::files) use checked::{damage_of, damaged_object};
pub(crate) use counters::Counters;
pub use counters::ObjectStats;
pub use options::ObjectsConfig;

/// Opens what `store.url` names; nothing means the folder `folder`. Fails if it does not
/// refuse to create an object twice.
pub(crate) async fn open(
    url: &str,
    options: &ObjectsConfig,
    folder: &FilePath,
) -> Result<Arc<dyn ObjectStore>> {
    let location = Location::parse(url, folder)?;
    location.check(options)?;
    let objects = build::build(&location, options)?;
    // A folder is probed where it is opened.
    if !matches!(location, Location::Folder(_)) {
        probe::check(&objects, url).await?;
    }
    Ok(objects)
}

/// What reads of the tables at `store.url` are checked with. Of a remote store there is a disk
/// cache, too; of a folder the page cache is one.
pub(super) async fn checker(
    config: &StoreConfig,
    objects: Arc<dyn ObjectStore>,
    folder: &FilePath,
) -> Result<Checker> {
    let cache = match Location::parse(&config.url, folder)? {
        Location::Bucket { .. } => {
            let disk = DiskOptions::new(&config.cache, &config.data_dir, config.disk_free_min_bytes);
            BlockCache::far(&config.cache, disk).await
        }
        Location::Folder(_) | Location::Memory => {
            Arc::new(BlockCache::new(config.cache.memory_bytes, Rule::NEAR))
        }
    };
    Ok(Checker::with_cache(objects, cache))
}

/// Opens a place to write to, where nobody else writes. `key` is what the user calls it.
pub(crate) fn reach(key: &'static str, url: &str, options: &ObjectsConfig) -> Result<Arc<dyn ObjectStore>> {
    let location = Location::parse_as(key, url, FilePath::new(""))?;
    build::build(&location, options)
}

/// Opens a place to look at, which is left as it is.
pub(crate) fn to_read(
    key: &'static str,
    url: &str,
    options: &ObjectsConfig,
    folder: &FilePath,
) -> Result<Arc<dyn ObjectStore>> {
    match Location::parse_as(key, url, folder)? {
        Location::Folder(path) => {
            let failed = |source| FilesError::Folder { path: path.clone(), source };
            let path = path.canonicalize().map_err(failed)?;
            Ok(Arc::new(LocalFileSystem::new_with_prefix(path)?))
        }
        location => build::build(&location, options),
    }
}

/// The same object store with everything counted.
pub(super) fn metered(
    objects: Arc<dyn ObjectStore>,
    clock: Arc<dyn Clock>,
) -> (Arc<dyn ObjectStore>, Arc<Counters>) {
    let counters = Arc::new(Counters::new(clock));
    (Arc::new(Metered::new(objects, Arc::clone(&counters))), counters)
}

#[cfg(test)]
mod tests;
