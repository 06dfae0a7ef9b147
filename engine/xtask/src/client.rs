//! A sender that keeps a ledger, and the audit of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::server::Site;

/// Items of one request.
const ITEMS: u64 = 20;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Signal {
    Logs,
    Metrics,
    Traces,
}

impl Signal {
    pub(crate) const ALL: [Self; 3] = [Self::Logs, Self::Metrics, Self::Traces];

    /// The numbers of all items of this kind that are there.
    const fn query(self) -> &'static str {
        match self {
            Self::Logs => "select cast(body as bigint) as n from logs",
            Self::Metrics => "select cast(value as bigint) as n from metrics.torture",
            Self::Traces => "select cast(name as bigint) as n from spans",
        }
    }
}

/// Items that were sent, by number.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    next: u64,
    acknowledged: BTreeMap<Signal, BTreeSet<u64>>,
    sent: BTreeMap<Signal, BTreeSet<u64>>,
    pub(crate) refused: u64,
    /// The longest wait for an answer that acknowledged.
    pub(crate) slowest: Duration,
}

/// What an audit found.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Audit {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) strange: u64,
}

pub(crate) fn agent(timeout: Duration) -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false).build().into()
}

fn now_nanos() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

impl Ledger {
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.values().map(|items| items.len() as u64).sum()
    }

    /// Sends one request of each signal. `None` if nobody answers, else the status of
    /// the last one that was refused, or 200.
    pub(crate) fn send(&mut self, site: &Site, agent: &ureq::Agent) -> Option<u16> {
        let mut worst = 200;
        for signal in Signal::ALL {
            let items: Vec<u64> = (self.next..self.next + ITEMS).collect();
            self.next += ITEMS;
            self.sent.entry(signal).or_default().extend(&items);
            let start = Instant::now();
            match post(site, agent, signal, &items)? {
                200..=299 => {
                    self.acknowledged.entry(signal).or_default().extend(&items);
                    self.slowest = self.slowest.max(start.elapsed());
                }
                status => {
                    self.refused += ITEMS;
                    worst = status;
                }
            }
        }
        Some(worst)
    }

    /// Compares with what the server has. `None` if it does not answer.
    pub(crate) fn audit(&self, site: &Site, agent: &ureq::Agent) -> Option<Audit> {
        let mut audit = Audit::default();
        for signal in Signal::ALL {
            let Some(acknowledged) = self.acknowledged.get(&signal) else { continue };
            let found = numbers(site, agent, signal.query())?;
            let seen: BTreeSet<u64> = found.iter().copied().collect();
            audit.doubled += (found.len() - seen.len()) as u64;
            audit.lost += acknowledged.difference(&seen).count() as u64;
            let sent = self.sent.get(&signal);
            audit.strange += seen.iter().filter(|n| sent.is_none_or(|sent| !sent.contains(n))).count() as u64;
        }
        Some(audit)
    }
}

fn post(site: &Site, agent: &ureq::Agent, signal: Signal, items: &[u64]) -> Option<u16> {
    let now = now_nanos();
    let (url, body) = match signal {
        Signal::Logs => {
            let values: Vec<Value> = items.iter().map(|n| json!([now.to_string(), n.to_string()])).collect();
            let streams = json!({ "streams": [{ "stream": { "app": "torture" }, "values": values }] });
            (site.url("loki/api/v1/push"), streams)
        }
        Signal::Metrics => {
            let point = |n: &u64| {
                json!({ "timeUnixNano": (now / 1_000_000 * 1_000_000).to_string(), "asInt": n.to_string(),
                "attributes": [{ "key": "n", "value": { "intValue": n.to_string() } }] })
            };
            let points: Vec<Value> = items.iter().map(point).collect();
            let metric = json!({ "name": "torture", "gauge": { "dataPoints": points } });
            let body = json!({ "resourceMetrics": [{ "scopeMetrics": [{ "metrics": [metric] }] }] });
            (site.otlp_url("v1/metrics"), body)
        }
        Signal::Traces => {
            let span = |n: &u64| {
                json!({ "traceId": format!("{:032x}", n / 4 + 1), "spanId": format!("{:016x}", n + 1),
                "name": n.to_string(), "startTimeUnixNano": now.to_string(), "endTimeUnixNano": (now + 1_000).to_string() })
            };
            let spans: Vec<Value> = items.iter().map(span).collect();
            let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] });
            (site.otlp_url("v1/traces"), body)
        }
    };
    let sent = agent.post(url).content_type("application/json").send(body.to_string());
    sent.ok().map(|answer| answer.status().as_u16())
}

/// All numbers of a query that sees everything acknowledged.
pub(crate) fn numbers(site: &Site, agent: &ureq::Agent, query: &str) -> Option<Vec<u64>> {
    let body = json!({ "query": query, "format": "json", "consistency": "strong" }).to_string();
    let answer = agent.post(site.url("api/sql")).content_type("application/json").send(body).ok()?;
    let status = answer.status();
    let text = answer.into_body().into_with_config().limit(1 << 30).read_to_string().ok()?;
    if !status.is_success() {
        // A metric that was never stored is no table.
        return text.contains("not found").then(Vec::new);
    }
    let rows: Vec<Value> = serde_json::from_str(&text).ok()?;
    rows.iter().map(|row| row["n"].as_u64().or_else(|| row["n"].as_str()?.parse().ok())).collect()
}
