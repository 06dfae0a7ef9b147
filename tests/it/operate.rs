//! Start, stop, configuration, and the demo.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use isinglass_testkit::load;

use crate::harness::{Server, now_millis, now_nanos};

#[tokio::test]
async fn ready_and_healthy() {
    let server = Server::start();
    let client = server.client();
    assert_eq!(client.get("-/ready").await.status, 200);
    assert_eq!(client.get("-/healthy").await.status, 200);
    let metrics = client.get("metrics").await.ok();
    assert!(metrics.text().contains("# TYPE isinglass_"), "{}", metrics.text());
}

#[tokio::test]
async fn a_graceful_stop_leaves_everything_in_committed_tables() {
    let mut server = Server::start();
    server.client().otlp("traces", load::traces(1, 100, now_nanos() - 1_000_000_000)).await.ok();
    server.client().remote_write(&load::gauges(100, now_millis())).await.ok();
    assert!(server.stop().success(), "{}", server.log());
    for kind in ["spans", "samples", "series"] {
        let log = server.table("default", kind).join("_delta_log");
        assert!(log.join("00000000000000000001.json").exists(), "{}", log.display());
    }
    server.start_again();
    assert_eq!(server.client().count("spans").await, 100);
    assert_eq!(server.client().count("samples where value is not null").await >= 100, true);
}

#[tokio::test]
async fn a_restart_without_a_stop_is_ready_and_whole() {
    let mut server = Server::start();
    server.client().otlp("traces", load::traces(1, 100, now_nanos() - 1_000_000_000)).await.ok();
    server.kill();
    server.start_again();
    let client = server.client();
    assert_eq!(client.get("-/ready").await.status, 200);
    assert_eq!(client.count("spans").await, 100);
}

#[test]
fn one_process_per_folder() {
    let mut server = Server::start();
    let mut second = server.command().spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = second.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the second process lives on");
        std::thread::sleep(Duration::from_millis(20));
    };
    // A second, and something for a machine that does a lot besides.
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert!(!status.success());
    let told = format!("(held by process {}) is in use by another process", server.process_id());
    assert!(server.log().contains(&told), "{told}\n{}", server.log());
    assert!(server.is_running());
}

/// Runs `isinglass serve` with a configuration that must be refused.
pub(crate) fn refused(config: &str, variables: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("isinglass.toml");
    std::fs::write(&path, config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_isinglass"))
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--otlp-grpc",
            "127.0.0.1:0",
            "--otlp-http",
            "127.0.0.1:0",
        ])
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .arg("--config")
        .arg(&path)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{config} is accepted");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    let errors = refused("[store]\nhead_byte = 1000\n", &[]);
    assert!(errors.contains("head_byte") && errors.contains("head_bytes"), "{errors}");
    let errors = refused("[sotre]\n", &[]);
    assert!(errors.contains("sotre") && errors.contains("store"), "{errors}");
    let errors = refused("[plugins.config.validat]\n", &[]);
    assert!(errors.contains("validat"), "{errors}");
    let errors = refused("[store\n", &[]);
    assert!(errors.contains("isinglass.toml"), "{errors}");
}

/// The first command of the README, for a short while.
#[tokio::test]
async fn the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_isinglass"))
        .args([
            "demo",
            "--for",
            "6s",
            "--listen",
            "127.0.0.1:0",
            "--otlp-grpc",
            "127.0.0.1:0",
            "--otlp-http",
            "127.0.0.1:0",
        ])
        .arg("--data-dir")
        .arg(folder.path().join("data"))
        .stdin(Stdio::null())
        .output();
    let output = run.unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    let (_, outcome) = text.split_once("What became of it").unwrap();
    for signal in ["traces", "logs", "metrics"] {
        let line = outcome
            .lines()
            .map(|line| line.trim_start_matches(['│', ' ']))
            .find(|line| line.starts_with(signal))
            .unwrap_or_else(|| panic!("{text}"));
        let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [received, stored, rejected, ..] = numbers[..] else { panic!("{line}") };
        assert!(received > 0.0 && stored == received && rejected == 0.0, "{line}\n{errors}");
        if signal == "traces" {
            assert!(numbers[3] > 0.0, "derived: {line}");
        }
    }
    for service in ["frontend", "redis"] {
        assert!(text.contains(service), "{text}");
    }
}
