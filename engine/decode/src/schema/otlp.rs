//! opentelemetry-proto 1.9: the fields that senders may name.

use super::Type::{
    Bool, Bytes, Double, Enum, Fixed32, Fixed64, Id, Int64, Sfixed64, Sint32, Text, Uint32, Uint64,
};
use super::{Message, Type, many, one, optional};

pub(crate) static EXPORT_TRACES: Message = Message {
    name: "ExportTraceServiceRequest",
    fields: &[many(1, "resource_spans", Type::Message(&RESOURCE_SPANS))],
};

pub(crate) static EXPORT_LOGS: Message = Message {
    name: "ExportLogsServiceRequest",
    fields: &[many(1, "resource_logs", Type::Message(&RESOURCE_LOGS))],
};

pub(crate) static EXPORT_METRICS: Message = Message {
    name: "ExportMetricsServiceRequest",
    fields: &[many(1, "resource_metrics", Type::Message(&RESOURCE_METRICS))],
};

static RESOURCE_SPANS: Message = Message {
    name: "ResourceSpans",
    fields: &[
        one(1, "resource", Type::Message(&RESOURCE)),
        many(2, "scope_spans", Type::Message(&SCOPE_SPANS)),
        one(3, "schema_url", Text),
    ],
};

static SCOPE_SPANS: Message = Message {
    name: "ScopeSpans",
    fields: &[
        one(1, "scope", Type::Message(&SCOPE)),
        many(2, "spans", Type::Message(&SPAN)),
        one(3, "schema_url", Text),
    ],
};

static RESOURCE_LOGS: Message = Message {
    name: "ResourceLogs",
    fields: &[
        one(1, "resource", Type::Message(&RESOURCE)),
        many(2, "scope_logs", Type::Message(&SCOPE_LOGS)),
        one(3, "schema_url", Text),
    ],
};

static SCOPE_LOGS: Message = Message {
    name: "ScopeLogs",
    fields: &[
        one(1, "scope", Type::Message(&SCOPE)),
        many(2, "log_records", Type::Message(&LOG_RECORD)),
        one(3, "schema_url", Text),
    ],
};

static RESOURCE_METRICS: Message = Message {
    name: "ResourceMetrics",
    fields: &[
        one(1, "resource", Type::Message(&RESOURCE)),
        many(2, "scope_metrics", Type::Message(&SCOPE_METRICS)),
        one(3, "schema_url", Text),
    ],
};

static SCOPE_METRICS: Message = Message {
    name: "ScopeMetrics",
    fields: &[
        one(1, "scope", Type::Message(&SCOPE)),
        many(2, "metrics", Type::Message(&METRIC)),
        one(3, "schema_url", Text),
    ],
};

pub(crate) static RESOURCE: Message = Message {
    name: "Resource",
    fields: &[
        many(1, "attributes", Type::Message(&KEY_VALUE)),
        one(2, "dropped_attributes_count", Uint32),
        many(3, "entity_refs", Type::Message(&ENTITY_REF)),
    ],
};

static ENTITY_REF: Message = Message {
    name: "EntityRef",
    fields: &[
        one(1, "schema_url", Text),
        one(2, "type", Text),
        many(3, "id_keys", Text),
        many(4, "description_keys", Text),
    ],
};

static SCOPE: Message = Message {
    name: "InstrumentationScope",
    fields: &[
        one(1, "name", Text),
        one(2, "version", Text),
        many(3, "attributes", Type::Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", Uint32),
    ],
};

static KEY_VALUE: Message =
    Message { name: "KeyValue", fields: &[one(1, "key", Text), one(2, "value", Type::Message(&ANY_VALUE))] };

static ANY_VALUE: Message = Message {
    name: "AnyValue",
    fields: &[
        optional(1, "string_value", Text),
        optional(2, "bool_value", Bool),
        optional(3, "int_value", Int64),
        optional(4, "double_value", Double),
        optional(5, "array_value", Type::Message(&ARRAY_VALUE)),
        optional(6, "kvlist_value", Type::Message(&KEY_VALUE_LIST)),
        optional(7, "bytes_value", Bytes),
    ],
};

static ARRAY_VALUE: Message =
    Message { name: "ArrayValue", fields: &[many(1, "values", Type::Message(&ANY_VALUE))] };

static KEY_VALUE_LIST: Message =
    Message { name: "KeyValueList", fields: &[many(1, "values", Type::Message(&KEY_VALUE))] };

const SPAN_KINDS: &[(&str, i32)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
];

const STATUS_CODES: &[(&str, i32)] =
    &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)];

pub(crate) static SPAN: Message = Message {
    name: "Span",
    fields: &[
        one(1, "trace_id", Id),
        one(2, "span_id", Id),
        one(3, "trace_state", Text),
        one(4, "parent_span_id", Id),
        one(5, "name", Text),
        one(6, "kind", Enum(SPAN_KINDS)),
        one(7, "start_time_unix_nano", Fixed64),
        one(8, "end_time_unix_nano", Fixed64),
        many(9, "attributes", Type::Message(&KEY_VALUE)),
        one(10, "dropped_attributes_count", Uint32),
        many(11, "events", Type::Message(&EVENT)),
        one(12, "dropped_events_count", Uint32),
        many(13, "links", Type::Message(&LINK)),
        one(14, "dropped_links_count", Uint32),
        one(15, "status", Type::Message(&STATUS)),
        one(16, "flags", Fixed32),
    ],
};

static EVENT: Message = Message {
    name: "Event",
    fields: &[
        one(1, "time_unix_nano", Fixed64),
        one(2, "name", Text),
        many(3, "attributes", Type::Message(&KEY_VALUE)),
        one(4, "dropped_attributes_count", Uint32),
    ],
};

