//! Deriving again from what is stored.
//!
//! ```text
//! rows in order of time ─▶ the deriver by itself ─▶ counters ─▶ ticks by the rows' own time ─▶ samples
//!                                                                                            │   │
//!                                  what is stored ─▶ compared, series by series ◀────────────┘   ▼
//!                                                                        one commit a table, in their place
//! ```
//!
//! It is the component that intake calls, on batches such as intake makes, into the counters that
//! intake counts with. What differs is the clock: a row counts at the time that stands in it, not
//! when it came. So the same rows give the same samples, to the bit, however late they were and
//! whatever files they lie in.
//!
//! | file | is |
//! |---|---|
//! | `run.rs` | a replay from its request to its report |
//! | `cut.rs` | which rows the live counters have counted, and how these begin anew |
//! | `range.rs` | where it ends |
//! | `source.rs` | rows by ticks |
//! | `derivation.rs`, `work.rs` | rows into samples |
//! | `pending.rs`, `histogram.rs` | samples, native histograms and exemplars on their way |
//! | `settle.rs`, `compare/` | samples and native histograms against those that are stored |
//! | `report.rs`, `reasons.rs` | what was found, and what may be behind it |
//! | `write.rs` | all of it into the tables |
//! | `jobs.rs` | replays of a server, and the table `system.replays` |
//! | `background.rs` | a thread that stands back behind queries |

mod background;
mod compare;
mod cut;
mod derivation;
mod error;
mod histogram;
mod jobs;
mod pending;
mod range;
mod reasons;
mod report;
mod run;
mod settle;
mod source;
mod work;
mod write;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use isinglass_chain::Instead;
use isinglass_model::Tenant;
use isinglass_model::memory::MemoryLimit;

pub use error::ReplayError;
pub(crate) use jobs::{Jobs, ReplaysTable};
pub use jobs::{Outcome, ReplayJob};
pub use report::{
    Difference, MetricReport, NativeRise, Provenance, ReplayReport, SeriesCounts, SourceReport, Written,
    WrittenRows,
};

/// What is to be derived again.
#[derive(Debug, Clone)]
pub struct ReplayRequest {
    /// Whose rows.
    pub tenant: Tenant,
    /// Name of the binding.
    pub name: String,
    /// The first millisecond since 1970.
    pub from_ms: i64,
    /// The first that is not wanted. It ends with the last tick at the latest.
    pub to_ms: i64,
    /// What takes the place of the plugin that the server has.
    pub instead: Instead,
    /// Whether what is derived takes the place of what is stored.
    pub write: bool,
    /// What the process may hold.
    pub memory: MemoryLimit,
}

/// How far a replay is; shared with who looks at it and who gives it up.
#[derive(Debug, Default)]
pub struct ReplayProgress {
    cancelled: AtomicBool,
    rows: AtomicU64,
    at_ms: AtomicI64,
    to_ms: AtomicI64,
}

impl ReplayProgress {
    /// Gives it up. What is being committed is committed.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Rows that were counted.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Up to where rows were counted, and where it ends, in milliseconds since 1970.
    pub fn at_ms(&self) -> (i64, i64) {
        (self.at_ms.load(Ordering::Relaxed), self.to_ms.load(Ordering::Relaxed))
    }

    fn is_cancelled(&self) -> Result<(), ReplayError> {
        if self.cancelled.load(Ordering::Relaxed) { Err(ReplayError::Cancelled) } else { Ok(()) }
    }
}

/// In a millisecond.
const NANOS: i64 = 1_000_000;

/// A sample, of whichever series.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    time_ms: i64,
    value: f64,
    start_ms: i64,
}

impl Sample {
    fn bits(&self) -> (i64, u64, i64) {
        (self.time_ms, self.value.to_bits(), self.start_ms)
    }
}
