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

mod rates;

use isinglass_plugin::{Batch, Config, Limiter, Plan, Plugin, Request, Shape, Signal, export_limiter};

use crate::rates::Rates;

/// The plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    rates: Rates,
}

impl Plugin for RateLimit {
    const NAME: &'static str = "rate-limit";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    // The number of rows is all it needs.
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(config: Config) -> Result<Self, String> {
        Rates::read(config).map(|rates| Self { rates })
    }
}

impl Limiter for RateLimit {
    fn admit(&self, signal: Signal, wire_bytes: u64) -> Plan {
        self.rates.bytes(signal, wire_bytes as f64)
    }

    fn limit(&self, batch: &Batch) -> Plan {
        match batch.shape {
            Shape::Samples => self.rates.items(Signal::Metrics, batch.rows as f64),
            Shape::Logs => self.rates.items(Signal::Logs, batch.rows as f64),
            Shape::Spans => self.rates.items(Signal::Traces, batch.rows as f64),
            // Label sets come with samples and are not counted a second time.
            Shape::Series => Plan::unlimited(),
        }
    }
}

export_limiter!(RateLimit);

#[cfg(test)]
mod tests;
