//! Gives every service a token bucket of its own; a span or log record costs 1.

use isinglass_plugin::{
    Batch, Bucket, Config, Dictionary, Limiter, Plan, Plugin, Request, Shape, Signal, columns, export_limiter,
};

columns! {
    /// What is read of every span.
    struct Spans<'a> of Shape::Spans {
        service: Dictionary<'a> = "service",
    }
}

columns! {
    /// What is read of every log record.
    struct Logs<'a> of Shape::Logs {
        service: Dictionary<'a> = "service",
    }
}

/// The plugin, as its configuration makes it.
#[derive(Debug)]
pub struct PerService {
    items_per_second: f64,
    burst: f64,
}

impl Plugin for PerService {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("../config.schema.json");
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS, Logs::REQUESTS];

    fn configure(mut config: Config) -> Result<Self, String> {
        let items_per_second = config.f64("items_per_second")?.ok_or("items_per_second is missing")?;
        let burst = config.f64("burst")?.ok_or("burst is missing")?;
        config.finish()?;
        Ok(Self { items_per_second, burst })
    }
}

impl Limiter for PerService {
    fn admit(&self, _: Signal, _: u64) -> Plan {
        Plan::unlimited()
    }

    fn limit(&self, batch: &Batch) -> Plan {
        let service = match batch.shape {
            Shape::Spans => Spans::of(batch).service,
            Shape::Logs => Logs::of(batch).service,
            _ => return Plan::unlimited(),
        };
        let mut rows = vec![0.0; service.distinct().len()];
        for key in service.keys() {
            rows[*key as usize] += 1.0;
        }
        let mut plan = Plan::unlimited();
        for (service, rows) in service.distinct().iter().zip(rows).filter(|(_, rows)| *rows > 0.0) {
            let bucket = Bucket {
                key: format!("service/{service}"),
                rate_per_second: self.items_per_second,
                burst: self.burst,
            };
            plan = plan.take(bucket, rows);
        }
        plan
    }
}

export_limiter!(PerService);
