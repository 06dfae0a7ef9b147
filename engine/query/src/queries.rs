//! Which queries run, and which ran lately.
//!
//! A query is noted when it arrives and closed when its last row is read, when it fails, or
//! when nobody wants its answer any more. Closed ones stay in a ring of
//! [`crate::QueryConfig::queries_kept`] for all tenants together: the oldest goes first. Those that
//! were slow stay in a ring of their own, so that the quick ones do not push them out.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use datafusion::physical_plan::ExecutionPlan;
use hashbrown::HashMap;
use isinglass_model::{Clock, Tenant};
use parking_lot::Mutex;

use crate::config::QueryConfig;
use crate::error::QueryError;
use crate::read::Read;

/// Bytes of a query's text that are kept.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Bytes of an error that are kept.
const ERROR_BYTES_MAX: usize = 1 << 10;

/// How far a query is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// For its turn, or for the log to be read.
    #[default]
    Waiting,
    Planning,
    Running,
    /// All rows were read.
    Done,
    Failed,
    /// Nobody wanted the rest of its rows.
    Cancelled,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Planning => "planning",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// In which language a query is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Sql,
    Promql,
}

impl Language {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Promql => "promql",
        }
    }
}

/// How many finished queries are remembered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    pub(crate) finished: usize,
    pub(crate) slow: usize,
    /// From so long on a query is slow.
    pub(crate) slow_from: Duration,
}

impl Kept {
    pub(crate) fn of(config: &QueryConfig) -> Self {
        let slow_from = Duration::from_millis(config.slow_ms);
        Self { finished: config.queries_kept, slow: config.slow_queries_kept, slow_from }
    }
}

/// A query as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// Counted from 1 in this process.
    pub(crate) id: u64,
    pub(crate) language: Language,
    pub(crate) text: Arc<str>,
    pub(crate) started_unix_nanos: i64,
    pub(crate) state: State,
    /// From its arrival until now or until its end.
    pub(crate) took: Duration,
    /// How much of that before it was planned.
    pub(crate) waited: Duration,
    /// How much of that in planning.
    pub(crate) planned: Duration,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) memory_peak: usize,
    pub(crate) read: Read,
    pub(crate) error: Option<String>,
}

/// All queries of a process.
pub(crate) struct Queries {
    clock: Arc<dyn Clock>,
    kept: Kept,
    next: AtomicU64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    running: BTreeMap<u64, Arc<Entry>>,
    finished: VecDeque<Arc<Entry>>,
    slow: VecDeque<Arc<Entry>>,
}

impl Queries {
    pub(crate) fn new(clock: Arc<dyn Clock>, kept: Kept) -> Arc<Self> {
        Arc::new(Self { clock, kept, next: AtomicU64::new(1), known: Mutex::default() })
    }

    /// Notes a query that has arrived.
    pub(crate) fn begin(self: &Arc<Self>, tenant: &Tenant, language: Language, text: &str) -> Tracked {
        let entry = Arc::new(Entry {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            tenant: tenant.clone(),
            language,
            text: cut(text, TEXT_BYTES_MAX).into(),
            started_unix_nanos: self.clock.now_unix_nanos(),
            started: self.clock.monotonic(),
            clock: Arc::clone(&self.clock),
            memory_peak: Arc::default(),
            progress: Mutex::default(),
        });
        self.known.lock().running.insert(entry.id, Arc::clone(&entry));
        Tracked { queries: Arc::clone(self), entry }
    }

    /// Those of a tenant, oldest first.
    pub(crate) fn of(&self, tenant: &Tenant) -> Vec<Shown> {
        let known = self.known.lock();
        let all = known.finished.iter().chain(known.running.values());
        let mut entries: Vec<Arc<Entry>> =
            all.filter(|entry| entry.tenant == *tenant).map(Arc::clone).collect();
        drop(known);
        entries.sort_unstable_by_key(|entry| entry.id);
        entries.iter().map(|entry| entry.shown()).collect()
    }

    /// Those of a tenant that were slow, oldest first.
    pub(crate) fn slow_of(&self, tenant: &Tenant) -> Vec<Shown> {
        let known = self.known.lock();
        let own = known.slow.iter().filter(|entry| entry.tenant == *tenant);
        let entries: Vec<Arc<Entry>> = own.map(Arc::clone).collect();
        drop(known);
        entries.iter().map(|entry| entry.shown()).collect()
    }

