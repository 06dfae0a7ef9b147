//! Reading back: which ranges when, all of it at the end, and what is said of it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::json;
use tokio::time::Instant;

use super::compare::{Counts, compare};
use super::plan::{Signal, Step};
use super::read::moment;
use super::report::{Books, Check, Summary};
use super::verifier::Verifier;

/// What is read back: the first every interval, the others each a fifteenth of itself after
/// the last time.
const RANGES: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(900),
    Duration::from_secs(3_600),
    Duration::from_secs(86_400),
];
const RANGE_PARTS: u32 = 15;
/// Rows that one query may bring; longer ranges are read in pieces.
const ROWS_PER_QUERY: i64 = 50_000;

impl Verifier {
    /// Checks until it is dropped.
    pub(super) async fn check_for_ever(self: Arc<Self>) {
        let mut last: [Option<Instant>; RANGES.len()] = [None; RANGES.len()];
        loop {
            tokio::time::sleep(Duration::from_millis(self.plan.interval_ms().unsigned_abs())).await;
            for (range, last) in RANGES.iter().zip(&mut last) {
                let (steps, all) = self.steps_of(*range);
                let due =
                    *range == RANGES[0] || last.is_none_or(|last| last.elapsed() >= *range / RANGE_PARTS);
                if due && !steps.is_empty() {
                    *last = Some(Instant::now());
                    // It stands in the books.
                    let _ = self.check(steps).await;
                }
                if all {
                    break;
                }
            }
        }
    }

    /// The steps of the last so long, and whether there are no more before them.
    fn steps_of(&self, range: Duration) -> (Range<Step>, bool) {
        let end = self.plan.step_at(self.clock.now_unix_millis()) + 1;
        let long = i64::try_from(range.as_millis()).unwrap_or(i64::MAX) / self.plan.interval_ms();
        let (from, first) = (end - long.max(1), self.first(end));
        (from.max(first)..end, from <= first)
    }

    /// The first step to be read back, where `end` comes after the last.
    fn first(&self, end: Step) -> Step {
        self.books.lock().ledger.first().max(end.saturating_sub(self.back.max(1)))
    }

    /// Reads a range back, notes what is wrong with it, and tells.
    async fn check(&self, steps: Range<Step>) -> anyhow::Result<BTreeMap<Signal, Counts>> {
        let mut counts = BTreeMap::new();
        for signal in Signal::ALL {
            match self.check_signal(signal, steps.clone()).await {
                Ok(found) => drop(counts.insert(signal, found)),
                Err(error) => {
                    let mut books = self.books.lock();
                    books.failed_checks += 1;
                    books.last_error = Some(format!("{signal}: {error:#}"));
                    drop(books);
                    self.say(&json!({ "unread": format!("{error:#}") }), || {
                        format!("{} not read: {error:#}", self.now())
                    });
                    return Err(error.context(format!("read {signal} back")));
                }
            }
        }
        self.books.lock().checks += 1;
        let long = (steps.end - steps.start) * self.plan.interval_ms() / 1_000;
        let signals = counts.iter().map(|(signal, counts)| (signal.as_str(), *counts)).collect();
        let check = Check { time: self.now(), range_seconds: long.unsigned_abs(), signals };
        self.say(&json!({ "check": check }), || check.line());
        Ok(counts)
    }

    async fn check_signal(&self, signal: Signal, steps: Range<Step>) -> anyhow::Result<Counts> {
        let piece = (ROWS_PER_QUERY / i64::from(signal.items())).max(1);
        let mut counts = Counts::default();
        let mut from = steps.start;
        while from < steps.end {
            let steps = from..(from + piece).min(steps.end);
            from = steps.end;
            let must = self.books.lock().ledger.acknowledged(signal, steps.clone());
            let rows = self.reader.rows(&self.plan, signal, steps.clone()).await?;
            let mut books = self.books.lock();
            let Books { ledger, faults, .. } = &mut *books;
            counts.add(compare(&self.plan, signal, steps, &must, &rows, (ledger, faults)));
        }
        Ok(counts)
    }

    /// Everything once more. A server that is away is waited for.
    pub(super) async fn last_check(&self, patience: Duration) -> anyhow::Result<BTreeMap<Signal, Counts>> {
        let until = Instant::now() + patience;
        let end =
            if self.writes { self.plan.step_at(self.clock.now_unix_millis()) + 1 } else { self.own_from };
        loop {
            let first = self.first(end);
            match self.check(first..end.max(first)).await {
                Ok(counts) => return Ok(counts),
                Err(error) if Instant::now() >= until => {
                    return Err(error.context("the last check could not be made"));
                }
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Tells the summary; whether all is well. Nothing acknowledged is nothing known.
    pub(super) fn sum_up(&self, last: &BTreeMap<Signal, Counts>) -> anyhow::Result<bool> {
        let books = self.books.lock();
        let summary = Summary::new(&self.plan, &books, last);
        self.say(&json!({ "summary": summary }), || summary.text().trim_end().to_owned());
        if let Some((first, steps)) = books.faults.steps() {
            let first = moment(self.plan.start_ms(first));
            let _ = writeln!(io::stderr(), "faults in {steps} steps, the first at {first}");
        }
        if !books.faults.is_empty() {
            return Ok(false);
        }
        match last.iter().find(|(_, counts)| counts.acknowledged == 0) {
            Some((signal, _)) => {
                let why = books.last_error.as_deref().unwrap_or("it did not run for a whole step");
                bail!("none of the {signal} were acknowledged: {why}")
            }
            None => Ok(true),
        }
    }
}
