//! Token buckets, kept by the host for all instances of all limiters.
//!
//! The algorithm is GCRA: a bucket is one number, the time at which it will be
//! full again. A request may take from several buckets; it takes from all of
//! them or from none. The shards of all its buckets are locked in order while
//! it does, so that nothing has to be given back.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use isinglass_model::Tenant;
use parking_lot::{Mutex, MutexGuard};

/// A rate and how much may be taken at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Quota {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

/// Why tokens cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Short {
    /// There will be enough after this time.
    For(Duration),
    /// More than the burst: there will never be enough.
    Ever,
}

/// Ticks of the bucket's clock in a nanosecond. So fine because at high rates a
/// token lasts much less than a nanosecond.
const TICKS_PER_NANO: u128 = 1 << 32;

/// What rounding may add to a full burst taken in pieces: a nanosecond's tokens.
const SLACK_TICKS: u128 = TICKS_PER_NANO;

/// A token bucket: the time at which it is full again, in ticks. The default
/// is full.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    full_at: u128,
}

impl Bucket {
    /// How long the bucket lacks tokens for `cost`, without taking them.
    fn lacks(&self, quota: &Quota, cost: f64, now: u128) -> Result<u128, Short> {
        let size = ticks(quota.burst, quota.per_second);
        let needs = ticks(cost, quota.per_second);
        if needs > size.saturating_add(SLACK_TICKS) {
            return Err(Short::Ever);
        }
        let full_at = self.full_at.max(now).saturating_add(needs);
        let ahead = full_at - now;
        if ahead <= size.saturating_add(SLACK_TICKS) {
            return Ok(full_at);
        }
        let nanos = (ahead - size).div_ceil(TICKS_PER_NANO);
        Err(Short::For(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))))
    }

    /// Takes `cost` tokens if they are there.
    pub(crate) fn take(&mut self, quota: &Quota, cost: f64, now: Duration) -> Result<(), Short> {
        self.full_at = self.lacks(quota, cost, now_ticks(now))?;
        Ok(())
    }
}

fn now_ticks(now: Duration) -> u128 {
    now.as_nanos() * TICKS_PER_NANO
}

/// The time in which `tokens` come in. Saturates.
fn ticks(tokens: f64, per_second: f64) -> u128 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating is meant")]
    let ticks = (tokens / per_second * 1e9 * TICKS_PER_NANO as f64) as u128;
    // Far from the end of the range, so that sums of it do not overflow.
    ticks.min(u128::MAX >> 8)
}

/// Which bucket: tenant, binding and the plugin's own key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) tenant: Tenant,
    pub(crate) binding: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// What a request takes from one bucket.
#[derive(Debug, Clone)]
pub(crate) struct Take {
    pub(crate) key: Key,
    pub(crate) quota: Quota,
    pub(crate) cost: f64,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused {
    /// Which of the takes failed.
    pub(crate) take: usize,
    pub(crate) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Short(Short),
    /// No room for another bucket, and none is full again.
    NoRoom,
}

const SHARDS: usize = 64;

type Shard = HashMap<Key, Bucket, ahash::RandomState>;

/// All buckets of a chain.
#[derive(Debug)]
pub(crate) struct Buckets {
    hasher: ahash::RandomState,
    shards: Vec<Mutex<Shard>>,
    shard_len_max: usize,
}

impl Buckets {
    /// At most about `len_max` buckets. When a shard is full, buckets that are
    /// full again are dropped: they are the same as new ones.
    pub(crate) fn new(len_max: usize) -> Self {
        Self {
            hasher: ahash::RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_len_max: len_max.div_ceil(SHARDS).max(1),
        }
    }

    /// Takes everything or nothing. Takes of the same key are added up first by
    /// the caller; a key that occurs twice is an error of the caller.
    pub(crate) fn take(&self, takes: &[Take], now: Duration) -> Result<(), Refused> {
        let shard_of = |take: &Take| (self.hasher.hash_one(&take.key) % SHARDS as u64) as usize;
        let of_take: Vec<usize> = takes.iter().map(shard_of).collect();
        let mut wanted = of_take.clone();
        wanted.sort_unstable();
        wanted.dedup();
        let mut locked: Vec<(usize, MutexGuard<'_, Shard>)> =
            wanted.into_iter().map(|shard| (shard, self.shards[shard].lock())).collect();
        let position = |shard: usize| locked.binary_search_by_key(&shard, |(at, _)| *at).unwrap_or_default();
        let of_take: Vec<usize> = of_take.into_iter().map(position).collect();
        let now = now_ticks(now);

        let mut filled = Vec::with_capacity(takes.len());
        let mut worst: Option<Refused> = None;
        for (at, take) in takes.iter().enumerate() {
            let shard = &mut locked[of_take[at]].1;
            let bucket = match shard.get(&take.key).copied() {
                Some(bucket) => bucket,
                None if self.make_room(shard, now) => Bucket::default(),
                None => return Err(Refused { take: at, why: Why::NoRoom }),
            };
            match bucket.lacks(&take.quota, take.cost, now) {
                Ok(full_at) => filled.push(Bucket { full_at }),
                Err(short) => worst = Some(worse(worst, Refused { take: at, why: Why::Short(short) })),
            }
        }
        if let Some(refused) = worst {
            return Err(refused);
        }
        for ((take, at), bucket) in takes.iter().zip(of_take).zip(filled) {
            locked[at].1.insert(take.key.clone(), bucket);
        }
        Ok(())
    }

    fn make_room(&self, shard: &mut Shard, now: u128) -> bool {
        if shard.len() >= self.shard_len_max {
            shard.retain(|_, bucket| bucket.full_at > now);
        }
        shard.len() < self.shard_len_max
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

/// The refusal that lasts longer.
fn worse(a: Option<Refused>, b: Refused) -> Refused {
    match a {
        Some(a) if lasts(&a) >= lasts(&b) => a,
        _ => b,
    }
}

fn lasts(refused: &Refused) -> Duration {
    match refused.why {
        Why::Short(Short::For(time)) => time,
        _ => Duration::MAX,
    }
}

#[cfg(test)]
mod tests;
