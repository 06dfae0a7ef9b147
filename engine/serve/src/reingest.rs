//! Sending refused items through the chain again.

use std::collections::HashSet;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use isinglass_ingest::{REJECTED_AT_ONCE_MAX, Reingested, RejectedRow};
use isinglass_model::kind::Signal;
use isinglass_model::{ErrorKind, Tenant};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::app::App;
use crate::condition;
use crate::problem::Problem;
use crate::questions::{Row, ask};
use crate::sender;

/// Rows of one instant that are taken together, more than any request has.
const OF_ONE_TIME_MAX: usize = 100_000;

/// What is to be sent.
#[derive(Debug)]
struct Wanted {
    /// A condition of SQL over `rejected`.
    condition: String,
    /// Rows that arrived later than this, nanoseconds since 1970.
    after: Option<i64>,
    /// So many rows that were not stored before, at most.
    limit: usize,
    dry_run: bool,
}

impl Wanted {
    fn read(parameters: &str) -> Result<Self, Problem> {
        let mut wanted = Self { condition: String::new(), after: None, limit: usize::MAX, dry_run: false };
        for (key, value) in form_urlencoded::parse(parameters.as_bytes()) {
            let number = |_| Problem::malformed(format!("{key} = {value:?} is no number"));
            match &*key {
                "where" => wanted.condition = value.into_owned(),
                "after" => wanted.after = Some(value.parse().map_err(number)?),
                "limit" => wanted.limit = value.parse().map_err(number)?,
                "dry_run" => wanted.dry_run = value == "true",
                _ => return Err(Problem::malformed(format!("unknown parameter {key:?}"))),
            }
        }
        if wanted.condition.trim().is_empty() {
            return Err(Problem::malformed("where is missing: a condition over the table rejected"));
        }
        match condition::fault(&wanted.condition) {
            Some(fault) => Err(Problem::malformed(format!("where: {fault}"))),
            None => Ok(wanted),
        }
    }

    /// The rows that the condition is true of.
    fn rows(&self) -> String {
        format!("(SELECT * FROM rejected WHERE ({}))", self.condition)
    }
}

/// `POST /api/rejected/reingest?where={condition}&after={nanoseconds}&limit={rows}&dry_run={bool}`
pub(crate) async fn reingest(
    State(app): State<App>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
) -> Response {
    let result = async {
        let tenant = sender::tenant(&headers)?;
        let wanted = Wanted::read(&parameters.unwrap_or_default())?;
        // Goes on to its end when the client hangs up: what is stored is to be counted.
        let work = tokio::spawn(async move { answer(&app, &tenant, &wanted).await });
        work.await.map_err(|_| Problem::internal("a fault of the server stopped it"))?
    };
    match result.await {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => problem.into_json(),
    }
}

async fn answer(app: &App, tenant: &Tenant, wanted: &Wanted) -> Result<Value, Problem> {
    let total = match wanted.after {
        Some(_) => Value::Null,
        None => {
            let sql = format!("SELECT count(*) AS n FROM {} AS r", wanted.rows());
            json!(ask(app, tenant, &sql).await?.first().and_then(|row| row.get("n").cloned()))
        }
    };
    let turn = app.ingest.reingest_turn().await;
    let (rows, next) = rows(app, tenant, wanted).await?;
    let marked = marked(app, tenant, &rows).await?;
    let report = app.ingest.reingest(&turn, tenant, rows, (&marked, wanted.limit), wanted.dry_run).await;
    drop(turn);
    tracing::info!(%tenant, stored = report.stored, dry_run = wanted.dry_run, "refused items were sent again");
    Ok(told(&report, total, next, wanted))
}

fn told(report: &Reingested, total: Value, next: Option<i64>, wanted: &Wanted) -> Value {
    let stopped = report.stopped.as_ref().map(|error| {
        let retry_after_ms = error.retry_after().map(|after| after.as_millis() as u64);
        json!({ "kind": error.kind().as_str(), "message": error.to_string(), "retry_after_ms": retry_after_ms })
    });
    // What was not looked at is selected again.
    let next = if stopped.is_some() || report.cut { Some(wanted.after.unwrap_or(i64::MIN)) } else { next };
    json!({
        "dry_run": wanted.dry_run, "total": total, "stored": report.stored,
        "dropped": report.dropped, "already": report.already, "rejected": report.rejected,
        "unusable": report.unusable, "stopped": stopped,
        // Beyond what numbers of JSON hold.
        "next_after": next.map(|next| next.to_string()),
    })
}

/// The next rows by their arrival, and after which time to go on; `None` = these are the last.
/// Rows of one instant stay together: of those that are alike each must keep its number.
async fn rows(
    app: &App,
    tenant: &Tenant,
    wanted: &Wanted,
) -> Result<(Vec<RejectedRow>, Option<i64>), Problem> {
    let columns = "CAST(time AS BIGINT) AS at, signal, reason, message, plugin, digest, item";
    let of = wanted.rows();
    let later = wanted.after.filter(|after| *after > i64::MIN);
    let later = later.map_or(String::new(), |after| format!("WHERE time > to_timestamp_nanos({after})"));
    let limit = REJECTED_AT_ONCE_MAX;
    let sql = format!("SELECT {columns} FROM {of} AS r {later} ORDER BY time LIMIT {}", limit + 1);
    let mut found = read(&ask(app, tenant, &sql).await?)?;
    if found.len() <= limit {
        return Ok((found, None));
    }
    let last = found.last().map_or(0, |row| row.time);
    found.retain(|row| row.time < last);
    if let Some(row) = found.last() {
        let after = row.time;
        return Ok((found, Some(after)));
    }
    let sql = format!(
        "SELECT {columns} FROM {of} AS r WHERE time = to_timestamp_nanos({last}) LIMIT {OF_ONE_TIME_MAX}"
    );
    Ok((read(&ask(app, tenant, &sql).await?)?, Some(last)))
}

fn read(rows: &[Row]) -> Result<Vec<RejectedRow>, Problem> {
    let row = |row: &Row| {
        let text = |key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let signal = Signal::ALL.into_iter().find(|signal| signal.as_str() == text("signal"))?;
        Some(RejectedRow {
            time: row.get("at")?.as_i64()?,
            signal,
            reason: text("reason"),
            message: text("message"),
            plugin: text("plugin"),
            digest: text("digest"),
            item: text("item"),
        })
    };
    let rows: Option<Vec<_>> = rows.iter().map(row).collect();
    rows.ok_or_else(|| Problem::new(ErrorKind::Internal, "a row of rejected cannot be read"))
}

/// Keys of all marks at the times of these rows.
async fn marked(app: &App, tenant: &Tenant, rows: &[RejectedRow]) -> Result<HashSet<String>, Problem> {
    let mut times: Vec<i64> = rows.iter().map(|row| row.time).collect();
    times.sort_unstable();
    times.dedup();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Ok(HashSet::new()) };
    let list: Vec<String> = times.iter().map(|time| format!("to_timestamp_nanos({time})")).collect();
    let sql = format!(
        "SELECT key FROM reingested WHERE time BETWEEN to_timestamp_nanos({first}) AND to_timestamp_nanos({last}) \
         AND time IN ({})",
        list.join(", ")
    );
    let marks = ask(app, tenant, &sql).await?;
    Ok(marks.iter().filter_map(|mark| Some(mark.get("key")?.as_str()?.to_owned())).collect())
}
