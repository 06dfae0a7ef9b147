//! The tables of record: `samples`, `series`, `histograms`, `exemplars`, `logs`,
//! `spans`, `rejected`.
//!
//! ```text
//! KindTable ─ scan ─▶ ShownExec            what people see
//!                        └ UnionExec
//!                            ├ DataSourceExec   Parquet files of the view, pruned
//!                            └ DataSourceExec   unflushed rows of the view
//! ```

mod asked;
mod cheap;
mod compared;
mod footers;
mod ids;
mod kind_scan;
mod layout;
mod marks;
mod provider;
mod prune;
mod scan;
mod shares;
mod tokens;

pub(crate) use ids::FilterCache;
pub(crate) use layout::Layout;
pub(crate) use marks::rows_by_marks;
pub(crate) use provider::{Indexes, KindTable, pruning};
pub(crate) use scan::{Means, Scan};
pub use tokens::TokenStats;
pub(crate) use tokens::{RowsWanted, TokenCache};

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::Expr;

/// A filter with its columns named as the table names them.
pub(crate) fn unqualified(filter: &Expr) -> Result<Expr> {
    let renamed = filter.clone().transform_up(|node| match node {
        Expr::Column(column) => Ok(Transformed::yes(Expr::Column(Column::from_name(column.name)))),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(renamed.data)
}
