//! What is told: a line per check, a summary, counters for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::compare::{Counts, Fault, Faults};
use super::ledger::{Fate, Ledger};
use super::plan::{Plan, Signal};
use super::read::moment;

/// How long acknowledged items were not seen yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Delays {
    pub(super) count: u64,
    pub(super) sum: Duration,
    pub(super) max: Duration,
    /// Not seen while they were looked for.
    pub(super) never: u64,
}

impl Delays {
    pub(super) fn note(&mut self, delay: Option<Duration>) {
        match delay {
            Some(delay) => {
                self.count += 1;
                self.sum += delay;
                self.max = self.max.max(delay);
            }
            None => self.never += 1,
        }
    }

    fn mean_ms(&self) -> f64 {
        self.sum.as_secs_f64() * 1e3 / self.count.max(1) as f64
    }
}

/// Everything that a verifier counts.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) ledger: Ledger,
    pub(super) faults: Faults,
    pub(super) delays: [Delays; 3],
    pub(super) checks: u64,
    pub(super) failed_checks: u64,
    /// The last thing that a write or a check ended with, if it did not end well.
    pub(super) last_error: Option<String>,
}

impl Books {
    pub(super) fn new(ledger: Ledger) -> Self {
        let (faults, delays) = (Faults::default(), <[Delays; 3]>::default());
        Self { ledger, faults, delays, checks: 0, failed_checks: 0, last_error: None }
    }
}

/// One range, read back.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    pub(super) time: String,
    pub(super) range_seconds: u64,
    pub(super) signals: BTreeMap<&'static str, Counts>,
}

impl Check {
    pub(super) fn line(&self) -> String {
        let range = humantime::format_duration(Duration::from_secs(self.range_seconds)).to_string();
        let mut line = format!("{} last {range}:", self.time);
        for (signal, counts) in &self.signals {
            let Counts { acknowledged, found, missing, twice, wrong, unexpected, unknown } = counts;
            let _ = write!(line, " {signal} {found} of {acknowledged}");
            let told = [
                ("missing", missing),
                ("twice", twice),
                ("wrong", wrong),
                ("unexpected", unexpected),
                ("unknown", unknown),
            ];
            for (what, count) in told.into_iter().filter(|(_, count)| **count > 0) {
                let _ = write!(line, ", {count} {what}");
            }
            line.push(';');
        }
        line.pop();
        line
    }
}

/// The end.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    pub(super) run: String,
    /// What `--since` and `--until` of a later verifier can be; absent if nothing was
    /// acknowledged.
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) checks: u64,
    pub(super) failed_checks: u64,
    pub(super) signals: BTreeMap<&'static str, Totals>,
}

/// Items of a signal, each counted once.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Totals {
    /// Of everything that this verifier answers for, at the end.
    #[serde(flatten)]
    pub(super) last: Counts,
    pub(super) refused: u64,
    /// Faults of all checks, also those that a later check did not see any more.
    pub(super) ever: BTreeMap<&'static str, u64>,
    pub(super) visible_ms_mean: f64,
    pub(super) visible_ms_max: f64,
    /// Steps that were not seen within the time that they were looked for.
    pub(super) never_visible: u64,
}

impl Summary {
    pub(super) fn new(plan: &Plan, books: &Books, last: &BTreeMap<Signal, Counts>) -> Self {
        let own = books.ledger.own();
        let totals = |signal: Signal| {
            let delays = &books.delays[signal as usize];
            Totals {
                last: last.get(&signal).copied().unwrap_or_default(),
                refused: books.ledger.items(signal, Fate::Refused),
                ever: Fault::ALL.map(|fault| (fault.as_str(), books.faults.count(signal, fault))).into(),
                visible_ms_mean: delays.mean_ms(),
                visible_ms_max: delays.max.as_secs_f64() * 1e3,
                never_visible: delays.never,
            }
        };
        Self {
            run: plan.run().to_owned(),
            since: own.map(|(first, _)| moment(plan.start_ms(first))),
            until: own.map(|(_, last)| moment(plan.start_ms(last + 1))),
            checks: books.checks,
            failed_checks: books.failed_checks,
            signals: Signal::ALL.map(|signal| (signal.as_str(), totals(signal))).into(),
        }
    }

