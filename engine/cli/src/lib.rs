//! Client commands and the demo
