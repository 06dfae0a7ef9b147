//! Settings of the listeners.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `[server]` in the configuration file: addresses, and the bounds that keep a
/// server alive whatever its clients do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServeConfig {
    /// Remote write, Loki push, SQL, administration, `/metrics`.
    pub listen: String,
    /// OTLP over gRPC.
    pub otlp_grpc: String,
    /// OTLP over HTTP.
    pub otlp_http: String,
    /// Open connections per listener; further ones wait to be accepted.
    pub connections_max: usize,
    /// Writes that are worked on at the same time; others wait
    /// `queue_timeout_ms`, then get 503.
    pub writes_max: usize,
    /// Queries that are worked on at the same time, from their arrival until their
    /// answer is sent, three quarters of them of one tenant; others wait
    /// `queue_timeout_ms`, then get 503.
    pub queries_max: usize,
    /// Longest wait for a turn, in milliseconds.
    pub queue_timeout_ms: u64,
    /// Bytes of one request body as it stands on the wire; above that 413.
    pub body_bytes_max: usize,
    /// Bytes of all request bodies that are held at the same time.
    pub inflight_bytes_max: usize,
    /// How long a client may take to send its headers; also how long an idle
    /// connection is kept. In milliseconds.
    pub header_timeout_ms: u64,
    /// How long a client may take to send a body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a write may take after its body is there, in milliseconds.
    pub write_timeout_ms: u64,
    /// How long open requests get to finish at a stop, in milliseconds.
    pub drain_timeout_ms: u64,
    /// Tenants with a label value of their own in `/metrics`; the others are
    /// added up under `other`.
    pub tenant_labels_max: usize,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4319".to_owned(),
            otlp_grpc: "127.0.0.1:4317".to_owned(),
            otlp_http: "127.0.0.1:4318".to_owned(),
            connections_max: 4_096,
            writes_max: 256,
            queries_max: 128,
            queue_timeout_ms: 1_000,
            body_bytes_max: isinglass_model::limits::HardCaps::DEFAULT.body_bytes_max,
            inflight_bytes_max: 128 << 20,
            header_timeout_ms: 30_000,
            body_timeout_ms: 30_000,
            write_timeout_ms: 60_000,
            drain_timeout_ms: 10_000,
            tenant_labels_max: 100,
        }
    }
}

impl ServeConfig {
    /// Longest wait for a turn.
    pub fn queue_timeout(&self) -> Duration {
        Duration::from_millis(self.queue_timeout_ms)
    }

    /// Deadline of a body.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// Deadline of a write after its body.
    pub fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }

    /// Deadline of headers.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    /// Deadline of a stop.
    pub fn drain_timeout(&self) -> Duration {
        Duration::from_millis(self.drain_timeout_ms)
    }
}
