//! Rules over the real engine and series in memory, with a clock that tests move.
//!
//! `../data` holds unit tests of rules in the format of `promtool test rules`; each is run here as
//! promtool runs it.

#![allow(clippy::unwrap_used, clippy::clone_on_ref_ptr, reason = "a test ends where it goes wrong")]

mod clock;
mod engine;
mod groups;
mod manager;
mod notifier;
mod promtool;
mod units;
