//! Limits what a tenant sends, in items and bytes per second.
//!
//! ```json
//! {
//!   "items_per_second": 10000, "items_burst": 200000,
//!   "bytes_per_second": 4000000, "bytes_burst": 6000000,
//!   "logs": { "bytes_per_second": 1000000 }
//! }
//! ```
//!
//! A rate that is absent or 0 is no limit. Bytes are those on the wire, taken
//! before decoding; items are the samples, log records and spans that
//! validation kept. A rate given for a signal replaces the general one for that
//! signal and has a bucket of its own.
//!
//! A burst that is absent follows the peers' defaults: 20 seconds' worth of
//! items (Mimir: 10,000 a second, burst 200,000) and 1.5 seconds' worth of bytes
//! (Loki: 4 MB a second, burst 6 MB). A request larger than the burst never
//! passes, so a small rate wants an explicit burst.
//!
//! `policies` are further limits, all at once: of a tenant, of each service, of each
//! stream, in items and in bytes of lines and spans. With `strategy = "global"` every
//! rate is divided by the number of `instances`; bursts are not.

mod policies;
mod rates;

use isinglass_plugin::{Batch, Config, Limiter, Plan, Plugin, Request, Shape, Signal, export_limiter};

use crate::policies::{Policy, groups_max};
use crate::rates::Rates;

/// The plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    rates: Rates,
    policies: Vec<Policy>,
    /// Services or streams with buckets of their own in one plan.
    groups_max: usize,
}

impl Plugin for RateLimit {
    const NAME: &'static str = "rate-limit";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    // The number of rows is all it needs, without policies.
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(mut config: Config) -> Result<Self, String> {
        let share = share(&mut config)?;
        let rates = Rates::read(&mut config, share)?;
        let policies = policies::read(&mut config, share)?;
        config.finish()?;
        Ok(Self { rates, groups_max: groups_max(&policies), policies })
    }

    fn further_requests(&self) -> Vec<Request> {
        let mut requests: Vec<Request> = Vec::new();
        for request in self.policies.iter().flat_map(Policy::requests) {
            if !requests.contains(&request) {
                requests.push(request);
            }
        }
        requests
    }
}

/// What rates are divided by.
fn share(config: &mut Config) -> Result<f64, String> {
    let instances = config.u32("instances", 1)?;
    match config.text("strategy")?.as_deref() {
        _ if instances == 0 => Err("instances is 0".to_owned()),
        None | Some("local") => Ok(1.0),
        Some("global") => Ok(f64::from(instances)),
        Some(_) => Err("strategy is neither local nor global".to_owned()),
    }
}

impl Limiter for RateLimit {
    fn admit(&self, signal: Signal, wire_bytes: u64) -> Plan {
        let bytes = self.rates.bytes(signal, wire_bytes as f64);
        self.rates.request(signal).takes().fold(bytes, |plan, (bucket, cost)| plan.take(bucket.clone(), cost))
    }

    fn limit(&self, batch: &Batch) -> Plan {
        let signal = match batch.shape {
            Shape::Samples => Signal::Metrics,
            Shape::Logs => Signal::Logs,
            Shape::Spans => Signal::Traces,
            // Label sets come with samples and are not counted a second time.
            Shape::Series => return Plan::unlimited(),
        };
        let rates = self.rates.items(signal, batch.rows as f64);
        self.policies.iter().fold(rates, |plan, policy| policy.take(signal, batch, self.groups_max, plan))
    }
}

export_limiter!(RateLimit);

#[cfg(test)]
mod tests;
