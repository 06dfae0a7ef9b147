//! Compiling within bounds: a component comes from a stranger.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::Component;

/// How long compiling may take; an ordinary component takes some hundredths of a second, one
/// with an interpreter in it a minute on a busy machine.
const COMPILE_TIME_MAX: Duration = Duration::from_secs(300);

/// The compiler recurses over what it is given.
const STACK_BYTES: usize = 16 << 20;

/// Compiles a component. The fault is a sentence.
///
/// What takes longer than [`COMPILE_TIME_MAX`] is refused; its thread cannot be stopped and ends
/// when it is done, which the bound of a component's size sees to.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, String> {
    let (sender, receiver) = sync_channel(1);
    let (engine, bytes) = (engine.clone(), bytes.to_vec());
    let thread = thread::Builder::new().name("plugin-compile".to_owned()).stack_size(STACK_BYTES);
    thread
        .spawn(move || {
            let compiled = Component::from_binary(&engine, &bytes).map_err(|error| format!("{error:#}"));
            // Nobody waits any more after the time is up.
            drop(sender.send(compiled));
        })
        .map_err(|error| format!("cannot start a thread to compile it: {error}"))?;
    match receiver.recv_timeout(COMPILE_TIME_MAX) {
        Ok(compiled) => compiled,
        Err(RecvTimeoutError::Timeout) => {
            Err(format!("it was not compiled within {} s", COMPILE_TIME_MAX.as_secs()))
        }
        // A panic of the compiler, which is not ours to prevent.
        Err(RecvTimeoutError::Disconnected) => {
            Err("the compiler failed; one of several memories needs budget.composed = true".to_owned())
        }
    }
}
