//! `samples`, `series`, `histograms`, `exemplars`.

use super::{Column, Shown, Table, Type, optional, required};
use crate::kind::Kind;

/// A run of consecutive buckets of a native histogram (Prometheus' span).
pub const BUCKET_SPAN: &[Column] = &[required("offset", Type::Integer), required("length", Type::Integer)];

pub(super) fn samples() -> Table {
    let columns = vec![
        required("metric_id", Type::Bigint),
        required("series_id", Type::Bigint),
        required("time", Type::Timestamp),
        // The value of a row is coalesce(value_int / pow(10, value_scale), value).
        // A stale marker is a row where all three are null.
        optional("value", Type::Double),
        optional("value_int", Type::Bigint).shown(Shown::Hidden),
        optional("value_scale", Type::Smallint).shown(Shown::Hidden),
        optional("start_time", Type::Timestamp),
    ];
    Table::new(Kind::Samples, columns, &["metric_id", "series_id", "time"], "time")
}

pub(super) fn series() -> Table {
    let columns = vec![
        required("metric_id", Type::Bigint),
        required("series_id", Type::Bigint),
        // UTC day of the samples
        required("day", Type::Date),
        required("metric", Type::Dictionary),
        // all labels but __name__, plain text
        required("labels", Type::TextMap),
        optional("temporality", Type::Dictionary),
        optional("type", Type::Dictionary),
        optional("unit", Type::Dictionary),
        optional("help", Type::Dictionary),
    ];
    Table::new(Kind::Series, columns, &["metric_id", "series_id"], "day")
}

pub(super) fn histograms() -> Table {
    let columns = vec![
        required("metric_id", Type::Bigint),
        required("series_id", Type::Bigint),
        required("time", Type::Timestamp),
        optional("start_time", Type::Timestamp),
        // null = stale marker, then everything below is null or empty
        optional("count", Type::Double),
        optional("sum", Type::Double),
        // resolution: -4 to 8 exponential, -53 custom bounds
        required("schema", Type::Smallint),
        optional("zero_threshold", Type::Double),
        optional("zero_count", Type::Double),
        optional("positive_spans", Type::List(&Type::Struct(BUCKET_SPAN))),
        // absolute counts, one per bucket of the spans
        optional("positive_buckets", Type::List(&Type::Double)),
        optional("negative_spans", Type::List(&Type::Struct(BUCKET_SPAN))),
        optional("negative_buckets", Type::List(&Type::Double)),
        optional("custom_bounds", Type::List(&Type::Double)),
        // unknown, yes, no, gauge
        required("reset_hint", Type::Dictionary),
        // whether counts are floats on the wire
        required("float", Type::Boolean),
        optional("min", Type::Double),
        optional("max", Type::Double),
    ];
    Table::new(Kind::Histograms, columns, &["metric_id", "series_id", "time"], "time")
}

pub(super) fn exemplars() -> Table {
    let columns = vec![
        required("metric_id", Type::Bigint),
        required("series_id", Type::Bigint),
        required("time", Type::Timestamp),
        required("value", Type::Double),
        optional("trace_id", Type::Id(16)).shown(Shown::Hex),
        optional("span_id", Type::Id(8)).shown(Shown::Hex),
        optional("attributes", Type::TextMap),
    ];
    Table::new(Kind::Exemplars, columns, &["metric_id", "series_id", "time"], "time")
}
