//! Log, head and tables.

use std::collections::BTreeMap;
use std::fmt;

use isinglass_model::Kind;
use isinglass_store::{ObjectStats, StoreStats};
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue};

use super::caches;
use super::engine::{Labels, counter, gauge};

pub(super) fn tables(encoder: &mut DescriptorEncoder<'_>, stats: &StoreStats) -> fmt::Result {
    log(encoder, stats)?;
    gauge(encoder, "isinglass_head_bytes", "Unflushed bytes in memory", by_kind(&stats.head_bytes))?;
    gauge(encoder, "isinglass_head_rows", "Unflushed rows in memory", by_kind(&stats.head_rows))?;
    one(encoder, "isinglass_delta_commits", "Flushes committed to Delta tables", stats.flushes)?;
    one(encoder, "isinglass_flushed_rows", "Rows in committed flushes", stats.flushed_rows)?;
    one(encoder, "isinglass_flush_errors", "Flushes that failed and are tried again", stats.flush_failures)?;
    one(encoder, "isinglass_flush_seconds", "Time spent in flushes", stats.flush_time.as_secs_f64())?;
    objects(encoder, stats)?;
    caches::pieces(encoder, &stats.cache)?;
    upkeep(encoder, stats)?;
    gauge(encoder, "isinglass_tenants", "Tenants in memory", single(stats.tenants))?;
    gauge(encoder, "isinglass_series", "Series in memory", single(stats.series))
}

fn log(encoder: &mut DescriptorEncoder<'_>, stats: &StoreStats) -> fmt::Result {
    gauge(encoder, "isinglass_wal_bytes", "Log segments on disk", single(stats.wal_bytes))?;
    gauge(encoder, "isinglass_wal_segments", "Log segments on disk", single(stats.wal_segments))?;
    one(encoder, "isinglass_wal_records", "Records written to the log", stats.wal_records)?;
    one(
        encoder,
        "isinglass_wal_written_bytes",
        "Bytes of records written to the log",
        stats.wal_written_bytes,
    )?;
    one(encoder, "isinglass_wal_syncs", "Syncs of the log; many records share one", stats.wal_syncs)?;
    one(encoder, "isinglass_wal_sync_seconds", "Time spent in syncs", stats.wal_sync_time.as_secs_f64())?;
    one(encoder, "isinglass_wal_errors", "Failed writes and syncs of the log", stats.wal_failures)?;
    gauge(encoder, "isinglass_wal_heads_bytes", "Heads files beside the log", single(stats.wal_heads_bytes))?;
    let spare = "Size of the files that wait to become log segments";
    gauge(encoder, "isinglass_wal_spare_bytes", spare, single(stats.wal_spare_bytes))?;
    let read_only = single(u64::from(stats.read_only));
    gauge(encoder, "isinglass_read_only", "1 while writes are refused until a restart", read_only)?;
    let fenced = "1 when a newer writer has the tables and writes are refused for good";
    gauge(encoder, "isinglass_fenced", fenced, single(u64::from(stats.fenced)))?;
    gauge(encoder, "isinglass_epoch", "Which writer of its tables this one is", single(stats.epoch))?;
    let low = single(u64::from(stats.disk_low));
    gauge(encoder, "isinglass_disk_low", "1 while writes are refused for want of disk space", low)?;
    if let Some((free, floor)) = stats.disk_free {
        gauge(encoder, "isinglass_disk_free_bytes", "Free on the volume of the log", single(free))?;
        gauge(encoder, "isinglass_disk_free_min_bytes", "Writes are refused below", single(floor))?;
    }
    let replaying = single(u64::from(stats.replaying));
    let apart = stats.tenants_apart.len() as u64;
    gauge(encoder, "isinglass_tenants_apart", "Tenants whose tables cannot be read", single(apart))?;
    gauge(encoder, "isinglass_replaying", "1 while answers may lack what is in the log", replaying)?;
    let behind = "Log records that are acknowledged and cannot be seen yet";
    gauge(encoder, "isinglass_replay_behind_records", behind, single(stats.replay_behind))?;
    gauge(encoder, "isinglass_replayed_bytes", "Bytes read from the log", single(stats.replayed_bytes))?;
    let replay = [(Labels::new(), stats.replay_time.as_secs_f64())];
    gauge(encoder, "isinglass_replay_seconds", "Time the replay at start took", replay)?;
    gauge(encoder, "isinglass_replayed_records", "Records read at start", single(stats.replayed_records))?;
    let set_aside = "Log records set aside at start because they could not be read";
    gauge(encoder, "isinglass_quarantined_records", set_aside, single(stats.quarantined_records))?;
    gauge(
        encoder,
        "isinglass_quarantined_bytes",
        "Log bytes set aside at start",
        single(stats.quarantined_bytes),
    )?;
    quarantined(encoder, stats)
}

