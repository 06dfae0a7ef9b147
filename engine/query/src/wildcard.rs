//! Planning of `SELECT *` over one table.
//!
//! DataFusion's planner looks for `unnest` in what is selected, and to that end compares the name
//! of each column with those of all before it: of a table of 85 columns that is a tenth of what it
//! takes to find a trace by its id. All columns of a table are the table, so here the rows are
//! planned with another list of columns, the list is taken off again, and order and limit are put
//! on top. The plan is the one that DataFusion makes after its optimizer.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr};
use datafusion::sql::parser::Statement;
use datafusion::sql::planner::NullOrdering;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, ExprWithAlias, GroupByExpr, LimitClause, OrderBy, OrderByExpr, OrderByKind, Query,
    Select, SelectFlavor, SelectItem, SetExpr, Statement as SqlStatement, TableFactor, Value,
    WildcardAdditionalOptions,
};

/// The plan of a statement that asks for all columns of one table. `None` = it asks for something
/// else, or in a way that is left to DataFusion, as is everything that is wrong.
pub(crate) async fn plan(state: &SessionState, statement: &Statement) -> Option<LogicalPlan> {
    let (order, limit, rows) = taken_apart(statement)?;
    let LogicalPlan::Projection(rows) = state.statement_to_plan(rows).await.ok()? else { return None };
    put_together(state, Arc::unwrap_or_clone(rows.input), order, limit).ok()?
}

/// Order, limit, and a statement for the rows without them.
fn taken_apart(statement: &Statement) -> Option<(Vec<OrderByExpr>, Option<LimitClause>, Statement)> {
    let Statement::Statement(statement) = statement else { return None };
    let SqlStatement::Query(query) = statement.as_ref() else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    if !is_only_rows(query) || !is_all_columns(select) {
        return None;
    }
    let order = match &query.order_by {
        None => Vec::new(),
        Some(OrderBy { kind: OrderByKind::Expressions(order), interpolate: None }) => order.clone(),
        Some(_) => return None,
    };
    // A number is the place of a column.
    if order.iter().any(|by| matches!(by.expr, SqlExpr::Value(_)) || by.with_fill.is_some()) {
        return None;
    }
    let select = Select {
        projection: vec![SelectItem::UnnamedExpr(SqlExpr::value(Value::Null))],
        ..select.as_ref().clone()
    };
    let rows = Query {
        body: Box::new(SetExpr::Select(Box::new(select))),
        order_by: None,
        limit_clause: None,
        ..query.as_ref().clone()
    };
    let rows = Statement::Statement(Box::new(SqlStatement::Query(Box::new(rows))));
    Some((order, query.limit_clause.clone(), rows))
}

/// Whether nothing stands beside the selection but order and limit.
fn is_only_rows(query: &Query) -> bool {
    let Query {
        with,
        body: _,
        order_by: _,
        limit_clause: _,
        fetch,
        locks,
        for_clause,
        settings,
        format_clause,
        pipe_operators,
    } = query;
    with.is_none()
        && fetch.is_none()
        && locks.is_empty()
        && for_clause.is_none()
        && settings.is_none()
        && format_clause.is_none()
        && pipe_operators.is_empty()
}

