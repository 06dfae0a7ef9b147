//! Halves of derivers that are tried out: they wait for each other here, apart from those of
//! derivers that are enforced.
//!
//! A trial that ends takes them along, and so does one that is promoted: what is enforced counts
//! the rows that come from then on, as after a start.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use isinglass_chain::{Chain, Shadow};
use isinglass_model::Tenant;
use isinglass_model::deltas::{Deltas, DerivedMetric, Halves, Pairing};

use super::sums::About;
use crate::derived::Pairs;

/// Halves that wait, all trials and tenants together: some 250 bytes each. Those beyond it are
/// dropped, as they are beyond `pending_max`.
const WAITING_MAX: usize = 200_000;

/// Trials and tenants that have ever had halves. Beyond it, those of which none waits are
/// forgotten; they have nothing but label sets to lose.
const TRIALS_MAX: usize = 1_000;

/// All trials of derivers that pair rows.
#[derive(Debug, Default)]
pub(super) struct TrialPairs {
    trials: HashMap<(u64, Tenant), Trial, ahash::RandomState>,
    waiting: usize,
}

/// One plugin with its configuration, and one tenant.
#[derive(Debug)]
struct Trial {
    about: Arc<About>,
    metrics: Arc<[DerivedMetric]>,
    pairing: Arc<Pairing>,
    pairs: Pairs,
    /// Requests are looked at one after the other, but not quite in the order of their time.
    latest: Duration,
}

/// What halves of a trial came to.
pub(super) struct Came {
    pub(super) tenant: Tenant,
    pub(super) about: Arc<About>,
    pub(super) metrics: Arc<[DerivedMetric]>,
    pub(super) deltas: Vec<Deltas>,
}

fn identity(shadow: Shadow<'_>) -> u64 {
    let mut identity = DefaultHasher::new();
    shadow.name().hash(&mut identity);
    shadow.identity().hash(&mut identity);
    identity.finish()
}

impl TrialPairs {
    /// Takes the halves of a batch that came at a time on the monotonic clock.
    pub(super) fn take(
        &mut self,
        shadow: Shadow<'_>,
        (tenant, about): (&Tenant, &Arc<About>),
        halves: &Halves,
        at: Duration,
    ) -> Vec<Deltas> {
        let Some(pairing) = shadow.pairing(tenant) else { return Vec::new() };
        if self.trials.len() >= TRIALS_MAX {
            self.trials.retain(|_, trial| !trial.pairs.is_empty());
        }
        let waiting = self.waiting;
        let trial = self.trials.entry((identity(shadow), tenant.clone())).or_insert_with(|| Trial {
            about: Arc::clone(about),
            metrics: shadow.metrics(tenant).into(),
            pairing: Arc::clone(pairing),
            pairs: Pairs::default(),
            latest: at,
        });
        let own = trial.pairs.len();
        trial.latest = trial.latest.max(at);
        let room = own + WAITING_MAX.saturating_sub(waiting);
        let pairing = bounded(&trial.pairing, room);
        let joined = trial.pairs.take(&pairing, &trial.metrics, halves, &|_, _| None, trial.latest);
        self.waiting = waiting - own + trial.pairs.len();
        joined.deltas
    }

    /// Ends the wait of halves that waited long enough, and forgets those whose trial is over.
    /// With `all` it ends the wait of all.
    pub(super) fn expire(&mut self, chain: &Chain, now: Duration, all: bool) -> Vec<Came> {
        self.trials.retain(|(of, tenant), trial| {
            chain.shadows(tenant, trial.about.signal).any(|shadow| identity(shadow) == *of)
        });
        let mut came = Vec::new();
        for ((_, tenant), trial) in &mut self.trials {
            let Trial { about, metrics, pairing, pairs, latest } = trial;
            *latest = now.max(*latest);
            let joined = match all {
                true => pairs.drain(pairing, metrics),
                false => pairs.expire(pairing, metrics, *latest),
            };
            if !joined.deltas.is_empty() {
                let (about, metrics) = (Arc::clone(about), Arc::clone(metrics));
                came.push(Came { tenant: tenant.clone(), about, metrics, deltas: joined.deltas });
            }
        }
        self.count();
        came
    }

    /// Forgets a tenant that is deleted.
    pub(super) fn forget(&mut self, tenant: &Tenant) {
        self.trials.retain(|(_, of), _| of != tenant);
        self.count();
    }

    fn count(&mut self) {
        self.waiting = self.trials.values().map(|trial| trial.pairs.len()).sum();
    }
}

/// The same with no more than so many that wait.
fn bounded(pairing: &Arc<Pairing>, room: usize) -> Arc<Pairing> {
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    match pairing.pending_max <= room {
        true => Arc::clone(pairing),
        false => Arc::new(Pairing { pending_max: room, ..(**pairing).clone() }),
    }
}