fn upkeep(encoder: &mut DescriptorEncoder<'_>, stats: &StoreStats) -> fmt::Result {
    one(encoder, "isinglass_rewrites", "Commits that replaced or removed files", stats.merges)?;
    let help = "Rewrites and deletions that failed and are tried again";
    one(encoder, "isinglass_upkeep_errors", help, stats.upkeep_failures)?;
    one(encoder, "isinglass_rewritten_bytes", "Bytes of files that were replaced", stats.merged_bytes_in)?;
    let help = "Bytes of files that replaced others";
    one(encoder, "isinglass_rewrite_bytes", help, stats.merged_bytes_out)?;
    one(encoder, "isinglass_rewrite_seconds", "Time spent in rewrites", stats.merge_time.as_secs_f64())?;
    let help = "Rows dropped in rewrites, by reason";
    let dropped = [
        ("duplicate", stats.merged_duplicates),
        ("conflict", stats.merged_conflicts),
        ("expired", stats.expired_rows),
    ];
    let rows = dropped.map(|(reason, rows)| (vec![("reason", reason.to_owned())], rows as f64));
    counter(encoder, "isinglass_dropped_rows", help, rows)?;
    one(encoder, "isinglass_deleted_files", "Files deleted that nobody needs", stats.deleted_files)
}

fn objects(encoder: &mut DescriptorEncoder<'_>, stats: &StoreStats) -> fmt::Result {
    let by_operation = |value: fn(&ObjectStats) -> f64| {
        let row = move |(name, stats): (&&'static str, &ObjectStats)| {
            (vec![("operation", (*name).to_owned())], value(stats))
        };
        stats.objects.iter().map(row)
    };
    let help = "Calls to the object store of the tables; one may be several requests";
    counter(encoder, "isinglass_object_calls", help, by_operation(|stats| stats.calls as f64))?;
    let help = "Calls to the object store that failed after all tries";
    counter(encoder, "isinglass_object_errors", help, by_operation(|stats| stats.errors as f64))?;
    let help = "Content sent to and read from the object store";
    counter(encoder, "isinglass_object_bytes", help, by_operation(|stats| stats.bytes as f64))?;
    let help = "Time of calls to the object store";
    counter(encoder, "isinglass_object_seconds", help, by_operation(|stats| stats.time.as_secs_f64()))?;
    let help = "Bytes of files that were compared with their checksums";
    one(encoder, "isinglass_checked_bytes", help, stats.checked_bytes)?;
    one(encoder, "isinglass_damaged_reads", "Reads that met a damaged object", stats.damaged_reads)
}

/// Where the lost records lie, in the log and in time; nothing if none is lost.
fn quarantined(encoder: &mut DescriptorEncoder<'_>, stats: &StoreStats) -> fmt::Result {
    if let Some((first, last)) = stats.quarantined_seqs {
        let help = "First log record that may be lost";
        gauge(encoder, "isinglass_quarantined_first_record", help, single(first))?;
        let help = "Last log record that may be lost";
        gauge(encoder, "isinglass_quarantined_last_record", help, single(last))?;
    }
    let seconds = |ms: i64| [(Labels::new(), ms as f64 / 1_000.0)];
    if let Some(ms) = stats.quarantined_time_unix_ms.0 {
        let help = "What is lost was written after this time";
        gauge(encoder, "isinglass_quarantined_after_timestamp_seconds", help, seconds(ms))?;
    }
    if let Some(ms) = stats.quarantined_time_unix_ms.1 {
        let help = "What is lost was written before this time";
        gauge(encoder, "isinglass_quarantined_before_timestamp_seconds", help, seconds(ms))?;
    }
    Ok(())
}

fn by_kind(values: &BTreeMap<Kind, u64>) -> impl Iterator<Item = (Labels, f64)> {
    values.iter().map(|(kind, value)| (vec![("table", kind.as_str().to_owned())], *value as f64))
}

fn single(value: u64) -> [(Labels, f64); 1] {
    [(Labels::new(), value as f64)]
}

fn one<V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: V,
) -> fmt::Result {
    counter(encoder, name, help, [(Labels::new(), value)])
}
