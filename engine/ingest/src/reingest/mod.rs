//! What was refused, sent through the chain again.
//!
//! ```text
//! rows of `rejected` ─▶ those without a mark ─▶ read back ─▶ transform ─▶ validate ─▶ limit ─▶ derive
//!                                                                  one record of the log: rows and marks ◀─┘
//! ```
//!
//! An item that is kept is stored with its own times, where it would have been stored at first, and
//! with it, in the same record of the log, a row of `reingested` that marks the row of `rejected` it
//! came from. So it is stored once, however often the same rows are sent again and whenever the
//! process ends. Items are judged as of the minute in which they arrived: one that waited for a
//! week is not too old now. What is refused again stays where it is.
//!
//! | file | is |
//! |---|---|
//! | `item.rs` | a row of `rejected` as the item that it was, and its mark |
//! | `rows.rs` | log records and spans from JSON text |
//! | `group.rs` | items of one signal and minute through the chain |

mod group;
mod item;
mod rows;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use isinglass_model::kind::Signal;
use isinglass_model::{Reason, Tenant};
use tokio::sync::OwnedMutexGuard;

use crate::error::IngestError;
use crate::ingest::Ingest;
use item::{Item, items};

pub use item::RejectedRow;

/// Rows that should be sent at once.
pub const REJECTED_AT_ONCE_MAX: usize = 500;

/// Items that arrived within this time are judged together, as of the first of them.
const TOGETHER_NANOS: i64 = 60_000_000_000;

/// The right to send rows again. There is one: two who read the same rows without marks would
/// both store them.
#[derive(Debug)]
pub struct ReingestTurn(#[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

/// What became of rows of `rejected`.
#[derive(Debug, Default)]
pub struct Reingested {
    /// Stored now, or with a dry run kept by the chain.
    pub stored: u64,
    /// Taken out by a transformer, as it is meant to.
    pub dropped: u64,
    /// Stored or dropped by an earlier run.
    pub already: u64,
    /// Refused again, by reason. They stay in `rejected`.
    pub rejected: BTreeMap<Reason, u64>,
    /// Rows that do not say enough: `withheld`, `cut` or `unread`.
    pub unusable: BTreeMap<&'static str, u64>,
    /// Whether rows are left, because there are more than the limit.
    pub cut: bool,
    /// Why the rest was not looked at.
    pub stopped: Option<IngestError>,
}

impl Ingest {
    /// Waits for the turn of who sends rows of `rejected` again. The marks must be read under it.
    pub async fn reingest_turn(&self) -> ReingestTurn {
        ReingestTurn(Arc::clone(self.reingesting()).lock_owned().await)
    }

    /// Sends rows of `rejected` through the chain again. `marked`: keys of all rows of
    /// `reingested` at the times of these; so many rows without a mark at most. Rows of one instant
    /// must be given together. With `dry_run` nothing is stored, and limiters are not asked.
    pub async fn reingest(
        &self,
        turn: &ReingestTurn,
        tenant: &Tenant,
        rows: Vec<RejectedRow>,
        (marked, limit): (&HashSet<String>, usize),
        dry_run: bool,
    ) -> Reingested {
        let _ = turn;
        let mut report = Reingested::default();
        for together in together(items(rows, marked, limit, &mut report)) {
            if let Err(error) = self.reingest_group(tenant, together, dry_run, &mut report).await {
                report.stopped = Some(error);
                break;
            }
        }
        report
    }
}

/// Items by signal and minute, in the order of their arrival.
fn together(mut items: Vec<Item>) -> Vec<Vec<Item>> {
    items.sort_by_key(|item| (item.signal, item.time));
    let mut groups: Vec<Vec<Item>> = Vec::new();
    let fits = |group: &[Item], item: &Item| {
        let first = group.first();
        first.is_some_and(|first: &Item| {
            first.signal == item.signal && item.time - first.time < TOGETHER_NANOS
        })
    };
    for item in items {
        match groups.last_mut().filter(|group| fits(group, &item)) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups
}

/// The table that items of a signal which are rows of a batch belong to.
fn kind_of(signal: Signal) -> isinglass_model::Kind {
    match signal {
        Signal::Traces => isinglass_model::Kind::Spans,
        Signal::Logs | Signal::Metrics => isinglass_model::Kind::Logs,
    }
}
