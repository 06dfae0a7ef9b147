//! Rates that the host itself understands: the configuration of the built-in
//! `rate-limit` plugin, and what `on_error = "native"` falls back to.

use isinglass_model::kind::Signal;
use serde::{Deserialize, Serialize};

/// Items and bytes a second; 0 = unlimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Items (samples, log records, spans) a second.
    pub items_per_second: f64,
    /// Items at once; 0 = ten seconds of the rate.
    pub items_burst: f64,
    /// Bytes on the wire a second.
    pub bytes_per_second: f64,
    /// Bytes at once; 0 = ten seconds of the rate.
    pub bytes_burst: f64,
}

/// Rates of all signals together, and of single ones on top of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignalRates {
    /// Items of all signals a second; 0 = unlimited.
    pub items_per_second: f64,
    /// Items at once; 0 = ten seconds of the rate.
    pub items_burst: f64,
    /// Bytes of all signals on the wire a second; 0 = unlimited.
    pub bytes_per_second: f64,
    /// Bytes at once; 0 = ten seconds of the rate.
    pub bytes_burst: f64,
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

/// A rate and a burst.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

/// Seconds of the rate that a burst holds where none is given.
const BURST_SECONDS: f64 = 10.0;

impl Rates {
    fn of(&self, unit: Unit) -> Option<Rate> {
        let (per_second, burst) = match unit {
            Unit::Items => (self.items_per_second, self.items_burst),
            Unit::Bytes => (self.bytes_per_second, self.bytes_burst),
        };
        let burst = if burst > 0.0 { burst } else { per_second * BURST_SECONDS };
        (per_second > 0.0).then_some(Rate { per_second, burst })
    }

    fn usable(&self) -> bool {
        [self.items_per_second, self.items_burst, self.bytes_per_second, self.bytes_burst]
            .iter()
            .all(|value| value.is_finite() && *value >= 0.0)
    }
}

impl SignalRates {
    /// Of all signals together.
    fn all(&self) -> Rates {
        Rates {
            items_per_second: self.items_per_second,
            items_burst: self.items_burst,
            bytes_per_second: self.bytes_per_second,
            bytes_burst: self.bytes_burst,
        }
    }

    fn only(&self, signal: Signal) -> Option<Rates> {
        match signal {
            Signal::Metrics => self.metrics,
            Signal::Logs => self.logs,
            Signal::Traces => self.traces,
        }
    }

    /// The buckets that `unit`s of `signal` are taken from, with their keys.
    pub(crate) fn buckets(&self, signal: Signal, unit: Unit) -> impl Iterator<Item = (&'static str, Rate)> {
        let shared = self.all().of(unit).map(|rate| (key(None, unit), rate));
        let own = self.only(signal).and_then(|rates| rates.of(unit));
        shared.into_iter().chain(own.map(|rate| (key(Some(signal), unit), rate)))
    }

    /// Whether every number is one.
    pub(crate) fn usable(&self) -> bool {
        [Some(self.all()), self.metrics, self.logs, self.traces].iter().flatten().all(Rates::usable)
    }
}

const fn key(signal: Option<Signal>, unit: Unit) -> &'static str {
    match (unit, signal) {
        (Unit::Items, None) => "items",
        (Unit::Items, Some(Signal::Metrics)) => "items/metrics",
        (Unit::Items, Some(Signal::Logs)) => "items/logs",
        (Unit::Items, Some(Signal::Traces)) => "items/traces",
        (Unit::Bytes, None) => "bytes",
        (Unit::Bytes, Some(Signal::Metrics)) => "bytes/metrics",
        (Unit::Bytes, Some(Signal::Logs)) => "bytes/logs",
        (Unit::Bytes, Some(Signal::Traces)) => "bytes/traces",
    }
}
