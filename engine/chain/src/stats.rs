//! What each binding did, counted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isinglass_model::Clock;
use parking_lot::Mutex;

use crate::buckets::{Bucket, Quota};
use crate::config::World;
use crate::costs::Costs;
use crate::failure::FailureKind;
use crate::lines::{Lines, LogLine};

/// The counters of one binding since it was loaded.
#[derive(Debug, Clone, PartialEq)]
pub struct BindingStats {
    /// Name of the binding.
    pub binding: String,
    /// `name@version` of the plugin.
    pub plugin: String,
    /// sha256 of the component in hex.
    pub digest: String,
    /// What it is used as.
    pub world: World,
    /// Whether it is tried out.
    pub shadow: bool,
    /// Calls that returned.
    pub calls: u64,
    /// Rows that it was shown.
    pub rows: u64,
    /// Thread CPU time spent in it, the host's conversion included.
    pub cpu_seconds: f64,
    /// Calls that used more than the soft budget.
    pub slow_calls: u64,
    /// Failed calls by kind; kinds that did not occur are left out.
    pub failures: BTreeMap<&'static str, u64>,
    /// Tenants for which it failed so often that it is left alone for a while.
    pub open: u64,
    /// How often such a while began.
    pub opened: u64,
    /// Rows refused by a validator, or requests refused by a limiter, by reason.
    pub rejects: BTreeMap<String, u64>,
    /// Instances, warm or busy.
    pub instances: u64,
    /// Instances made since the chain was loaded.
    pub instances_started: u64,
    /// Linear memory of all instances in bytes.
    pub memory_bytes: u64,
    /// Log lines written.
    pub log_lines: u64,
    /// Log lines over the rate, counted only.
    pub log_lines_dropped: u64,
    /// Counters that the plugin keeps by its `telemetry` import.
    pub counters: BTreeMap<String, u64>,
    /// Increments lost because of too many or too long names.
    pub counters_dropped: u64,
}

/// Where a binding counts while it runs.
#[derive(Debug)]
pub(crate) struct Meter {
    name: String,
    clock: Arc<dyn Clock>,
    pub(crate) calls: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) cpu_nanos: AtomicU64,
    pub(crate) slow_calls: AtomicU64,
    pub(crate) instances: AtomicU64,
    pub(crate) instances_started: AtomicU64,
    pub(crate) memory_bytes: AtomicU64,
    failures: [AtomicU64; FailureKind::ALL.len()],
    rejects: Mutex<BTreeMap<String, u64>>,
    log: Mutex<Bucket>,
    warnings: Mutex<Bucket>,
    log_lines: AtomicU64,
    log_lines_dropped: AtomicU64,
    pub(crate) lines: Lines,
    pub(crate) costs: Costs,
    counters: Mutex<BTreeMap<String, u64>>,
    counters_dropped: AtomicU64,
}

const LOG_LINES: Quota = Quota { per_second: 100.0, burst: 100.0 };

/// The host's own lines about failures of the plugin.
const WARNINGS: Quota = Quota { per_second: 1.0, burst: 10.0 };

/// Reasons counted apart; those beyond are counted as `other`.
const REASONS_MAX: usize = 256;

impl Meter {
    /// Counters that a plugin may have.
    pub(crate) const COUNTERS_MAX: usize = 50;

    pub(crate) fn new(name: &str, clock: Arc<dyn Clock>) -> Self {
        Self {
            name: name.to_owned(),
            clock,
            calls: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            cpu_nanos: AtomicU64::new(0),
            slow_calls: AtomicU64::new(0),
            instances: AtomicU64::new(0),
            instances_started: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            failures: Default::default(),
            rejects: Mutex::default(),
            log: Mutex::default(),
            warnings: Mutex::default(),
            log_lines: AtomicU64::new(0),
            log_lines_dropped: AtomicU64::new(0),
            lines: Lines::default(),
            costs: Costs::default(),
            counters: Mutex::default(),
            counters_dropped: AtomicU64::new(0),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, kind: FailureKind) {
        Self::add(&self.failures[kind as usize], 1);
    }

    pub(crate) fn rejected(&self, reason: &str, by: u64) {
        if by > 0 {
            add_bounded(&mut self.rejects.lock(), reason, by, REASONS_MAX);
        }
    }

    /// Keeps a line among the last ones.
    pub(crate) fn keep_line(&self, level: &'static str, tenant: &str, message: &str) {
        let (unix_ms, tenant, message) =
            (self.clock.now_unix_millis(), tenant.to_owned(), message.to_owned());
        self.lines.push(LogLine { unix_ms, level, tenant, message });
    }

    /// Whether a log line may be written now; counts it either way.
    pub(crate) fn may_log(&self) -> bool {
        let allowed = self.log.lock().take(&LOG_LINES, 1.0, self.clock.monotonic()).is_ok();
        Self::add(if allowed { &self.log_lines } else { &self.log_lines_dropped }, 1);
        allowed
    }

    /// Whether the host may log another failure of the plugin.
    pub(crate) fn may_warn(&self) -> bool {
        self.warnings.lock().take(&WARNINGS, 1.0, self.clock.monotonic()).is_ok()
    }

    pub(crate) fn counter_dropped(&self) {
        Self::add(&self.counters_dropped, 1);
    }

    /// Takes over what a call counted.
    pub(crate) fn count(&self, counted: &mut Vec<(String, u64)>) {
        if counted.is_empty() {
            return;
        }
        let mut counters = self.counters.lock();
        for (name, delta) in counted.drain(..) {
            if let Some(sum) = counters.get_mut(&name) {
                *sum = sum.saturating_add(delta);
            } else if counters.len() < Self::COUNTERS_MAX {
                counters.insert(name, delta);
            } else {
                self.counter_dropped();
            }
        }
    }

    pub(crate) fn read(&self, plugin: &str, digest: &str, world: World) -> BindingStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let failures =
            FailureKind::ALL.iter().map(|kind| (kind.as_str(), get(&self.failures[*kind as usize])));
        BindingStats {
            binding: self.name.clone(),
            plugin: plugin.to_owned(),
            digest: digest.to_owned(),
            world,
            shadow: false,
            calls: get(&self.calls),
            rows: get(&self.rows),
            cpu_seconds: Duration::from_nanos(get(&self.cpu_nanos)).as_secs_f64(),
            slow_calls: get(&self.slow_calls),
            failures: failures.filter(|(_, count)| *count > 0).collect(),
            open: 0,
            opened: 0,
            rejects: self.rejects.lock().clone(),
            instances: get(&self.instances),
            instances_started: get(&self.instances_started),
            memory_bytes: get(&self.memory_bytes),
            log_lines: get(&self.log_lines),
            log_lines_dropped: get(&self.log_lines_dropped),
            counters: self.counters.lock().clone(),
            counters_dropped: get(&self.counters_dropped),
        }
    }
}

fn add_bounded(map: &mut BTreeMap<String, u64>, key: &str, by: u64, len_max: usize) {
    let key = if map.contains_key(key) || map.len() < len_max { key } else { "other" };
    match map.get_mut(key) {
        Some(sum) => *sum = sum.saturating_add(by),
        None => {
            map.insert(key.to_owned(), by);
        }
    }
}
