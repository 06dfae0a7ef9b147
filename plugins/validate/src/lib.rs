//! Checks every sample, label set, log record and span against the limits of a
//! tenant.
//!
//! Limits and reason codes follow Mimir (metrics), Loki (logs) and Tempo
//! (spans). What is exactly at a limit passes. The first fault of a row is the
//! one that is named; the order of the checks is that of the table in
//! `README.md`.

mod attributes;
mod limits;
mod logs;
mod messages;
mod reason;
mod samples;
mod series;
mod spans;
mod streams;
mod time;

use isinglass_plugin::{Batch, Config, Plugin, Request, Shape, Validator, Verdicts, export_validator, host};

use crate::limits::Limits;

/// The plugin.
#[derive(Debug, Clone, PartialEq)]
pub struct Validate {
    limits: Limits,
}

impl Plugin for Validate {
    const NAME: &'static str = "validate";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = include_str!("config.schema.json");
    const REQUESTS: &'static [&'static [Request]] =
        &[samples::Samples::REQUESTS, series::Series::REQUESTS, logs::Logs::REQUESTS, spans::Spans::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        Limits::read(config).map(|limits| Self { limits })
    }
}

impl Validator for Validate {
    fn validate(&self, batch: &Batch, verdicts: &mut Verdicts) {
        let limits = &self.limits;
        match batch.shape {
            Shape::Samples => samples::check(batch, limits, host::now_unix_nanos(), verdicts),
            Shape::Series => series::check(batch, limits, verdicts),
            Shape::Logs => logs::check(batch, limits, host::now_unix_nanos(), verdicts),
            Shape::Spans => spans::check(batch, limits, host::now_unix_nanos(), verdicts),
        }
    }
}

export_validator!(Validate);

#[cfg(test)]
mod tests;