    fn finish(&self, entry: &Arc<Entry>) {
        let mut known = self.known.lock();
        known.running.remove(&entry.id);
        known.finished.push_back(Arc::clone(entry));
        while known.finished.len() > self.kept.finished {
            known.finished.pop_front();
        }
        if entry.took() >= self.kept.slow_from {
            known.slow.push_back(Arc::clone(entry));
            while known.slow.len() > self.kept.slow {
                known.forget_slow();
            }
        }
    }
}

impl Known {
    /// The oldest one of the tenant that has most, so that one tenant does not push out another's.
    fn forget_slow(&mut self) {
        let mut counts: HashMap<&Tenant, usize> = HashMap::new();
        for entry in &self.slow {
            *counts.entry(&entry.tenant).or_default() += 1;
        }
        let most = counts.values().copied().max().unwrap_or_default();
        let oldest = self.slow.iter().position(|entry| counts.get(&entry.tenant) == Some(&most));
        drop(counts);
        if let Some(oldest) = oldest {
            self.slow.remove(oldest);
        }
    }
}

impl fmt::Debug for Queries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.lock();
        write!(f, "Queries({} running, {} finished)", known.running.len(), known.finished.len())
    }
}

/// One query.
pub(crate) struct Entry {
    id: u64,
    tenant: Tenant,
    language: Language,
    text: Arc<str>,
    started_unix_nanos: i64,
    started: Duration,
    clock: Arc<dyn Clock>,
    memory_peak: Arc<AtomicUsize>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    state: State,
    waited: Option<Duration>,
    planned: Option<Duration>,
    took: Option<Duration>,
    rows: u64,
    bytes: u64,
    error: Option<String>,
    /// What runs, while it does.
    plan: Option<Arc<dyn ExecutionPlan>>,
    read: Read,
}

impl Entry {
    /// Where its memory pool notes how full it was.
    pub(crate) fn memory_peak(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.memory_peak)
    }

    /// It has its turn.
    pub(crate) fn planning(&self) {
        self.note(|progress, since| (progress.state, progress.waited) = (State::Planning, Some(since)));
    }

    /// Its plan runs.
    pub(crate) fn running(&self, plan: &Arc<dyn ExecutionPlan>) {
        self.note(|progress, since| {
            progress.state = State::Running;
            progress.planned = Some(since.saturating_sub(progress.waited.unwrap_or_default()));
            progress.plan = Some(Arc::clone(plan));
        });
    }

    /// It runs without a plan that could tell what it reads.
    pub(crate) fn evaluating(&self) {
        self.note(|progress, since| {
            progress.state = State::Running;
            progress.planned = Some(since.saturating_sub(progress.waited.unwrap_or_default()));
        });
    }

    /// What a query without a plan has read.
    pub(crate) fn read(&self, read: Read) {
        self.note(|progress, _| progress.read = read);
    }

    /// What was read so far.
    pub(crate) fn read_so_far(&self) -> Read {
        let progress = self.progress.lock();
        progress.plan.as_ref().map_or(progress.read, Read::of)
    }

    /// From its arrival to its end, or until now.
    fn took(&self) -> Duration {
        let since = self.since();
        self.progress.lock().took.unwrap_or(since)
    }

    /// Changes a query that has not ended.
    fn note(&self, change: impl FnOnce(&mut Progress, Duration)) {
        let since = self.since();
        let mut progress = self.progress.lock();
        if progress.took.is_none() {
            change(&mut progress, since);
        }
    }

    fn since(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    /// Whether this is the first end.
    fn end(&self, state: State, error: Option<String>) -> bool {
        let mut first = false;
        self.note(|progress, since| {
            first = true;
            (progress.state, progress.took, progress.error) = (state, Some(since), error);
            progress.read = progress.plan.take().map_or(progress.read, |plan| Read::of(&plan));
        });
        first
    }

    fn shown(&self) -> Shown {
        let since = self.since();
        let progress = self.progress.lock();
        let took = progress.took.unwrap_or(since);
        let waited = progress.waited.unwrap_or(took);
        Shown {
            id: self.id,
            language: self.language,
            text: Arc::clone(&self.text),
            started_unix_nanos: self.started_unix_nanos,
            state: progress.state,
            took,
            waited,
            planned: progress.planned.unwrap_or(took.saturating_sub(waited)),
            rows: progress.rows,
            bytes: progress.bytes,
            memory_peak: self.memory_peak.load(Ordering::Relaxed),
            read: progress.plan.as_ref().map_or(progress.read, Read::of),
            error: progress.error.clone(),
        }
    }
}

