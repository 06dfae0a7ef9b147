//! Questions that would take the process down, starve others, or reach beyond their tenant: each
//! ends as `sql.toml`, `promql.toml` and `escapes.toml` say, and the server goes on.
//!
//! Beside each of them the tenant `neighbour` asks cheap questions again and again. Its slowest
//! answers may take twice what they take beside a query that is large and nothing else.

mod asked;
mod cancel;
mod cases;
mod neighbour;
mod waits;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use asked::Asked;
use cases::{Case, Said, cases, shown};
use isinglass_testkit::{loki, remote_write};
use neighbour::Neighbour;
use waits::{Usual, Waits};

use crate::harness::{Client, Server, eventually, now_millis, now_nanos};

/// Short, so that work without end is over soon.
const CONFIG: &str = "[query]\ndeadline_ms = 4000\n";

/// When a question must have been answered, whatever it is and however slow the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is refused at once is asked again until the neighbour has been heard.
const ASKED_FOR: Duration = Duration::from_millis(500);

/// How often a case is asked before it is said that it starves others.
const TRIES: usize = 4;

/// After so many cases it is heard again what is usual.
const USUAL_EVERY: usize = 12;

/// Large, and nothing is wrong with it: all cores are busy until the deadline.
const LARGE: &str = "SELECT value % 1000 AS k, count(*) AS n, avg(sqrt(value)) AS a \
                     FROM range(1, 100000000000) GROUP BY k ORDER BY k LIMIT 10";

/// What may stay of the memory of all questions together: caches, and pages that the allocator
/// has not given back.
const LEFT_MIB: u64 = 96;

const LINES: usize = 2_000;
const SERIES: usize = 200;

/// Lines, and series with a sample every ten seconds for half an hour.
async fn fill(client: &Client) {
    let line = |n: usize| format!("{n:08} {}", "lorem ipsum dolor ".repeat(10));
    let stream = (0..LINES).fold(loki::Stream::new(r#"{service_name="shop"}"#), |stream, n| {
        stream.line(now_nanos() + n as u64, &line(n))
    });
    client.loki(&loki::request(&[stream])).await.ok();
    let now = now_millis();
    let series = |n: usize| {
        let series = remote_write::Series::new(&[("__name__", "m"), ("n", &n.to_string()), ("job", "shop")]);
        (0..180).fold(series, |series, at| series.sample(now - (179 - at) * 10_000, (at * n as i64) as f64))
    };
    let series: Vec<_> = (0..SERIES).map(series).collect();
    client.remote_write(&remote_write::request(&series)).await.ok();
}

/// Asks until the neighbour has been heard meanwhile. While the memory is in use it comes again.
async fn ask(client: &Client, name: &str, asked: &Asked) -> Said {
    let start = Instant::now();
    loop {
        let began = Instant::now();
        let answer = asked.ask(client).await;
        assert!(began.elapsed() < PATIENCE, "{name}: answered after {:?}", began.elapsed());
        let sent_away = answer.status == 503 && answer.text().contains("in use");
        assert!(!sent_away || start.elapsed() < PATIENCE, "{name}: {}", answer.text());
        if !sent_away && start.elapsed() >= ASKED_FOR {
            return Asked::said(&answer);
        }
        tokio::time::sleep(Duration::from_millis(if sent_away { 100 } else { 1 })).await;
    }
}

/// What is beside the data and the log of the server, in the data folder, and where the server
/// was started.
fn beside(server: &Server) -> BTreeSet<String> {
    let names = |folder: &Path| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    };
    let mut all = names(server.scratch());
    all.extend(names(&server.data_dir()).into_iter().map(|name| format!("data/{name}")));
    all.extend(names(Path::new(".")).into_iter().map(|name| format!("./{name}")));
    all
}

/// A server under attack, and who lives beside it.
struct Siege {
    server: Server,
    client: Client,
    neighbour: Neighbour,
    usual: Usual,
    faults: Vec<String>,
}

impl Siege {
    async fn begin(server: Server) -> Self {
        let client = server.client().tenant("hostile");
        fill(&client).await;
        let neighbour = Neighbour::move_in(&server).await;
        Self { server, client, neighbour, usual: Usual::default(), faults: Vec::new() }
    }

