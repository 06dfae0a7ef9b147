//! `SELECT * … ORDER BY time DESC LIMIT 100` reads all columns of a hundred rows.
//!
//! DataFusion reads all columns of every row that the filter lets pass, and keeps a hundred. The
//! filter that its top-k fills while it runs leaves rows out by time, but rows of a file lie by
//! service and stream first, so the newest come late. Here the first rows are found by the
//! columns that the filter and the order need, and then read whole by their keys:
//!
//! ```text
//! Sort(key, fetch)             Sort(key, fetch)
//!   wide input          ──▶      RightSemi Join(key = key)
//!                                  Projection(key)
//!                                    Sort(key, fetch)
//!                                      the same input, of which few columns are used
//!                                  wide input
//! ```
//!
//! The join tells the scan of the wide side which keys it has, and rows of other keys are not
//! decoded. Rows with a key of the first rows that are not among them fall to the upper sort, so
//! the answer is the same. Measured on a million lines with fifty columns: half of the time.

use arrow_schema::DataType;
use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ExprSchema, JoinType, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Sort, TableScan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use hashbrown::HashSet;

use crate::table::KindTable;

/// Rows that are read by key at most.
const FETCH_MAX: usize = 1_000;

/// Columns that are read late at least; planning the second scan costs as much as decoding some.
const LATE_MIN: usize = 8;

/// Rows in files from which on a second look at them can pay.
const ROWS_MIN: u64 = 16_384;

/// Name of the key on the narrow side.
const KEY: &str = "__late_key";

/// The rule. Comes after filters have been handed to scans, and before columns that nobody uses
/// are left out.
#[derive(Debug)]
pub(super) struct LateColumns;

impl OptimizerRule for LateColumns {
    fn name(&self) -> &str {
        "late_columns"
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        // From below, so that the sort on the narrow side is not looked at again.
        plan.transform_up(|node| match &node {
            LogicalPlan::Sort(sort) => match late(sort)? {
                Some(changed) => Ok(Transformed::yes(changed)),
                None => Ok(Transformed::no(node)),
            },
            _ => Ok(Transformed::no(node)),
        })
    }
}

fn late(sort: &Sort) -> Result<Option<LogicalPlan>> {
    let few = sort.fetch.is_some_and(|fetch| fetch <= FETCH_MAX);
    let Some(key) = key(sort).filter(|_| few) else { return Ok(None) };
    if !pays(sort)? {
        return Ok(None);
    }
    // The narrow side is the left one, which a join holds in memory unless it learns better.
    let wide = LogicalPlan::clone(&sort.input);
    let rows = LogicalPlanBuilder::from(LogicalPlan::Sort(sort.clone()))
        .project([Expr::Column(key.clone()).alias(KEY)])?
        .join(wide, JoinType::RightSemi, (vec![Column::from_name(KEY)], vec![key]), None)?
        .build()?;
    Ok(Some(LogicalPlan::Sort(Sort { input: rows.into(), ..sort.clone() })))
}

/// The first column of the order, if it is one that is never null and has many values: rows whose
/// key is null would not be found again.
fn key(sort: &Sort) -> Option<Column> {
    let Expr::Column(column) = &sort.expr.first()?.expr else { return None };
    let field = sort.input.schema().field_from_column(column).ok()?;
    let many = matches!(field.data_type(), DataType::Timestamp(..) | DataType::Int64);
    (many && !field.is_nullable()).then(|| column.clone())
}

/// Whether this is one large table of which many columns are wanted and few decide.
fn pays(sort: &Sort) -> Result<bool> {
    let mut chain = Chain::default();
    let Some(scan) = chain.down_to_scan(&sort.input) else { return Ok(false) };
    let provider = source_as_provider(&scan.source)?;
    let Some(table) = provider.downcast_ref::<KindTable>() else { return Ok(false) };
    chain.asked.extend(sort.expr.iter().map(|order| &order.expr));
    chain.asked.extend(&scan.filters);
    let simple = chain.asked.iter().chain(&chain.made).all(|expr| !expr.is_volatile() && !has_query(expr));
    let early: HashSet<&str> =
        chain.asked.iter().flat_map(|expr| expr.column_refs()).map(|column| column.name()).collect();
    let late = sort.input.schema().fields().len().saturating_sub(early.len());
    Ok(simple && scan.fetch.is_none() && late >= LATE_MIN && table.rows_in_files() >= ROWS_MIN)
}

/// What lies between a sort and the table.
#[derive(Default)]
struct Chain<'a> {
    /// Expressions that decide which rows come.
    asked: Vec<&'a Expr>,
    /// Expressions that make columns.
    made: Vec<&'a Expr>,
}

impl<'a> Chain<'a> {
    fn down_to_scan(&mut self, plan: &'a LogicalPlan) -> Option<&'a TableScan> {
        match plan {
            LogicalPlan::TableScan(scan) => Some(scan),
            LogicalPlan::SubqueryAlias(alias) => self.down_to_scan(&alias.input),
            LogicalPlan::Filter(filter) => {
                self.asked.push(&filter.predicate);
                self.down_to_scan(&filter.input)
            }
            LogicalPlan::Projection(projection) => {
                self.made.extend(&projection.expr);
                self.down_to_scan(&projection.input)
            }
            _ => None,
        }
    }
}

/// Whether a query stands in an expression, which would run twice.
fn has_query(expr: &Expr) -> bool {
    let query = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)
        ))
    };
    expr.exists(query).unwrap_or(true)
}
