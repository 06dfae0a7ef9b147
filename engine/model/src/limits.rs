//! Limits on what is taken in, with the defaults of Mimir (metrics), Loki
//! (logs) and Tempo (spans).

use serde::{Deserialize, Serialize};

/// Per-tenant limits. All of them are checked by the `validate` plugin, which
/// gets them as its configuration; decode enforces [`HardCaps`] on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a label name, of series and of log streams.
    pub label_name_bytes_max: u32,
    /// Bytes of a label value, of series and of log streams.
    pub label_value_bytes_max: u32,
    /// Labels of a series, `__name__` included.
    pub labels_per_series_max: u32,
    /// Labels of a log stream.
    pub labels_per_stream_max: u32,
    /// How far in the future a time may lie, in milliseconds.
    pub future_grace_ms: i64,
    /// How far in the past a sample may lie, in milliseconds; 0 = no limit.
    pub past_grace_ms: i64,
    /// How far in the past a log line may lie, in milliseconds; 0 = no limit.
    pub log_age_max_ms: i64,
    /// How far in the past a span may lie, in milliseconds; 0 = no limit.
    pub span_age_max_ms: i64,
    /// Bytes of a log line.
    pub line_bytes_max: u32,
    /// Labels that every log stream must have.
    pub stream_labels_required: Vec<String>,
    /// Whether log records may have attributes of their own (structured metadata).
    pub log_attributes_allowed: bool,
    /// Entries of a log record's attributes (structured metadata).
    pub log_attributes_max: u32,
    /// Bytes of a log record's attributes, keys and values together.
    pub log_attributes_bytes_max: u32,
    /// Attributes of a span.
    pub span_attributes_max: u32,
    /// Bytes of an attribute key.
    pub attribute_key_bytes_max: u32,
    /// Bytes of an attribute value.
    pub attribute_value_bytes_max: u32,
    /// Bytes of a span name.
    pub span_name_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            label_name_bytes_max: 1_024,
            label_value_bytes_max: 2_048,
            labels_per_series_max: 30,
            labels_per_stream_max: 15,
            future_grace_ms: 600_000,
            past_grace_ms: 0,
            log_age_max_ms: 7 * 86_400_000,
            span_age_max_ms: 0,
            line_bytes_max: 256 << 10,
            stream_labels_required: Vec::new(),
            log_attributes_allowed: true,
            log_attributes_max: 128,
            log_attributes_bytes_max: 64 << 10,
            span_attributes_max: 128,
            attribute_key_bytes_max: 1_024,
            attribute_value_bytes_max: 64 << 10,
            span_name_bytes_max: 1_024,
        }
    }
}

/// Bounds that no configuration lifts: they keep memory bounded whatever the
/// plugins say.
#[derive(Debug, Clone, Copy)]
pub struct HardCaps {
    /// Bytes of a request after decompression.
    pub body_bytes_max: usize,
    /// Nesting of OTLP attribute values.
    pub value_depth_max: usize,
    /// Labels or attributes of one item.
    pub labels_max: usize,
    /// Exemplar labels in characters (OpenMetrics).
    pub exemplar_label_chars_max: usize,
    /// Bytes of a metric's help and of its unit; what is longer is cut (Mimir's default).
    pub metadata_bytes_max: usize,
    /// Symbols of a remote write 2.0 request. A text of a few bytes takes 32 in the table.
    pub symbols_max: usize,
}

impl HardCaps {
    /// The caps of this release. 64 MiB is what the OTLP specification recommends.
    pub const DEFAULT: Self = Self {
        body_bytes_max: 64 << 20,
        value_depth_max: 64,
        labels_max: 10_000,
        exemplar_label_chars_max: 128,
        metadata_bytes_max: 1_024,
        symbols_max: 1 << 20,
    };
}
