//! Installing plugins while the server runs, and looking at them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Json, Response};
use isinglass_chain::{Binding, BindingStats, ChainError, Installed, LiveChain};
use isinglass_model::ErrorKind;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::app::App;
use crate::problem::Problem;

/// Bytes of a component that is sent here; `budget.component_bytes_max` may say less.
const COMPONENT_BYTES_MAX: usize = 64 << 20;

/// `GET /api/plugins`: the chain in use.
pub(crate) async fn list(State(app): State<App>) -> Json<Value> {
    let chains = app.ingest.chains();
    let (stats, installed) = (chains.current().stats(), chains.installed());
    let plugins = chains.bindings().into_iter().map(|binding| {
        let same =
            |one: &&Installed| one.name() == binding.name && one.version.binding.shadow == binding.shadow;
        listed(&binding, of_binding(&stats, &binding), installed.iter().find(same))
    });
    Json(json!({ "plugins": plugins.collect::<Vec<_>>() }))
}

fn of_binding<'a>(stats: &'a [BindingStats], binding: &Binding) -> Option<&'a BindingStats> {
    stats.iter().find(|stats| stats.binding == binding.name && stats.shadow == binding.shadow)
}

fn listed(binding: &Binding, stats: Option<&BindingStats>, installed: Option<&Installed>) -> Value {
    let mut shown = json!({
        "name": binding.name,
        "world": binding.world,
        "source": if installed.is_some() { "installed".to_owned() } else { binding.source.to_string() },
        "signals": binding.signals,
        "for_tenants": binding.for_tenants,
        "when": binding.when,
        "on_error": binding.on_error().as_str(),
        "shadow": binding.shadow,
    });
    let mut set = |name: &str, value: Value| shown[name] = value;
    if let Some(stats) = stats {
        set("plugin", json!(stats.plugin));
        set("digest", json!(format!("sha256:{}", stats.digest)));
        set("calls", json!(stats.calls));
        set("rows", json!(stats.rows));
        set("failures", json!(stats.failures.values().sum::<u64>()));
        set("cpu_seconds", json!(stats.cpu_seconds));
        set("left_alone_by_tenants", json!(stats.open));
    }
    if let Some(installed) = installed {
        set("installed_unix_ms", json!(installed.version.installed_unix_ms));
        let previous = installed.previous.as_ref().map(|version| format!("sha256:{}", version.digest));
        set("previous_digest", json!(previous));
    }
    shown
}

/// `PUT /api/plugins/{name}?binding={JSON}`: installs the component in the body. Once it answers
/// the next request is shown to it; requests that are under way are not.
pub(crate) async fn install(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(parameters): RawQuery,
    body: Body,
) -> Response {
    let result = async {
        let given = given(&parameters.unwrap_or_default())?;
        let component = axum::body::to_bytes(body, COMPONENT_BYTES_MAX).await.map_err(|_| {
            Problem::too_large(format!("a component may have {COMPONENT_BYTES_MAX} bytes at most"))
        })?;
        let what = name.clone();
        change(&app, move |chains| {
            let binding = binding(chains, &what, given, &component)?;
            chains.install(binding, &component).map_err(Problem::from)
        })
        .await
    };
    answer(&app, &name, "installed", result.await)
}

/// `DELETE /api/plugins/{name}?shadow={true|false}`: without `shadow` the one that is enforced,
/// or where there is none the one that is tried out.
pub(crate) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(parameters): RawQuery,
) -> Response {
    let (what, shadow) = (name.clone(), shadow(&parameters.unwrap_or_default()));
    let removed = change(&app, move |chains| {
        let shadow = shadow.unwrap_or_else(|| {
            let of_name = |one: &&Installed| one.name() == what;
            let installed = chains.installed();
            let mut tried = installed.iter().filter(of_name).map(|one| one.version.binding.shadow);
            tried.clone().any(|shadow| shadow) && tried.all(|shadow| shadow)
        });
        chains.remove(&what, shadow).map(|()| shadow).map_err(Problem::from)
    });
    match removed.await {
        Ok(shadow) => {
            tracing::info!(binding = name, shadow, "plugin removed");
            Json(json!({ "name": name, "removed": true, "shadow": shadow })).into_response()
        }
        Err(problem) => problem.into_json(),
    }
}

