//! How soon a plugin that never answers is stopped, and whom that harms.
//!
//! A hundred calls of one that spins, with a limit of 20 ms of CPU, while another thread asks
//! `validate` about a thousand spans again and again: on a machine with nothing else to do, and on
//! one where eight threads a core spin. Printed: CPU beyond the limit, wall time of a call, calls of
//! the innocent plugin, their longest wall time, and how many of them were stopped, at a limit of
//! 5 ms of CPU. Divan measures wall time only, so this is a program of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::clock::SystemClock;
use serde_json::{Value, json};

#[path = "common/spans.rs"]
mod spans;

use spans::{NOW, Spans};

const CALLS: u32 = 100;
const LIMIT: Duration = Duration::from_millis(20);
const BUSY_PER_CORE: usize = 8;

fn chain(binding: Value) -> Chain {
    let config = serde_json::from_value(json!({ "bindings": [binding] })).expect("a configuration");
    Chain::load(&config, Arc::new(SystemClock::new())).expect("it loads")
}

fn hostile() -> Chain {
    let source =
        format!("file:{}/../../plugins/dist/test/hostile-validator.wasm", env!("CARGO_MANIFEST_DIR"));
    chain(json!({
        "name": "hostile", "source": source, "world": "validator", "config": { "does": "spin" },
        "budget": { "cpu_soft_ms": 5, "cpu_hard_ms": LIMIT.as_millis() as u64 },
    }))
}

fn innocent() -> Chain {
    chain(json!({
        "name": "validate", "source": "builtin:validate", "world": "validator",
        "budget": { "cpu_soft_ms": 5, "cpu_hard_ms": 5 },
    }))
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// CPU beyond the limit and wall time, of each call, in ascending order.
fn runaways(chain: &Chain) -> (Vec<Duration>, Vec<Duration>) {
    let spans = Spans::new(1);
    let calls = (0..CALLS).map(|call| {
        // Whoever fails again and again is left alone, so each time it fails for another.
        let tenant = Tenant::new(&format!("t{call}")).expect("a tenant");
        let (began, cpu) = (Instant::now(), thread_cpu());
        assert_eq!(chain.validate(&tenant, &spans, NOW).plugin_errors, 1);
        ((thread_cpu() - cpu).saturating_sub(LIMIT), began.elapsed())
    });
    let (mut beyond, mut walls): (Vec<_>, Vec<_>) = calls.unzip();
    beyond.sort();
    walls.sort();
    (beyond, walls)
}

/// Asks until it is done: calls, the longest, and how many were stopped.
fn ask(chain: &Chain, done: &AtomicBool) -> (u32, Duration, u32) {
    let (spans, tenant) = (Spans::new(1_000), Tenant::default());
    let (mut calls, mut longest, mut stopped) = (0, Duration::ZERO, 0);
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        stopped += u32::from(chain.validate(&tenant, &spans, NOW).plugin_errors > 0);
        (calls, longest) = (calls + 1, longest.max(began.elapsed()));
    }
    (calls, longest, stopped)
}

fn measure(name: &str, busy: usize) {
    let (hostile, innocent, done) = (hostile(), innocent(), AtomicBool::new(false));
    let spin = || {
        while !done.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    };
    let ((beyond, walls), (calls, longest, stopped)) = thread::scope(|scope| {
        (0..busy).for_each(|_| _ = scope.spawn(spin));
        let asking = scope.spawn(|| ask(&innocent, &done));
        let figures = runaways(&hostile);
        done.store(true, Ordering::Relaxed);
        (figures, asking.join().expect("it asks"))
    });
    let ms = |of: &[Duration], at: usize| of[at].as_secs_f64() * 1e3;
    let (middle, last) = (beyond.len() / 2, beyond.len() - 1);
    println!(
        "{name}: CPU beyond the limit {:.2} ms, at most {:.2}; wall {:.1}, at most {:.1}; \
         {calls} innocent calls, the longest {:.1} ms, {stopped} stopped",
        ms(&beyond, middle),
        ms(&beyond, last),
        ms(&walls, middle),
        ms(&walls, last),
        longest.as_secs_f64() * 1e3,
    );
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    measure("nothing else to do", 0);
    measure("overloaded", BUSY_PER_CORE * cores);
}
