//! Grouping sets of a statement.
//!
//! `CUBE` of thirty expressions is a billion sets, and a planner makes each of them out of the
//! expressions before anybody can tell it to end. So they are counted in the text.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Statement, Visit, Visitor};
use isinglass_model::ErrorKind;

use crate::error::QueryError;

/// Sets of all `CUBE`, `ROLLUP` and `GROUPING SETS` of a statement, multiplied as where they stand
/// beside each other.
const SETS_MAX: u64 = 1_024;

/// Refuses a statement with more sets.
pub(crate) fn check(statement: &Statement) -> Result<(), QueryError> {
    match statement.visit(&mut Sets(1)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(QueryError::new(
            ErrorKind::Rejected,
            format!("CUBE, ROLLUP and GROUPING SETS of the query make more than {SETS_MAX} grouping sets"),
        )),
    }
}

struct Sets(u64);

impl Visitor for Sets {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let sets = match expr {
            Expr::Cube(sets) => u32::try_from(sets.len()).ok().and_then(|sets| 2_u64.checked_pow(sets)),
            Expr::Rollup(sets) => Some(sets.len() as u64 + 1),
            Expr::GroupingSets(sets) => Some(sets.len() as u64),
            _ => return ControlFlow::Continue(()),
        };
        self.0 = self.0.saturating_mul(sets.unwrap_or(u64::MAX).max(1));
        if self.0 > SETS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
