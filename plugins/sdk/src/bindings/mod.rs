//! Generated from `wit/` by `build-plugins --bindings`; do not edit the files here.
#![allow(missing_docs, unreachable_pub, unsafe_op_in_unsafe_fn, clippy::all, reason = "generated")]

#[rustfmt::skip]
pub mod deriver;
#[rustfmt::skip]
pub mod function;
#[rustfmt::skip]
pub mod limiter;
#[rustfmt::skip]
pub mod pairing_deriver;
#[rustfmt::skip]
pub mod transformer;
#[rustfmt::skip]
pub mod validator;
