//! What a tenant has, and deleting it.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use isinglass_model::{ErrorKind, Tenant};
use serde_json::json;
use url::form_urlencoded;

use crate::app::App;
use crate::problem::Problem;

/// `GET /api/admin/tenants/{tenant}`
pub(crate) async fn report(State(app): State<App>, Path(name): Path<String>) -> Response {
    match report_inner(&app, &name).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_json(),
    }
}

async fn report_inner(app: &App, name: &str) -> Result<Response, Problem> {
    let tenant = tenant(name)?;
    let report = app.ingest.store().tenant(&tenant).await.map_err(isinglass_ingest::IngestError::from)?;
    let report = report.ok_or_else(|| unknown(&tenant))?;
    Ok(Json(json!({
        "tenant": tenant.as_str(),
        "series": report.series,
        "files": report.files,
        "bytes": report.bytes,
        "head_rows": report.head_rows,
        "tables_left": report.tables_left,
        "files_waiting": report.files_waiting,
    }))
    .into_response())
}

/// `DELETE /api/admin/tenants/{tenant}?confirm={tenant}`: answers when the deletion is as
/// durable as a write and nothing of the tenant is seen any more.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(parameters): RawQuery,
) -> Response {
    match delete_inner(&app, &name, &parameters.unwrap_or_default()).await {
        Ok(answer) => answer,
        Err(problem) => problem.into_json(),
    }
}

async fn delete_inner(app: &App, name: &str, parameters: &str) -> Result<Response, Problem> {
    let tenant = tenant(name)?;
    let confirmed = form_urlencoded::parse(parameters.as_bytes())
        .any(|(key, value)| key == "confirm" && value == tenant.as_str());
    if !confirmed {
        return Err(Problem::malformed(format!(
            "deleting tenant {tenant} cannot be taken back; repeat its name: ?confirm={tenant}"
        )));
    }
    let deleted = app.ingest.delete_tenant(&tenant).await?.ok_or_else(|| unknown(&tenant))?;
    let status = if deleted.tables_left == 0 { StatusCode::OK } else { StatusCode::ACCEPTED };
    let answer = json!({
        "deleted": true,
        "tenant": tenant.as_str(),
        "record": deleted.seq,
        "files": deleted.files,
        "bytes": deleted.bytes,
        "head_rows": deleted.head_rows,
        "tables_left": deleted.tables_left,
        "grace_seconds": deleted.grace_ms.div_ceil(1_000),
    });
    Ok((status, Json(answer)).into_response())
}

fn tenant(name: &str) -> Result<Tenant, Problem> {
    Tenant::new(name).map_err(|error| Problem::malformed(format!("tenant {name:?}: {error}")))
}

fn unknown(tenant: &Tenant) -> Problem {
    Problem::new(ErrorKind::NotFound, format!("nothing is stored for tenant {tenant}"))
}
