//! What validators and limiters answer.

use std::time::Duration;

use crate::reason::Reason;

/// The rows that a chain of validators keeps and refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdicts {
    /// One entry per row: 0 = keep, n = `refusals[n - 1]`. Empty = keep all.
    pub rows: Vec<u8>,
    /// The reasons that occur, at most 255.
    pub refusals: Vec<RowRefusal>,
    /// Plugins that failed and were passed over (`on_error = pass`).
    pub plugin_errors: u32,
}

/// Why rows are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowRefusal {
    /// The code.
    pub reason: Reason,
    /// One sentence: field and limit.
    pub message: String,
    /// `name@version` of the plugin.
    pub plugin: String,
    /// Its sha256 in hex.
    pub digest: String,
}

impl Verdicts {
    /// Whether every row is kept.
    pub fn keeps_all(&self) -> bool {
        self.rows.iter().all(|row| *row == 0)
    }

    /// The refusal of a row, if it is refused.
    pub fn refusal(&self, row: usize) -> Option<&RowRefusal> {
        let n = usize::from(*self.rows.get(row)?);
        self.refusals.get(n.checked_sub(1)?)
    }
}

/// What the limiters decided about a whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Take it.
    Allow,
    /// Refuse it whole: nothing of it is stored.
    Deny {
        /// The code.
        reason: Reason,
        /// When it would have been taken.
        retry_after: Duration,
        /// Which bucket was empty, with its rate and burst.
        message: String,
    },
    /// Refuse it whole, now and always: it costs more than a full bucket holds.
    TooLarge {
        /// Which bucket, its burst and what the request costs.
        message: String,
    },
    /// Refuse it whole: a limiter failed and its policy is `reject`.
    Unavailable {
        /// Which plugin, and how it failed.
        message: String,
    },
}
