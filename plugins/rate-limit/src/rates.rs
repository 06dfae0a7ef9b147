//! The configuration, and the buckets it makes.

use isinglass_plugin::{Bucket, Config, Plan, Signal};

/// Seconds' worth of items that a bucket holds unless told otherwise (Mimir).
const ITEMS_BURST_SECONDS: f64 = 20.0;
/// Seconds' worth of bytes that a bucket holds unless told otherwise (Loki).
const BYTES_BURST_SECONDS: f64 = 1.5;

/// Seconds' worth of requests that a bucket holds unless told otherwise.
const REQUESTS_BURST_SECONDS: f64 = 10.0;

/// General rates, and those of single signals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rates {
    general: Pair,
    metrics: Pair,
    logs: Pair,
    traces: Pair,
}

/// Rates of items, bytes and requests; `None` = not configured here.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pair {
    items: Option<Rate>,
    bytes: Option<Rate>,
    requests: Option<Rate>,
}

/// A rate of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Rate {
    Unlimited,
    Limited(Bucket),
}

impl Rates {
    /// Takes its keys out of a configuration. All rates are divided by `share`.
    pub(crate) fn read(config: &mut Config, share: f64) -> Result<Self, String> {
        let general = Pair::read(config, "", share)?;
        let mut of_signal = |key: &'static str, prefix: &str| match config.object(key)? {
            None => Ok(Pair::default()),
            Some(mut inner) => {
                let pair = Pair::read(&mut inner, prefix, share)?;
                inner.finish()?;
                Ok::<_, String>(pair)
            }
        };
        let rates = Self {
            general,
            metrics: of_signal("metrics", "metrics.")?,
            logs: of_signal("logs", "logs.")?,
            traces: of_signal("traces", "traces.")?,
        };
        Ok(rates)
    }

    pub(crate) fn request(&self, signal: Signal) -> Plan {
        plan(self.of(signal).requests.as_ref().or(self.general.requests.as_ref()), 1.0)
    }

    pub(crate) fn items(&self, signal: Signal, cost: f64) -> Plan {
        plan(self.of(signal).items.as_ref().or(self.general.items.as_ref()), cost)
    }

    pub(crate) fn bytes(&self, signal: Signal, cost: f64) -> Plan {
        plan(self.of(signal).bytes.as_ref().or(self.general.bytes.as_ref()), cost)
    }

    fn of(&self, signal: Signal) -> &Pair {
        match signal {
            Signal::Metrics => &self.metrics,
            Signal::Logs => &self.logs,
            Signal::Traces => &self.traces,
        }
    }
}

impl Pair {
    fn read(config: &mut Config, prefix: &str, share: f64) -> Result<Self, String> {
        let requests = config.f64("requests_per_second")?;
        let burst = config.f64("requests_burst")?;
        Ok(Self {
            items: items(config, prefix, share)?,
            bytes: bytes(config, prefix, share)?,
            requests: rate(format!("{prefix}requests"), requests, burst, REQUESTS_BURST_SECONDS, share)?,
        })
    }
}

/// The rate of items that a configuration gives, its bucket named after `prefix`.
pub(crate) fn items(config: &mut Config, prefix: &str, share: f64) -> Result<Option<Rate>, String> {
    let (per_second, burst) = (config.f64("items_per_second")?, config.f64("items_burst")?);
    rate(format!("{prefix}items"), per_second, burst, ITEMS_BURST_SECONDS, share)
}

/// The rate of bytes that a configuration gives, its bucket named after `prefix`.
pub(crate) fn bytes(config: &mut Config, prefix: &str, share: f64) -> Result<Option<Rate>, String> {
    let (per_second, burst) = (config.f64("bytes_per_second")?, config.f64("bytes_burst")?);
    rate(format!("{prefix}bytes"), per_second, burst, BYTES_BURST_SECONDS, share)
}

fn rate(
    key: String,
    per_second: Option<f64>,
    burst: Option<f64>,
    burst_seconds: f64,
    share: f64,
) -> Result<Option<Rate>, String> {
    match (per_second, burst) {
        (Some(rate), _) if rate < 0.0 => Err(format!("{key}_per_second is negative")),
        (_, Some(burst)) if burst <= 0.0 => {
            Err(format!("{key}_burst is not above 0, so that nothing would ever pass"))
        }
        (None, Some(_)) => Err(format!("{key}_burst is given without {key}_per_second")),
        (None, None) => Ok(None),
        (Some(0.0), _) => Ok(Some(Rate::Unlimited)),
        (Some(rate), burst) => {
            let burst = burst.unwrap_or((rate * burst_seconds).max(1.0));
            Ok(Some(Rate::Limited(Bucket { key, rate_per_second: rate / share, burst })))
        }
    }
}

fn plan(rate: Option<&Rate>, cost: f64) -> Plan {
    match rate {
        Some(Rate::Limited(bucket)) => Plan::unlimited().take(bucket.clone(), cost),
        Some(Rate::Unlimited) | None => Plan::unlimited(),
    }
}
