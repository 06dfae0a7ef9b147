//! When a machine dies, or an operation of it fails.

use std::fmt;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

/// What a machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Operation {
    Create,
    MakeFolder,
    Write,
    Sync,
    Link,
    Rename,
    Unlink,
    SyncFolder,
    /// A request to an object store.
    Connect,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}").to_lowercase();
        f.write_str(&name)
    }
}

/// Operations that fail while the machine lives on.
#[derive(Debug, Clone)]
struct Failing {
    /// The first, counted from 1, and how many after it.
    from: u64,
    count: u64,
    only: &'static [Operation],
    error: io::ErrorKind,
    /// How many did.
    hit: u64,
}

/// The operation that was the last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) operation: Operation,
    /// The file or object.
    pub(crate) what: String,
    pub(crate) number: u64,
}

impl Death {
    /// What a machine was at that lived as long as it was let.
    pub(crate) const THE_END: &str = "the end";
}

/// Counts operations, and ends the machine at one of them. Clones are one fuse.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fuse(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    operations: u64,
    /// 0 = never.
    dies_at: u64,
    fails: Option<Failing>,
    death: Option<Death>,
}

/// Whether an operation is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is, and the machine lives on.
    Done,
    /// It is done, and nobody learns of it.
    DoneAndDead,
}

impl Fuse {
    /// Dies at the operation of this number, counted from 1.
    pub(crate) fn of(dies_at: u64) -> Self {
        Self(Arc::new(Mutex::new(State { dies_at, ..State::default() })))
    }

    /// From the operation `from` on, `count` of those that are in `only` fail.
    pub(crate) fn failing(from: u64, count: u64, only: &'static [Operation], error: io::ErrorKind) -> Self {
        let fails = Some(Failing { from, count, only, error, hit: 0 });
        Self(Arc::new(Mutex::new(State { fails, ..State::default() })))
    }

    /// Nothing fails any more; answers how many operations did.
    pub(crate) fn heal(&self) -> u64 {
        self.0.lock().fails.take().map_or(0, |fails| fails.hit)
    }

    /// Dies now.
    pub(crate) fn blow(&self) {
        let mut state = self.0.lock();
        let number = state.operations;
        let what = Death::THE_END.to_owned();
        state.death.get_or_insert(Death { operation: Operation::Sync, what, number });
    }

    pub(crate) fn death(&self) -> Option<Death> {
        self.0.lock().death.clone()
    }

    /// Dies at an operation counted from now.
    pub(crate) fn dies_in(&self, operations: u64) {
        let mut state = self.0.lock();
        state.dies_at = state.operations + operations;
    }

    /// Before an operation: `Err` if it is not done, because the machine is dead or dies
    /// of it. Every other death is after the deed.
    pub(crate) fn burn(&self, operation: Operation, what: &str) -> io::Result<Fate> {
        self.0.lock().burn(operation, what)
    }

    /// Does `deed` as far as it is done. Nothing else is done meanwhile, so that who lets
    /// a machine die finds all of a deed or nothing.
    pub(crate) fn around<T>(
        &self,
        operation: Operation,
        what: &str,
        deed: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.0.lock();
        let fate = state.burn(operation, what)?;
        let done = deed();
        if fate == Fate::DoneAndDead { Err(off()) } else { done }
    }
}

impl State {
    fn burn(&mut self, operation: Operation, what: &str) -> io::Result<Fate> {
        if self.death.is_some() {
            return Err(off());
        }
        self.operations += 1;
        let number = self.operations;
        if let Some(fails) = &mut self.fails
            && number >= fails.from
            && fails.hit < fails.count
            && fails.only.contains(&operation)
        {
            fails.hit += 1;
            return Err(fails.error.into());
        }
        if self.operations != self.dies_at {
            return Ok(Fate::Done);
        }
        self.death = Some(Death { operation, what: what.to_owned(), number });
        if number.is_multiple_of(2) { Ok(Fate::DoneAndDead) } else { Err(off()) }
    }
}

fn off() -> io::Error {
    io::Error::other("this machine is off")
}
