//! Deriving again from what is stored, in the background of the server.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use isinglass_chain::Instead;
use isinglass_ingest::replay::{ReplayError, ReplayJob, ReplayRequest};
use isinglass_model::ErrorKind;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::app::App;
use crate::problem::Problem;
use crate::sender;

/// Bytes of a component that is sent here.
const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// `POST /api/plugins/{name}/replay?from=…&to=…`: begins one; the body may be a component that
/// takes the place of the plugin's.
pub(crate) async fn begin(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let begun = async {
        let mut request = request(&app, name, &parameters.unwrap_or_default(), &headers)?;
        let component = axum::body::to_bytes(body, COMPONENT_BYTES_MAX).await.map_err(|_| {
            Problem::too_large(format!("a component may have {COMPONENT_BYTES_MAX} bytes at most"))
        })?;
        request.instead.component = (!component.is_empty()).then(|| component.to_vec());
        app.ingest.begin_replay(request).map_err(Problem::from)
    };
    match begun.await {
        Ok(job) => (StatusCode::ACCEPTED, Json(shown(&job))).into_response(),
        Err(problem) => problem.into_json(),
    }
}

/// `GET /api/plugins/{name}/replay/{id}`: how far it is, and what came of it.
pub(crate) async fn status(
    State(app): State<App>,
    Path((name, id)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Response {
    match found(&app, &name, id, &headers) {
        Ok(job) => Json(shown(&job)).into_response(),
        Err(problem) => problem.into_json(),
    }
}

/// `DELETE /api/plugins/{name}/replay/{id}`: gives it up.
pub(crate) async fn cancel(
    State(app): State<App>,
    Path((name, id)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Response {
    match found(&app, &name, id, &headers) {
        Ok(job) => {
            job.progress.cancel();
            Json(shown(&job)).into_response()
        }
        Err(problem) => problem.into_json(),
    }
}

fn found(app: &App, name: &str, id: u64, headers: &HeaderMap) -> Result<Arc<ReplayJob>, Problem> {
    let job = app.ingest.replay_of(&sender::tenant(headers)?, id).filter(|job| job.name == name);
    job.ok_or_else(|| Problem::new(ErrorKind::NotFound, format!("there is no replay {id} of {name:?}")))
}

fn request(app: &App, name: String, parameters: &str, headers: &HeaderMap) -> Result<ReplayRequest, Problem> {
    let (mut from_ms, mut to_ms, mut write, mut instead) = (None, None, false, Instead::default());
    for (key, value) in form_urlencoded::parse(parameters.as_bytes()) {
        let json = || {
            serde_json::from_str::<Value>(&value)
                .map_err(|error| Problem::malformed(format!("{key} is not JSON: {error}")))
        };
        match &*key {
            "from" => from_ms = Some(time(&key, &value, app)?),
            // With the tick that is written first.
            "to" if value == "now" => to_ms = Some(i64::MAX),
            "to" => to_ms = Some(time(&key, &value, app)?),
            "write" => {
                write = value.parse().map_err(|_| Problem::malformed("write must be true or false"))?;
            }
            "config" => instead.config = Some(json()?),
            "budget" => {
                let budget = serde_json::from_value(json()?);
                instead.budget =
                    Some(budget.map_err(|error| Problem::malformed(format!("budget: {error}")))?);
            }
            other => return Err(Problem::malformed(format!("there is no parameter {other:?}"))),
        }
    }
    let missing = |name: &str| Problem::malformed(format!("the parameter {name} is missing"));
    Ok(ReplayRequest {
        tenant: sender::tenant(headers)?,
        name,
        from_ms: from_ms.ok_or_else(|| missing("from"))?,
        to_ms: to_ms.ok_or_else(|| missing("to"))?,
        instead,
        write,
        memory: app.query.memory_limit().clone(),
    })
}

/// RFC 3339, milliseconds since 1970, `now`, or so long before: `-2h`.
fn time(key: &str, text: &str, app: &App) -> Result<i64, Problem> {
    let now = app.clock.now_unix_millis();
    if text == "now" {
        return Ok(now);
    }
    if let Some(ago) = text.strip_prefix('-').and_then(|ago| humantime::parse_duration(ago).ok()) {
        return Ok(now.saturating_sub(millis(ago)));
    }
    if let Ok(ms) = text.parse() {
        return Ok(ms);
    }
    let time = humantime::parse_rfc3339_weak(text).ok();
    time.map(unix_ms).ok_or_else(|| {
        let forms = "like 2026-01-02T03:04:05Z, milliseconds since 1970, now, or -2h";
        Problem::malformed(format!("{key} = {text:?} is no time; give one {forms}"))
    })
}

fn unix_ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn shown(job: &ReplayJob) -> Value {
    let (at_ms, end_ms) = job.progress.at_ms();
    let mut shown = json!({
        "replay": job.id,
        "name": job.name,
        "tenant": job.tenant.as_str(),
        "state": job.state(),
        "write": job.write,
        "from_ms": job.from_ms,
        "to_ms": if end_ms == 0 { job.to_ms } else { end_ms },
        "at_ms": if at_ms == 0 { job.from_ms } else { at_ms },
        "rows": job.progress.rows(),
    });
    match job.outcome() {
        Some(Ok(report)) => shown["report"] = json!(*report),
        Some(Err((kind, message))) => {
            shown["error"] = json!({ "kind": kind.as_str(), "message": message });
        }
        None => {}
    }
    shown
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