/// Whoever waits for the answer holds this. Dropped before the end it says that nobody
/// wants the rest.
pub(crate) struct Tracked {
    queries: Arc<Queries>,
    entry: Arc<Entry>,
}

impl Tracked {
    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    /// Some rows were read.
    pub(crate) fn rows(&self, rows: u64, bytes: u64) {
        self.entry.note(|progress, _| {
            progress.rows += rows;
            progress.bytes += bytes;
        });
    }

    /// All rows were read.
    pub(crate) fn done(&self) {
        self.end(State::Done, None);
    }

    pub(crate) fn failed(&self, error: &QueryError) {
        self.end(State::Failed, Some(cut(&error.to_string(), ERROR_BYTES_MAX)));
    }

    fn end(&self, state: State, error: Option<String>) {
        if self.entry.end(state, error) {
            self.queries.finish(&self.entry);
        }
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.end(State::Cancelled, None);
    }
}

/// The first bytes of a text, with a mark if it goes on.
fn cut(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)])
}

#[cfg(test)]
mod tests {
    use isinglass_model::ErrorKind;
    use isinglass_model::clock::ManualClock;

    use super::*;

    fn states(queries: &Queries, tenant: &Tenant) -> Vec<(u64, &'static str, u64)> {
        queries.of(tenant).iter().map(|q| (q.id, q.state.as_str(), q.took.as_secs())).collect()
    }

    fn kept(finished: usize) -> Kept {
        Kept { finished, slow: 3, slow_from: Duration::from_secs(2) }
    }

    #[test]
    fn slow_ones_are_kept_apart_and_of_each_tenant() {
        let clock = Arc::new(ManualClock::at(0));
        let queries = Queries::new(Arc::clone(&clock) as _, kept(1));
        let (a, b) = (Tenant::new("a").unwrap(), Tenant::new("b").unwrap());
        let slow = |tenant: &Tenant, text: &str, seconds: u64| {
            let tracked = queries.begin(tenant, Language::Promql, text);
            clock.advance(Duration::from_secs(seconds));
            tracked.done();
        };
        slow(&b, "b", 2);
        for text in ["one", "two", "three", "four"] {
            slow(&a, text, 3);
            slow(&a, "quick", 1);
        }
        let texts = |tenant: &Tenant| -> Vec<String> {
            queries.slow_of(tenant).iter().map(|query| query.text.to_string()).collect()
        };
        assert_eq!(texts(&a), ["three", "four"]);
        assert_eq!(texts(&b), ["b"]);
        assert_eq!(queries.slow_of(&b)[0].language.as_str(), "promql");
    }

    #[test]
    fn a_query_ends_once() {
        let clock = Arc::new(ManualClock::at(1_000));
        let queries = Queries::new(Arc::clone(&clock) as _, kept(2));
        let (a, b) = (Tenant::new("a").unwrap(), Tenant::new("b").unwrap());
        let first = queries.begin(&a, Language::Sql, "select 1");
        clock.advance(Duration::from_secs(1));
        first.entry().planning();
        assert_eq!(states(&queries, &a), [(1, "planning", 1)]);
        assert_eq!(states(&queries, &b), []);
        first.done();
        clock.advance(Duration::from_secs(1));
        first.failed(&QueryError::new(ErrorKind::Internal, "too late"));
        drop(first);
        assert_eq!(states(&queries, &a), [(1, "done", 1)]);
        drop(queries.begin(&a, Language::Sql, "select 2"));
        assert_eq!(states(&queries, &a), [(1, "done", 1), (2, "cancelled", 0)]);
    }

    #[test]
    fn the_oldest_is_forgotten_first_and_what_runs_never() {
        let queries = Queries::new(Arc::new(ManualClock::at(0)), kept(2));
        let tenant = Tenant::default();
        let running = queries.begin(&tenant, Language::Sql, "select 1");
        for _ in 0..3 {
            queries.begin(&tenant, Language::Sql, "select 2").done();
        }
        let left = [(1, "waiting", 0), (3, "done", 0), (4, "done", 0)];
        assert_eq!(states(&queries, &tenant), left);
        drop(running);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "ä…");
        assert_eq!(cut("äöü", 6), "äöü");
    }
}
