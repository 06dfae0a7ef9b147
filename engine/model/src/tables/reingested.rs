//! `reingested`: which refused items were sent again and kept.

use super::{Shown, Table, Type, required};
use crate::kind::Kind;

pub(super) fn reingested() -> Table {
    let columns = vec![
        // that of the row of `rejected`, so that both are retained alike
        required("time", Type::Bigint).shown(Shown::Nanos),
        // when it was sent again
        required("at", Type::Bigint).shown(Shown::Nanos),
        required("signal", Type::Dictionary),
        // for which it had been refused
        required("reason", Type::Dictionary),
        // `stored`, or `dropped` if a transformer took it out
        required("outcome", Type::Dictionary),
        // hash of the row of `rejected`; of rows that are alike each has its own mark
        required("key", Type::Id(16)).shown(Shown::Hex),
    ];
    Table::new(Kind::Reingested, columns, &["time"], "time")
}
