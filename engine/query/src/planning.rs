//! Planning that takes too long is ended.
//!
//! A planner is one long computation that polls nobody. So it runs on a thread of its own, and
//! whoever waits for it leaves it there at the deadline: other queries go on. The planner in turn
//! asks [`check`] wherever it calls code of ours, which is at every rule and node of the plan, at
//! every operator of an expression and at every call of a capped function. One that still hears
//! nobody is counted until it ends by itself.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawFieldAccessExpr, RawWindowExpr,
};

use crate::error::QueryError;
use crate::interrupt::Interrupt;

/// What the planner of one query may take.
#[derive(Debug, Clone)]
pub(crate) struct Planning {
    until: Instant,
    /// For the message.
    limit: Duration,
    interrupt: Interrupt,
}

thread_local! {
    static CURRENT: RefCell<Option<Planning>> = const { RefCell::new(None) };
}

impl Planning {
    pub(crate) fn new(until: Instant, limit: Duration, interrupt: Interrupt) -> Self {
        Self { until, limit, interrupt }
    }

    /// Does `work` on this thread, which is then one that plans.
    pub(crate) fn run<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.set(Some(self));
        let _left = Left;
        work()
    }

    fn check(&self) -> Result<()> {
        match self.interrupt.is_set() || Instant::now() >= self.until {
            true => Err(QueryError::planning(self.limit).into()),
            false => Ok(()),
        }
    }
}

/// The thread does not plan any more, also after a panic.
struct Left;

impl Drop for Left {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// Fails once the query that is planned on this thread has to end.
pub(crate) fn check() -> Result<()> {
    CURRENT.with_borrow(|current| current.as_ref().map_or(Ok(()), Planning::check))
}

/// Whether this thread plans a query: what it computes now becomes a part of the plan.
pub(crate) fn is_planning() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Plans nothing, and asks each time whether to go on.
#[derive(Debug)]
pub(crate) struct Checkpoints;

impl ExprPlanner for Checkpoints {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        original(expr)
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        _: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        original(expr)
    }

    fn plan_array_literal(&self, exprs: Vec<Expr>, _: &DFSchema) -> Result<PlannerResult<Vec<Expr>>> {
        original(exprs)
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        original(expr)
    }

    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        original(expr)
    }
}

fn original<T>(expr: T) -> Result<PlannerResult<T>> {
    check()?;
    Ok(PlannerResult::Original(expr))
}

#[cfg(test)]
mod tests {
    use isinglass_model::ErrorKind;

    use super::*;

    fn kind() -> Option<ErrorKind> {
        check().err().map(|error| QueryError::from(error).kind())
    }

    #[test]
    fn a_thread_plans_for_as_long_as_it_may() {
        let hour = Duration::from_secs(3_600);
        let interrupt = Interrupt::default();
        assert!(kind().is_none() && !is_planning());
        Planning::new(Instant::now() + hour, hour, interrupt.clone()).run(|| {
            assert!(kind().is_none() && is_planning());
            interrupt.set();
            assert_eq!(kind(), Some(ErrorKind::Timeout));
        });
        Planning::new(Instant::now(), hour, Interrupt::default())
            .run(|| assert_eq!(kind(), Some(ErrorKind::Timeout)));
        assert!(kind().is_none() && !is_planning());
    }
}
