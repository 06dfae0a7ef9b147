//! WAL, head, Parquet files and the Delta log: where telemetry becomes durable and
//! queryable.
//!
//! ```text
//!            begin ── duplicate? ──▶ the earlier answer
//!              │
//! append ─▶ encode ─▶ queue ─▶ writer: one write, one fdatasync ─▶ applier ─▶ head ─▶ ack
//!                                  │                                  │        │
//!                               wal/*.wal                          observer    ├─▶ view ─▶ query
//!                                  ▲                                           │
//!                                  └── truncate ◀── commit ◀── files ◀── flush ┘
//! ```
//!
//! A request is one WAL record. It is acknowledged when its record is synced and its
//! rows are visible; rows become visible in WAL order. A flush takes the rows of one
//! (tenant, kind) up to an exact record, writes them to Parquet and commits them to the
//! Delta table together with that record's number. So every row is in a [`View`] exactly
//! once: in the files, if its record is at or below the table's number, else in the head.
//!
//! | you want to change | look in |
//! |---|---|
//! | what is appended, who is told | [`append`](Append), [`Observer`] |
//! | double sends | `dedup` |
//! | record and section bytes, segments, group commit | `wal`, and the page `docs/formats/wal.md` |
//! | what happens at start | `open`, `wal::scan`, then `recovery` |
//! | who makes a record visible | `tail` |
//! | who may write to the tables | `lock`, `files::epoch`, `fence` |
//! | when the disk is full | `room` |
//! | what an append becomes: encoding, then visibility | `pending`, `apply` |
//! | label sets, ids, verdicts, metric metadata | `series` |
//! | unflushed rows in memory | `head` |
//! | which log a row came from | `log_id` |
//! | tenants whose tables cannot be read at a start | `apart` |
//! | when to flush, in which order, truncation | `flush` |
//! | merging files, retention, deleting files | `upkeep` |
//! | deleting a tenant | `deletion` |
//! | what is on disk, and what a start would do | [`inspect`] |
//! | copies that can be started again | [`backup`] |
//! | what stays while a copy is made | `removals` |
//! | deriving again: rows in order of time, samples replaced in one commit | `replay` |
//! | what queries see | `view` |
//! | Parquet layout, Delta commits, synced put | `files` (behind the trait in `tables`) |
//! | S3 and the like, checksums on reads | `files::objects` |
//! | what was read from them, kept in memory and on a local disk | `files::objects::cache` |
//! | the index of identifiers in log lines | `files::tokens` |
//!
//! It knows nothing of DataFusion, protocols, HTTP or wasmtime.

mod apart;
mod append;
mod apply;
pub mod backup;
mod changes;
mod config;
mod dedup;
mod deletion;
mod durable;
mod error;
mod fence;
mod files;
mod flush;
mod head;
pub mod inspect;
mod lock;
mod log_id;
mod open;
mod pending;
mod recovery;
mod removals;
mod replay;
mod report;
mod room;
mod series;
mod stats;
mod store;
mod tables;
mod tail;
mod tenant;
mod tenants;
mod upkeep;
mod view;
mod wal;

pub use apart::ApartTenant;
pub use append::{Append, Appended, BatchKey, Life, NoObserver, Note, Observer, Seq, Tick};
pub use config::{Durability, StoreConfig};
pub use dedup::{Begin, Ticket};
pub use deletion::{Deleted, TenantReport};
pub use error::StoreError;
pub use files::{
    CacheConfig, CacheStats, DiskStats, Marks, MarksWanted, ObjectStats, ObjectsConfig, TierStats,
    TokenIndex, UnusableIndex,
};
pub use lock::Lock;
pub use replay::{Draft, DraftRows, Gap, OrderedRows, OrderedWindow, ReplacedRows};
pub use report::LostRange;
pub use series::{
    Arrival, Days, LabelColumn, Limited, MatchOp, Matcher, Metric, Resolver, Series, SeriesIndex,
    SeriesLimits, SeriesSelection,
};
pub use stats::StoreStats;
pub use store::Store;
pub use tables::{AttributeColumn, AttributeValues, DataFile, Kept, Replaced, StoredHistogram, StoredSample};
pub use upkeep::{CompactionConfig, HaConfig, Keep, KeepByKind, RetentionConfig, RetentionRule, RuleKind};
pub use view::{HeadFilter, TableView, View};
pub use wal::WalSegment;

#[cfg(test)]
mod tests;