/// Whether it is `SELECT * FROM table WHERE …` and no more.
fn is_all_columns(select: &Select) -> bool {
    let Select {
        select_token: _,
        optimizer_hints,
        distinct,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by,
        cluster_by,
        distribute_by,
        sort_by,
        having,
        named_window,
        qualify,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    let is_wildcard = |item: &SelectItem| match item {
        SelectItem::Wildcard(options) => {
            let wildcard_token = options.wildcard_token.clone();
            *options == WildcardAdditionalOptions { wildcard_token, ..Default::default() }
        }
        _ => false,
    };
    let [from] = from.as_slice() else { return false };
    let of_table = matches!(&from.relation, TableFactor::Table { args: None, .. }) && from.joins.is_empty();
    let grouped = !matches!(group_by, GroupByExpr::Expressions(by, more) if by.is_empty() && more.is_empty());
    let modified = !optimizer_hints.is_empty()
        || distinct.is_some()
        || select_modifiers.is_some()
        || top.is_some()
        || exclude.is_some()
        || into.is_some()
        || prewhere.is_some()
        || value_table_mode.is_some();
    let rearranged = !lateral_views.is_empty()
        || !connect_by.is_empty()
        || !cluster_by.is_empty()
        || !distribute_by.is_empty()
        || !sort_by.is_empty()
        || !named_window.is_empty()
        || having.is_some()
        || qualify.is_some();
    matches!(projection.as_slice(), [item] if is_wildcard(item))
        && of_table
        && !grouped
        && !modified
        && !rearranged
        && *flavor == SelectFlavor::Standard
}

/// Rows in an order, and some of them.
fn put_together(
    state: &SessionState,
    rows: LogicalPlan,
    order: Vec<OrderByExpr>,
    limit: Option<LimitClause>,
) -> Result<Option<LogicalPlan>> {
    let nulls = NullOrdering::from(state.config_options().sql_parser.default_null_ordering.as_str());
    let expr = |expr: SqlExpr| {
        state.create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, rows.schema())
    };
    let sort = |by: OrderByExpr| {
        let ascending = by.options.asc.unwrap_or(true);
        let nulls_first = by.options.nulls_first.unwrap_or_else(|| nulls.nulls_first(ascending));
        Ok(SortExpr::new(expr(by.expr)?, ascending, nulls_first))
    };
    let order = order.into_iter().map(sort).collect::<Result<Vec<_>>>()?;
    let (skip, fetch) = match limit {
        None => (None, None),
        Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
            (offset.map(|offset| offset.value), limit)
        }
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => (Some(offset), Some(limit)),
        Some(_) => return Ok(None),
    };
    let count = |count: Option<SqlExpr>| -> Result<Option<Option<Expr>>> {
        match count {
            None => Ok(Some(None)),
            Some(number @ SqlExpr::Value(_)) => Ok(Some(Some(expr(number)?))),
            Some(_) => Ok(None),
        }
    };
    let (Some(skip), Some(fetch)) = (count(skip)?, count(fetch)?) else { return Ok(None) };
    let mut plan = LogicalPlanBuilder::from(rows);
    if !order.is_empty() {
        plan = plan.sort(order)?;
    }
    if skip.is_some() || fetch.is_some() {
        plan = plan.limit_by_expr(skip, fetch)?;
    }
    plan.build().map(Some)
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field, Schema};
    use datafusion::datasource::MemTable;
    use datafusion::prelude::SessionContext;

    use super::*;

    fn session() -> SessionContext {
        let session = SessionContext::new();
        for table in ["logs", "spans"] {
            let field = |name, ty| Field::new(name, ty, true);
            let fields = vec![
                field("time", DataType::Int64),
                field("body", DataType::Utf8View),
                field("severity", DataType::Utf8View),
                field("Upper", DataType::Float64),
            ];
            let schema = Arc::new(Schema::new(fields));
            let table_of_none = MemTable::try_new(schema, vec![vec![]]).unwrap();
            session.register_table(table, Arc::new(table_of_none)).unwrap();
        }
        session
    }

    /// Whether a text is planned here; if so, to what DataFusion makes of it.
    async fn check(text: &str, here: bool) {
        let state = session().state();
        let statement = state.sql_to_statement(text, &datafusion::config::Dialect::Generic).unwrap();
        let found = plan(&state, &statement).await;
        assert_eq!(found.is_some(), here, "{text}");
        let Some(found) = found else { return };
        // Subqueries are numbered by the session.
        let other = session().state();
        let want = other.statement_to_plan(statement).await.unwrap();
        assert_eq!(found.schema(), want.schema(), "{text}");
        let shown = |plan: LogicalPlan| plan.display_indent_schema().to_string();
        assert_eq!(shown(state.optimize(&found).unwrap()), shown(other.optimize(&want).unwrap()), "{text}");
    }

    #[tokio::test]
    async fn all_columns_of_a_table() {
        for text in [
            "SELECT * FROM logs",
            "SELECT * FROM logs WHERE time > 5 AND body LIKE '%x%'",
            "SELECT * FROM public.logs l WHERE l.time > 5 ORDER BY l.time",
            "SELECT * FROM logs ORDER BY time DESC LIMIT 100",
            "SELECT * FROM logs ORDER BY time DESC NULLS LAST, body NULLS FIRST, \"Upper\" + 1 OFFSET 7",
            "SELECT * FROM logs ORDER BY logs.time ASC LIMIT 10 OFFSET 5",
            "SELECT * FROM logs LIMIT 5, 10",
            "SELECT * FROM logs LIMIT 0",
            "SELECT * FROM logs WHERE time IN (SELECT time FROM spans) LIMIT 3",
            "SELECT * FROM logs WHERE false",
            "SELECT * FROM logs ORDER BY lower(body), time % 10",
        ] {
            check(text, true).await;
        }
    }

    #[tokio::test]
    async fn what_is_left_to_datafusion() {
        for text in [
            "SELECT time, body FROM logs",
            "SELECT *, 1 FROM logs",
            "SELECT logs.* FROM logs",
            "SELECT * EXCLUDE (body) FROM logs",
            "SELECT * REPLACE (1 AS time) FROM logs",
            "SELECT DISTINCT * FROM logs",
            "SELECT * FROM logs, spans",
            "SELECT * FROM logs JOIN spans USING (time)",
            "SELECT * FROM (SELECT * FROM logs)",
            "SELECT * FROM generate_series(1, 3)",
            "SELECT * FROM logs ORDER BY 2",
            "SELECT * FROM logs ORDER BY ALL",
            "SELECT * FROM logs LIMIT 2 + 3",
            "SELECT * FROM logs UNION ALL SELECT * FROM spans",
            "WITH logs AS (SELECT 1) SELECT * FROM logs",
            "FROM logs",
            "SELECT * FROM logs WHERE nobody = 1",
            "SELECT * FROM logs ORDER BY nobody",
            "SELECT * FROM logs ORDER BY (SELECT max(time) FROM spans)",
            "SELECT * FROM nobody",
            "EXPLAIN SELECT * FROM logs",
        ] {
            check(text, false).await;
        }
    }
}
