//! `isinglass verify`: the test of a running server that never ends.
//!
//! ```text
//!          every interval                            again and again
//! plan ──▶ write: remote write, Loki, OTLP ──▶ ledger ──▶ read: SQL ──▶ compare ──▶ report
//!          the same batch key until answered   acknowledged?  last minute … day
//! ```
//!
//! What was acknowledged must be there, once, and as it was sent. What was not may be there
//! or not. Nothing else may be there under the name of the run.
//!
//! | file | holds |
//! |---|---|
//! | `plan.rs` | the data, made from name and time alone |
//! | `write.rs`, `read.rs` | the ways in and out |
//! | `ledger.rs` | what the server said of each step |
//! | `compare.rs` | what is missing, twice, wrong, unexpected |
//! | `report.rs`, `listen.rs` | lines, summary, counters |

mod compare;
mod ledger;
mod listen;
mod plan;
mod read;
mod report;
mod write;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use clap::Args;
use isinglass_model::Clock;
use isinglass_model::clock::SystemClock;
use parking_lot::Mutex;
use rand::Rng;
use reqwest::Url;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::end::end;
use compare::{Counts, compare};
use ledger::{Fate, Ledger};
use plan::{Plan, Signal, Step};
use read::{Reader, moment};
use report::{Books, Check, Summary};
use write::{Sent, Writer};

/// What is read back, each a fifteenth of itself after the last time.
const RANGES: [Duration; 4] = [
    Duration::from_secs(60),
    Duration::from_secs(900),
    Duration::from_secs(3_600),
    Duration::from_secs(86_400),
];
const RANGE_PARTS: u32 = 15;
/// Steps that are being sent; when a server does not answer for long, later ones wait and
/// are sent late.
const UNDER_WAY_MAX: usize = 64;
/// The items of a step lie in its first milliseconds: it is sent after them.
const STEP_LAG_MS: i64 = 10;
/// How long an acknowledged step is looked for to say how late it can be seen.
const VISIBLE_MAX: Duration = Duration::from_secs(30);
const VISIBLE_PAUSE: Duration = Duration::from_millis(50);
/// Rows that one query may bring; longer ranges are read in pieces.
const ROWS_PER_QUERY: i64 = 50_000;
/// A batch key is remembered for ten minutes; nothing is sent again after that.
const RETRY_MAX: Duration = Duration::from_secs(540);

/// Which server, for how long, and who is told.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The server's main address
    #[arg(long, value_name = "URL", env = "ISINGLASS_URL", default_value = "http://127.0.0.1:4319")]
    pub url: Url,
    /// OTLP over HTTP [default: the same host, port 4318]
    #[arg(long, value_name = "URL")]
    pub otlp_http: Option<Url>,
    /// The tenant to write to
    #[arg(long, value_name = "NAME", env = "ISINGLASS_TENANT")]
    pub tenant: Option<String>,
    /// Name of the run; two verifiers need two [default: drawn]
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,
    /// Time between two steps, 1s to 1h
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    pub interval: Duration,
    /// End after this time; without it at ctrl-c
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub for_: Option<Duration>,
    /// Write one step, check, end
    #[arg(long, conflicts_with = "for_")]
    pub once: bool,
    /// Also check what an earlier verifier of the same --id and --interval wrote without a
    /// break since then: a time (RFC 3339) or how long ago
    #[arg(long, value_name = "TIME", value_parser = parse_moment, requires = "id")]
    pub since: Option<SystemTime>,
    /// Write nothing, check from --since up to then
    #[arg(long, value_name = "TIME", value_parser = parse_moment, requires = "since", conflicts_with_all = ["for_", "once"])]
    pub until: Option<SystemTime>,
    /// How long a step is sent again while the server does not take it, at most 9m
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    pub retry_for: Duration,
    /// Print JSON, a value a line
    #[arg(long)]
    pub json: bool,
    /// Serve counters for a Prometheus under /metrics
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

fn parse_moment(text: &str) -> Result<SystemTime, String> {
    if let Ok(ago) = humantime::parse_duration(text) {
        return SystemTime::now().checked_sub(ago).ok_or_else(|| format!("{text} is too long ago"));
    }
    humantime::parse_rfc3339_weak(text).map_err(|error| {
        format!("{text:?} is neither a time, such as 2026-01-02T03:04:05Z, nor a duration: {error}")
    })
}

