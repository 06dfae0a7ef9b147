//! `spans`: one row per span, sorted so that a trace lies together.

use super::promoted::{Promoted, RESOURCE, SPAN};
use super::{Column, Shown, Table, Type, optional, required};
use crate::kind::Kind;

/// An event of a span.
pub const EVENT: &[Column] = &[
    required("time", Type::Bigint).shown(Shown::Nanos),
    required("name", Type::Text),
    optional("attributes", Type::TextMap),
    optional("dropped_attributes_count", Type::Integer),
];

/// A link of a span. Ids are binary here; SQL shows them as hex.
pub const LINK: &[Column] = &[
    required("trace_id", Type::Id(16)).shown(Shown::Hex),
    required("span_id", Type::Id(8)).shown(Shown::Hex),
    optional("trace_state", Type::Text),
    optional("flags", Type::Integer),
    optional("attributes", Type::TextMap),
    optional("dropped_attributes_count", Type::Integer),
];

/// The values of `kind`, by OTLP number.
pub const KINDS: [&str; 6] = ["unspecified", "internal", "server", "client", "producer", "consumer"];

/// The values of `status`, by OTLP number.
pub const STATUSES: [&str; 3] = ["unset", "ok", "error"];

pub(super) fn spans() -> Table {
    let mut columns = vec![
        // start, nanoseconds since 1970
        required("time", Type::Bigint).shown(Shown::Nanos),
        // nanoseconds
        required("duration", Type::Bigint),
        required("trace_id", Type::Id(16)).shown(Shown::Hex),
        required("span_id", Type::Id(8)).shown(Shown::Hex),
        optional("parent_span_id", Type::Id(8)).shown(Shown::Hex),
        required("service", Type::Dictionary),
        required("name", Type::Dictionary),
        required("kind", Type::Dictionary),
        required("status", Type::Dictionary),
        optional("status_message", Type::Dictionary),
        optional("trace_state", Type::Dictionary),
        optional("flags", Type::Integer),
        // bytes of the span message on the wire, for size metrics
        required("size_bytes", Type::Integer),
        optional("scope_name", Type::Dictionary),
        optional("scope_version", Type::Dictionary),
    ];
    columns.extend(RESOURCE.iter().chain(SPAN).map(Promoted::as_column));
    columns.extend([
        optional("resource", Type::TextMap),
        optional("scope", Type::TextMap),
        optional("attributes", Type::TextMap),
        optional("events", Type::List(&Type::Struct(EVENT))),
        optional("links", Type::List(&Type::Struct(LINK))),
        optional("dropped_attributes_count", Type::Integer),
        optional("dropped_events_count", Type::Integer),
        optional("dropped_links_count", Type::Integer),
    ]);
    Table::new(Kind::Spans, columns, &["trace_id", "time"], "time")
}
