//! How many rows a batch may have in a plan whose rows are wide.
//!
//! A batch has 8,192 rows. An expression makes a value for each of them at once, a constant is
//! written out as often, and no pool hears of it: 5,000 columns with a constant of 1 KiB each
//! would be 40 GiB. So the widest step of a plan decides how many rows go through it together.

use datafusion::common::Result;
use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Rows of a batch where nothing is wide.
const ROWS_MAX: usize = 8_192;

/// Bytes of a batch that a step of the plan makes.
const BATCH_BYTES: usize = 64 << 20;

/// What a value takes whose size is not known.
const VALUE_BYTES: usize = 16;

/// Rows of a batch for a plan, unless it has as many as everywhere.
pub(crate) fn batch_rows(plan: &LogicalPlan) -> Result<Option<ConfigNonZeroUsize>> {
    let rows = (BATCH_BYTES / widest(plan)?).max(1);
    (rows < ROWS_MAX).then(|| ConfigNonZeroUsize::try_new(rows)).transpose()
}

/// Bytes that a step of the plan makes of a row, at most.
fn widest(plan: &LogicalPlan) -> Result<usize> {
    let mut widest = VALUE_BYTES;
    plan.apply_with_subqueries(|node| {
        let mut width = 0_usize;
        node.apply_expressions(|expr| {
            width = width.saturating_add(width_of(expr)?);
            Ok(TreeNodeRecursion::Continue)
        })?;
        widest = widest.max(width);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(widest)
}

/// Bytes of the values of an expression in one row, those of its parts included.
fn width_of(expr: &Expr) -> Result<usize> {
    let mut width = 0_usize;
    expr.apply(|part| {
        let bytes = match part {
            Expr::Literal(value, _) => value.size(),
            Expr::Column(_) => 0,
            _ => VALUE_BYTES,
        };
        width = width.saturating_add(bytes);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(width)
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{LogicalPlanBuilder, lit};

    use super::*;

    fn rows(columns: usize, bytes: usize) -> usize {
        let columns = (0..columns).map(|n| lit("x".repeat(bytes)).alias(format!("c{n}")));
        let plan = LogicalPlanBuilder::empty(true).project(columns).unwrap().build().unwrap();
        batch_rows(&plan).unwrap().map_or(ROWS_MAX, ConfigNonZeroUsize::get)
    }

    #[test]
    fn the_wider_the_fewer() {
        assert_eq!(rows(3, 10), ROWS_MAX);
        assert_eq!(rows(1, 1_000), ROWS_MAX);
        assert!((1_000..=8_000).contains(&rows(10, 1_000)), "{}", rows(10, 1_000));
        assert!((30..=70).contains(&rows(1_000, 1_000)), "{}", rows(1_000, 1_000));
        assert_eq!(rows(1, 100 << 20), 1);
    }
}