    /// What the neighbour waits for while nobody else asks, and beside what is large.
    async fn hear_usual(&mut self) {
        self.neighbour.forget();
        tokio::time::sleep(Duration::from_secs(1)).await;
        println!("quiet: {}", self.neighbour.waits());
        self.neighbour.forget();
        let said = ask(&self.client, "what is large", &Asked::sql(LARGE)).await;
        let waits = self.neighbour.waits();
        println!("usual: {waits} | {}", shown(&said, 60));
        self.usual.heard(&waits);
    }

    /// Asks what a case asks, again where that seems to have kept the neighbour waiting; gives
    /// back what the neighbour waited for.
    async fn endure(&mut self, case: &Case) -> Waits {
        let asked = case.asked();
        for attempt in 1.. {
            self.neighbour.forget();
            let start = Instant::now();
            let said = ask(&self.client, &case.name, &asked).await;
            let (took, waits) = (start.elapsed(), self.neighbour.waits());
            assert!(self.server.is_running(), "{}: the server is gone\n{}", case.name, self.server.log());
            let times = self.usual.times(&waits);
            let peak_mib = self.server.peak_mib().unwrap_or_default();
            println!(
                "{took:>7.1?} {times:>5.1}x {waits}, peak {peak_mib} MiB | {} | {}",
                case.name,
                shown(&said, 100)
            );
            let too_long = self.usual.is_too_long(&waits);
            if too_long && attempt < TRIES {
                // What is left of it may still run.
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
            self.faults.extend(case.fault(&said));
            if too_long {
                self.faults.push(format!("{}: others waited {times:.1} times as long: {waits}", case.name));
            }
            return waits;
        }
        unreachable!("attempts end");
    }

    /// Everything is as it was.
    async fn end(self, before: &BTreeSet<String>, resident_mib: u64) -> Server {
        let Self { server, client, neighbour, faults, .. } = self;
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        neighbour.move_out().await;
        assert_eq!(&beside(&server), before, "something was written");
        assert_eq!(client.count("logs").await, LINES as u64);
        assert_eq!(client.number("select count(*) from system.queries where state = 'running'").await, 1.0);
        eventually("memory comes back", Duration::from_secs(60), || async {
            (server.resident_mib() <= resident_mib + LEFT_MIB).then_some(())
        })
        .await;
        assert_eq!(server.panics(), Vec::<String>::new());
        server
    }
}

/// Runs every case of a file beside the neighbour.
async fn check(file: &str, placeholders: &[(&str, &str)], server: Server) -> Server {
    let mut siege = Siege::begin(server).await;
    siege.hear_usual().await;
    let (before, resident_mib) = (beside(&siege.server), siege.server.resident_mib());
    println!("{resident_mib} MiB resident");
    let mut all = Waits::default();
    for (at, case) in cases(file, placeholders).iter().enumerate() {
        if at % USUAL_EVERY == 0 {
            siege.hear_usual().await;
        }
        all.extend(siege.endure(case).await);
    }
    println!("beside all: {all}, {:.1} times what is usual", siege.usual.times(&all));
    siege.end(&before, resident_mib).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements() {
    check("sql.toml", &[], Server::start_with(CONFIG)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expressions() {
    check("promql.toml", &[], Server::start_with(CONFIG)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escapes() {
    let server = Server::start_with(CONFIG);
    let (folder, file) = (server.scratch().to_owned(), server.scratch().join("outside.csv"));
    std::fs::write(&file, format!("{}\n1\n", cases::SECRET)).unwrap();
    let (folder, file) = (folder.display().to_string(), file.display().to_string());
    let _server = check("escapes.toml", &[("{folder}", &folder), ("{file}", &file)], server).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n1\n", cases::SECRET));
}

/// A server that stands still for a third of a second now and then is one that starves others,
/// and is seen to be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_starves_others_is_noticed() {
    let mut siege = Siege::begin(Server::start_with(CONFIG)).await;
    for _ in 0..3 {
        siege.hear_usual().await;
    }
    let process = rustix::process::Pid::from_raw(siege.server.process_id().cast_signed()).unwrap();
    let signal = |signal| rustix::process::kill_process(process, signal).unwrap();
    for _ in 0..TRIES {
        siege.neighbour.forget();
        for _ in 0..4 {
            let still = siege.usual.too_long_ms() * 1.5;
            signal(rustix::process::Signal::STOP);
            tokio::time::sleep(Duration::from_secs_f64(still / 1e3)).await;
            signal(rustix::process::Signal::CONT);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let waits = siege.neighbour.waits();
        println!("standing still: {waits}");
        assert!(siege.usual.is_too_long(&waits), "{waits}");
    }
    siege.neighbour.move_out().await;
}
