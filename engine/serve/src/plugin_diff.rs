//! What a plugin that is tried out would have done, beside what was done.

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Json, Response};
use isinglass_model::{ErrorKind, Tenant};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::app::App;
use crate::problem::Problem;
use crate::questions::{Row, ask, quoted};
use crate::sender;

/// How far it looks back where nothing is said.
const SINCE: Duration = Duration::from_secs(3_600);
/// Lines of what would be different.
const GROUPS_MAX: usize = 200;
/// Derived metrics.
const DERIVED_MAX: usize = 200;
/// Examples of a line.
const EXAMPLES_MAX: usize = 3;
/// Rows that are looked through for examples.
const EXAMPLE_ROWS_MAX: usize = 1_000;

/// What lines are told apart by.
const KEYS: [&str; 6] = ["what", "signal", "sender", "reason", "live", "field"];

/// `GET /api/plugins/{name}/diff?since_ms={milliseconds}`
pub(crate) async fn diff(
    State(app): State<App>,
    Path(name): Path<String>,
    RawQuery(parameters): RawQuery,
    headers: HeaderMap,
) -> Response {
    let result = async {
        let tenant = sender::tenant(&headers)?;
        let since = since(&parameters.unwrap_or_default())?;
        answer(&app, &tenant, &name, since).await
    };
    match result.await {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => problem.into_json(),
    }
}

fn since(parameters: &str) -> Result<Duration, Problem> {
    let given = form_urlencoded::parse(parameters.as_bytes()).find(|(key, _)| key == "since_ms");
    let Some((_, text)) = given else { return Ok(SINCE) };
    let millis = text.parse().map_err(|_| Problem::malformed(format!("since_ms = {text:?} is no number")))?;
    Ok(Duration::from_millis(millis))
}

async fn answer(app: &App, tenant: &Tenant, name: &str, since: Duration) -> Result<Value, Problem> {
    app.ingest.settle_shadows().await?;
    let tried = Tried::find(app, tenant, name).await?;
    let now = app.clock.now_unix_millis();
    let from =
        now.saturating_sub(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).max(tried.since_unix_ms);
    let of = format!(
        "name = {} AND digest = {} AND time >= to_timestamp_millis({from})",
        quoted(name),
        quoted(&tried.digest)
    );
    let sql = format!(
        "SELECT what, signal, sender, reason, live, field, sum(items) AS items FROM shadow \
         WHERE {of} AND what <> 'derived' GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY items DESC, sender, reason, field"
    );
    let sums = ask(app, tenant, &sql).await?;
    let sql = format!(
        "SELECT what, signal, sender, reason, live, field, message, \"before\", \"after\", item FROM shadow \
         WHERE {of} AND what IN ('refused', 'dropped', 'changed', 'kept', 'failed') \
         AND (message IS NOT NULL OR item IS NOT NULL) ORDER BY time DESC LIMIT {EXAMPLE_ROWS_MAX}"
    );
    let examples = ask(app, tenant, &sql).await?;
    let sql = format!(
        "SELECT signal, field AS metric, count(DISTINCT item) AS series, sum(value) AS value FROM shadow \
         WHERE {of} AND what = 'derived' GROUP BY 1, 2 ORDER BY 1, 2 LIMIT {DERIVED_MAX}"
    );
    let derived = ask(app, tenant, &sql).await?;
    let (groups, left_out) = groups(&sums, &examples);
    Ok(json!({
        "name": name, "tenant": tenant.as_str(), "plugin": tried.plugin,
        "digest": format!("sha256:{}", tried.digest), "world": tried.world,
        "installed": tried.installed, "since_unix_ms": from, "until_unix_ms": now,
        "live": tried.live, "signals": signals(&sums), "groups": groups, "groups_left_out": left_out,
        "derived": derived,
    }))
}

/// Which plugin it is about.
struct Tried {
    plugin: String,
    digest: String,
    world: String,
    /// What it said before is of another configuration, perhaps.
    since_unix_ms: i64,
    installed: bool,
    /// The one that is enforced under this name.
    live: Value,
}

