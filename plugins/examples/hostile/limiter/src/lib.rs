//! A limiter that misbehaves on demand; what it can do stands in `../README.md`.

use hostile_common::Orders;
use isinglass_plugin::{Batch, Bucket, Config, Limiter, Plan, Plugin, Request, Signal, export_limiter};

/// The plugin.
#[derive(Debug)]
pub struct HostileLimiter(Orders);

impl Plugin for HostileLimiter {
    const NAME: &'static str = "hostile-limiter";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object"}"#;
    const REQUESTS: &'static [&'static [Request]] = &[];

    fn configure(config: Config) -> Result<Self, String> {
        Orders::read(config).map(Self)
    }
}

impl Limiter for HostileLimiter {
    fn admit(&self, _: Signal, _: u64) -> Plan {
        Plan::unlimited()
    }

    fn limit(&self, batch: &Batch) -> Plan {
        let one = |bucket, cost| Plan::unlimited().take(bucket, cost);
        match self.0.with(batch.rows) {
            "nan_cost" => one(bucket("hostile", 1.0, 1.0), f64::NAN),
            "negative_cost" => one(bucket("hostile", 1.0, 1.0), -1e9),
            "infinite_cost" => one(bucket("hostile", 1.0, 1.0), f64::INFINITY),
            "negative_rate" => one(bucket("hostile", -1.0, 1.0), 1.0),
            "nan_burst" => one(bucket("hostile", 1.0, f64::NAN), 1.0),
            "zero_rate" => one(bucket("hostile", 0.0, 0.0), 1.0),
            "long_key" => one(bucket(&"x".repeat(1 << 20), 1.0, 1.0), 1.0),
            "many_buckets" => (0..100_000).fold(Plan::unlimited(), |plan, number| {
                plan.take(bucket(&format!("hostile-{number}"), 1e9, 1e9), 1.0)
            }),
            _ => Plan::unlimited(),
        }
    }
}

fn bucket(key: &str, rate_per_second: f64, burst: f64) -> Bucket {
    Bucket { key: key.to_owned(), rate_per_second, burst }
}

export_limiter!(HostileLimiter);