static LINK: Message = Message {
    name: "Link",
    fields: &[
        one(1, "trace_id", Id),
        one(2, "span_id", Id),
        one(3, "trace_state", Text),
        many(4, "attributes", Type::Message(&KEY_VALUE)),
        one(5, "dropped_attributes_count", Uint32),
        one(6, "flags", Fixed32),
    ],
};

static STATUS: Message =
    Message { name: "Status", fields: &[one(2, "message", Text), one(3, "code", Enum(STATUS_CODES))] };

const SEVERITIES: &[(&str, i32)] = &[
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
];

pub(crate) static LOG_RECORD: Message = Message {
    name: "LogRecord",
    fields: &[
        one(1, "time_unix_nano", Fixed64),
        one(2, "severity_number", Enum(SEVERITIES)),
        one(3, "severity_text", Text),
        one(5, "body", Type::Message(&ANY_VALUE)),
        many(6, "attributes", Type::Message(&KEY_VALUE)),
        one(7, "dropped_attributes_count", Uint32),
        one(8, "flags", Fixed32),
        one(9, "trace_id", Id),
        one(10, "span_id", Id),
        one(11, "observed_time_unix_nano", Fixed64),
        one(12, "event_name", Text),
    ],
};

const TEMPORALITIES: &[(&str, i32)] = &[
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
];

pub(crate) static METRIC: Message = Message {
    name: "Metric",
    fields: &[
        one(1, "name", Text),
        one(2, "description", Text),
        one(3, "unit", Text),
        optional(5, "gauge", Type::Message(&GAUGE)),
        optional(7, "sum", Type::Message(&SUM)),
        optional(9, "histogram", Type::Message(&HISTOGRAM)),
        optional(10, "exponential_histogram", Type::Message(&EXPONENTIAL_HISTOGRAM)),
        optional(11, "summary", Type::Message(&SUMMARY)),
        many(12, "metadata", Type::Message(&KEY_VALUE)),
    ],
};

static GAUGE: Message =
    Message { name: "Gauge", fields: &[many(1, "data_points", Type::Message(&NUMBER_DATA_POINT))] };

static SUM: Message = Message {
    name: "Sum",
    fields: &[
        many(1, "data_points", Type::Message(&NUMBER_DATA_POINT)),
        one(2, "aggregation_temporality", Enum(TEMPORALITIES)),
        one(3, "is_monotonic", Bool),
    ],
};

static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        many(1, "data_points", Type::Message(&HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", Enum(TEMPORALITIES)),
    ],
};

static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "ExponentialHistogram",
    fields: &[
        many(1, "data_points", Type::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        one(2, "aggregation_temporality", Enum(TEMPORALITIES)),
    ],
};

static SUMMARY: Message =
    Message { name: "Summary", fields: &[many(1, "data_points", Type::Message(&SUMMARY_DATA_POINT))] };

pub(crate) static NUMBER_DATA_POINT: Message = Message {
    name: "NumberDataPoint",
    fields: &[
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        optional(4, "as_double", Double),
        many(5, "exemplars", Type::Message(&EXEMPLAR)),
        optional(6, "as_int", Sfixed64),
        many(7, "attributes", Type::Message(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
};

pub(crate) static HISTOGRAM_DATA_POINT: Message = Message {
    name: "HistogramDataPoint",
    fields: &[
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        one(4, "count", Fixed64),
        optional(5, "sum", Double),
        many(6, "bucket_counts", Fixed64),
        many(7, "explicit_bounds", Double),
        many(8, "exemplars", Type::Message(&EXEMPLAR)),
        many(9, "attributes", Type::Message(&KEY_VALUE)),
        one(10, "flags", Uint32),
        optional(11, "min", Double),
        optional(12, "max", Double),
    ],
};

pub(crate) static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message {
    name: "ExponentialHistogramDataPoint",
    fields: &[
        many(1, "attributes", Type::Message(&KEY_VALUE)),
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        one(4, "count", Fixed64),
        optional(5, "sum", Double),
        one(6, "scale", Sint32),
        one(7, "zero_count", Fixed64),
        one(8, "positive", Type::Message(&BUCKETS)),
        one(9, "negative", Type::Message(&BUCKETS)),
        one(10, "flags", Uint32),
        many(11, "exemplars", Type::Message(&EXEMPLAR)),
        optional(12, "min", Double),
        optional(13, "max", Double),
        one(14, "zero_threshold", Double),
    ],
};

static BUCKETS: Message =
    Message { name: "Buckets", fields: &[one(1, "offset", Sint32), many(2, "bucket_counts", Uint64)] };

pub(crate) static SUMMARY_DATA_POINT: Message = Message {
    name: "SummaryDataPoint",
    fields: &[
        one(2, "start_time_unix_nano", Fixed64),
        one(3, "time_unix_nano", Fixed64),
        one(4, "count", Fixed64),
        one(5, "sum", Double),
        many(6, "quantile_values", Type::Message(&VALUE_AT_QUANTILE)),
        many(7, "attributes", Type::Message(&KEY_VALUE)),
        one(8, "flags", Uint32),
    ],
};

static VALUE_AT_QUANTILE: Message =
    Message { name: "ValueAtQuantile", fields: &[one(1, "quantile", Double), one(2, "value", Double)] };

pub(crate) static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[
        one(2, "time_unix_nano", Fixed64),
        optional(3, "as_double", Double),
        one(4, "span_id", Id),
        one(5, "trace_id", Id),
        optional(6, "as_int", Sfixed64),
        many(7, "filtered_attributes", Type::Message(&KEY_VALUE)),
    ],
};
