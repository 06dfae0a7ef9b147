//! What is told. As JSON it is the format of `docs/formats/doctor.md`; fields are only added.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::config::StoreConfig;
use crate::report::LostRange;
use crate::{Seq, StoreError};

/// Everything that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Inspection {
    /// Version of the format, 1.
    pub format: u32,
    /// The folder.
    pub data_dir: String,
    /// Where the tables lie; empty = in the folder.
    pub url: String,
    /// Whether a server runs.
    pub lock: LockState,
    /// The highest number that a writer has claimed.
    pub epoch: u64,
    /// The log.
    pub wal: WalLook,
    /// Every table.
    pub tables: Vec<TableLook>,
    /// Files that earlier starts have set aside, with their bytes.
    pub quarantine: BTreeMap<String, u64>,
    /// What is not as it was written.
    pub damage: Vec<Damage>,
    /// What a start would do.
    pub next_start: NextStart,
}

/// Who has the folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockState {
    /// Whether a process has it.
    pub held: bool,
    /// Which, as it wrote it down.
    pub process: Option<String>,
}

/// The log.
#[derive(Debug, Clone, Default, Serialize)]
pub struct WalLook {
    /// Its identity; `None`: no log, or one of version 1.
    pub log: Option<String>,
    /// Segments, oldest first.
    pub segments: Vec<Segment>,
    /// Heads files.
    pub heads: Vec<HeadsFile>,
    /// Bytes of spare files.
    pub spare_bytes: u64,
    /// What the segments hold of each tenant and kind, flushed or not.
    pub records: Vec<LogRows>,
}

/// A segment.
#[derive(Debug, Clone, Serialize)]
pub struct Segment {
    /// File name.
    pub name: String,
    /// Version of its format; `None`: its header cannot be read.
    pub version: Option<u32>,
    /// Size of the file.
    pub bytes: u64,
    /// Up to where records stand.
    pub used_bytes: u64,
    /// Whole records.
    pub records: u64,
    /// Number of the first.
    pub first: Option<Seq>,
    /// And of the last.
    pub last: Option<Seq>,
}

/// A heads file.
#[derive(Debug, Clone, Serialize)]
pub struct HeadsFile {
    /// File name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its records; `None`: it cannot be read.
    pub records: Option<u64>,
}

/// Sections of one tenant and kind.
#[derive(Debug, Clone, Serialize)]
pub struct LogRows {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub kind: String,
    /// Records that have some.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A table.
#[derive(Debug, Clone, Serialize)]
pub struct TableLook {
    /// Whose.
    pub tenant: String,
    /// Which.
    pub kind: String,
    /// Delta version.
    pub version: i64,
    /// Files that it names.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Least and greatest time, in the unit of the table: microseconds, nanoseconds, days.
    pub time: Option<(i64, i64)>,
    /// Files of each level.
    pub levels: BTreeMap<u8, u64>,
    /// Last record of this log whose rows are in its files.
    pub flushed: Seq,
    /// Data files that it does not name: replaced, or of a write that died.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// Bytes that were compared with their checksums.
    pub checked_bytes: u64,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// `torn_tail`, `wal`, `wal_missing`, `heads`, `table`, `file_missing`, `file_size`, `file`.
    pub what: &'static str,
    /// File, object or table.
    pub place: String,
    /// First byte and the one after the last, where that is known.
    pub bytes: Option<(u64, u64)>,
    /// What is wrong.
    pub reason: String,
}

/// What a start would do now.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NextStart {
    /// Why it would be refused; empty: it would not.
    pub refused: Vec<String>,
    /// Records that it would read.
    pub records_read: u64,
    /// What it would bring into memory.
    pub replayed: Vec<Replayed>,
    /// What it would cut off.
    pub cut: Option<Cut>,
    /// What it would set aside.
    pub set_aside: Vec<Aside>,
    /// Tenants that it would set apart.
    pub apart: Vec<TenantApart>,
    /// The object store does not answer for an object of this tenant, because of which the log
    /// would be tried again and again until it does. What stands in the rest of it is not told
    /// here.
    pub stuck: Option<TenantApart>,
}

/// Rows of a tenant that are in the log alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Whose.
    pub tenant: String,
    /// Records with rows that no table has.
    pub records: u64,
    /// Such rows by kind.
    pub rows: BTreeMap<&'static str, u64>,
}

/// The end of the last segment, which holds nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// File name.
    pub segment: String,
    /// To so many bytes.
    pub to: u64,
    /// From so many.
    pub from: u64,
    /// Whether something was written there that is no record.
    pub torn: bool,
}

/// What would be set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aside {
    /// The file in `quarantine/`.
    pub name: String,
    /// File name of the segment.
    pub segment: String,
    /// Where in it the damage begins.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// First and last number that a lost record can have.
    pub records: (Seq, Seq),
    /// What is wrong.
    pub reason: String,
}

impl Aside {
    pub(super) fn of(name: String, lost: LostRange, reason: String) -> Self {
        let LostRange { segment, offset, bytes, records, .. } = lost;
        Self { name, segment, offset, bytes, records, reason }
    }
}

/// A tenant whose tables cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TenantApart {
    /// Whose.
    pub tenant: String,
    /// The first of its records in the log.
    pub first: Seq,
    /// Why.
    pub reason: String,
}

impl Inspection {
    pub(super) fn of(config: &StoreConfig, holder: Option<Option<String>>) -> Self {
        Self {
            format: 1,
            data_dir: config.data_dir.display().to_string(),
            url: config.url.clone(),
            lock: LockState { held: holder.is_some(), process: holder.flatten() },
            epoch: 0,
            wal: WalLook::default(),
            tables: Vec::new(),
            quarantine: BTreeMap::new(),
            damage: Vec::new(),
            next_start: NextStart::default(),
        }
    }

    /// Whether nothing is damaged, and nothing but a running server is in the way of a start.
    pub fn is_sound(&self) -> bool {
        let start = &self.next_start;
        self.damage.is_empty() && start.refused.is_empty() && start.apart.is_empty() && start.stuck.is_none()
    }

    pub(super) fn damaged(
        &mut self,
        what: &'static str,
        place: impl Into<String>,
        bytes: Option<(u64, u64)>,
        reason: impl Into<String>,
    ) {
        self.damage.push(Damage { what, place: place.into(), bytes, reason: reason.into() });
    }
}

/// Names and sizes; nothing if there is no such folder.
pub(super) fn files_of(folder: &Path) -> Result<BTreeMap<String, u64>, StoreError> {
    let io = |error: &std::io::Error| StoreError::io(folder.display().to_string(), error);
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(io(&error)),
    };
    let size = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.len()))
    };
    entries.map(size).collect::<Result<_, _>>().map_err(|error| io(&error))
}
