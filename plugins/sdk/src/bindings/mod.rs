//! Generated from `wit/` by `build-plugins --bindings`; do not edit the files here.
#![allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::all, reason = "generated")]

pub mod deriver;
pub mod limiter;
pub mod validator;
