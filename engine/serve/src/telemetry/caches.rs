//! The caches that queries read through.

use std::fmt;

use isinglass_query::CacheFigures;
use isinglass_store::{CacheStats, TierStats};
use prometheus_client::encoding::DescriptorEncoder;

use super::engine::{Labels, counter, gauge};

/// The cache of pieces of data files, by tier.
pub(super) fn pieces(encoder: &mut DescriptorEncoder<'_>, stats: &CacheStats) -> fmt::Result {
    let by_tier = |value: fn(&TierStats) -> u64| {
        let tiers = [("memory", Some(stats.memory)), ("disk", stats.disk.map(|disk| disk.tier))];
        let row = move |(name, tier): (&str, Option<TierStats>)| {
            Some((vec![("tier", name.to_owned())], value(&tier?) as f64))
        };
        tiers.into_iter().filter_map(row)
    };
    let help = "Pieces of data files held";
    gauge(encoder, "isinglass_cache_entries", help, by_tier(|tier| tier.entries))?;
    let help = "Bytes of pieces of data files held";
    gauge(encoder, "isinglass_cache_bytes", help, by_tier(|tier| tier.bytes))?;
    gauge(encoder, "isinglass_cache_bytes_max", "The bound on them", by_tier(|tier| tier.bytes_max))?;
    let help = "Pieces that were asked for and there";
    counter(encoder, "isinglass_cache_hits", help, by_tier(|tier| tier.hits))?;
    let help = "Pieces thrown out to make room";
    counter(encoder, "isinglass_cache_evictions", help, by_tier(|tier| tier.evictions))?;
    one(encoder, "isinglass_cache_misses", "Pieces that the object store was asked for", stats.misses)?;
    let help = "Pieces that waited for a fetch which another read had begun";
    one(encoder, "isinglass_cache_waits", help, stats.waits)?;
    let Some(disk) = stats.disk else { return Ok(()) };
    let help = "Pieces that did not come back from the disk as they were written";
    one(encoder, "isinglass_cache_disk_damaged", help, disk.damaged)?;
    let help = "Pieces that were not written: too many waited, or the disk was too full";
    one(encoder, "isinglass_cache_disk_skipped", help, disk.skipped)?;
    one(encoder, "isinglass_cache_disk_errors", "Writes that failed", disk.write_failures)?;
    let waiting = [(Labels::new(), disk.queue_bytes as f64)];
    gauge(encoder, "isinglass_cache_disk_queue_bytes", "Bytes that wait to be written", waiting)
}

/// Footers and page indexes of data files.
pub(super) fn metadata(encoder: &mut DescriptorEncoder<'_>, figures: CacheFigures) -> fmt::Result {
    let single = |value: u64| [(Labels::new(), value as f64)];
    let help = "Data files whose footer is held decoded";
    let entries = single(figures.entries.unwrap_or_default());
    gauge(encoder, "isinglass_metadata_cache_entries", help, entries)?;
    let help = "Footers and page indexes held";
    gauge(encoder, "isinglass_metadata_cache_bytes", help, single(figures.bytes))?;
    let help = "The bound on them";
    gauge(encoder, "isinglass_metadata_cache_bytes_max", help, single(figures.bytes_max))?;
    let help = "Footers that were asked for and there";
    one(encoder, "isinglass_metadata_cache_hits", help, figures.hits.unwrap_or_default())?;
    let help = "Footers that were asked for and not there";
    one(encoder, "isinglass_metadata_cache_misses", help, figures.misses.unwrap_or_default())
}

fn one(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    counter(encoder, name, help, [(Labels::new(), value)])
}
