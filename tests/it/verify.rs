//! `isinglass verify` against a real server: nothing is missed where nothing is lost, and
//! where something is lost it says so.

use std::io::Read as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Server, eventually};

/// A verifier of the server, a step a second.
fn verify(server: &Server, arguments: &[&str]) -> Child {
    let url = |address: &str| format!("http://{address}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    command.args(["verify", "--json", "--interval", "1s"]);
    command.args([
        "--url",
        &url(&server.addresses().http),
        "--otlp-http",
        &url(&server.addresses().otlp_http),
    ]);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a verifier has written some steps.
async fn some_steps(server: &Server) {
    let client = server.client();
    let spans = || async { (client.count("spans").await >= 4 * 3).then_some(()) };
    eventually("three steps", Duration::from_secs(60), spans).await;
}

struct Told {
    code: Option<i32>,
    checks: Vec<Value>,
    summary: Value,
    errors: String,
}

impl Told {
    /// Waits for a verifier and reads what it printed.
    async fn by(verifier: Child) -> Self {
        let output: Output =
            tokio::task::spawn_blocking(|| verifier.wait_with_output().unwrap()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |key: &'static str| lines.iter().filter_map(move |line| line.get(key).cloned());
        Self {
            code: output.status.code(),
            checks: of("check").collect(),
            summary: of("summary").next().unwrap_or_default(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A number of the summary, for each signal.
    fn each(&self, key: &str) -> [u64; 3] {
        ["metrics", "logs", "spans"].map(|signal| {
            let totals = &self.summary["signals"][signal];
            let value = totals.get(key).unwrap_or(&totals["ever"][key]);
            value.as_u64().unwrap_or_else(|| panic!("{signal}.{key}: {}", self.summary))
        })
    }

    #[track_caller]
    fn is_clean(&self) {
        assert_eq!(self.code, Some(0), "{}\n{}", self.errors, self.summary);
        for fault in ["missing", "twice", "wrong", "unexpected"] {
            assert_eq!(self.each(fault), [0; 3], "{fault}: {}", self.summary);
        }
        assert_eq!(self.each("found"), self.each("acknowledged"), "{}", self.summary);
    }
}

#[tokio::test]
async fn a_server_that_is_killed_and_starts_again_misses_nothing() {
    let mut server = Server::start();
    let verifier = verify(&server, &["--for", "20s", "--id", "kill"]);
    some_steps(&server).await;
    server.kill();
    server.start_again_there();
    let told = Told::by(verifier).await;
    told.is_clean();
    assert!(told.each("acknowledged").iter().all(|items| *items >= 4 * 5), "{}", told.summary);
    assert!(!told.checks.is_empty());

    // Who comes later knows what was written, from the name and the times alone.
    let (since, until) = (told.summary["since"].as_str().unwrap(), told.summary["until"].as_str().unwrap());
    server.client().flush().await;
    let later = Told::by(verify(&server, &["--id", "kill", "--since", since, "--until", until])).await;
    later.is_clean();
    assert_eq!(later.each("found"), told.each("found"));
    // Under another name nothing of it is there.
    let other = Told::by(verify(&server, &["--id", "other", "--since", since, "--until", until])).await;
    assert_eq!((other.code, other.each("found")), (Some(1), [0; 3]), "{}", other.summary);
}

#[tokio::test]
async fn what_is_lost_is_told() {
    let mut server = Server::start();
    let verifier = verify(&server, &["--for", "12s", "--id", "lost"]);
    some_steps(&server).await;
    server.client().flush().await;
    let told = Told::by(verifier).await;
    told.is_clean();

    // All that was not flushed goes with the log.
    server.kill();
    std::fs::remove_dir_all(server.data_dir().join("wal")).unwrap();
    server.start_again();
    let (since, until) = (told.summary["since"].as_str().unwrap(), told.summary["until"].as_str().unwrap());
    let later = Told::by(verify(&server, &["--id", "lost", "--since", since, "--until", until])).await;
    assert_eq!(later.code, Some(1), "{}", later.errors);
    let (missing, found) = (later.each("missing"), later.each("found"));
    assert!(missing.iter().chain(&found).all(|items| *items > 0), "{}", later.summary);
    let sums = [0, 1, 2].map(|signal| missing[signal] + found[signal]);
    assert_eq!(sums, told.each("acknowledged"));
    assert!(later.errors.contains("faults in"), "{}", later.errors);
}

#[tokio::test]
async fn what_is_there_twice_is_told() {
    let server = Server::start();
    let first = Told::by(verify(&server, &["--once", "--id", "twice"])).await;
    first.is_clean();
    assert_eq!(first.each("acknowledged"), [8, 5, 4]);
    // The same samples again, in a batch of their own.
    let rows = server
        .client()
        .sql("select value, item, run, time from metrics.isinglass_verify_value limit 1")
        .await;
    let (run, item) = (rows[0]["run"].as_str().unwrap(), rows[0]["item"].as_str().unwrap());
    let time = server
        .client()
        .number("select cast(max(time) as bigint) / 1000000 from metrics.isinglass_verify_value")
        .await;
    let series = isinglass_testkit::remote_write::Series::new(&[
        ("__name__", "isinglass_verify_value"),
        ("item", item),
        ("run", run),
    ]);
    let again = series.sample(time as i64, rows[0]["value"].as_f64().unwrap());
    let body = isinglass_testkit::remote_write::request(&[again]);
    server.client().remote_write(&body).await.ok();
    let (since, until) = (first.summary["since"].as_str().unwrap(), first.summary["until"].as_str().unwrap());
    let later = Told::by(verify(&server, &["--id", "twice", "--since", since, "--until", until])).await;
    assert_eq!((later.code, later.each("twice")), (Some(1), [1, 0, 0]), "{}", later.summary);
}

#[tokio::test]
async fn nobody_there_is_no_verdict() {
    let mut server = Server::start();
    server.kill();
    let told = Told::by(verify(&server, &["--once", "--retry-for", "1s"])).await;
    assert_eq!(told.code, Some(2), "{}", told.errors);
    assert!(told.errors.contains("the last check could not be made"), "{}", told.errors);
}

/// Where a verifier serves its counters, as the first line says that it prints.
fn listening(verifier: &mut Child) -> String {
    let bytes = verifier.stdout.as_mut().unwrap().bytes().map(Result::unwrap);
    let line: Vec<u8> = bytes.take_while(|byte| *byte != b'\n').collect();
    let line: Value = serde_json::from_slice(&line).unwrap();
    line["listening"].as_str().unwrap().to_owned()
}

/// Counters as a Prometheus reads them.
struct Counters(String);

impl Counters {
    async fn of(address: &str) -> Self {
        let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
        assert_eq!(answer.status(), 200);
        let content = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert!(content.starts_with("text/plain; version=0.0.4"), "{content}");
        let text = answer.text().await.unwrap();
        let comment = |line: &str| line.starts_with("# HELP ") || line.starts_with("# TYPE ");
        let sample = |line: &str| line.rsplit(' ').next().unwrap().parse::<f64>().is_ok();
        assert!(text.lines().all(|line| comment(line) || sample(line)), "{text}");
        Self(text)
    }

    /// The sum of those of a name that have a label.
    fn sum(&self, name: &str, label: &str) -> f64 {
        let found =
            self.0.lines().filter_map(|line| line.strip_prefix("isinglass_verify_")?.strip_prefix(name));
        let found = found.filter(|rest| rest.starts_with('{') && rest.contains(label));
        let found: Vec<f64> = found.map(|rest| rest.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(!found.is_empty(), "no {name} with {label} in {}", self.0);
        found.iter().sum()
    }

    fn has_steps(&self, signal: &str, items: u64) -> bool {
        let items_of_three_steps = (3 * items) as f64;
        let label = format!("signal=\"{signal}\",fate=\"acknowledged\"");
        let label_of_signal = format!("signal=\"{signal}\"");
        self.sum("items", &label) >= items_of_three_steps
            && self.sum("visible_seconds_count", &label_of_signal) > 0.0
    }
}

#[tokio::test]
async fn counters_are_served_while_it_runs_and_tell_of_checks_that_fail() {
    let mut server = Server::start();
    let mut verifier =
        verify(&server, &["--for", "12s", "--id", "scraped", "--listen", "127.0.0.1:0", "--retry-for", "1m"]);
    let address = listening(&mut verifier);
    let patience = Duration::from_secs(60);
    let three_steps = || async {
        let counters = Counters::of(&address).await;
        let written = [("metrics", 8), ("logs", 5), ("spans", 4)];
        let written = written.iter().all(|(signal, items)| counters.has_steps(signal, *items));
        (written && counters.sum("checks_total", "result=\"read\"") > 0.0).then_some(counters)
    };
    let counters = eventually("three steps of each signal in the counters", patience, three_steps).await;
    assert_eq!(counters.sum("faults_total", "fault="), 0.0, "{}", counters.0);
    assert_eq!(reqwest::get(format!("http://{address}/")).await.unwrap().status(), 404);

    let second = Told::by(verify(&server, &["--once", "--listen", &address])).await;
    assert_eq!(second.code, Some(2), "{}", second.errors);
    assert!(second.errors.contains(&format!("cannot listen on {address}")), "{}", second.errors);

    server.kill();
    let failed = || async {
        let counters = Counters::of(&address).await;
        (counters.sum("checks_total", "result=\"failed\"") > 0.0).then_some(counters)
    };
    let counters = eventually("a check that failed in the counters", patience, failed).await;
    assert_eq!(counters.sum("faults_total", "fault="), 0.0, "nobody there is no fault: {}", counters.0);
    server.start_again_there();
    let told = Told::by(verifier).await;
    told.is_clean();
    assert!(told.summary["failed_checks"].as_u64() > Some(0), "{}", told.summary);
    let of_the_end = told.each("acknowledged")[0] as f64;
    assert!(of_the_end >= counters.sum("items", "signal=\"metrics\",fate=\"acknowledged\""));
}
