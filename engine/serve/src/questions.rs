//! Questions that handlers ask in SQL themselves.

use futures::StreamExt as _;
use isinglass_model::{ErrorKind, Tenant};
use isinglass_query::SqlOptions;
use serde_json::{Map, Value};

use crate::app::App;
use crate::problem::Problem;

/// A row, its columns by name; nulls are left out.
pub(crate) type Row = Map<String, Value>;

/// The rows of an answer to a tenant's question; everything that was acknowledged before is seen.
pub(crate) async fn ask(app: &App, tenant: &Tenant, sql: &str) -> Result<Vec<Row>, Problem> {
    let _turn = app.queries.enter(tenant).await?;
    let options = SqlOptions { strong: true, ..SqlOptions::default() };
    let mut result = app.query.sql(tenant, sql, options).await?;
    let mut text = Vec::new();
    let unwritable = |error: arrow_schema::ArrowError| Problem::new(ErrorKind::Internal, error.to_string());
    while let Some(batch) = result.stream.next().await {
        let mut writer = arrow_json::LineDelimitedWriter::new(&mut text);
        writer.write(&batch?).and_then(|()| writer.finish()).map_err(unwritable)?;
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let rows = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
    rows.map_err(|error| Problem::new(ErrorKind::Internal, error.to_string()))
}

/// A literal of SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
