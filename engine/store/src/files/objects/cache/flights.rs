//! Who fetches which piece, and who waits for it.
//!
//! A piece that somebody fetches is a flight. Whoever comes later waits for it to land and
//! sends no request. Flights end in any case: with a piece, with an error, or, when the task
//! that flew them is gone, with nothing, and then the next one claims.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::RandomState;
use bytes::Bytes;
use hashbrown::HashMap;
use object_store::Error;
use object_store::path::Path;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::PieceId;

/// Content around a piece, with its place in the file; an error is shared by all who wait.
pub(super) type Landed = Result<(Range<u64>, Bytes), Arc<Error>>;

/// All flights that are under way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    open: Mutex<HashMap<PieceId, watch::Sender<Option<Landed>>, RandomState>>,
    waits: AtomicU64,
}

/// What a read found when it came.
#[derive(Debug)]
pub(super) struct Boarding {
    /// What was there.
    pub(super) held: Vec<(Range<u64>, Bytes)>,
    /// Pieces that will come, those of `claim` too.
    pub(super) awaited: Vec<(u64, Flight)>,
    /// Pieces that the caller has to fetch, if there are any.
    pub(super) claim: Option<Claim>,
}

/// A piece that will come.
#[derive(Debug)]
pub(super) struct Flight(watch::Receiver<Option<Landed>>);

impl Flight {
    /// What came; nothing if nobody fetches it any more.
    pub(super) async fn landed(mut self) -> Option<Landed> {
        let landed = self.0.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }
}

impl Flights {
    /// Looks for pieces of a file with `look`, finds who fetches the others, and claims the
    /// rest. In one step: what has just landed is found by `look`.
    pub(super) fn board(
        self: &Arc<Self>,
        file: u128,
        wanted: &BTreeSet<u64>,
        look: impl Fn(u64) -> Option<(Range<u64>, Bytes)>,
    ) -> Boarding {
        let (mut held, mut awaited, mut claimed) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut open = self.open.lock();
        for number in wanted.iter().copied() {
            let id = PieceId { file, number };
            if let Some(flight) = open.get(&id) {
                self.waits.fetch_add(1, Ordering::Relaxed);
                awaited.push((number, Flight(flight.subscribe())));
            } else if let Some(piece) = look(number) {
                held.push(piece);
            } else {
                let (flight, waiting) = watch::channel(None);
                open.insert(id, flight);
                awaited.push((number, Flight(waiting)));
                claimed.insert(number);
            }
        }
        drop(open);
        let claim = (!claimed.is_empty()).then(|| Claim {
            flights: Arc::clone(self),
            file,
            left: Mutex::new(claimed),
        });
        Boarding { held, awaited, claim }
    }

    /// Pieces that waited for a fetch which somebody else had begun.
    pub(super) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn under_way(&self) -> usize {
        self.open.lock().len()
    }
}

/// Flights that one task has to bring to an end. Those that are left when it is dropped end
/// with nothing.
#[derive(Debug)]
pub(super) struct Claim {
    flights: Arc<Flights>,
    file: u128,
    left: Mutex<BTreeSet<u64>>,
}

impl Claim {
    /// Pieces that have not landed, ascending.
    pub(super) fn left(&self) -> Vec<u64> {
        self.left.lock().iter().copied().collect()
    }

    /// Ends one flight. What is kept must be kept before.
    pub(super) fn land(&self, number: u64, landed: Landed) {
        self.left.lock().remove(&number);
        let flight = self.flights.open.lock().remove(&PieceId { file: self.file, number });
        if let Some(flight) = flight {
            flight.send_replace(Some(landed));
        }
    }

    /// Ends these flights if nobody waits for any of them; whether it did.
    pub(super) fn give_up(&self, numbers: Range<u64>) -> bool {
        let mut open = self.flights.open.lock();
        let id = |number| PieceId { file: self.file, number };
        let waits = |number| open.get(&id(number)).is_some_and(|flight| flight.receiver_count() > 0);
        if numbers.clone().any(waits) {
            return false;
        }
        let mut left = self.left.lock();
        for number in numbers {
            open.remove(&id(number));
            left.remove(&number);
        }
        true
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let left = std::mem::take(self.left.get_mut());
        let mut open = self.flights.open.lock();
        for number in left {
            open.remove(&PieceId { file: self.file, number });
        }
    }
}

/// One error, told to several.
#[derive(Debug, thiserror::Error)]
struct Shared(Arc<Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            // The kind is said by the error around it.
            Error::NotFound { source, .. }
            | Error::PermissionDenied { source, .. }
            | Error::Unauthenticated { source, .. }
            | Error::Generic { source, .. } => source.fmt(f),
            error => error.fmt(f),
        }
    }
}

/// What was told to several; any other error as it is.
pub(in crate::files::objects) fn unshared(error: &Error) -> &Error {
    match error {
        Error::NotFound { source, .. }
        | Error::PermissionDenied { source, .. }
        | Error::Unauthenticated { source, .. }
        | Error::Generic { source, .. } => source.downcast_ref::<Shared>().map_or(error, |shared| &shared.0),
        _ => error,
    }
}

/// The error for one of those who waited, of the same kind where somebody may ask for that.
pub(super) fn shared(path: &Path, error: &Arc<Error>) -> Error {
    let (path, source) = (path.to_string(), Box::new(Shared(Arc::clone(error))));
    match &**error {
        Error::NotFound { .. } => Error::NotFound { path, source },
        Error::PermissionDenied { .. } => Error::PermissionDenied { path, source },
        Error::Unauthenticated { .. } => Error::Unauthenticated { path, source },
        Error::Generic { store, .. } => Error::Generic { store, source },
        _ => Error::Generic { store: "tables", source },
    }
}