    pub(super) fn text(&self) -> String {
        let (run, checks, failed) = (&self.run, self.checks, self.failed_checks);
        let mut text = format!("run {run}: {checks} checks, {failed} could not be made\n");
        if let (Some(since), Some(until)) = (&self.since, &self.until) {
            let _ = writeln!(text, "acknowledged from {since} to {until}");
        }
        for (signal, Totals { last, refused, ever, visible_ms_mean, visible_ms_max, never_visible }) in
            &self.signals
        {
            let Counts { acknowledged, found, unknown, .. } = last;
            let _ = write!(text, "{signal:8} {found} of {acknowledged} found");
            for (fault, count) in ever {
                let _ = write!(text, ", {count} {fault}");
            }
            let _ = write!(
                text,
                "; {unknown} unknown, {refused} refused; seen after {visible_ms_mean:.0} ms, at most {visible_ms_max:.0} ms"
            );
            if *never_visible > 0 {
                let _ = write!(text, ", {never_visible} steps not while they were looked for");
            }
            text.push('\n');
        }
        text
    }
}

/// Counters in Prometheus' text format.
pub(super) fn metrics(books: &Books) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, f64)>| {
        let _ =
            writeln!(text, "# HELP isinglass_verify_{name} {help}\n# TYPE isinglass_verify_{name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "isinglass_verify_{name}{labels} {value}");
        }
    };
    let of =
        |signal: Signal, label: &str, value: &str| format!("{{signal=\"{signal}\",{label}=\"{value}\"}}");
    let fates =
        [(Fate::Acknowledged, "acknowledged"), (Fate::Unknown, "unknown"), (Fate::Refused, "refused")];
    let written = Signal::ALL.into_iter().flat_map(|signal| {
        fates.map(|(fate, name)| (of(signal, "fate", name), books.ledger.items(signal, fate) as f64))
    });
    family("items", "gauge", "Items written in the last day, by what the server said", written.collect());
    let faults = Signal::ALL.into_iter().flat_map(|signal| {
        Fault::ALL
            .map(|fault| (of(signal, "fault", fault.as_str()), books.faults.count(signal, fault) as f64))
    });
    family("faults_total", "counter", "Items that were not as they must be, each once", faults.collect());
    let checks = [("read", books.checks), ("failed", books.failed_checks)];
    let checks = checks.map(|(result, count)| (format!("{{result=\"{result}\"}}"), count as f64));
    family("checks_total", "counter", "Ranges read back, and those that could not be", checks.to_vec());
    let delays = |value: fn(&Delays) -> f64| {
        let of = |signal: Signal| (format!("{{signal=\"{signal}\"}}"), value(&books.delays[signal as usize]));
        Signal::ALL.map(of).to_vec()
    };
    family(
        "visible_seconds_sum",
        "counter",
        "Time from acknowledged to seen",
        delays(|d| d.sum.as_secs_f64()),
    );
    family("visible_seconds_count", "counter", "Steps that were seen", delays(|d| d.count as f64));
    family("visible_seconds_max", "gauge", "The longest of these times", delays(|d| d.max.as_secs_f64()));
    family("never_visible_total", "counter", "Steps not seen while looked for", delays(|d| d.never as f64));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_a_line() {
        let counts = Counts { acknowledged: 80, found: 78, missing: 2, unknown: 8, ..Counts::default() };
        let signals =
            [("metrics", counts), ("spans", Counts { acknowledged: 4, found: 4, ..Counts::default() })];
        let check = Check { time: "t".into(), range_seconds: 900, signals: signals.into() };
        assert_eq!(check.line(), "t last 15m: metrics 78 of 80, 2 missing, 8 unknown; spans 4 of 4");
    }

    #[test]
    fn counters_are_all_there() {
        let mut books = Books::new(Ledger::new(0, 0));
        books.ledger.set(Signal::Logs, 1, Fate::Acknowledged);
        books.delays[Signal::Logs as usize].note(Some(Duration::from_millis(500)));
        let text = metrics(&books);
        for line in [
            "isinglass_verify_items{signal=\"logs\",fate=\"acknowledged\"} 5",
            "isinglass_verify_faults_total{signal=\"spans\",fault=\"missing\"} 0",
            "isinglass_verify_checks_total{result=\"failed\"} 0",
            "isinglass_verify_visible_seconds_sum{signal=\"logs\"} 0.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
