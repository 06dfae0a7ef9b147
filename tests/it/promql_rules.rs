//! Rules of a server: what is written and shown, bad files, reload, restart, tenants.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use isinglass_testkit::remote_write::{Series, request};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Client, Server, eventually, now_millis, outside, root};

const PATIENCE: Duration = Duration::from_secs(60);
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// A folder with one file of rules.
fn rules(text: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    write(&folder, text);
    folder
}

/// Written aside and renamed: a reload in between sees one or the other.
fn write(folder: &TempDir, text: &str) {
    let aside = folder.path().join("rules.tmp");
    std::fs::write(&aside, text).unwrap();
    std::fs::rename(aside, folder.path().join("rules.yml")).unwrap();
}

fn config(folder: &TempDir, more: &str) -> String {
    format!("[rules]\nfiles = [\"{}/*.yml\"]\n{more}", folder.path().display())
}

/// A group that is evaluated every second.
fn group(name: &str, rules: &str) -> String {
    format!("groups:\n- name: {name}\n  interval: 1s\n  rules:\n{rules}")
}

async fn send(client: &Client, metric: &str, instance: &str, value: f64) {
    let series = Series::new(&[("__name__", metric), ("instance", instance), ("job", "api")]);
    client.remote_write(&request(&[series.sample(now_millis(), value)])).await.ok();
}

/// The value of the only series of an instant query, now.
async fn value(client: &Client, query: &str) -> Option<String> {
    let url = reqwest::Url::parse_with_params("http://x/", [("query", query)]).unwrap();
    let answer = client.get(&format!("api/v1/query?{}", url.query().unwrap())).await.ok().json();
    let result = answer["data"]["result"].as_array().unwrap().clone();
    assert!(result.len() <= 1, "{query}: {result:?}");
    result.first().map(|one| one["value"][1].as_str().unwrap().to_owned())
}

async fn becomes(client: &Client, query: &str, wanted: Option<&str>) {
    let what = format!("{query} = {wanted:?}");
    eventually(&what, PATIENCE, || async { (value(client, query).await.as_deref() == wanted).then_some(()) })
        .await;
}

async fn groups(client: &Client) -> Vec<Value> {
    client.get("api/v1/rules").await.ok().json()["data"]["groups"].as_array().unwrap().clone()
}

/// Names of the rules of all groups.
async fn names(client: &Client) -> Vec<String> {
    let groups = groups(client).await;
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
}

