//! The dashboards and rules of `deploy/grafana` ask a running server, and each finds something.
//!
//! ```text
//! users ─▶ server ─/metrics─▶ Prometheus ─ samples, rules ─▶ server ◀─ queries of the dashboards
//!            ▲ derives span metrics, service graph             ▲
//!            └─ spans                        others.test ──────┘ node exporter, alerts
//! ```
//!
//! `expected.toml` lists what is empty all the same, and why.

mod agent;
mod calls;
mod expected;
mod others;
mod question;
mod users;

use std::collections::BTreeSet;
use std::time::Duration;

use isinglass_lang::promql::{self, ast};
use isinglass_promqltest::grafana::{Asked, Dashboard, Lookup};

use agent::Agent;
use expected::Expected;
use question::{Asker, rules};
use users::Users;

use crate::harness::{Client, Server, eventually, root};

/// Rounds of the users until each combination of labels has been seen to fail, too: on a fast machine
/// the first rules are there long before.
const ROUNDS: u64 = 60;

fn dashboards() -> Vec<(String, Dashboard)> {
    let folder = root().join("deploy/grafana/dashboards");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let parsed = files.iter().map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, Dashboard::parse(&std::fs::read_to_string(path).unwrap()).unwrap())
    });
    parsed.collect()
}

/// A server that is used, watched, and knows of others.
async fn watched() -> (Server, Agent, Users) {
    let server = Server::start();
    let client = server.client();
    others::write(&format!("http://{}", client.http_address())).await;
    let agent = Agent::start(server.scratch(), client.http_address());
    let users = Users::begin(&server);
    eventually("users, and the first rules", Duration::from_secs(120), || async {
        let recorded =
            client.get("api/v1/query?query=count(instance_signal:isinglass_received_items:rate5m)");
        let found = recorded.await.json()["data"]["result"].as_array().is_some_and(|all| !all.is_empty());
        (found && users.rounds() >= ROUNDS).then_some(())
    })
    .await;
    (server, agent, users)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_shows_something() {
    let (server, _agent, users) = watched().await;
    let client = server.client();
    let expected = Expected::read();
    let mut asker = Asker::new(client.http_address(), &expected);
    for (file, dashboard) in dashboards() {
        asker.ask_dashboard(&file, &dashboard).await;
    }
    asker.ask_rules().await;
    users.end().await;
    let (asked, faults) = asker.finish();
    assert!(faults.is_empty(), "{} of {asked} questions:\n{}", faults.len(), faults.join("\n"));
    assert!(asked > 300, "{asked} questions");
    assert_exported(&client, &expected).await;
    assert_eq!(server.panics(), Vec::<String>::new());
}

/// Every metric of ours that a dashboard or rule names is one that the server shows, where it is
/// not said why there is none.
async fn assert_exported(client: &Client, expected: &Expected) {
    let shown = client.get("metrics").await.ok().text();
    let families = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let families: BTreeSet<&str> = families.collect();
    let mut missing = BTreeSet::new();
    for name in
        named(expected).iter().filter(|name| name.starts_with("isinglass_") || name.starts_with("process_"))
    {
        let ends = ["", "_total", "_bucket", "_sum", "_count", "_info"];
        let known = ends.iter().filter_map(|end| name.strip_suffix(end)).any(|name| families.contains(name));
        if !known {
            missing.insert(name.clone());
        }
    }
    assert_eq!(missing, BTreeSet::new(), "named, and not in /metrics");
}

/// Metrics that dashboards and rules name.
fn named(expected: &Expected) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let dashboards = dashboards();
    let variables = question::opened(&dashboards);
    let asked = dashboards.iter().zip(&variables).flat_map(|((file, dashboard), variables)| {
        let shown = dashboard.queries.iter().filter(|query| !expected.may_be_empty(file, &query.place));
        shown.filter_map(|query| Some(variables.expand(written(&query.asked)?)))
    });
    for expr in asked.chain(rules().into_iter().map(|rule| rule.expr)) {
        promql::walk(&promql::parse(&expr).unwrap(), &mut |expr| {
            if let ast::ExprKind::Selector(selector) = &expr.kind {
                all.extend(selector.name.clone());
            }
        });
    }
    all
}

/// What is to be parsed of a query; a selector is an expression, too.
fn written(asked: &Asked) -> Option<&str> {
    match asked {
        Asked::Range(expr) | Asked::Instant(expr) => Some(expr),
        Asked::Options(Lookup::QueryResult(expr) | Lookup::Series(expr)) => Some(expr),
        Asked::Options(Lookup::LabelValues { selector, .. }) => selector.as_deref(),
        Asked::Options(Lookup::LabelNames | Lookup::Metrics(_)) => None,
    }
}
