//! What is counted of every request to the object store.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use isinglass_model::Clock;
use object_store::{Error, Result};

/// What is asked of an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Put,
    Get,
    List,
    Delete,
    Copy,
}

impl Operation {
    const ALL: [Self; 5] = [Self::Put, Self::Get, Self::List, Self::Delete, Self::Copy];

    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::List => "list",
            Self::Delete => "delete",
            Self::Copy => "copy",
        }
    }
}

/// Figures of one operation on the object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectStats {
    /// Calls that ended; a call may be several requests, because the client tries again.
    pub calls: u64,
    /// Those that failed. "Not there" and "there already" are answers and not failures.
    pub errors: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Time of all calls together.
    pub time: Duration,
}

#[derive(Debug, Default)]
struct Counter {
    calls: AtomicU64,
    errors: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

/// Counters of all operations.
#[derive(Debug)]
pub(crate) struct Counters {
    clock: Arc<dyn Clock>,
    operations: [Counter; Operation::ALL.len()],
}

impl Counters {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, operations: Default::default() }
    }

    /// The figures, by operation.
    pub(crate) fn stats(&self) -> BTreeMap<&'static str, ObjectStats> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let stats = |counter: &Counter| ObjectStats {
            calls: of(&counter.calls),
            errors: of(&counter.errors),
            bytes: of(&counter.bytes),
            time: Duration::from_nanos(of(&counter.nanos)),
        };
        Operation::ALL.iter().map(|op| (op.name(), stats(&self.operations[*op as usize]))).collect()
    }

    /// A call begins; it is counted when the answer is dropped.
    pub(super) fn begin(self: &Arc<Self>, operation: Operation) -> Call {
        let start = self.clock.monotonic();
        Call { counters: Arc::clone(self), operation, start, failed: AtomicBool::new(false) }
    }
}

/// A call that is under way.
#[derive(Debug)]
pub(super) struct Call {
    counters: Arc<Counters>,
    operation: Operation,
    start: Duration,
    failed: AtomicBool,
}

impl Call {
    fn counter(&self) -> &Counter {
        &self.counters.operations[self.operation as usize]
    }

    pub(super) fn bytes(&self, bytes: u64) {
        self.counter().bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn saw<T>(&self, result: &Result<T>) {
        if let Err(error) = result {
            self.failed_with(error);
        }
    }

    pub(super) fn failed_with(&self, error: &Error) {
        let answer = matches!(
            error,
            Error::NotFound { .. }
                | Error::AlreadyExists { .. }
                | Error::Precondition { .. }
                | Error::NotModified { .. }
        );
        if !answer {
            self.failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let took = self.counters.clock.monotonic().saturating_sub(self.start);
        let counter = self.counter();
        counter.calls.fetch_add(1, Ordering::Relaxed);
        counter.errors.fetch_add(u64::from(self.failed.load(Ordering::Relaxed)), Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        counter.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}
