//! What comes in and what goes back.

use bytes::Bytes;
use isinglass_decode::{Compression, Format, Protocol};
use isinglass_model::kind::Signal;
use isinglass_model::{Counts, Reason, Tenant};
use isinglass_store::Durability;

/// A request as it stood on the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose it is.
    pub tenant: Tenant,
    /// How to read it.
    pub protocol: Protocol,
    /// Protobuf or JSON.
    pub format: Format,
    /// How the body is compressed.
    pub compression: Compression,
    /// The body, still compressed.
    pub body: Bytes,
    /// The sender's own name for this batch; without one the content's hash is taken.
    pub batch_key: Option<String>,
}

/// The signal a protocol carries.
pub(crate) fn signal_of(protocol: Protocol) -> Signal {
    match protocol {
        Protocol::OtlpTraces => Signal::Traces,
        Protocol::OtlpLogs | Protocol::LokiPush => Signal::Logs,
        Protocol::OtlpMetrics | Protocol::RemoteWrite1 | Protocol::RemoteWrite2 => Signal::Metrics,
    }
}

/// One kind of fault in a request, for the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The reason code.
    pub reason: Reason,
    /// One sentence about the first item of this fault.
    pub message: String,
    /// Items refused for this reason.
    pub items: u64,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Items by fate; balanced.
    pub counts: Counts,
    /// One entry per reason, the first [`Outcome::FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// Whether the same batch was stored before and this one only answered.
    pub duplicate: bool,
    /// What "stored" means here.
    pub durability: Durability,
}

impl Outcome {
    /// Faults told to the sender.
    pub const FAULTS_MAX: usize = 10;

    /// The faults as one sentence, e.g. for a partial success; empty without faults.
    pub fn fault_text(&self) -> String {
        let parts: Vec<String> =
            self.faults.iter().map(|f| format!("{} ({} items): {}", f.reason, f.items, f.message)).collect();
        parts.join("; ")
    }
}
