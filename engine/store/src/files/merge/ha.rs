//! One series of several replicas.
//!
//! Two Prometheus servers of one configuration send every sample twice, under
//! labels that differ in the replica's name. To the store those are different
//! series, and they stay so until they are merged: then the caller says which
//! series are one ([`HaDedup`]), and of each time one replica's samples stay.
//!
//! Which replica that is, is decided for a cluster, not a series, so that sums
//! and ratios over series are of one replica: the first to come stays chosen as
//! long as it is heard of. Silent for longer than the failover time it is
//! replaced, from its last sample on: looking back there is no need to wait for
//! the failover to be sure, as a tracker at the door must. A series that the
//! chosen replica does not have, or not for longer than the failover time, is
//! filled up from another one, so nothing is lost that only one of them saw.
//!
//! Samples that are already under the common series were chosen once. They stay,
//! and late ones of replicas only fill gaps between them.
//!
//! Renamed samples are out of order, so they take another way: they are
//! collected, sorted, and put as files of their own ([`spill`]), which tell the
//! replica of each row and are merged with the rest.

mod election;
mod spill;

use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use hashbrown::HashMap;

pub(super) use election::{Election, Elections, Presence};
pub(super) use spill::{REPLICA_COLUMN, schema_with_replicas, spill};

/// Which series are one, but for the replica that wrote them.
#[derive(Debug, Clone)]
pub(crate) struct HaDedup {
    /// By the id of the replica's series. A common series that has a row in
    /// `series`, which the caller commits first, needs no entry.
    pub(crate) replicas: Arc<HashMap<i64, Replica, RandomState>>,
    /// A replica that was not heard of for so long is replaced; 30 s is usual.
    pub(crate) failover: Duration,
}

/// Who wrote a series, and which series it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Id of the series without the replica's label. Of the same metric.
    pub(crate) series_id: i64,
    /// Number of the cluster; replicas of one cluster replace each other.
    pub(crate) cluster: u32,
    /// Number of the replica in its cluster, from 1.
    pub(crate) replica: u32,
}

impl HaDedup {
    /// Whether the samples of a series become those of another.
    pub(super) fn replaces(&self, series_id: i64) -> bool {
        self.replicas.contains_key(&series_id)
    }

    /// In microseconds, as times are in files.
    fn failover_us(&self) -> i64 {
        i64::try_from(self.failover.as_micros()).unwrap_or(i64::MAX)
    }
}
