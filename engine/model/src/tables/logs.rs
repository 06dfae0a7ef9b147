//! `logs`: one row per log record, sorted by service and stream.

use super::promoted::{LOG, Promoted, RESOURCE};
use super::{Shown, Table, Type, optional, required};
use crate::kind::Kind;

pub(super) fn logs() -> Table {
    let mut columns = vec![
        // nanoseconds since 1970; the observed time where the sender gave no other
        required("time", Type::Bigint).shown(Shown::Nanos),
        required("service", Type::Dictionary),
        // canonical text of the stream's labels, `{a="b", c="d"}`, names sorted
        required("stream", Type::Dictionary),
        // trace, debug, info, warn, error, fatal
        optional("severity", Type::Dictionary),
        optional("severity_number", Type::Smallint),
        // the sender's own word, where it differs from `severity`
        optional("severity_text", Type::Dictionary),
        required("body", Type::Text),
        optional("trace_id", Type::Id(16)).shown(Shown::Hex),
        optional("span_id", Type::Id(8)).shown(Shown::Hex),
        optional("flags", Type::Integer),
        optional("event_name", Type::Dictionary),
        optional("observed_time", Type::Bigint).shown(Shown::Nanos),
        optional("scope_name", Type::Dictionary),
        optional("scope_version", Type::Dictionary),
    ];
    columns.extend(RESOURCE.iter().chain(LOG).map(Promoted::as_column));
    columns.extend([
        optional("resource", Type::TextMap),
        optional("scope", Type::TextMap),
        optional("attributes", Type::TextMap),
        optional("dropped_attributes_count", Type::Integer),
    ]);
    Table::new(Kind::Logs, columns, &["service", "stream", "time"], "time")
}
