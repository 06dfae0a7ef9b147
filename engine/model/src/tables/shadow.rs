//! `shadow`: what plugins that are tried out would have done.

use super::{Shown, Table, Type, optional, required};
use crate::kind::Kind;

/// What a row says, in the column `what`.
pub mod what {
    /// The plugin was shown these items.
    pub const SEEN: &str = "seen";
    /// It would have refused them, or a limiter their request.
    pub const REFUSED: &str = "refused";
    /// It would have dropped them.
    pub const DROPPED: &str = "dropped";
    /// It would have changed this field of them.
    pub const CHANGED: &str = "changed";
    /// It would have kept what the live plugin of the same name refused.
    pub const KEPT: &str = "kept";
    /// It would have added this to a metric.
    pub const DERIVED: &str = "derived";
    /// It failed, so nobody knows.
    pub const FAILED: &str = "failed";
    /// It was not shown them: it was too far behind.
    pub const SKIPPED: &str = "skipped";
}

pub(super) fn shadow() -> Table {
    let columns = vec![
        // when the row was written, nanoseconds since 1970; what it counts came shortly before
        required("time", Type::Bigint).shown(Shown::Nanos),
        // name of the binding
        required("name", Type::Dictionary),
        // name@version and sha256
        required("plugin", Type::Dictionary),
        required("digest", Type::Dictionary),
        required("world", Type::Dictionary),
        required("signal", Type::Dictionary),
        // one of the words above
        required("what", Type::Dictionary),
        // service of log records and spans, job of samples
        required("sender", Type::Dictionary),
        // the code it gave, or how it failed
        optional("reason", Type::Dictionary),
        // what became of the items: `kept`, or the code for which the live chain refused them
        optional("live", Type::Dictionary),
        // what would have been changed, or the name of a metric
        optional("field", Type::Dictionary),
        // how many items the row stands for
        required("items", Type::Bigint),
        // of one of them: what would have been said of it, the field before and after, all of it
        optional("message", Type::Text),
        optional("before", Type::Text),
        optional("after", Type::Text),
        optional("item", Type::Text),
        // increment of a metric
        optional("value", Type::Double),
    ];
    Table::new(Kind::Shadow, columns, &["time"], "time")
}
