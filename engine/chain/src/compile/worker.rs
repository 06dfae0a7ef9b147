//! The compiler as a process: what it does.

use std::io::{self, Read, Write};
use std::process::{ExitCode, exit};
use std::thread;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use serde::{Deserialize, Serialize};

use super::STACK_BYTES;
use crate::config::COMPONENT_BYTES_MAX;
use crate::engine::{Sandbox, Settings};

/// What the compiler is told, as JSON in an argument.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    pub(super) settings: Settings,
    pub(super) memory_bytes_max: u64,
    pub(super) cpu_seconds_max: u64,
}

/// Exit codes; what is wrong is said on standard error.
pub(super) const COMPONENT: u8 = 1;
pub(super) const START: u8 = 2;
pub(super) const MEMORY: u8 = 3;

pub(super) const PANICKED: &str = "the compiler failed; one of several memories needs budget.composed = true";

/// Reads a component from standard input and writes its machine code to standard output, within
/// the limits of `job`, which this process sets for itself: it does nothing else.
pub fn compile_as_told(job: &str) -> ExitCode {
    let (code, fault) = match limited(job) {
        Ok(job) => match compiled(job) {
            // At once: taking down what is not needed any more takes as long as some components.
            Ok(()) => exit(0),
            Err(fault) => fault,
        },
        Err(fault) => (START, fault),
    };
    // Who started it may be gone.
    drop(writeln!(io::stderr(), "{fault}"));
    ExitCode::from(code)
}

fn limited(job: &str) -> Result<Job, String> {
    let job: Job = serde_json::from_str(job).map_err(|error| format!("what to compile: {error}"))?;
    let limits = [
        // What is written to: of the address space the sandbox reserves much that nobody touches.
        (Resource::Data, job.memory_bytes_max, job.memory_bytes_max),
        // Who does not end at the first is ended at the second.
        (Resource::Cpu, job.cpu_seconds_max, job.cpu_seconds_max.saturating_add(1)),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
    ];
    for (resource, current, maximum) in limits {
        setrlimit(resource, Rlimit { current: Some(current), maximum: Some(maximum) })
            .map_err(|error| format!("cannot limit {resource:?}: {error}"))?;
    }
    let failed = |error: rustix::io::Errno| format!("cannot be bound to who started it: {error}");
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed)?;
    rustix::thread::set_no_new_privs(true).map_err(failed)?;
    Ok(job)
}

fn compiled(job: Job) -> Result<(), (u8, String)> {
    // What it would say is for authors of compilers; that it happened is told below.
    std::panic::set_hook(Box::new(|_| {}));
    let failed = |error: io::Error| (START, error.to_string());
    let mut bytes = Vec::new();
    io::stdin().lock().take(COMPONENT_BYTES_MAX.into()).read_to_end(&mut bytes).map_err(failed)?;
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    let thread = thread.spawn(move || code(job.settings, &bytes)).map_err(failed)?;
    let code = thread.join().unwrap_or_else(|_| Err((COMPONENT, PANICKED.to_owned())))?;
    io::stdout().lock().write_all(&code).map_err(failed)
}

fn code(settings: Settings, bytes: &[u8]) -> Result<Vec<u8>, (u8, String)> {
    // Nothing is instantiated here.
    let sandbox = Sandbox::new(1, settings).map_err(|error| (START, error.to_string()))?;
    sandbox.engine.precompile_component(bytes).map_err(|error| {
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::OutOfMemory;
        let memory = error.chain().any(|cause| cause.downcast_ref().is_some_and(refused));
        (if memory { MEMORY } else { COMPONENT }, format!("{error:#}"))
    })
}
