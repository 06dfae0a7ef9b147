//! `system.wal` and `system.wal_totals`: the log, which all tenants share. Nothing in it
//! says whose records they are.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::Result;
use futures::stream::BoxStream;
use isinglass_store::{Store, StoreStats, WalSegment};

use super::columns::{self, Named, count, double, flag, optional_int, text};
use super::wanted::Wanted;
use super::{Source, once};

/// A row per segment.
#[derive(Debug)]
pub(super) struct Segments(pub(super) Store);

impl Source for Segments {
    fn schema(&self) -> SchemaRef {
        columns::schema(&segments(&[]))
    }

    fn rows(&self, _: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        once(columns::batch(segments(&self.0.wal_segments())))
    }
}

fn segments(rows: &[WalSegment]) -> Vec<Named> {
    let of = || rows.iter();
    let last = |segment: &WalSegment| {
        (segment.last >= segment.first).then(|| i64::try_from(segment.last).unwrap_or(i64::MAX))
    };
    let heads =
        |segment: &WalSegment| segment.heads_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    vec![
        text("segment", of().map(|segment| &segment.name)),
        flag("active", of().map(|segment| segment.active)),
        count("first_record", of().map(|segment| segment.first)),
        optional_int("last_record", of().map(last)),
        count("bytes", of().map(|segment| segment.bytes)),
        flag("synced", of().map(|segment| segment.synced)),
        optional_int("heads_bytes", of().map(heads)),
    ]
}

/// One row for the whole log.
#[derive(Debug)]
pub(super) struct Totals(pub(super) Store);

impl Source for Totals {
    fn schema(&self) -> SchemaRef {
        columns::schema(&totals(&StoreStats::default()))
    }

    fn rows(&self, _: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        once(columns::batch(totals(&self.0.stats())))
    }
}

fn totals(stats: &StoreStats) -> Vec<Named> {
    vec![
        count("segments", [stats.wal_segments]),
        count("bytes", [stats.wal_bytes]),
        count("heads_bytes", [stats.wal_heads_bytes]),
        count("spare_bytes", [stats.wal_spare_bytes]),
        count("records_written", [stats.wal_records]),
        count("bytes_written", [stats.wal_written_bytes]),
        count("syncs", [stats.wal_syncs]),
        double("sync_seconds", [stats.wal_sync_time.as_secs_f64()]),
        count("failures", [stats.wal_failures]),
        flag("read_only", [stats.read_only]),
        flag("replaying", [stats.replaying]),
        count("replay_behind_records", [stats.replay_behind]),
        count("lost_ranges", [stats.quarantined_records]),
        count("lost_bytes", [stats.quarantined_bytes]),
    ]
}
