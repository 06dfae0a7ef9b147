//! What is to be there: known data, made from a run's name and the time alone.
//!
//! Time is cut into steps of one interval. In each step every signal has a few items whose
//! content is a hash of (run, signal, step, item), so that whoever knows the name of a run
//! can say at any later moment what it wrote.

use std::fmt;

use anyhow::bail;
use xxhash_rust::xxh3::xxh3_64;

/// The metric, and the service of logs and spans.
pub(super) const METRIC: &str = "isinglass_verify_value";
pub(super) const SERVICE: &str = "isinglass-verify";

const NANOS_PER_MS: i64 = 1_000_000;

/// A signal that is written and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Signal {
    Metrics,
    Logs,
    Spans,
}

impl Signal {
    pub(super) const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Spans];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Spans => "spans",
        }
    }

    /// Items of a step.
    pub(super) fn items(self) -> u32 {
        match self {
            Self::Metrics => 8,
            Self::Logs => 5,
            Self::Spans => 4,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step: its start divided by the interval.
pub(super) type Step = i64;

/// What a run writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    run: String,
    interval_ms: i64,
}

impl Plan {
    /// The plan of a run. Runs of the same name with other intervals are other runs.
    pub(super) fn new(id: &str, interval_ms: i64) -> anyhow::Result<Self> {
        let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if id.is_empty() || id.len() > 64 || !id.chars().all(word) {
            bail!("--id must be 1 to 64 of a-z A-Z 0-9 - _ . and not {id:?}");
        }
        if !(1_000..=3_600_000).contains(&interval_ms) {
            bail!("--interval must be from 1s to 1h and not {interval_ms} ms");
        }
        Ok(Self { run: format!("{id}.{interval_ms}ms"), interval_ms })
    }

    /// The name that every item carries.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    pub(super) fn interval_ms(&self) -> i64 {
        self.interval_ms
    }

    /// The step that a moment lies in.
    pub(super) fn step_at(&self, unix_ms: i64) -> Step {
        unix_ms.div_euclid(self.interval_ms)
    }

    pub(super) fn start_ms(&self, step: Step) -> i64 {
        step * self.interval_ms
    }

    /// When an item happened. Items of logs and spans are a millisecond apart; samples of a
    /// step have one time and a label each.
    pub(super) fn time_nanos(&self, signal: Signal, step: Step, item: u32) -> i64 {
        let apart = if signal == Signal::Metrics { 0 } else { i64::from(item) };
        (self.start_ms(step) + apart) * NANOS_PER_MS
    }

    /// The step of a time, and the item if it is one of that time.
    pub(super) fn at(&self, signal: Signal, time_nanos: i64) -> (Step, Option<u32>) {
        let step = self.step_at(time_nanos.div_euclid(NANOS_PER_MS));
        let item = (0..signal.items()).find(|item| self.time_nanos(signal, step, *item) == time_nanos);
        (step, item)
    }

    /// The content of an item as it is compared.
    pub(super) fn content(&self, signal: Signal, step: Step, item: u32) -> String {
        match signal {
            Signal::Metrics => content_of_value(self.value(step, item)),
            Signal::Logs => self.line(step, item),
            Signal::Spans => content_of_span(
                &self.trace_id(step),
                &self.span_id(step, item),
                &span_name(item),
                self.duration_nanos(step, item),
            ),
        }
    }

    pub(super) fn value(&self, step: Step, item: u32) -> f64 {
        // 53 bits, as many as a double holds.
        (self.hash(Signal::Metrics, step, item) >> 11) as f64 / 1_024.0
    }

    pub(super) fn line(&self, step: Step, item: u32) -> String {
        format!("verify step={step} item={item} check={:016x}", self.hash(Signal::Logs, step, item))
    }

    pub(super) fn trace_id(&self, step: Step) -> String {
        let half = |item| self.hash(Signal::Spans, step, u32::MAX - item);
        // Never all zeros.
        format!("{:016x}{:016x}", half(0) | 1, half(1))
    }

    pub(super) fn span_id(&self, step: Step, item: u32) -> String {
        format!("{:016x}", self.hash(Signal::Spans, step, item) | 1)
    }

    pub(super) fn duration_nanos(&self, step: Step, item: u32) -> i64 {
        1_000 + i64::try_from(self.hash(Signal::Spans, step, item) % 1_000_000_000).unwrap_or_default()
    }

    fn hash(&self, signal: Signal, step: Step, item: u32) -> u64 {
        xxh3_64(format!("{}/{signal}/{step}/{item}", self.run).as_bytes())
    }
}

pub(super) fn content_of_value(value: f64) -> String {
    format!("{:016x}", value.to_bits())
}

pub(super) fn content_of_span(trace_id: &str, span_id: &str, name: &str, duration_nanos: i64) -> String {
    format!("{trace_id} {span_id} {name} {duration_nanos}")
}

pub(super) fn span_name(item: u32) -> String {
    format!("item {item}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a verifier of an earlier release wrote must be known to a later one.
    #[test]
    fn the_data_of_a_run_never_changes() {
        let plan = Plan::new("golden", 10_000).unwrap();
        let step = plan.step_at(1_700_000_003_000);
        assert_eq!((step, plan.start_ms(step)), (170_000_000, 1_700_000_000_000));
        let got: Vec<String> = Signal::ALL.iter().map(|signal| plan.content(*signal, step, 1)).collect();
        assert_eq!(got, GOLDEN);
    }

    const GOLDEN: [&str; 3] = [
        "42926e058dc572e6",
        "verify step=170000000 item=1 check=26e9ef78724f4eef",
        "ac1452dd52e000a78d6945888af91098 f5cb4d234e9c73fb item 1 602678755",
    ];

    #[test]
    fn items_are_found_by_their_time() {
        let plan = Plan::new("a", 1_000).unwrap();
        for signal in Signal::ALL {
            let time = plan.time_nanos(signal, 1_700_000_000, 2);
            let item = if signal == Signal::Metrics { 0 } else { 2 };
            assert_eq!(plan.at(signal, time), (1_700_000_000, Some(item)), "{signal}");
            assert_eq!(plan.at(signal, time + 1), (1_700_000_000, None), "{signal}");
        }
        assert_eq!(plan.at(Signal::Logs, -1).0, -1);
    }

    #[test]
    fn names_and_intervals_are_bounded() {
        for (id, interval_ms) in
            [("", 1_000), ("a'b", 1_000), (&"a".repeat(65), 1_000), ("a", 999), ("a", 3_600_001)]
        {
            assert!(Plan::new(id, interval_ms).is_err(), "{id} {interval_ms}");
        }
    }
}
