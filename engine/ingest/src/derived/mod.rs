//! Derived metrics: the counters behind them, the tick that writes them, and
//! what makes them right after a crash.
//!
//! A deriver gives increments for each batch of spans. They are added to the
//! tenant's counters after the batch is synced, in the order of the WAL. A tick
//! writes the counters as ordinary samples and is itself one WAL record that
//! says up to which sequence it counts. So after a crash, batches beyond the
//! last tick are derived again from the WAL, and nothing acknowledged is left
//! out or counted twice. Counters do not survive a restart: they begin at 0 with
//! a new start time, as those of a restarted process do.
//!
//! | file | is |
//! |---|---|
//! | `counters.rs` | the counters of one tenant and plugin |
//! | `ledger.rs` | which sequences are counted and which are written |
//! | `board.rs` | all tenants; the store's observer |
//! | `samples.rs` | counters as samples and exemplars |

mod board;
mod counters;
mod ledger;
mod samples;

pub(crate) use board::{Board, Note, TenantBoard};
pub(crate) use counters::{Counters, Now};
pub(crate) use samples::{Tick, label_sets, meta, sample_names, write_end, write_series, write_tick};
