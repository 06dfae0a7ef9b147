//! Derived metrics: the counters behind them, the tick that writes them, and
//! what makes them right after a crash.
//!
//! A deriver gives increments for batches of spans. They are added to the
//! tenant's counters after the batch is synced, in the order of the WAL and for several requests at a
//! time. A tick
//! writes the counters as ordinary samples and is itself one WAL record that
//! says up to which sequence it counts. So after a crash, batches beyond the
//! last tick are derived again from the WAL, and nothing acknowledged is left
//! out or counted twice. Counters do not survive a restart: they begin at 0 with
//! a new start time, as those of a restarted process do.
//!
//! Halves of pairs that wait at a tick are not in it. A stop ends their wait before its last tick;
//! after a crash they are gone, so that pairs are missing whose halves came up to the wait apart
//! around it.
//!
//! | file | is |
//! |---|---|
//! | `counters.rs` | the counters of one tenant and plugin |
//! | `keys.rs` | label sets as keys of the counters |
//! | `ledger.rs` | which sequences are counted and which are written |
//! | `cardinality.rs`, `exponential.rs` | values of a label, and native histograms, within bounds |
//! | `backlog.rs` | requests that are synced and not derived yet |
//! | `pairs/` | rows that wait for another one: the edges of service graphs |
//! | `points.rs` | rows that exemplars point to |
//! | `board.rs` | all tenants; the store's observer |
//! | `samples.rs` | counters as samples and exemplars |

mod backlog;
mod board;
mod cardinality;
mod counters;
mod exponential;
mod keys;
mod ledger;
mod pairs;
mod points;
mod samples;

#[cfg(test)]
pub(crate) use backlog::{Applied, derive};
pub(crate) use backlog::{Due, Note};
pub(crate) use board::{Board, OfTenant, TenantBoard};
pub(crate) use cardinality::Limits;
pub(crate) use counters::{Counters, Now};
pub(crate) use exponential::Exponential;
pub use pairs::paired;
pub(crate) use pairs::{Joined, Pairs};
pub(crate) use points::Points;
pub(crate) use samples::{
    Tick, exponential_set, label_sets, meta, row_names, write_end, write_series, write_tick,
};
