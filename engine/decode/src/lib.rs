//! Wire bytes to record batches.
//!
//! ```text
//! body ──decompress──▶ protobuf or JSON ──decode──▶ Decoded
//!                      JSON is rewritten            samples, histograms, exemplars: rows of (series, time, value)
//!                      to protobuf first            logs, spans: record batches, dictionaries built while reading
//!                                                   rejections: single items that cannot be kept, and why
//! ```
//!
//! Pure functions: no sockets, no tasks, no storage. The only thing handed in
//! is a [`SeriesResolver`], which knows label sets by a fingerprint of their
//! bytes, so that a label set seen before is never parsed again.
//!
//! | module | reads |
//! |---|---|
//! | [`decompress()`] | gzip, zstd, snappy, deflate, under a cap |
//! | `wire` | protobuf fields, without code generation and without objects |
//! | `schema` | the messages by name: JSON to protobuf, protobuf to JSON, where a fault lies |
//! | `columns` | the builders that batches grow in |
//! | `otlp` | OpenTelemetry traces, logs and metrics |
//! | `remote_write` | Prometheus remote write 1.0 and 2.0 |
//! | `loki` | Loki's push API |
//! | `json_line` | log lines that are JSON objects, if so configured |
//!
//! A fault in the framing refuses the request: [`DecodeError`]. A fault in an
//! item refuses the item: it is counted in [`Decoded::rejections`], and
//! `received = kept + rejected` holds for every request. What counts as an item
//! is a stored row: docs/formats has a page for each protocol.

use isinglass_model::batch::Decoded;
use isinglass_model::kind::Signal;
use isinglass_model::limits::HardCaps;
use isinglass_model::series::SeriesResolver;

use crate::wire::{Fault, ITEMS_MAX, Reader};

mod columns;
mod compression;
mod config;
mod error;
mod ids;
mod item;
mod json_line;
mod json_text;
mod labels_text;
mod loki;
mod otlp;
mod remote_write;
mod schema;
mod series;
mod severity;
mod value;
mod wire;

#[cfg(test)]
mod tests;

pub use compression::{Compression, decompress};
pub use config::LogsConfig;
pub use error::DecodeError;

/// What a sender speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`
    OtlpTraces,
    /// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`
    OtlpLogs,
    /// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`
    OtlpMetrics,
    /// `prometheus.WriteRequest`
    RemoteWrite1,
    /// `io.prometheus.write.v2.Request`
    RemoteWrite2,
    /// `logproto.PushRequest`
    LokiPush,
}

/// How it is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Protobuf.
    Protobuf,
    /// JSON: OTLP's protobuf mapping, or Loki's own.
    Json,
}

/// What decoding needs besides the body.
pub struct Context<'a> {
    /// What becomes of log lines.
    pub logs: &'a LogsConfig,
    /// Arrival time, for items that bring no time.
    pub now_unix_nanos: i64,
    /// The series of the tenant; not touched by logs and spans.
    pub resolver: &'a mut dyn SeriesResolver,
}

/// Reads a decompressed body.
///
/// A body in JSON is rewritten to protobuf first, so that both have one meaning.
pub fn decode(
    protocol: Protocol,
    format: Format,
    body: &[u8],
    context: &mut Context<'_>,
) -> Result<Decoded, DecodeError> {
    let limit = HardCaps::DEFAULT.body_bytes_max;
    if body.len() > limit {
        return Err(DecodeError::TooLarge { what: "body", got: Some(body.len() as u64), limit });
    }
    match format {
        Format::Protobuf => decode_protobuf(protocol, body, context),
        Format::Json => decode_protobuf(protocol, &protocol.transcode(body)?, context),
    }
}

fn decode_protobuf(
    protocol: Protocol,
    body: &[u8],
    context: &mut Context<'_>,
) -> Result<Decoded, DecodeError> {
    let reader = Reader::new(body);
    let mut decoded = Decoded::default();
    let result = match protocol {
        Protocol::OtlpTraces => otlp::traces::decode(reader, &mut decoded).map(|()| decoded),
        Protocol::OtlpLogs => otlp::logs::decode(reader, context, &mut decoded).map(|()| decoded),
        Protocol::LokiPush => loki::decode(reader, context.logs, &mut decoded).map(|()| decoded),
        Protocol::OtlpMetrics => otlp::metrics::decode(reader, context),
        Protocol::RemoteWrite1 => remote_write::decode(reader, context),
        Protocol::RemoteWrite2 => remote_write::v2::decode(reader, context),
    };
    let mut decoded = result.map_err(|error| match error.fault {
        Fault::TooMany => DecodeError::TooMany { what: protocol.name(), of: "items", limit: ITEMS_MAX },
        Fault::TooManySymbols => DecodeError::TooMany {
            what: protocol.name(),
            of: "symbols",
            limit: HardCaps::DEFAULT.symbols_max,
        },
        fault => DecodeError::Malformed {
            what: protocol.name(),
            fault: fault.to_string(),
            path: schema::locate(protocol.root(), body, error.offset),
            offset: Some(error.offset),
        },
    })?;
    decoded.received = decoded.kept() + decoded.rejections.total();
    Ok(decoded)
}

impl Protocol {
    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OtlpTraces => "OTLP traces",
            Self::OtlpLogs => "OTLP logs",
            Self::OtlpMetrics => "OTLP metrics",
            Self::RemoteWrite1 => "remote write",
            Self::RemoteWrite2 => "remote write 2.0",
            Self::LokiPush => "Loki push",
        }
    }

    /// What it carries.
    pub const fn signal(self) -> Signal {
        match self {
            Self::OtlpTraces => Signal::Traces,
            Self::OtlpLogs | Self::LokiPush => Signal::Logs,
            Self::OtlpMetrics | Self::RemoteWrite1 | Self::RemoteWrite2 => Signal::Metrics,
        }
    }

    fn root(self) -> &'static schema::Message {
        match self {
            Self::OtlpTraces => &schema::EXPORT_TRACES,
            Self::OtlpLogs => &schema::EXPORT_LOGS,
            Self::OtlpMetrics => &schema::EXPORT_METRICS,
            Self::RemoteWrite1 => &schema::WRITE_REQUEST,
            Self::RemoteWrite2 => &schema::WRITE_REQUEST_2,
            Self::LokiPush => &schema::PUSH_REQUEST,
        }
    }

    /// A body in JSON as protobuf.
    fn transcode(self, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::OtlpTraces | Self::OtlpLogs | Self::OtlpMetrics => {
                schema::transcode(self.name(), self.root(), body)
            }
            Self::LokiPush => loki::transcode(self.name(), body),
            Self::RemoteWrite1 | Self::RemoteWrite2 => {
                Err(DecodeError::Unsupported { protocol: self.name(), format: "JSON" })
            }
        }
    }
}
