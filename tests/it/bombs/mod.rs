//! Statements that would take the process down, or reach beyond their tenant: each ends as
//! `sql.toml` and `escapes.toml` say, and the server goes on.
//!
//! Beside each of them the tenant `neighbour` asks a cheap question again and again. How much
//! longer it waits than on a quiet server is printed; it is asserted only that it is answered.

mod cases;
mod neighbour;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use cases::{Case, cases};
use isinglass_testkit::loki::{self, Stream};
use neighbour::{Neighbour, Waits};

use crate::harness::{Answer, Client, Server, eventually, now_nanos};

/// Short, so that work without end is over soon.
const CONFIG: &str = "[query]\ndeadline_ms = 4000\n";

/// When a statement must have been answered, whatever it is and however slow the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is refused at once is asked again until the neighbour has been heard.
const ASKED_FOR: Duration = Duration::from_millis(300);

/// What may stay of the memory of all statements together: caches, and pages that the allocator
/// has not given back.
const LEFT_MIB: u64 = 96;

const LINES: usize = 2_000;

async fn fill(client: &Client) {
    let line = |n: usize| format!("{n:08} {}", "lorem ipsum dolor ".repeat(10));
    let stream = (0..LINES).fold(Stream::new(r#"{service_name="shop"}"#), |stream, n| {
        stream.line(now_nanos() + n as u64, &line(n))
    });
    client.loki(&loki::request(&[stream])).await.ok();
}

/// What a statement was answered with: the rows, or the message of the error.
fn said(answer: &Answer) -> Result<String, String> {
    let json = answer.json();
    match json["error"]["message"].as_str() {
        Some(message) => Err(message.to_owned()),
        None => Ok(answer.text()),
    }
}

/// Asks until the neighbour has been heard meanwhile. While the memory is in use it comes again.
async fn ask(client: &Client, case: &Case) -> Result<String, String> {
    let start = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = client.ask(&case.sql).await;
        assert!(asked.elapsed() < PATIENCE, "{}: answered after {:?}", case.name, asked.elapsed());
        let sent_away = answer.status == 503;
        assert!(!sent_away || start.elapsed() < PATIENCE, "{}: {}", case.name, answer.text());
        if !sent_away && start.elapsed() >= ASKED_FOR {
            return said(&answer);
        }
        tokio::time::sleep(Duration::from_millis(if sent_away { 100 } else { 1 })).await;
    }
}

/// Everything in a folder but the data and the log of the server.
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

/// Runs every case of a file beside the neighbour.
async fn check(file: &str, placeholders: &[(&str, &str)], mut server: Server) {
    let client = server.client().tenant("hostile");
    fill(&client).await;
    let neighbour = Neighbour::move_in(&server).await;
    let before = beside(&server);
    let (quiet, resident_mib) = (neighbour.listen(Duration::from_secs(3)).await, server.resident_mib());
    println!("quiet: {quiet}, {resident_mib} MiB resident");

    let (mut faults, mut all, mut ratios) = (Vec::new(), Waits::default(), Vec::new());
    for case in cases(file, placeholders) {
        neighbour.forget();
        let start = Instant::now();
        let said = ask(&client, &case).await;
        let took = start.elapsed();
        assert!(server.is_running(), "{}: the server is gone", case.name);
        let waits = neighbour.waits();
        let ratio = waits.ratio_to(&quiet);
        let shown: String =
            said.as_ref().map_or_else(|e| e.as_str(), String::as_str).chars().take(100).collect();
        println!("{took:>7.1?} {ratio:>6.1}x {waits} | {} | {shown}", case.name);
        faults.extend(case.fault(&said));
        ratios.push(ratio);
        all.extend(waits);
    }
    println!("beside all: {all}, {:.1} times the p99 of a quiet server", all.ratio_to(&quiet));
    ratios.sort_by(f64::total_cmp);
    println!("ratios of p99: median {:.1}, worst {:.1}", ratios[ratios.len() / 2], ratios[ratios.len() - 1]);
    assert!(faults.is_empty(), "{} statements:\n{}", faults.len(), faults.join("\n"));

    neighbour.move_out().await;
    assert_eq!(beside(&server), before, "something was written");
    assert_eq!(client.count("logs").await, LINES as u64);
    assert_eq!(client.number("select count(*) from system.queries where state = 'running'").await, 1.0);
    eventually("memory comes back", Duration::from_secs(60), || async {
        (server.resident_mib() <= resident_mib + LEFT_MIB).then_some(())
    })
    .await;
    assert_eq!(server.panics(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bombs() {
    check("sql.toml", &[], Server::start_with(CONFIG)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escapes() {
    let server = Server::start_with(CONFIG);
    let (folder, file) = (server.scratch().to_owned(), server.scratch().join("outside.csv"));
    std::fs::write(&file, format!("{}\n1\n", cases::SECRET)).unwrap();
    let (folder, file) = (folder.display().to_string(), file.display().to_string());
    check("escapes.toml", &[("{folder}", &folder), ("{file}", &file)], server).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{}\n1\n", cases::SECRET));
}