/// The only alert, once there is one.
async fn alert(client: &Client) -> Value {
    eventually("an alert", PATIENCE, || async {
        let alerts = client.get("api/v1/alerts").await.ok().json()["data"]["alerts"].clone();
        assert!(alerts.as_array().unwrap().len() <= 1, "{alerts}");
        alerts.get(0).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_samples_as_all_others() {
    let folder = rules(&group(
        "g",
        "  - {record: 'job:up:sum', expr: sum by (job) (up), labels: {level: job}}\n\
         \x20 - {record: 'job:up:double', expr: '2 * job:up:sum'}\n\
         \x20 - {alert: Down, expr: up == 0, annotations: {summary: '{{ $labels.instance }} is down'}}\n\
         \x20 - {record: broken, expr: up + on() group_left() up}\n",
    ));
    let server = Server::start_with(&config(&folder, ""));
    let client = server.client();
    send(&client, "up", "a", 1.0).await;
    send(&client, "up", "b", 0.0).await;
    // Each rule sees what those before it have written.
    becomes(&client, "job:up:double{job=\"api\",level=\"job\"}", Some("2")).await;
    becomes(&client, "ALERTS{alertname=\"Down\",alertstate=\"firing\",instance=\"b\"}", Some("1")).await;
    assert_eq!(client.cell("select distinct level from metrics.\"job:up:sum\"").await, "job");
    let rules = groups(&client).await[0]["rules"].clone();
    assert_eq!((&rules[0]["health"], &rules[0]["lastError"]), (&"ok".into(), &Value::Null));
    assert_eq!(rules[2]["alerts"][0]["annotations"]["summary"], "b is down");
    assert_eq!(rules[3]["health"], "err");
    assert!(rules[3]["lastError"].as_str().unwrap().contains("duplicate series"), "{rules}");
    let of_it = ["tenant=\"default\"", "rules.yml;g\""];
    assert!(client.metric("isinglass_rule_evaluation_failures_total", &of_it).await >= 1.0);
    assert!(client.metric("isinglass_rule_evaluations_total", &of_it).await >= 4.0);
    assert_eq!(client.metric("isinglass_rule_group_rules", &of_it).await, 4.0);
    // The alert and the sums end: each with one stale marker, in SQL a value that is none.
    send(&client, "up", "a", STALE).await;
    send(&client, "up", "b", STALE).await;
    becomes(&client, "job:up:sum", None).await;
    becomes(&client, "ALERTS", None).await;
    for metric in ["job:up:sum", "job:up:double", "ALERTS", "ALERTS_FOR_STATE"] {
        assert_eq!(client.count(&format!("metrics.\"{metric}\" where value is null")).await, 1, "{metric}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_samples_are_told_and_others_are_written() {
    let folder = rules(&group(
        "g",
        "  - {record: copied, expr: 'label_replace(up, \"copy\", \"$1$1$1\", \"instance\", \"(.*)\")'}\n",
    ));
    let limits = "[plugins.config.validate]\nlabel_value_bytes_max = 20\n";
    let server = Server::start_with(&format!("{}{limits}", config(&folder, "")));
    let client = server.client();
    send(&client, "up", "short", 1.0).await;
    send(&client, "up", "not-short", 1.0).await;
    becomes(&client, "copied{copy=\"shortshortshort\"}", Some("1")).await;
    let rule = groups(&client).await[0]["rules"][0].clone();
    assert_eq!(rule["health"], "err", "{rule}");
    assert!(rule["lastError"].as_str().unwrap().starts_with("samples were refused: "), "{rule}");
    // What was written ends as ever.
    send(&client, "up", "short", STALE).await;
    send(&client, "up", "not-short", STALE).await;
    becomes(&client, "copied", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_have_their_own_rules() {
    let of_a = rules(&group("a", "  - {record: a, expr: sum(up)}\n  - {alert: Up, expr: up == 1}\n"));
    let of_b = rules(&group("b", "  - {record: b, expr: sum(up)}\n"));
    let tenant = |name: &str, folder: &TempDir| {
        format!("[rules.tenants.{name}]\nfiles = [\"{}/rules.yml\"]\n", folder.path().display())
    };
    let server = Server::start_with(&format!("{}{}", tenant("a", &of_a), tenant("b", &of_b)));
    let (a, b) = (server.client().tenant("a"), server.client().tenant("b"));
    send(&a, "up", "x", 1.0).await;
    send(&b, "up", "x", 7.0).await;
    becomes(&a, "a", Some("1")).await;
    becomes(&b, "b", Some("7")).await;
    becomes(&a, "ALERTS", Some("1")).await;
    for (client, query) in [(&a, "b"), (&b, "a"), (&b, "ALERTS"), (&server.client(), "{__name__=~\"a|b\"}")] {
        assert_eq!(value(client, query).await, None, "{query}");
    }
    assert_eq!(names(&a).await, ["a", "Up"]);
    assert_eq!(names(&b).await, ["b"]);
    assert!(names(&server.client()).await.is_empty());
    assert_eq!(alert(&a).await["labels"]["alertname"], "Up");
    assert_eq!(b.get("api/v1/alerts").await.json()["data"]["alerts"], Value::Array(Vec::new()));
}

#[test]
fn bad_rules_refuse_the_start() {
    let folder = rules(&group("g", "  - {record: r, expr: up +}\n"));
    let path = folder.path().join("isinglass.toml");
    let start = |files: &str| {
        // Paths begin where the configuration is.
        std::fs::write(&path, format!("[rules]\nfiles = [\"{files}\"]\n")).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_isinglass"))
            .args(["serve", "--listen=127.0.0.1:0", "--otlp-grpc=127.0.0.1:0", "--otlp-http=127.0.0.1:0"])
            .arg("--data-dir")
            .arg(folder.path().join("data"))
            .arg("--config")
            .arg(&path)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let error = start("*.yml");
    let wanted = "rules.yml: 5:23: group \"g\", rule 1, \"r\": could not parse expression";
    assert!(error.contains("cannot use the rules") && error.contains(wanted), "{error}");
    assert!(start("none.yml").contains("none.yml: No such file"));
    assert!(!folder.path().join("data").exists());
}

async fn reload(client: &Client) -> (u16, String) {
    let answer = client.post("-/reload", &[], Vec::new()).await;
    (answer.status, answer.text())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_reloaded_and_bad_ones_change_nothing() {
    let waits = "  - {alert: Waits, expr: up == 1, for: 1h}\n";
    let folder = rules(&group("g", waits));
    let server = Server::start_with(&config(&folder, ""));
    let client = server.client();
    let success = || client.metric("isinglass_config_last_reload_success_timestamp_seconds", &[]);
    send(&client, "up", "a", 1.0).await;
    let (before, started) = (alert(&client).await, success().await);
    assert!(started > 1e9);
    // A rule more: the alert goes on.
    write(&folder, &group("g", &format!("{waits}  - {{record: r, expr: sum(up)}}\n")));
    assert_eq!(reload(&client).await, (200, "reloaded\n".to_owned()));
    assert!(success().await > started);
    becomes(&client, "r", Some("1")).await;
    assert_eq!(alert(&client).await["activeAt"], before["activeAt"]);
    // A mistake: everything goes on as it was.
    write(&folder, &group("g", "  - {record: other, expr: 'sum('}\n"));
    let (status, text) = reload(&client).await;
    assert_eq!(status, 500);
    assert!(
        text.starts_with("failed to reload: ") && text.contains("group \"g\", rule 1, \"other\""),
        "{text}"
    );
    assert_eq!(client.metric("isinglass_config_last_reload_successful", &[]).await, 0.0);
    let runtime = client.get("api/v1/status/runtimeinfo").await.json();
    assert_eq!(runtime["data"]["reloadConfigSuccess"], false);
    assert_eq!(names(&client).await, ["Waits", "r"]);
    let evaluated = client.metric("isinglass_rule_evaluations_total", &[]).await;
    eventually("further evaluations", PATIENCE, || async {
        (client.metric("isinglass_rule_evaluations_total", &[]).await > evaluated + 4.0).then_some(())
    })
    .await;
    // By signal: the rule is gone, and its series with it.
    write(&folder, &group("g", waits));
    server.hang_up();
    eventually("the reload", PATIENCE, || async { (names(&client).await == ["Waits"]).then_some(()) }).await;
    assert_eq!(client.metric("isinglass_config_last_reload_successful", &[]).await, 1.0);
    becomes(&client, "r", None).await;
    assert_eq!(alert(&client).await["activeAt"], before["activeAt"]);
}

/// RFC 3339 as seconds since the epoch.
fn seconds(alert: &Value) -> f64 {
    let text = alert["activeAt"].as_str().unwrap();
    let time = humantime::parse_rfc3339(text).unwrap();
    time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// The time of the last sample of `ALERTS_FOR_STATE`, and since when it says the alert is active.
async fn for_state(client: &Client) -> (f64, f64) {
    let number = async |query: &str| value(client, query).await.unwrap().parse::<f64>().unwrap();
    (number("timestamp(ALERTS_FOR_STATE)").await, number("ALERTS_FOR_STATE").await)
}

#[tokio::test(flavor = "multi_thread")]
async fn since_when_an_alert_is_active_outlives_restarts() {
    let folder = rules(&group("g", "  - {alert: Waits, expr: up == 1, for: 1h}\n"));
    let mut server = Server::start_with(&config(&folder, "for_grace_period_ms = 1000\n"));
    send(&server.client(), "up", "a", 1.0).await;
    becomes(&server.client(), "ALERTS{alertstate=\"pending\"}", Some("1")).await;
    for graceful in [false, true] {
        // Longer than the three evaluations after which it is read back.
        tokio::time::sleep(Duration::from_secs(8)).await;
        if graceful {
            assert!(server.stop().success(), "{}", server.log());
        } else {
            server.kill();
        }
        server.start_again();
        let client = server.client();
        let (down, active) = for_state(&client).await;
        // None is written before the state of before was read back.
        let (time, since) = eventually("a sample after the restart", PATIENCE, || async {
            Some(for_state(&client).await).filter(|(time, _)| *time > down)
        })
        .await;
        // As in Prometheus the time without a server does not count: it was pending for as long.
        assert!(since >= active && time - since >= down - active - 1.5, "{since} {active} {time} {down}");
        assert_eq!(seconds(&alert(&client).await).floor(), since);
        becomes(&client, "ALERTS{alertstate=\"pending\"}", Some("1")).await;
    }
}

fn promtool(folder: &Path, arguments: &[&str]) -> String {
    let promtool = outside::prometheus().with_file_name("promtool");
    let output = Command::new(promtool).current_dir(folder).args(arguments).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_that_ship() {
    let folder = root().join("deploy/grafana/rules");
    let checked = promtool(&folder, &["check", "rules", "isinglass.yaml"]);
    promtool(&folder, &["test", "rules", "isinglass.test.yaml"]);
    let config =
        format!("[rules]\nevaluation_interval_ms = 500\nfiles = [\"{}/isinglass.yaml\"]\n", folder.display());
    let server = Server::start_with(&config);
    let client = server.client();
    let count = names(&client).await.len();
    assert!(count > 10 && checked.contains(&format!("{count} rules found")), "{count}: {checked}");
    assert_eq!(client.metric("isinglass_rule_evaluation_failures_total", &[]).await, 0.0);
    let files = client.get("api/v1/rules?file[]=other.yaml").await.json()["data"]["groups"].clone();
    assert_eq!(files, Value::Array(Vec::new()));
}
