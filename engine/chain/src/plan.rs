//! What limiters answer: checked, added up, taken from the buckets.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use isinglass_model::Tenant;
use isinglass_model::kind::Signal;
use isinglass_model::reason::code;
use isinglass_model::verdict::Decision;

use crate::abi::PlanOut;
use crate::buckets::{Buckets, Key, Quota, Refused, Short, Take, Why};
use crate::failure::{Failure, shorten};
use crate::rates::{Rate, SignalRates, Unit};

/// Of one plan.
const BUCKETS_MAX: usize = 1_000;
/// Of one request, which may be shown in many calls.
const REQUEST_BUCKETS_MAX: usize = 65_536;
const COSTS_MAX: usize = 65_536;
const KEY_BYTES_MAX: usize = 255;

/// Prefix of the keys of the host's own buckets; plugins may not use it.
const NATIVE: &str = "native:";

/// What the keys of buckets of single log streams begin with; it is no part of their name.
const PER_STREAM: &str = "per_stream:";

/// How long a sender waits when there is no room for its bucket.
const NO_ROOM_RETRY: Duration = Duration::from_secs(1);

pub(crate) fn check(plan: &PlanOut) -> Result<(), Failure> {
    let fault = |text: String| Err(Failure::contract(text));
    if plan.buckets.len() > BUCKETS_MAX || plan.cost.len() > COSTS_MAX {
        let (buckets, costs) = (plan.buckets.len(), plan.cost.len());
        return fault(format!("a plan of {buckets} buckets and {costs} costs is too large"));
    }
    if plan.bucket_of_cost.len() != plan.cost.len() {
        let (buckets, costs) = (plan.bucket_of_cost.len(), plan.cost.len());
        return fault(format!("bucket-of-cost has {buckets} entries, cost has {costs}"));
    }
    for bucket in &plan.buckets {
        if bucket.key.is_empty() || bucket.key.len() > KEY_BYTES_MAX || bucket.key.starts_with(NATIVE) {
            return fault(format!("{:?} is no key of a bucket", shorten(&bucket.key)));
        }
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(bucket.rate_per_second) || !positive(bucket.burst) {
            let (rate, burst) = (bucket.rate_per_second, bucket.burst);
            return fault(format!("bucket {:?} has rate {rate} and burst {burst}", bucket.key));
        }
    }
    if let Some(bucket) = plan.bucket_of_cost.iter().find(|bucket| **bucket as usize >= plan.buckets.len()) {
        return fault(format!("a cost points to bucket {bucket} of {}", plan.buckets.len()));
    }
    match plan.cost.iter().find(|cost| !(cost.is_finite() && **cost >= 0.0)) {
        Some(cost) => fault(format!("a cost of {cost}")),
        None => Ok(()),
    }
}

/// What one limiter takes for a request, added up by bucket.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    takes: Vec<Take>,
    at: HashMap<Arc<str>, usize>,
}

impl Bill {
    /// Adds a plan of the plugin.
    pub(crate) fn add(&mut self, tenant: &Tenant, binding: &Arc<str>, plan: &PlanOut) -> Result<(), Failure> {
        check(plan)?;
        let mut costs = vec![0.0; plan.buckets.len()];
        for (bucket, cost) in plan.bucket_of_cost.iter().zip(&plan.cost) {
            costs[*bucket as usize] += cost;
        }
        for (bucket, cost) in plan.buckets.iter().zip(costs) {
            let quota = Quota { per_second: bucket.rate_per_second, burst: bucket.burst };
            let known = self.add_one(tenant, binding, &bucket.key, quota, cost);
            if known != quota {
                return Err(Failure::contract(format!(
                    "bucket {:?} has two rates in one request",
                    bucket.key
                )));
            }
        }
        match self.takes.len() > REQUEST_BUCKETS_MAX {
            true => {
                Err(Failure::contract(format!("more than {REQUEST_BUCKETS_MAX} buckets for one request")))
            }
            false => Ok(()),
        }
    }

    /// Adds what the same limiter takes for another reason.
    pub(crate) fn join(&mut self, other: Self) {
        for take in other.takes {
            self.add_one(&take.key.tenant, &take.key.binding, &take.key.name, take.quota, take.cost);
        }
    }

    /// What the host's own limiter takes.
    pub(crate) fn native(
        tenant: &Tenant,
        binding: &Arc<str>,
        rates: &SignalRates,
        unit: Unit,
        costs: impl IntoIterator<Item = (Signal, u64)>,
    ) -> Self {
        let mut bill = Self::default();
        for (signal, cost) in costs {
            if let Some(Rate { key, per_second, burst }) = rates.bucket(signal, unit) {
                let quota = Quota { per_second, burst };
                bill.add_one(tenant, binding, &format!("{NATIVE}{key}"), quota, cost as f64);
            }
        }
        bill
    }

    fn add_one(&mut self, tenant: &Tenant, binding: &Arc<str>, name: &str, quota: Quota, cost: f64) -> Quota {
        if let Some(at) = self.at.get(name) {
            let take = &mut self.takes[*at];
            take.cost += cost;
            return take.quota;
        }
        let name: Arc<str> = name.into();
        self.at.insert(Arc::clone(&name), self.takes.len());
        self.takes.push(Take {
            key: Key { tenant: tenant.clone(), binding: Arc::clone(binding), name },
            quota,
            cost,
        });
        quota
    }
}

/// Takes all bills or none. The number is the position of the bill that failed.
pub(crate) fn settle(
    buckets: &Buckets,
    bills: Vec<(&str, Bill)>,
    now: Duration,
) -> Result<(), (usize, Decision)> {
    let mut takes = Vec::new();
    let mut of_take = Vec::new();
    for (at, (name, bill)) in bills.into_iter().enumerate() {
        let costly = bill.takes.into_iter().filter(|take| take.cost > 0.0);
        for take in costly {
            takes.push(take);
            of_take.push((at, name));
        }
    }
    if takes.is_empty() {
        return Ok(());
    }
    buckets.take(&takes, now).map_err(|refused| {
        let (at, name) = of_take[refused.take];
        (at, decision(&refused, &takes[refused.take], name))
    })
}

fn decision(refused: &Refused, take: &Take, limiter: &str) -> Decision {
    let Take { key, quota: Quota { per_second, burst }, cost } = take;
    let (tenant, bucket) = (key.tenant.as_str(), &*key.name);
    let bucket = bucket.strip_prefix(NATIVE).unwrap_or(bucket);
    let (reason, bucket) = match bucket.strip_prefix(PER_STREAM) {
        Some(bucket) => (code::PER_STREAM_RATE_LIMIT, bucket),
        None => (code::RATE_LIMITED, bucket),
    };
    let reason = reason.into();
    let rate = format!("bucket {bucket:?} of {limiter} gives {per_second} a second with a burst of {burst}");
    match refused.why {
        Why::Short(Short::For(retry_after)) => Decision::Deny {
            reason,
            retry_after,
            message: format!("tenant {tenant:?} is over its rate: {rate}, the request costs {cost}"),
        },
        Why::Short(Short::Ever) => Decision::TooLarge {
            message: format!(
                "the request costs {cost} and can never pass: {rate} (tenant {tenant:?}); send smaller requests"
            ),
        },
        Why::NoRoom => Decision::Deny {
            reason,
            retry_after: NO_ROOM_RETRY,
            message: format!("no room for {bucket:?} of {limiter}: all rate-limit buckets are in use"),
        },
    }
}

#[cfg(test)]
mod tests;