/// Verifies. Exit code 0: all that was acknowledged is there; 1: something is missing, there
/// twice, wrong or unexpected; 2: it could not be found out.
pub async fn run(args: VerifyArgs) -> ExitCode {
    match verify(&args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn verify(args: &VerifyArgs) -> anyhow::Result<bool> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let verifier = Arc::new(Verifier::new(args, clock)?);
    if let Some(address) = args.listen {
        listen::serve(address, Arc::clone(&verifier.books)).await?;
    }
    verifier.say_start(args)?;
    let own_from = verifier.own_from;
    match (args.until, args.once) {
        (Some(_), _) => {}
        (None, true) => Arc::clone(&verifier).write(own_from).await,
        (None, false) => verifier.run_until(end(args.for_)?).await,
    }
    let last = verifier.last_check(args.retry_for).await?;
    verifier.sum_up(&last)
}

/// One run against one server.
struct Verifier {
    plan: Plan,
    writer: Writer,
    reader: Reader,
    books: Arc<Mutex<Books>>,
    clock: Arc<dyn Clock>,
    /// The first step that this verifier writes; the one after the last if it writes none.
    own_from: Step,
    writes: bool,
    json: bool,
}

impl Verifier {
    fn new(args: &VerifyArgs, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        if args.retry_for > RETRY_MAX {
            bail!(
                "--retry-for may be at most {} s and not {} s",
                RETRY_MAX.as_secs(),
                args.retry_for.as_secs()
            );
        }
        let id = args.id.clone().unwrap_or_else(|| format!("{:08x}", rand::rng().random::<u32>()));
        let plan = Plan::new(&id, i64::try_from(args.interval.as_millis()).unwrap_or(i64::MAX))?;
        // Steps that begin at a moment or later.
        let from = |moment| plan.step_at(unix_ms(moment) + plan.interval_ms() - 1);
        let now = plan.step_at(clock.now_unix_millis());
        let own_from = args.until.map_or(if args.once { now } else { now + 1 }, from);
        let since = args.since.map_or(own_from, from);
        if args.until.is_some() && since >= own_from {
            bail!("there is no step between --since and --until");
        }
        let http = reqwest::Client::builder().connect_timeout(Duration::from_secs(5)).build()?;
        let otlp = args.otlp_http.clone().map_or_else(|| otlp_beside(&args.url), Ok)?;
        let urls = (folder(args.url.clone()), folder(otlp));
        let (server, tenant) = (urls.0.clone(), args.tenant.clone());
        Ok(Self {
            writer: Writer::new(http.clone(), urls, tenant.clone(), args.retry_for),
            reader: Reader::new(http, server, tenant),
            books: Arc::new(Mutex::new(Books::new(Ledger::new(since, own_from)))),
            plan,
            clock,
            own_from,
            writes: args.until.is_none(),
            json: args.json,
        })
    }

    fn say_start(&self, args: &VerifyArgs) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let (run, url) = (self.plan.run(), &args.url);
        let what = if self.writes { "writes to and reads from" } else { "reads from" };
        writeln!(io::stdout(), "run {run} {what} {url}")
    }

    /// Writes a step each interval and checks, until the end.
    async fn run_until(self: &Arc<Self>, end: impl Future<Output = ()>) {
        let mut checks = JoinSet::new();
        checks.spawn(Arc::clone(self).check_for_ever());
        let mut writes = JoinSet::new();
        let mut next = self.own_from;
        let mut end = std::pin::pin!(end);
        loop {
            let due = self.plan.start_ms(next) + STEP_LAG_MS - self.clock.now_unix_millis();
            let due = Duration::from_millis(u64::try_from(due).unwrap_or_default());
            tokio::select! {
                biased;
                () = &mut end => break,
                Some(_) = writes.join_next() => {}
                () = tokio::time::sleep(due), if writes.len() < UNDER_WAY_MAX => {
                    writes.spawn(Arc::clone(self).write(next));
                    next += 1;
                }
            }
        }
        checks.shutdown().await;
        while writes.join_next().await.is_some() {}
    }

    /// Writes a step, all signals at once.
    async fn write(self: Arc<Self>, step: Step) {
        let signal = |signal| self.write_signal(signal, step);
        tokio::join!(signal(Signal::Metrics), signal(Signal::Logs), signal(Signal::Spans));
    }

    async fn write_signal(&self, signal: Signal, step: Step) {
        self.books.lock().ledger.set(signal, step, Fate::UnderWay);
        let sent = self.writer.send(&self.plan, signal, step).await;
        let acknowledged = Instant::now();
        {
            let mut books = self.books.lock();
            let (fate, fault) = match sent {
                Sent::Acknowledged => (Fate::Acknowledged, None),
                Sent::Unknown(fault) => (Fate::Unknown, Some(fault)),
                Sent::Refused(fault) => (Fate::Refused, Some(fault)),
            };
            books.ledger.set(signal, step, fate);
            if let Some(fault) = fault {
                books.last_error = Some(format!("{signal}: {fault}"));
                return;
            }
        }
        let delay = self.seen_after(signal, step, acknowledged).await;
        self.books.lock().delays[signal as usize].note(delay);
    }

    /// How long after its acknowledgement a step is seen.
    async fn seen_after(&self, signal: Signal, step: Step, acknowledged: Instant) -> Option<Duration> {
        while acknowledged.elapsed() < VISIBLE_MAX {
            // A server that is away is asked again; the checks tell of it.
            let visible = self.reader.visible(&self.plan, signal, step).await.unwrap_or_default();
            if visible >= signal.items() as usize {
                return Some(acknowledged.elapsed());
            }
            tokio::time::sleep(VISIBLE_PAUSE).await;
        }
        None
    }

    async fn check_for_ever(self: Arc<Self>) {
        let mut last: [Option<Instant>; RANGES.len()] = [None; RANGES.len()];
        loop {
            tokio::time::sleep(Duration::from_millis(self.plan.interval_ms().unsigned_abs())).await;
            for (range, last) in RANGES.iter().zip(&mut last) {
                let (steps, all) = self.steps_of(*range);
                let due = last.is_none_or(|last| last.elapsed() >= *range / RANGE_PARTS);
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
        let (from, first) = (end - long.max(1), self.books.lock().ledger.first());
        (from.max(first)..end, from <= first)
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
    async fn last_check(&self, patience: Duration) -> anyhow::Result<BTreeMap<Signal, Counts>> {
        let until = Instant::now() + patience;
        let end =
            if self.writes { self.plan.step_at(self.clock.now_unix_millis()) + 1 } else { self.own_from };
        loop {
            let first = self.books.lock().ledger.first();
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
    fn sum_up(&self, last: &BTreeMap<Signal, Counts>) -> anyhow::Result<bool> {
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

    fn now(&self) -> String {
        moment(self.clock.now_unix_millis())
    }

    /// Prints a value or its line. If nobody reads it, the exit code still tells.
    fn say(&self, value: &serde_json::Value, line: impl FnOnce() -> String) {
        let line = if self.json { value.to_string() } else { line() };
        let _ = writeln!(io::stdout(), "{line}");
    }
}

fn unix_ms(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A URL whose last part is a folder, so that paths are added to it.
fn folder(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    url
}

fn otlp_beside(url: &Url) -> anyhow::Result<Url> {
    let mut otlp = url.clone();
    otlp.set_path("/");
    otlp.set_port(Some(4318)).ok().context("--url has no host")?;
    Ok(otlp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert_eq!(otlp_beside(&url("http://a:4319/x")).unwrap(), url("http://a:4318/"));
        assert_eq!(
            folder(url("http://a:1/behind/proxy")).join("api/sql").unwrap(),
            url("http://a:1/behind/proxy/api/sql")
        );
    }

    #[test]
    fn moments() {
        assert_eq!(unix_ms(parse_moment("2023-11-14T22:13:20Z").unwrap()), 1_700_000_000_000);
        let moment = parse_moment("1h").unwrap();
        let ago = SystemTime::now().duration_since(moment).unwrap();
        assert!((3_600..3_610).contains(&ago.as_secs()), "{ago:?}");
        assert!(parse_moment("yesterday").unwrap_err().contains("neither a time"));
    }
}
