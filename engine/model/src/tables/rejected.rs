//! `rejected`: what was not kept, and why.

use super::{Shown, Table, Type, optional, required};
use crate::kind::Kind;

/// Rows a minute and tenant; beyond that items are counted only.
pub const ROWS_PER_MINUTE_MAX: u32 = 1_000;

pub(super) fn rejected() -> Table {
    let columns = vec![
        // arrival, nanoseconds since 1970
        required("time", Type::Bigint).shown(Shown::Nanos),
        required("signal", Type::Dictionary),
        required("reason", Type::Dictionary),
        // one sentence: field, value, limit
        required("message", Type::Text),
        // name@version and sha256, null for the core
        optional("plugin", Type::Dictionary),
        optional("digest", Type::Dictionary),
        // the item as JSON text, at most 64 KiB
        required("item", Type::Text),
        // name of the binding, null for the core
        optional("rule", Type::Dictionary),
    ];
    Table::new(Kind::Rejected, columns, &["time"], "time")
}
