//! Client commands and the demo.

pub mod demo;
