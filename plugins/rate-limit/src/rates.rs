//! The configuration, and the buckets it makes.

use isinglass_plugin::{Bucket, Config, Plan, Signal};

/// Seconds' worth of items that a bucket holds unless told otherwise (Mimir).
const ITEMS_BURST_SECONDS: f64 = 20.0;
/// Seconds' worth of bytes that a bucket holds unless told otherwise (Loki).
const BYTES_BURST_SECONDS: f64 = 1.5;

/// General rates, and those of single signals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rates {
    general: Pair,
    metrics: Pair,
    logs: Pair,
    traces: Pair,
}

/// Rates of items and bytes; `None` = not configured here.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pair {
    items: Option<Rate>,
    bytes: Option<Rate>,
}

#[derive(Debug, Clone, PartialEq)]
enum Rate {
    Unlimited,
    Limited(Bucket),
}

impl Rates {
    pub(crate) fn read(mut config: Config) -> Result<Self, String> {
        let general = Pair::read(&mut config, "")?;
        let mut of_signal = |key: &'static str, prefix: &str| match config.object(key)? {
            None => Ok(Pair::default()),
            Some(mut inner) => {
                let pair = Pair::read(&mut inner, prefix)?;
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
        config.finish()?;
        Ok(rates)
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
    fn read(config: &mut Config, prefix: &str) -> Result<Self, String> {
        let items = config.f64("items_per_second")?;
        let items_burst = config.f64("items_burst")?;
        let bytes = config.f64("bytes_per_second")?;
        let bytes_burst = config.f64("bytes_burst")?;
        Ok(Self {
            items: rate(prefix, "items", items, items_burst, ITEMS_BURST_SECONDS)?,
            bytes: rate(prefix, "bytes", bytes, bytes_burst, BYTES_BURST_SECONDS)?,
        })
    }
}

fn rate(
    prefix: &str,
    what: &str,
    per_second: Option<f64>,
    burst: Option<f64>,
    burst_seconds: f64,
) -> Result<Option<Rate>, String> {
    let key = format!("{prefix}{what}");
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
            Ok(Some(Rate::Limited(Bucket { key, rate_per_second: rate, burst })))
        }
    }
}

fn plan(rate: Option<&Rate>, cost: f64) -> Plan {
    match rate {
        Some(Rate::Limited(bucket)) => Plan::unlimited().take(bucket.clone(), cost),
        Some(Rate::Unlimited) | None => Plan::unlimited(),
    }
}
