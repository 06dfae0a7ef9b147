//! A row of `rejected` as the item that it was, and its mark.

use std::collections::{HashMap, HashSet};

use isinglass_model::counts::ITEM_BYTES_MAX;
use isinglass_model::kind::Signal;
use isinglass_model::labels::LabelSet;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use super::{Reingested, kind_of, rows};
use crate::payload::{Payload, Point};

/// A row of the table `rejected`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRow {
    /// Arrival, nanoseconds since 1970.
    pub time: i64,
    /// Which signal it was.
    pub signal: Signal,
    /// The code.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// `name@version` of the plugin that refused it; empty for the core.
    pub plugin: String,
    /// sha256 of that plugin in hex; empty for the core.
    pub digest: String,
    /// The item as JSON text.
    pub item: String,
}

/// What can be sent again.
pub(super) struct Item {
    pub(super) time: i64,
    pub(super) signal: Signal,
    pub(super) reason: String,
    pub(super) key: u128,
    pub(super) content: Content,
}

pub(super) enum Content {
    /// A log record or a span, its columns by name.
    Row(Value),
    /// Something of metrics.
    Point(LabelSet, Point),
}

impl RejectedRow {
    /// Hash of all that the row says. `nth`: of rows that say the same each has its own.
    fn key(&self, nth: u32) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(&self.time.to_le_bytes());
        hash.update(&nth.to_le_bytes());
        let texts =
            [self.signal.as_str(), &self.reason, &self.message, &self.plugin, &self.digest, &self.item];
        for text in texts {
            hash.update(&(text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        hash.digest128()
    }

    fn content(&self) -> Result<Content, &'static str> {
        if self.item.contains(r#"withheld"#) && self.item.contains("no transformer has seen it") {
            return Err("withheld");
        }
        let fault = if self.item.len() + 4 > ITEM_BYTES_MAX { "cut" } else { "unread" };
        if self.signal == Signal::Metrics {
            return Payload::read(&self.item)
                .map(|(labels, point)| Content::Point(labels, point))
                .ok_or(fault);
        }
        let row: Value = serde_json::from_str(&self.item).map_err(|_| fault)?;
        if rows::is_usable(kind_of(self.signal), &row) { Ok(Content::Row(row)) } else { Err(fault) }
    }
}

/// The key of a mark, as SQL shows it.
pub(super) fn hex(key: u128) -> String {
    key.to_be_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The items that have no mark and can be read; counts the others. Ends at so many rows without a
/// mark.
pub(super) fn items(
    rejected: Vec<RejectedRow>,
    marked: &HashSet<String>,
    limit: usize,
    report: &mut Reingested,
) -> Vec<Item> {
    let mut left = limit;
    let mut alike = HashMap::<u128, u32>::new();
    let mut items = Vec::with_capacity(rejected.len());
    for row in rejected {
        let nth = alike.entry(row.key(0)).or_default();
        let key = row.key(*nth);
        *nth += 1;
        if marked.contains(&hex(key)) {
            report.already += 1;
            continue;
        }
        if left == 0 {
            report.cut = true;
            break;
        }
        left -= 1;
        match row.content() {
            Ok(content) => {
                let RejectedRow { time, signal, reason, .. } = row;
                items.push(Item { time, signal, reason, key, content });
            }
            Err(fault) => *report.unusable.entry(fault).or_default() += 1,
        }
    }
    items
}
