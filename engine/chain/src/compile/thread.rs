//! The compiler as a thread of this process.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

use super::{Fault, STACK_BYTES};
use crate::config::Budget;

/// Compiles a component. What takes longer than its budget is refused; its thread cannot be
/// stopped and ends when it is done.
pub(super) fn compile(engine: &Engine, budget: &Budget, bytes: &[u8]) -> Result<Component, Fault> {
    let (sender, receiver) = sync_channel(1);
    let (engine, bytes) = (engine.clone(), bytes.to_vec());
    let thread = thread::Builder::new().name(super::COMPILE_COMMAND.to_owned()).stack_size(STACK_BYTES);
    thread
        .spawn(move || {
            let compiled = Component::from_binary(&engine, &bytes).map_err(|error| format!("{error:#}"));
            // Nobody waits any more after the time is up.
            drop(sender.send(compiled));
        })
        .map_err(|error| Fault::Start(format!("cannot start a thread: {error}")))?;
    match receiver.recv_timeout(Duration::from_millis(budget.compile_cpu_ms.into())) {
        Ok(compiled) => compiled.map_err(Fault::Component),
        Err(RecvTimeoutError::Timeout) => Err(Fault::time(budget)),
        // A panic of the compiler, which is not ours to prevent.
        Err(RecvTimeoutError::Disconnected) => Err(Fault::Component(super::worker::PANICKED.to_owned())),
    }
}
