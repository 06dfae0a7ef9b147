//! Modules that nobody wrote: each compiles or is refused, and one that starts ends in time.

use std::time::Duration;

use isinglass_model::clock::SystemClock;
use wasm_smith::{Config, Module};

use crate::compile::{Compilation, Compiler};
use crate::component::Loader;
use crate::config::Budget;
use crate::engine::{Sandbox, Settings};
use crate::instance::{Context, metered, new_store};
use crate::stats::Meter;
use crate::ticker::{Ticker, thread_cpu_nanos};

use super::*;

/// How many, unless `ISINGLASS_TEST_GENERATED` says otherwise.
const MODULES: u64 = 5_000;
/// Tests that divide them.
const PARTS: u64 = 4;
/// Bytes of which a module is made.
const BYTES: usize = 2 << 10;

/// The generator of Steele and others, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..BYTES / 8).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}

/// A core module in a component that makes an instance of it, which runs its start function.
fn wrapped(module: &[u8]) -> Vec<u8> {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.push(1);
    let mut length = module.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(module);
    // One core instance, of module 0, without arguments.
    bytes.extend([2, 4, 1, 0, 0, 0]);
    bytes
}

/// What the sandbox allows, so that much of it compiles, or anything, so that much of it does not.
fn config(random: &mut Random) -> Config {
    let anything = random.next() % 4 == 0;
    Config {
        max_imports: if anything { 5 } else { 0 },
        gc_enabled: anything,
        exceptions_enabled: anything,
        memory64_enabled: anything,
        threads_enabled: anything,
        tail_call_enabled: anything,
        relaxed_simd_enabled: anything,
        reference_types_enabled: anything,
        max_memories: if anything { 3 } else { 1 },
        max_memory32_bytes: if anything { 1 << 32 } else { 16 << 20 },
        max_tables: if anything { 10 } else { 2 },
        max_table_elements: if anything { 1 << 20 } else { 5_000 },
        max_instructions: 400,
        min_funcs: 1,
        allow_start_export: true,
        allow_invalid_funcs: anything,
        ..Config::default()
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

/// Makes, compiles and starts a share of the modules.
fn check(part: u64) {
    let count = number("ISINGLASS_TEST_GENERATED").unwrap_or(MODULES) / PARTS;
    let budget = Budget { cpu_soft_ms: 5, cpu_hard_ms: 20, ..Budget::default() };
    let sandbox = Sandbox::new(1, Settings::of([&budget])).unwrap();
    let ticker = Ticker::start(&sandbox.engine).unwrap();
    let loader = Loader::new(&sandbox, &Compilation::default()).unwrap();
    let meter = Arc::new(Meter::new("generated", Arc::new(SystemClock::new())));
    let context =
        Context { budget: &budget, ticker: &ticker, tenant: None, now_unix_nanos: NOW, memory: None };
    let (mut refused, mut started, mut stopped) = (0, 0, 0);
    let first = number("ISINGLASS_TEST_GENERATED_SEED").unwrap_or(0) << 32;
    for number in 0..count {
        let seed = first + part * count + number;
        let mut random = Random(seed);
        let (config, bytes) = (config(&mut random), random.bytes());
        let Ok(module) = Module::new(config, &mut wasm_smith_input(&bytes)) else {
            refused += 1;
            continue;
        };
        let compiled = Compiler::Thread.compile(&sandbox, &budget, &wrapped(&module.to_bytes()));
        let Some(pre) = compiled.ok().and_then(|component| loader.linked(&component)) else {
            refused += 1;
            continue;
        };
        let before = thread_cpu_nanos();
        let mut store = new_store(&sandbox.engine, &meter, &context);
        match metered(&mut store, &context, |store| pre.instantiate(store)) {
            Ok(_) => started += 1,
            Err(_) => stopped += 1,
        }
        // The limit, a tick of the clock, and what a busy machine adds.
        let took = Duration::from_nanos(thread_cpu_nanos() - before);
        assert!(took < Duration::from_millis(500), "module {seed} took {took:?}");
    }
    println!("{refused} refused, {started} started, {stopped} stopped");
    assert_eq!(refused + started + stopped, count);
    assert!(refused > count / 20 && started > count / 4, "{refused} refused, {started} started");
}

fn wasm_smith_input(bytes: &[u8]) -> arbitrary::Unstructured<'_> {
    arbitrary::Unstructured::new(bytes)
}

#[test]
fn the_first_quarter() {
    check(0);
}

#[test]
fn the_second_quarter() {
    check(1);
}

#[test]
fn the_third_quarter() {
    check(2);
}

#[test]
fn the_fourth_quarter() {
    check(3);
}