/// `POST /api/plugins/{name}/rollback`
pub(crate) async fn roll_back(State(app): State<App>, Path(name): Path<String>) -> Response {
    let what = name.clone();
    let result = change(&app, move |chains| chains.roll_back(&what).map_err(Problem::from)).await;
    answer(&app, &name, "rolled back", result)
}

/// `POST /api/plugins/{name}/promote`: enforces what was tried out.
pub(crate) async fn promote(State(app): State<App>, Path(name): Path<String>) -> Response {
    let what = name.clone();
    let result = change(&app, move |chains| chains.promote(&what).map_err(Problem::from)).await;
    answer(&app, &name, "promoted", result)
}

/// Whether the one is meant that is tried out; `None` = not said.
fn shadow(parameters: &str) -> Option<bool> {
    let mut pairs = form_urlencoded::parse(parameters.as_bytes());
    pairs.find(|(key, _)| key == "shadow").map(|(_, value)| value == "true")
}

/// `GET /api/plugins/{name}/log?shadow={true|false}`: what it logged last, the oldest first.
pub(crate) async fn log(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(parameters): RawQuery,
) -> Response {
    let chain = app.ingest.chains().current();
    let lines = match shadow(&parameters.unwrap_or_default()) {
        Some(shadow) => chain.log_of(&name, shadow),
        None => chain.log_of(&name, false).or_else(|| chain.log_of(&name, true)),
    };
    let Some(lines) = lines else {
        return Problem::new(ErrorKind::NotFound, format!("there is no plugin {name:?}")).into_json();
    };
    let line = |line: isinglass_chain::LogLine| {
        json!({
            "unix_ms": line.unix_ms, "level": line.level, "tenant": line.tenant, "message": line.message,
        })
    };
    Json(json!({ "lines": lines.into_iter().map(line).collect::<Vec<_>>() })).into_response()
}

/// What is said of a binding beside its name and its component.
fn given(parameters: &str) -> Result<Map<String, Value>, Problem> {
    let found = form_urlencoded::parse(parameters.as_bytes()).find(|(key, _)| key == "binding");
    let Some((_, text)) = found else { return Ok(Map::new()) };
    serde_json::from_str(&text)
        .map_err(|error| Problem::malformed(format!("binding is not a JSON object: {error}")))
}

fn binding(
    chains: &LiveChain,
    name: &str,
    mut given: Map<String, Value>,
    component: &[u8],
) -> Result<Binding, Problem> {
    for (key, value) in [("name", name), ("source", "file:given")] {
        if given.insert(key.to_owned(), json!(value)).is_some() {
            return Err(Problem::malformed(format!("binding.{key} cannot be given")));
        }
    }
    let wrong = |error: serde_json::Error| Problem::malformed(format!("binding: {error}"));
    if !given.contains_key("world") {
        let budget = given.get("budget").cloned().unwrap_or_else(|| json!({}));
        let budget = serde_json::from_value(budget).map_err(wrong)?;
        given.insert("world".to_owned(), json!(chains.world_of(component, budget)?));
    }
    serde_json::from_value(Value::Object(given)).map_err(wrong)
}

/// Off the threads of requests: plugins are compiled. Goes on when the client hangs up.
async fn change<T: Send + 'static>(
    app: &App,
    work: impl FnOnce(&LiveChain) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let chains = Arc::clone(app.ingest.chains());
    let work = tokio::task::spawn_blocking(move || work(&chains));
    work.await.map_err(|_| Problem::internal("a fault of the server stopped the change"))?
}

fn answer(app: &App, name: &str, what: &str, result: Result<Installed, Problem>) -> Response {
    match result {
        Ok(installed) => {
            let digest = &installed.version.digest;
            tracing::info!(binding = name, digest, "plugin {what}");
            let stats = app.ingest.chains().current().stats();
            let binding = &installed.version.binding;
            Json(listed(binding, of_binding(&stats, binding), Some(&installed))).into_response()
        }
        Err(problem) => problem.into_json(),
    }
}

impl From<ChainError> for Problem {
    fn from(error: ChainError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
