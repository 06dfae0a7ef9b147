//! The report for a person.

use std::fmt::Write as _;

use indicatif::HumanBytes;
use isinglass_store::inspect::{Inspection, NextStart, TableLook, WalLook};

/// Segments and heads files that are listed one by one; of more only the sums are told.
const LISTED_MAX: usize = 20;

pub(super) fn report(found: &Inspection, deep: bool) -> String {
    let mut out = String::new();
    head(&mut out, found);
    log(&mut out, &found.wal);
    tables(&mut out, &found.tables, deep);
    quarantine(&mut out, found);
    damage(&mut out, found);
    next_start(&mut out, &found.next_start, found.lock.held);
    out
}

/// Writing into a text cannot fail.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {{
        let _ = writeln!($out, $($text)*);
    }};
}

fn head(out: &mut String, found: &Inspection) {
    let holder = match (&found.lock.process, found.lock.held) {
        (_, false) => "no process has it".to_owned(),
        (Some(process), true) => format!("process {process} has it; what follows is of a moment"),
        (None, true) => "a process has it; what follows is of a moment".to_owned(),
    };
    line!(out, "folder {}: {holder}", found.data_dir);
    let tables = if found.url.is_empty() { "in the folder" } else { &found.url };
    line!(out, "tables {tables}, last claimed by writer {}\n", found.epoch);
}

fn log(out: &mut String, wal: &WalLook) {
    let bytes: u64 = wal.segments.iter().map(|segment| segment.bytes).sum();
    let records: u64 = wal.segments.iter().map(|segment| segment.records).sum();
    let log = wal.log.as_deref().unwrap_or("without an identity");
    line!(out, "log {log}: {} segments with {records} records, {}", wal.segments.len(), HumanBytes(bytes));
    for segment in wal.segments.iter().take(LISTED_MAX) {
        let version =
            segment.version.map_or_else(|| "no header".to_owned(), |version| format!("version {version}"));
        let range = match (segment.first, segment.last) {
            (Some(first), Some(last)) => format!("records {first} to {last}"),
            _ => "no records".to_owned(),
        };
        let used = HumanBytes(segment.used_bytes);
        line!(out, "  {}  {version}  {range}  {used} of {}", segment.name, HumanBytes(segment.bytes));
    }
    if wal.segments.len() > LISTED_MAX {
        line!(out, "  … and {} more", wal.segments.len() - LISTED_MAX);
    }
    let heads: u64 = wal.heads.iter().map(|file| file.bytes).sum();
    line!(
        out,
        "  {} heads files, {}; spare {}",
        wal.heads.len(),
        HumanBytes(heads),
        HumanBytes(wal.spare_bytes)
    );
    for held in &wal.records {
        line!(out, "  {}/{}: {} records, {}", held.tenant, held.kind, held.records, HumanBytes(held.bytes));
    }
    line!(out, "");
}

fn tables(out: &mut String, tables: &[TableLook], deep: bool) {
    let rows: u64 = tables.iter().map(|table| table.rows).sum();
    let bytes: u64 = tables.iter().map(|table| table.bytes).sum();
    line!(out, "{} tables with {rows} rows, {}", tables.len(), HumanBytes(bytes));
    for table in tables {
        let levels: Vec<String> =
            table.levels.iter().map(|(level, files)| format!("{files} of level {level}")).collect();
        let levels = if levels.is_empty() { String::new() } else { format!(" ({})", levels.join(", ")) };
        let time = table.time.map(|(first, last)| format!(", times {first} to {last}")).unwrap_or_default();
        line!(
            out,
            "  {}/{}  version {}  {} files{levels}, {} rows, {}{time}, flushed to record {}",
            table.tenant,
            table.kind,
            table.version,
            table.files,
            table.rows,
            HumanBytes(table.bytes),
            table.flushed,
        );
        if table.orphans > 0 {
            let bytes = HumanBytes(table.orphan_bytes);
            line!(out, "    {} files beside them, {bytes}: replaced, or of a write that died", table.orphans);
        }
    }
    if deep {
        let checked: u64 = tables.iter().map(|table| table.checked_bytes).sum();
        line!(out, "  {} compared with their checksums", HumanBytes(checked));
    }
    line!(out, "");
}

fn quarantine(out: &mut String, found: &Inspection) {
    if found.quarantine.is_empty() {
        return;
    }
    line!(out, "quarantine: {} files that earlier starts have set aside", found.quarantine.len());
    for (name, bytes) in found.quarantine.iter().take(LISTED_MAX) {
        line!(out, "  {name}  {}", HumanBytes(*bytes));
    }
    line!(out, "");
}

fn damage(out: &mut String, found: &Inspection) {
    if found.damage.is_empty() {
        line!(out, "damage: none found\n");
        return;
    }
    line!(out, "damage:");
    for damage in &found.damage {
        let bytes = damage.bytes.map(|(from, to)| format!(" bytes {from} to {to}")).unwrap_or_default();
        line!(out, "  {}{bytes}: {}", damage.place, damage.reason);
    }
    line!(out, "");
}

fn next_start(out: &mut String, start: &NextStart, held: bool) {
    if held {
        line!(out, "a start now would be refused: the folder is in use. After the end of that process:");
    } else if start.refused.is_empty() {
        line!(out, "the next start:");
    }
    for refusal in &start.refused {
        line!(out, "the next start would be refused: {refusal}");
    }
    if start.refused.is_empty() {
        line!(out, "  reads {} records of the log", start.records_read);
    }
    for replayed in &start.replayed {
        let rows: Vec<String> = replayed.rows.iter().map(|(kind, rows)| format!("{rows} {kind}")).collect();
        line!(out, "  {}: {} records into memory, {}", replayed.tenant, replayed.records, rows.join(", "));
    }
    if let Some(cut) = start.cut.as_ref().filter(|cut| cut.to < cut.from) {
        let torn = if cut.torn { ", where its last write is torn" } else { ", behind which nothing is" };
        line!(out, "  cuts {} from {} to {} bytes{torn}", cut.segment, cut.from, cut.to);
    }
    for aside in &start.set_aside {
        let (first, last) = aside.records;
        line!(
            out,
            "  sets {} bytes aside in quarantine/{}: records {first} to {last}",
            aside.bytes,
            aside.name
        );
    }
    if let Some(stuck) = &start.stuck {
        line!(
            out,
            "  reads the log up to record {}, of tenant {}, and waits for the object store: {}",
            stuck.first,
            stuck.tenant,
            stuck.reason
        );
    }
    for apart in &start.apart {
        line!(out, "  sets tenant {} apart from record {} on: {}", apart.tenant, apart.first, apart.reason);
    }
}
