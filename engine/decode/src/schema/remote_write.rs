//! Prometheus' prompb: remote write 1.0, and 2.0 where a name ends in `_2`.
//!
//! Samples and histograms are the same in both, but for `start_timestamp`, which
//! only senders of 2.0 write.

use super::Type::{Double, Enum, Int64, Sint32, Sint64, Text, Uint32, Uint64};
use super::{Message, Type, many, one, optional};

pub(crate) static WRITE_REQUEST: Message = Message {
    name: "WriteRequest",
    fields: &[
        many(1, "timeseries", Type::Message(&TIME_SERIES)),
        many(3, "metadata", Type::Message(&METRIC_METADATA)),
    ],
};

pub(crate) static WRITE_REQUEST_2: Message = Message {
    name: "Request",
    fields: &[many(4, "symbols", Text), many(5, "timeseries", Type::Message(&TIME_SERIES_2))],
};

pub(crate) static TIME_SERIES: Message = Message {
    name: "TimeSeries",
    fields: &[
        many(1, "labels", Type::Message(&LABEL)),
        many(2, "samples", Type::Message(&SAMPLE)),
        many(3, "exemplars", Type::Message(&EXEMPLAR)),
        many(4, "histograms", Type::Message(&HISTOGRAM)),
    ],
};

pub(crate) static TIME_SERIES_2: Message = Message {
    name: "TimeSeries2",
    fields: &[
        many(1, "labels_refs", Uint32),
        many(2, "samples", Type::Message(&SAMPLE)),
        many(3, "histograms", Type::Message(&HISTOGRAM)),
        many(4, "exemplars", Type::Message(&EXEMPLAR_2)),
        one(5, "metadata", Type::Message(&METADATA_2)),
        one(6, "created_timestamp", Int64),
    ],
};

static LABEL: Message = Message { name: "Label", fields: &[one(1, "name", Text), one(2, "value", Text)] };

pub(crate) static SAMPLE: Message = Message {
    name: "Sample",
    fields: &[one(1, "value", Double), one(2, "timestamp", Int64), one(3, "start_timestamp", Int64)],
};

pub(crate) static EXEMPLAR: Message = Message {
    name: "Exemplar",
    fields: &[many(1, "labels", Type::Message(&LABEL)), one(2, "value", Double), one(3, "timestamp", Int64)],
};

pub(crate) static EXEMPLAR_2: Message = Message {
    name: "Exemplar2",
    fields: &[many(1, "labels_refs", Uint32), one(2, "value", Double), one(3, "timestamp", Int64)],
};

const RESET_HINTS: &[(&str, i32)] = &[("UNKNOWN", 0), ("YES", 1), ("NO", 2), ("GAUGE", 3)];

pub(crate) static HISTOGRAM: Message = Message {
    name: "Histogram",
    fields: &[
        optional(1, "count_int", Uint64),
        optional(2, "count_float", Double),
        one(3, "sum", Double),
        one(4, "schema", Sint32),
        one(5, "zero_threshold", Double),
        optional(6, "zero_count_int", Uint64),
        optional(7, "zero_count_float", Double),
        many(8, "negative_spans", Type::Message(&BUCKET_SPAN)),
        many(9, "negative_deltas", Sint64),
        many(10, "negative_counts", Double),
        many(11, "positive_spans", Type::Message(&BUCKET_SPAN)),
        many(12, "positive_deltas", Sint64),
        many(13, "positive_counts", Double),
        one(14, "reset_hint", Enum(RESET_HINTS)),
        one(15, "timestamp", Int64),
        many(16, "custom_values", Double),
        one(17, "start_timestamp", Int64),
    ],
};

static BUCKET_SPAN: Message =
    Message { name: "BucketSpan", fields: &[one(1, "offset", Sint32), one(2, "length", Uint32)] };

const METRIC_TYPES: &[(&str, i32)] = &[
    ("UNKNOWN", 0),
    ("COUNTER", 1),
    ("GAUGE", 2),
    ("HISTOGRAM", 3),
    ("GAUGEHISTOGRAM", 4),
    ("SUMMARY", 5),
    ("INFO", 6),
    ("STATESET", 7),
];

static METRIC_METADATA: Message = Message {
    name: "MetricMetadata",
    fields: &[
        one(1, "type", Enum(METRIC_TYPES)),
        one(2, "metric_family_name", Text),
        one(4, "help", Text),
        one(5, "unit", Text),
    ],
};

static METADATA_2: Message = Message {
    name: "Metadata",
    fields: &[one(1, "type", Enum(METRIC_TYPES)), one(3, "help_ref", Uint32), one(4, "unit_ref", Uint32)],
};
