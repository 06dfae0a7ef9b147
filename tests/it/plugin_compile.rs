//! Components that are bombs for who compiles them: each is refused under the limit that it
//! exceeds, and nothing of it stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::harness::Server;
use crate::plugin_install::{DENY, says, spans, stored};

/// A number as WebAssembly writes it.
fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], &leb128(content.len())[..], content].concat()
}

/// A component with one function: `loops` loops, each of which raises each of so many variables.
/// Its bytes grow with their product, and what is known of each variable at each loop does too.
fn bomb(loops: usize, variables: usize) -> Vec<u8> {
    let raise = |at| {
        let at = leb128(at);
        // local.get, i32.const 1, i32.add, local.set
        [&[0x20], &at[..], &[0x41, 1, 0x6a, 0x21], &at[..]].concat()
    };
    let raised: Vec<u8> = (0..variables).flat_map(raise).collect();
    // loop, …, local.get 0, br_if 0, end
    let round = [&[0x03, 0x40], &raised[..], &[0x20, 0, 0x0d, 0, 0x0b]].concat();
    // One group of locals, i32; at last end.
    let body = [&[1], &leb128(variables)[..], &[0x7f], &round.repeat(loops), &[0x0b]].concat();
    let code = [&[1], &leb128(body.len())[..], &body].concat();
    // One function of the type of no parameters and no results.
    let module = [b"\0asm\x01\0\0\0".to_vec(), section(1, &[1, 0x60, 0, 0]), section(3, &[1, 0])];
    let module = [module.concat(), section(10, &code)].concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, &module)].concat()
}

fn check(file: &Path, budget: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    // Nothing of the user's cache.
    let folder = file.parent().unwrap();
    command.env("XDG_CACHE_HOME", folder).env("HOME", folder);
    command.args(["plugin", "check", "--budget", budget]).arg(file);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap()
}

fn refused(output: &Output, wanted: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(wanted), "{wanted:?} in {text}");
}

/// Processes that a process has started and that are still there.
fn children(process: u32) -> Vec<PathBuf> {
    let of_process = |path: &PathBuf| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        status.lines().any(|line| line == format!("PPid:\t{process}"))
    };
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    all.filter(of_process).collect()
}

const SMALL: &str = r#"{ "compile_memory_bytes_max": 268435456 }"#;

#[test]
fn one_that_takes_too_much_memory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bomb.wasm");
    fs::write(&file, bomb(1_000, 400)).unwrap();
    let began = Instant::now();
    refused(
        &check(&file, SMALL),
        "compiling its component takes more than budget.compile_memory_bytes_max = 268435456",
    );
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    // One of the same form that is small is compiled, and what is wrong with it is another thing.
    fs::write(&file, bomb(10, 10)).unwrap();
    refused(&check(&file, SMALL), "it must export one of isinglass:plugin/");
}

#[test]
fn one_that_takes_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bomb.wasm");
    fs::write(&file, bomb(1_000, 400)).unwrap();
    let budget = r#"{ "compile_cpu_ms": 1000, "compile_memory_bytes_max": 8589934592 }"#;
    let began = Instant::now();
    refused(&check(&file, budget), "compiling its component takes more than budget.compile_cpu_ms = 1000");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_goes_on() {
    let server = Server::start();
    let client = server.client();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bomb.wasm");
    fs::write(&file, bomb(1_000, 400)).unwrap();
    let bomb = file.to_str().unwrap();
    for (budget, wanted) in [
        (SMALL, "budget.compile_memory_bytes_max = 268435456"),
        (r#"{ "compile_cpu_ms": 1000 }"#, "budget.compile_cpu_ms = 1000"),
    ] {
        says(&server, &["install", bomb, "--name", "bomb", "--budget", budget], 1, wanted);
        assert_eq!(children(server.process_id()), Vec::<PathBuf>::new());
    }
    // And compiles what behaves, under the same limit.
    says(
        &server,
        &["install", DENY, "--budget", SMALL, "--config", r#"{ "services": ["bots"] }"#],
        0,
        "deny",
    );
    client.otlp("traces", spans("bots", 0, 3)).await.ok();
    client.otlp("traces", spans("people", 0, 3)).await.ok();
    assert_eq!((stored(&client, "bots").await, stored(&client, "people").await), (0, 3));
    assert_eq!(children(server.process_id()), Vec::<PathBuf>::new());
}

/// What the program says to itself, said by another.
#[test]
fn a_job_that_is_none_is_refused() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isinglass"));
    let output = command.args(["plugin-compile", "{}"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("what to compile: missing field"));
    let help = Command::new(env!("CARGO_BIN_EXE_isinglass")).arg("--help").output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("plugin-compile"));
}
