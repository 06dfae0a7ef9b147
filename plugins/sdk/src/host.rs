//! What the host offers to plugins.
//!
//! Natively, in tests and benches, there is no host: log lines and counts go
//! nowhere, and the clock shows what [`set_now_unix_nanos`] set.

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Finer than debug.
    Trace,
    /// For the author of the plugin.
    Debug,
    /// For the operator.
    Info,
    /// Something to look at.
    Warn,
    /// Something is broken.
    Error,
}

/// Writes a log line. At most 100 a second and binding; beyond that they are
/// counted only.
pub fn log(level: Level, message: &str) {
    imports::log(level, message);
}

/// The arrival time of the batch in nanoseconds since 1970; the recorded one
/// in a replay.
pub fn now_unix_nanos() -> i64 {
    imports::now_unix_nanos()
}

/// Adds to a counter of the plugin, shown on `/metrics`; at most 50 names.
pub fn count(name: &str, delta: u64) {
    imports::count(name, delta);
}

#[cfg(target_arch = "wasm32")]
mod imports {
    use super::Level;
    use crate::bindings::validator::isinglass::plugin;

    pub(super) fn log(level: Level, message: &str) {
        let level = match level {
            Level::Trace => plugin::log::Level::Trace,
            Level::Debug => plugin::log::Level::Debug,
            Level::Info => plugin::log::Level::Info,
            Level::Warn => plugin::log::Level::Warn,
            Level::Error => plugin::log::Level::Error,
        };
        plugin::log::write(level, message);
    }

    pub(super) fn now_unix_nanos() -> i64 {
        i64::try_from(plugin::clock::now_unix_nanos()).unwrap_or(i64::MAX)
    }

    pub(super) fn count(name: &str, delta: u64) {
        plugin::telemetry::count(name, delta);
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imports {
    use std::cell::Cell;

    use super::Level;

    thread_local! {
        pub(super) static NOW_UNIX_NANOS: Cell<i64> = const { Cell::new(0) };
    }

    pub(super) fn log(_: Level, _: &str) {}

    pub(super) fn now_unix_nanos() -> i64 {
        NOW_UNIX_NANOS.get()
    }

    pub(super) fn count(_: &str, _: u64) {}
}

/// Sets the clock of this thread, natively.
#[cfg(not(target_arch = "wasm32"))]
pub fn set_now_unix_nanos(now: i64) {
    imports::NOW_UNIX_NANOS.set(now);
}
