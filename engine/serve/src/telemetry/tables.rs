//! Log, head and tables.

use std::collections::BTreeMap;
use std::fmt;

use isinglass_model::Kind;
use isinglass_store::StoreStats;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue};

use super::engine::{Labels, counter, gauge};

pub(super) fn tables(encoder: &mut DescriptorEncoder<'_>, stats: &StoreStats) -> fmt::Result {
    log(encoder, stats)?;
    gauge(encoder, "isinglass_head_bytes", "Unflushed bytes in memory", by_kind(&stats.head_bytes))?;
    gauge(encoder, "isinglass_head_rows", "Unflushed rows in memory", by_kind(&stats.head_rows))?;
    one(encoder, "isinglass_delta_commits", "Flushes committed to Delta tables", stats.flushes)?;
    one(encoder, "isinglass_flushed_rows", "Rows in committed flushes", stats.flushed_rows)?;
    one(encoder, "isinglass_flush_errors", "Flushes that failed and are tried again", stats.flush_failures)?;
    one(encoder, "isinglass_flush_seconds", "Time spent in flushes", stats.flush_time.as_secs_f64())?;
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
    let read_only = single(u64::from(stats.read_only));
    gauge(encoder, "isinglass_read_only", "1 while writes are refused until a restart", read_only)?;
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
    )
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
