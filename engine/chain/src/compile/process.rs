//! The compiler as a process: who starts it, waits for it and ends it.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wasmtime::component::Component;

use super::worker::Job;
use super::{Fault, worker};
use crate::config::Budget;
use crate::engine::Sandbox;

/// The most machine code that is read.
const CODE_BYTES_MAX: u64 = 512 << 20;

/// The most that is read of what it says.
const TEXT_BYTES_MAX: u64 = 4 << 10;

/// Threads of a compiler: each needs memory of its own.
const THREADS_MAX: usize = 4;

/// How often it is asked whether it has ended, once it has nothing more to say.
const ASK: Duration = Duration::from_millis(1);

/// A process that does not outlive its handle.
struct Compiling(Child);

impl Drop for Compiling {
    fn drop(&mut self) {
        // Both do nothing for one that has ended and was waited for.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What came of it.
struct Outcome {
    code: Vec<u8>,
    text: String,
    /// `None` = it was ended.
    status: Option<ExitStatus>,
}

/// Compiles a component in a process of its own.
pub(super) fn compile(
    (program, arguments): (&Path, &[OsString]),
    sandbox: &Sandbox,
    budget: &Budget,
    bytes: &[u8],
) -> Result<Component, Fault> {
    let job = Job {
        settings: sandbox.settings,
        memory_bytes_max: budget.compile_memory_bytes_max,
        cpu_seconds_max: u64::from(budget.compile_cpu_ms.div_ceil(1000)),
    };
    let job = serde_json::to_string(&job).map_err(|error| Fault::Start(error.to_string()))?;
    let started = start(program, arguments, &job)
        .map_err(|error| Fault::Start(format!("cannot start {}: {error}", program.display())))?;
    // By the clock it may take longer: others need the processors too.
    let time = Duration::from_millis(budget.compile_cpu_ms.into()) * 2;
    let outcome = wait(started, bytes, Instant::now() + time);
    let code = judged(outcome, budget)?;
    // SAFETY: these are the bytes that this same program wrote as the answer to these bytes, in a
    // process that nobody else can write to, and it wrote what `Engine::precompile_component` gave.
    unsafe { Component::deserialize(&sandbox.engine, code) }
        .map_err(|error| Fault::Start(format!("its machine code does not fit: {error:#}")))
}

fn start(program: &Path, arguments: &[OsString], job: &str) -> io::Result<Compiling> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(job)
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.to_string())
        // Else a first gigabyte is set aside, which counts as memory that is used.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .current_dir("/")
        // A key that ends the server ends the compiler with it, not before it.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().map(Compiling)
}

/// Hands over the component and takes what comes back, until it ends or has to be ended.
fn wait(mut compiling: Compiling, bytes: &[u8], deadline: Instant) -> Outcome {
    let (stdin, stdout, stderr) =
        (compiling.0.stdin.take(), compiling.0.stdout.take(), compiling.0.stderr.take());
    thread::scope(|scope| {
        // It may end without having read everything.
        scope.spawn(move || stdin.map(|mut stdin| drop(stdin.write_all(bytes))));
        let text = scope.spawn(move || stderr.map_or_else(String::new, said));
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || sender.send(stdout.map_or_else(Vec::new, code)));
        let code = match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(code) => code,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Vec::new(),
        };
        let status = ended(&mut compiling.0, &code, deadline);
        // The pipes end with it, and with them the threads.
        drop(compiling);
        Outcome { code, text: text.join().unwrap_or_default(), status }
    })
}

/// All that it writes, up to one byte more than it may.
fn code(stdout: impl Read) -> Vec<u8> {
    let mut code = Vec::new();
    match stdout.take(CODE_BYTES_MAX + 1).read_to_end(&mut code) {
        Ok(_) => code,
        Err(_) => Vec::new(),
    }
}

/// The beginning of what it says; the rest is read so that it can go on.
fn said(mut stderr: impl Read) -> String {
    let mut text = Vec::new();
    drop(stderr.by_ref().take(TEXT_BYTES_MAX).read_to_end(&mut text));
    drop(io::copy(&mut stderr, &mut io::sink()));
    String::from_utf8_lossy(&text).trim().to_owned()
}

fn ended(child: &mut Child, code: &[u8], deadline: Instant) -> Option<ExitStatus> {
    while code.len() as u64 <= CODE_BYTES_MAX {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(ASK),
            Ok(None) | Err(_) => return None,
        }
    }
    None
}

fn judged(outcome: Outcome, budget: &Budget) -> Result<Vec<u8>, Fault> {
    let Outcome { code, text, status } = outcome;
    if code.len() as u64 > CODE_BYTES_MAX {
        let fault = format!("it has more than {CODE_BYTES_MAX} bytes of machine code");
        return Err(Fault::Component(fault));
    }
    let Some(status) = status else { return Err(Fault::time(budget)) };
    if status.success() {
        return Ok(code);
    }
    let allocation = text.contains("memory allocation of");
    Err(match (status.code().map(u8::try_from), status.signal().and_then(Signal::from_named_raw)) {
        (Some(Ok(worker::COMPONENT)), _) => Fault::Component(text),
        (Some(Ok(worker::START)), _) => Fault::Start(text),
        (Some(Ok(worker::MEMORY)), _) => Fault::memory(budget),
        (_, Some(Signal::XCPU)) => Fault::time(budget),
        // The standard library said so, and gave up.
        (_, Some(Signal::ABORT)) if allocation => Fault::memory(budget),
        _ => Fault::Component(format!("the compiler ended with {status}: {text}")),
    })
}
