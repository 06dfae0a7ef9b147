//! A group: its rules evaluated in order at one time, what they write, and what is remembered.

mod alerting;
mod carry;
mod evaluate;
mod recording;
mod restore;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use isinglass_model::tenant::Tenant;
use isinglass_promql::Labels;

use crate::alert::{Alert, AlertState};
use crate::file::{AlertSpec, GroupSpec, RuleKind, RuleSpec};
use crate::ports::{Evaluate, Notify, RuleClock, UnixNanos, Write};

pub use alerting::{ALERT_NAME, ALERTS, ALERTS_FOR_STATE};

/// Nanoseconds of a millisecond.
const MILLI: i64 = 1_000_000;

/// What groups of all tenants have in common.
#[derive(Clone)]
pub struct Environment {
    /// The engine.
    pub evaluate: Arc<dyn Evaluate>,
    /// The store.
    pub write: Arc<dyn Write>,
    /// Who is told of alerts.
    pub notify: Arc<dyn Notify>,
    /// The clock.
    pub clock: Arc<dyn RuleClock>,
    /// How rules are run.
    pub settings: Arc<Settings>,
}

/// How rules are run.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Labels of this instance, for templates.
    pub external_labels: Arc<BTreeMap<String, String>>,
    /// Where this instance is reached, for templates and links.
    pub external_url: Arc<str>,
    /// Interval of groups that name none, milliseconds.
    pub interval_ms: i64,
    /// Query offset of groups that name none, milliseconds.
    pub query_offset_ms: i64,
    /// Series or alerts that a rule may have, at most, whatever its group says; 0 = any number.
    pub series_max: usize,
    /// An alert that still fires is told of again after so long, milliseconds.
    pub resend_delay_ms: i64,
    /// `for` is restored after an outage of at most this, milliseconds.
    pub outage_tolerance_ms: i64,
    /// A restored alert does not fire sooner than this after the start, milliseconds. Alerts
    /// with a shorter `for` are not restored.
    pub for_grace_period_ms: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            external_labels: Arc::default(),
            external_url: "".into(),
            interval_ms: 60_000,
            query_offset_ms: 0,
            series_max: 0,
            resend_delay_ms: 60_000,
            outage_tolerance_ms: 3_600_000,
            for_grace_period_ms: 600_000,
        }
    }
}

/// How a rule did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It has not been evaluated.
    Unknown,
    /// The last evaluation went well.
    Ok,
    /// The last evaluation failed.
    Err,
}

/// A rule and what is remembered of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it says.
    pub spec: Arc<RuleSpec>,
    /// How its last evaluation went.
    pub health: Health,
    /// Why it failed.
    pub last_error: Option<String>,
    /// How long its last evaluation took, nanoseconds.
    pub evaluation_nanos: i64,
    /// When it was evaluated last.
    pub last_evaluation: Option<UnixNanos>,
    /// Series that its last evaluation wrote.
    written: BTreeSet<Labels>,
    /// Its alerts by their labels, resolved ones among them.
    active: BTreeMap<Labels, Alert>,
    /// Whether `ALERTS` are written: not before the state of the time before a restart was read.
    restored: bool,
}

impl Rule {
    /// What only an alerting rule has.
    pub fn alerting(&self) -> Option<&AlertSpec> {
        match &self.spec.kind {
            RuleKind::Alerting(spec) => Some(spec),
            RuleKind::Recording => None,
        }
    }

    /// The alerts that are not resolved.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.active.values().filter(|alert| alert.resolved_at.is_none())
    }

    /// The most urgent state of its alerts.
    pub fn state(&self) -> AlertState {
        if self.last_evaluation.is_none() {
            return AlertState::Unknown;
        }
        self.active.values().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }
}

/// What was done by a group since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Times at which it was due, missed ones among them.
    pub iterations: u64,
    /// Times at which it was due and not evaluated, because the one before took too long.
    pub iterations_missed: u64,
    /// Evaluations of rules.
    pub evaluations: u64,
    /// Evaluations of rules that failed.
    pub failures: u64,
    /// Samples of its last evaluation.
    pub samples_last: u64,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Whose rules they are.
    pub tenant: Tenant,
    /// The file it stands in.
    pub file: Arc<str>,
    /// What it says.
    pub spec: Arc<GroupSpec>,
    /// How often it is evaluated, nanoseconds.
    pub interval: i64,
    /// Its rules.
    pub rules: Vec<Rule>,
    /// How long its last evaluation took, nanoseconds.
    pub evaluation_nanos: i64,
    /// When it was evaluated last.
    pub last_evaluation: Option<UnixNanos>,
    /// What was done.
    pub counts: Counts,
    query_offset_ms: i64,
    /// Series or alerts that a rule may have; 0 = any number.
    limit: usize,
    /// Series of rules that are no more: they get a stale marker.
    gone: Vec<Labels>,
    /// Whether the state of alerts is to be read back.
    restores: bool,
}

impl Group {
    /// A group that has not been evaluated. With `restores` its alerts go on where they were
    /// before a restart, see [`Group::restore`]: until then no `ALERTS` are written.
    pub fn new(tenant: Tenant, file: Arc<str>, spec: GroupSpec, settings: &Settings, restores: bool) -> Self {
        let rules = spec.rules.iter().map(|rule| rule_of(rule, restores)).collect();
        Self {
            tenant,
            file,
            interval: spec.interval_ms.unwrap_or(settings.interval_ms).max(1).saturating_mul(MILLI),
            query_offset_ms: spec.query_offset_ms.unwrap_or(settings.query_offset_ms),
            limit: lower(spec.limit, settings.series_max),
            spec: Arc::new(spec),
            rules,
            evaluation_nanos: 0,
            last_evaluation: None,
            counts: Counts::default(),
            gone: Vec::new(),
            restores,
        }
    }

    /// Whether [`Group::restore`] has something to do.
    pub fn restores(&self) -> bool {
        self.restores
    }

    /// The time of samples and queries of an evaluation, milliseconds.
    fn sample_time_ms(&self, now: UnixNanos) -> i64 {
        now.div_euclid(MILLI).saturating_sub(self.query_offset_ms)
    }
}

/// The lower one of two limits; 0 is none.
fn lower(one: usize, other: usize) -> usize {
    match (one, other) {
        (0, limit) | (limit, 0) => limit,
        (one, other) => one.min(other),
    }
}

fn rule_of(spec: &RuleSpec, restores: bool) -> Rule {
    Rule {
        spec: Arc::new(spec.clone()),
        health: Health::Unknown,
        last_error: None,
        evaluation_nanos: 0,
        last_evaluation: None,
        written: BTreeSet::new(),
        active: BTreeMap::new(),
        restored: !restores,
    }
}
