//! Why an item was not kept.

use std::borrow::Cow;

/// A stable reason code such as `label_name_too_long`: lower-case words with
/// underscores, the label value of `isinglass_rejected_items_total{reason}` and
/// the `reason` column of `rejected`.
///
/// The codes and their meaning follow Mimir (metrics), Loki (logs) and Tempo
/// (spans). Plugins may give codes of their own.
pub type Reason = Cow<'static, str>;

/// What the code of a transformer that drops a row comes after. A plugin cannot write it.
pub const DROPPED: &str = "dropped:";

/// Whether items under this reason were dropped as they were meant to be: they are counted, but
/// their sender is told of no fault, and nothing of them is set aside.
pub fn is_dropped(reason: &str) -> bool {
    reason.starts_with(DROPPED)
}

/// The codes that the engine and the built-in plugins use.
pub mod code {
    /// A metric without `__name__`.
    pub const MISSING_METRIC_NAME: &str = "missing_metric_name";
    /// A metric name that is empty or not UTF-8.
    pub const METRIC_NAME_INVALID: &str = "metric_name_invalid";
    /// More labels on a series than allowed.
    pub const MAX_LABEL_NAMES_PER_SERIES: &str = "max_label_names_per_series";
    /// An empty label name, or one that is not UTF-8.
    pub const LABEL_INVALID: &str = "label_invalid";
    /// A label value that is not UTF-8.
    pub const LABEL_VALUE_INVALID: &str = "label_value_invalid";
    /// A label name over the length limit.
    pub const LABEL_NAME_TOO_LONG: &str = "label_name_too_long";
    /// A label value over the length limit.
    pub const LABEL_VALUE_TOO_LONG: &str = "label_value_too_long";
    /// References into the symbol table of remote write 2.0 that are odd in number
    /// or point outside of it.
    pub const SYMBOL_REFS_INVALID: &str = "symbol_refs_invalid";
    /// A label name that occurs twice.
    pub const DUPLICATE_LABEL_NAMES: &str = "duplicate_label_names";
    /// Later than now plus the creation grace period.
    pub const TOO_FAR_IN_FUTURE: &str = "too_far_in_future";
    /// Earlier than now minus the past grace period (metrics, spans).
    pub const TOO_FAR_IN_PAST: &str = "too_far_in_past";
    /// Earlier than the oldest log line taken.
    pub const GREATER_THAN_MAX_SAMPLE_AGE: &str = "greater_than_max_sample_age";
    /// Over a cap on active series.
    pub const MAX_SERIES_PER_USER: &str = "max_series_per_user";
    /// Over a cap on active series of one metric.
    pub const MAX_SERIES_PER_METRIC: &str = "max_series_per_metric";
    /// Earlier than the newest sample of its series allows.
    pub const SAMPLE_OUT_OF_ORDER: &str = "sample_out_of_order";
    /// Another value at the time of the newest sample of its series.
    pub const SAMPLE_DUPLICATE_TIMESTAMP: &str = "sample_duplicate_timestamp";
    /// More buckets in a native histogram than allowed.
    pub const MAX_NATIVE_HISTOGRAM_BUCKETS: &str = "max_native_histogram_buckets";
    /// A native histogram whose buckets and spans do not agree.
    pub const NATIVE_HISTOGRAM_INVALID: &str = "native_histogram_invalid";
    /// Exemplar labels over the length limit.
    pub const EXEMPLAR_LABELS_TOO_LONG: &str = "exemplar_labels_too_long";
    /// An exemplar without labels or with broken ones.
    pub const EXEMPLAR_LABELS_INVALID: &str = "exemplar_labels_invalid";
    /// An OTLP data point that cannot be a sample (no value, unknown type).
    pub const DATA_POINT_INVALID: &str = "data_point_invalid";
    /// A log line over the length limit.
    pub const LINE_TOO_LONG: &str = "line_too_long";
    /// Earlier than the newest line of its stream allows.
    pub const TOO_FAR_BEHIND: &str = "too_far_behind";
    /// Over a cap on active log streams.
    pub const STREAM_LIMIT: &str = "stream_limit";
    /// A stream that lacks a label which all streams must have.
    pub const MISSING_ENFORCED_LABELS: &str = "missing_enforced_labels";
    /// Structured metadata or attributes where there may be none.
    pub const DISALLOWED_STRUCTURED_METADATA: &str = "disallowed_structured_metadata";
    /// A stream selector that cannot be read.
    pub const INVALID_LABELS: &str = "invalid_labels";
    /// A stream without labels.
    pub const MISSING_LABELS: &str = "missing_labels";
    /// Structured metadata or attributes with too many bytes.
    pub const STRUCTURED_METADATA_TOO_LARGE: &str = "structured_metadata_too_large";
    /// Structured metadata or attributes with too many entries.
    pub const STRUCTURED_METADATA_TOO_MANY: &str = "structured_metadata_too_many";
    /// Text that is not UTF-8 where the protocol demands it.
    pub const INVALID_UTF8: &str = "invalid_utf8";
    /// A trace id that is not 16 bytes or is all zero.
    pub const INVALID_TRACE_ID: &str = "invalid_trace_id";
    /// A span id that is not 8 bytes or is all zero.
    pub const INVALID_SPAN_ID: &str = "invalid_span_id";
    /// More attributes on an item than allowed.
    pub const TOO_MANY_ATTRIBUTES: &str = "too_many_attributes";
    /// An attribute key over the length limit.
    pub const ATTRIBUTE_KEY_TOO_LONG: &str = "attribute_key_too_long";
    /// An attribute value over the length limit.
    pub const ATTRIBUTE_VALUE_TOO_LONG: &str = "attribute_value_too_long";
    /// An attribute key that occurs twice on one item.
    pub const DUPLICATE_ATTRIBUTE_KEYS: &str = "duplicate_attribute_keys";
    /// A span name over the length limit.
    pub const SPAN_NAME_TOO_LONG: &str = "span_name_too_long";
    /// A span that starts or ends outside the range of time.
    pub const SPAN_TIME_INVALID: &str = "span_time_invalid";
    /// Over a cap on live traces.
    pub const LIVE_TRACES_EXCEEDED: &str = "live_traces_exceeded";
    /// A trace with more bytes than allowed.
    pub const TRACE_TOO_LARGE: &str = "trace_too_large";
    /// Intake of the tenant is switched off.
    pub const BLOCKED_INGESTION: &str = "blocked_ingestion";
    /// Refused by a rate limit; counted, never written to `rejected`.
    pub const RATE_LIMITED: &str = "rate_limited";
    /// Refused by the rate of a log stream; the same holds.
    pub const PER_STREAM_RATE_LIMIT: &str = "per_stream_rate_limit";
    /// A plugin failed and its policy is `reject`.
    pub const PLUGIN_ERROR: &str = "plugin_error";
}