impl Tried {
    /// The one that is tried out now, or the last one that was.
    async fn find(app: &App, tenant: &Tenant, name: &str) -> Result<Self, Problem> {
        let chains = app.ingest.chains();
        let bound = chains.current().bound(tenant);
        let of = |shadow| bound.iter().find(move |b| b.stats.binding == name && b.stats.shadow == shadow);
        let live = of(false).map(|bound| {
            json!({ "plugin": bound.stats.plugin, "digest": format!("sha256:{}", bound.stats.digest) })
        });
        let live = live.unwrap_or(Value::Null);
        if let Some(bound) = of(true) {
            let installed = chains.installed().into_iter();
            let mut same = installed.filter(|one| one.name() == name && one.version.binding.shadow);
            return Ok(Self {
                plugin: bound.stats.plugin.clone(),
                digest: bound.stats.digest.clone(),
                world: bound.stats.world.as_str().to_owned(),
                since_unix_ms: same.next().map_or(0, |one| one.version.installed_unix_ms),
                installed: true,
                live,
            });
        }
        let sql = format!(
            "SELECT plugin, digest, world FROM shadow WHERE name = {} ORDER BY time DESC LIMIT 1",
            quoted(name)
        );
        let Some(last) = ask(app, tenant, &sql).await?.pop() else {
            let message = format!(
                "no plugin {name:?} is or was tried out for tenant {tenant}; install one with --shadow"
            );
            return Err(Problem::new(ErrorKind::NotFound, message));
        };
        let text = |key: &str| last.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (plugin, digest, world) = (text("plugin"), text("digest"), text("world"));
        Ok(Self { plugin, digest, world, since_unix_ms: 0, installed: false, live })
    }
}

fn items(row: &Row) -> u64 {
    row.get("items").and_then(Value::as_u64).unwrap_or(0)
}

fn is(row: &Row, key: &str, value: &str) -> bool {
    row.get(key).and_then(Value::as_str) == Some(value)
}

/// Of each signal how many items it was shown, how many not, and of how many it said what.
fn signals(sums: &[Row]) -> Vec<Value> {
    let mut names: Vec<&str> = sums.iter().filter_map(|row| row.get("signal")?.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |signal: &str| {
        let count = |what: &str| {
            sums.iter()
                .filter(|row| is(row, "signal", signal) && is(row, "what", what))
                .map(items)
                .sum::<u64>()
        };
        let new = |what: &str| {
            let rows = sums.iter().filter(|row| is(row, "signal", signal) && is(row, "what", what));
            rows.filter(|row| is(row, "live", "kept")).map(items).sum::<u64>()
        };
        json!({
            "signal": signal, "seen": count("seen"), "skipped": count("skipped"), "failed": count("failed"),
            "refused": count("refused"), "newly_refused": new("refused"),
            "dropped": count("dropped"), "newly_kept": count("kept"),
        })
    };
    names.into_iter().map(of).collect()
}

/// Lines about what it would do, the largest first, and how many are left out.
fn groups(sums: &[Row], examples: &[Row]) -> (Vec<Value>, usize) {
    let said: Vec<&Row> =
        sums.iter().filter(|row| !is(row, "what", "seen") && !is(row, "what", "skipped")).collect();
    let seen = |row: &Row, of_sender: bool| -> u64 {
        let same = |other: &&Row| {
            is(other, "what", "seen")
                && other.get("signal") == row.get("signal")
                && (!of_sender || other.get("sender") == row.get("sender"))
        };
        sums.iter().filter(same).map(items).sum()
    };
    let line = |row: &&Row| {
        let mut line = (*row).clone();
        let share = |of: u64| if of == 0 { Value::Null } else { json!(items(row) as f64 / of as f64) };
        line.insert("share_of_sender".to_owned(), share(seen(row, true)));
        line.insert("share_of_signal".to_owned(), share(seen(row, false)));
        let same = |other: &&Row| KEYS.iter().all(|key| other.get(*key) == row.get(*key));
        let shown = examples.iter().filter(same).take(EXAMPLES_MAX).map(|example| {
            let texts = ["message", "before", "after", "item"];
            texts
                .iter()
                .filter_map(|key| Some(((*key).to_owned(), example.get(*key)?.clone())))
                .collect::<Row>()
        });
        line.insert("examples".to_owned(), json!(shown.collect::<Vec<_>>()));
        Value::Object(line)
    };
    (said.iter().take(GROUPS_MAX).map(line).collect(), said.len().saturating_sub(GROUPS_MAX))
}
