//! One alert: pending, firing, resolved.

use std::fmt;

use isinglass_promql::Labels;
use serde::Serialize;

use crate::ports::UnixNanos;
use crate::template::time::SECOND;

/// A resolved alert is kept for so long, so that every receiver hears of it.
pub const RESOLVED_RETENTION: i64 = 15 * 60 * SECOND;

/// States of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Its rule has not been evaluated yet.
    Unknown,
    /// It is resolved.
    Inactive,
    /// Its series is there, but not yet for long enough.
    Pending,
    /// It fires.
    Firing,
}

impl fmt::Display for AlertState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        })
    }
}

/// An alert of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its state.
    pub state: AlertState,
    /// Its labels, which tell it from others of the rule.
    pub labels: Labels,
    /// Its annotations, by name.
    pub annotations: Vec<(String, String)>,
    /// The value of its series; 0 of a histogram.
    pub value: f64,
    /// Since when its series is there.
    pub active_at: UnixNanos,
    /// Since when it fires.
    pub fired_at: Option<UnixNanos>,
    /// When it was resolved.
    pub resolved_at: Option<UnixNanos>,
    /// When it was last told of.
    pub last_sent_at: Option<UnixNanos>,
    /// When it counts as resolved if nothing more is said.
    pub valid_until: Option<UnixNanos>,
    /// Since when it fires without a series.
    pub keep_firing_since: Option<UnixNanos>,
}

/// How long things take in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holds {
    /// Pending before it fires, nanoseconds.
    pub hold: i64,
    /// Firing on after its series has gone, nanoseconds.
    pub keep_firing: i64,
}

impl Alert {
    /// A series that has come.
    pub fn pending(labels: Labels, annotations: Vec<(String, String)>, value: f64, now: UnixNanos) -> Self {
        Self {
            state: AlertState::Pending,
            labels,
            annotations,
            value,
            active_at: now,
            fired_at: None,
            resolved_at: None,
            last_sent_at: None,
            valid_until: None,
            keep_firing_since: None,
        }
    }

    /// Its series is there: it fires once it has been for long enough.
    pub fn seen(&mut self, now: UnixNanos, holds: Holds) {
        self.keep_firing_since = None;
        self.fire_if_due(now, holds);
    }

    /// Pending and firing by how long it has been active: a `for` that has grown by a reload takes
    /// an alert back.
    fn fire_if_due(&mut self, now: UnixNanos, holds: Holds) {
        let is_due = now.saturating_sub(self.active_at) >= holds.hold;
        if self.state == AlertState::Pending && is_due {
            self.state = AlertState::Firing;
            self.fired_at = Some(now);
        }
        if self.state == AlertState::Firing && !is_due {
            self.state = AlertState::Pending;
            self.fired_at = None;
            self.last_sent_at = None;
            self.keep_firing_since = None;
        }
    }

    /// Its series has gone. What becomes of it is said.
    pub fn missed(&mut self, now: UnixNanos, holds: Holds) -> Missed {
        if self.keeps_firing(now, holds) {
            self.fire_if_due(now, holds);
            return Missed::Active;
        }
        let is_over = |at: UnixNanos| now.saturating_sub(at) > RESOLVED_RETENTION;
        if self.state == AlertState::Pending || self.resolved_at.is_some_and(is_over) {
            return Missed::Gone;
        }
        if self.state != AlertState::Inactive {
            self.state = AlertState::Inactive;
            self.resolved_at = Some(now);
        }
        Missed::Resolved
    }

    fn keeps_firing(&mut self, now: UnixNanos, holds: Holds) -> bool {
        if self.state != AlertState::Firing || holds.keep_firing == 0 {
            return false;
        }
        let since = *self.keep_firing_since.get_or_insert(now);
        now.saturating_sub(since) < holds.keep_firing
    }

    /// Whether it is to be told of: it fires or was resolved, and that is news or was said long ago.
    pub fn needs_sending(&self, now: UnixNanos, resend_delay: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(sent) = self.last_sent_at else { return true };
        self.resolved_at.is_some_and(|resolved| resolved > sent) || sent.saturating_add(resend_delay) < now
    }
}

/// What becomes of an alert whose series has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It fires on.
    Active,
    /// It is resolved and kept for a while.
    Resolved,
    /// Nothing is left of it.
    Gone,
}
