//! Rates that the host itself understands: the configuration of the built-in
//! `rate-limit` plugin, and what `on_error = "native"` falls back to.
//!
//! The plugin reads the same keys with the same meaning (`plugins/rate-limit`);
//! a test holds the two together.

use isinglass_model::kind::Signal;
use serde::{Deserialize, Serialize};

/// Items and bytes a second; absent or 0 = unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Items (samples, log records, spans) a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_per_second: Option<f64>,
    /// Items at once; absent = twenty seconds of the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_burst: Option<f64>,
    /// Bytes on the wire a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
    /// Bytes at once; absent = one and a half seconds of the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_burst: Option<f64>,
    /// Requests a second; the host's own limiter does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_burst: Option<f64>,
}

/// What a rate is a rate of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Of each server.
    Local,
    /// Of all of them together: each takes its share.
    Global,
}

/// Rates in general; a rate given for a signal replaces the general one for
/// that signal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalRates {
    /// Items (samples, log records, spans) a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_per_second: Option<f64>,
    /// Items at once; absent = twenty seconds of the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items_burst: Option<f64>,
    /// Bytes on the wire a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
    /// Bytes at once; absent = one and a half seconds of the rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_burst: Option<f64>,
    /// Requests a second; the host's own limiter does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<f64>,
    /// Requests at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_burst: Option<f64>,
    /// Whether rates are divided by `instances`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Servers that take data of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// Metrics alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Rates>,
    /// Logs alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logs: Option<Rates>,
    /// Spans alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traces: Option<Rates>,
}

/// What a bucket counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Items,
    Bytes,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Bytes => "bytes",
        }
    }

    /// Seconds of the rate that a burst holds where none is given: those of
    /// Mimir (10,000 samples a second, burst 200,000) and Loki (4 MB, burst 6 MB).
    const fn burst_seconds(self) -> f64 {
        match self {
            Self::Items => 20.0,
            Self::Bytes => 1.5,
        }
    }
}

/// A bucket as the configuration describes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rate {
    pub(crate) key: String,
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

impl Rates {
    /// A rate and a burst; `None` = not given here.
    fn of(&self, unit: Unit) -> Option<(f64, Option<f64>)> {
        let (per_second, burst) = match unit {
            Unit::Items => (self.items_per_second, self.items_burst),
            Unit::Bytes => (self.bytes_per_second, self.bytes_burst),
        };
        Some((per_second?, burst))
    }

    fn usable(&self) -> bool {
        let rates = [self.items_per_second, self.bytes_per_second];
        let bursts = [self.items_burst, self.bytes_burst];
        rates.iter().flatten().all(|rate| rate.is_finite() && *rate >= 0.0)
            && bursts.iter().flatten().all(|burst| burst.is_finite() && *burst > 0.0)
    }
}

impl SignalRates {
    fn general(&self) -> Rates {
        Rates {
            items_per_second: self.items_per_second,
            items_burst: self.items_burst,
            bytes_per_second: self.bytes_per_second,
            bytes_burst: self.bytes_burst,
            requests_per_second: self.requests_per_second,
            requests_burst: self.requests_burst,
        }
    }

    fn only(&self, signal: Signal) -> Option<&Rates> {
        match signal {
            Signal::Metrics => self.metrics.as_ref(),
            Signal::Logs => self.logs.as_ref(),
            Signal::Traces => self.traces.as_ref(),
        }
    }

    /// The bucket that `unit`s of `signal` are taken from; `None` = unlimited.
    pub(crate) fn bucket(&self, signal: Signal, unit: Unit) -> Option<Rate> {
        let own = self.only(signal).and_then(|rates| rates.of(unit));
        let prefix = own.map_or(String::new(), |_| format!("{}.", signal.as_str()));
        let (per_second, burst) = own.or_else(|| self.general().of(unit))?;
        let burst = burst.unwrap_or((per_second * unit.burst_seconds()).max(1.0));
        let per_second = per_second / self.share();
        (per_second > 0.0).then(|| Rate { key: format!("{prefix}{}", unit.as_str()), per_second, burst })
    }

    /// What rates are divided by.
    fn share(&self) -> f64 {
        match self.strategy {
            Some(Strategy::Global) => f64::from(self.instances.unwrap_or(1).max(1)),
            Some(Strategy::Local) | None => 1.0,
        }
    }

    /// Whether every number is one.
    pub(crate) fn usable(&self) -> bool {
        self.general().usable()
            && [&self.metrics, &self.logs, &self.traces].into_iter().flatten().all(Rates::usable)
    }
}
