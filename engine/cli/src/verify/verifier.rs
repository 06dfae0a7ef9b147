//! One run against one server: what is written when.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use isinglass_model::Clock;
use parking_lot::Mutex;
use rand::Rng;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::args::{VerifyArgs, folder, otlp_beside, unix_ms};
use super::ledger::{Fate, Ledger};
use super::plan::{Plan, Signal, Step};
use super::read::{Reader, moment};
use super::report::Books;
use super::write::{Sent, Writer};

/// Steps that are being sent; when a server does not answer for long, later ones wait and
/// are sent late.
const UNDER_WAY_MAX: usize = 64;
/// The items of a step lie in its first milliseconds: it is sent after them.
const STEP_LAG_MS: i64 = 10;
/// How long an acknowledged step is looked for to say how late it can be seen.
const VISIBLE_MAX: Duration = Duration::from_secs(30);
const VISIBLE_PAUSE: Duration = Duration::from_millis(50);
/// A batch key is remembered for ten minutes; nothing is sent again after that.
const RETRY_MAX: Duration = Duration::from_secs(540);

/// One run against one server.
pub(super) struct Verifier {
    pub(super) plan: Plan,
    writer: Writer,
    pub(super) reader: Reader,
    pub(super) books: Arc<Mutex<Books>>,
    pub(super) clock: Arc<dyn Clock>,
    /// The first step that this verifier writes; the one after the last if it writes none.
    pub(super) own_from: Step,
    pub(super) writes: bool,
    /// Steps that are read back at most.
    pub(super) back: Step,
    json: bool,
}

impl Verifier {
    pub(super) fn new(args: &VerifyArgs, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
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
        let back = match args.until {
            Some(_) => Step::MAX,
            None => i64::try_from(args.back.as_millis()).unwrap_or(i64::MAX) / plan.interval_ms(),
        };
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
            back,
            json: args.json,
        })
    }

    pub(super) fn say_start(&self, args: &VerifyArgs) -> io::Result<()> {
        if self.json {
            return Ok(());
        }
        let (run, url) = (self.plan.run(), &args.url);
        let what = if self.writes { "writes to and reads from" } else { "reads from" };
        writeln!(io::stdout(), "run {run} {what} {url}")
    }

    /// Writes a step each interval and checks, until the end.
    pub(super) async fn run_until(self: &Arc<Self>, end: impl Future<Output = ()>) {
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
    pub(super) async fn write(self: Arc<Self>, step: Step) {
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

    pub(super) fn now(&self) -> String {
        moment(self.clock.now_unix_millis())
    }

    /// Prints a value or its line. If nobody reads it, the exit code still tells.
    pub(super) fn say(&self, value: &serde_json::Value, line: impl FnOnce() -> String) {
        let line = if self.json { value.to_string() } else { line() };
        let _ = writeln!(io::stdout(), "{line}");
    }
}
