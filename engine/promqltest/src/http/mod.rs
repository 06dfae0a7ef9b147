//! A client of Prometheus' HTTP API, for servers that are tested over their sockets.
//!
//! | module | holds |
//! |---|---|
//! | `client` | [`Client`]: queries, plain requests, remote write |
//! | `answer` | JSON answers as [`Answer`](crate::Answer) |
//! | [`write`] | series as requests of remote write 1.0 and 2.0 |
//! | `backend` | [`HttpBackend`]: a server as a [`Backend`](crate::Backend) |
//!
//! <https://prometheus.io/docs/prometheus/latest/querying/api/>

mod answer;
mod backend;
mod client;
pub mod write;

pub use answer::read_answer;
pub use backend::HttpBackend;
pub use client::{Client, Reply, Window};
