//! Alerts at a real Alertmanager: firing, resolved, and after it was down.

use std::time::Duration;

use isinglass_testkit::remote_write::{Series, request};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::alertmanager::Alertmanager;
use crate::harness::{Client, Server, eventually, now_millis};

const RULES: &str = "\
groups:
- name: g
  interval: 1s
  rules:
  - alert: Down
    expr: up == 0
    labels: {severity: page, cluster: own}
    annotations: {summary: '{{ $labels.instance }} of {{ $externalLabels.zone }} is {{ $value }}'}
";

/// A server that tells this address, and the folder of its rules.
fn start(address: &str, more: &str) -> (Server, TempDir) {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("rules.yml"), RULES).unwrap();
    let config = format!(
        "[rules]\nfiles = [\"{}/*.yml\"]\nexternal_url = \"http://here.example.com/\"\n{more}\
         [rules.external_labels]\nzone = \"north\"\ncluster = \"other\"\n\
         [rules.alertmanagers]\nurls = [\"http://{address}\"]\n",
        folder.path().display()
    );
    (Server::start_with(&config), folder)
}

async fn up(client: &Client, value: f64) {
    let series = Series::new(&[("__name__", "up"), ("instance", "a")]).sample(now_millis(), value);
    client.remote_write(&request(&[series])).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_arrives_when_it_fires_and_is_resolved() {
    let address = Alertmanager::address();
    let alertmanager = Alertmanager::start(&address).await;
    let (server, _rules) = start(&address, "");
    let client = server.client();
    let known = client.get("api/v1/alertmanagers").await.json()["data"]["activeAlertmanagers"].clone();
    assert_eq!(known, json!([{ "url": format!("http://{address}/api/v2/alerts") }]));
    up(&client, 0.0).await;
    let alert = alertmanager.alert("Down").await;
    // Labels of the alert stand over external ones.
    let labels = json!({ "alertname": "Down", "instance": "a", "severity": "page", "cluster": "own", "zone": "north" });
    assert_eq!(alert["labels"], labels);
    assert_eq!(alert["annotations"], json!({ "summary": "a of north is 0" }));
    assert_eq!(alert["generatorURL"], "http://here.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
    let active = client.get("api/v1/alerts").await.json()["data"]["alerts"][0]["activeAt"].clone();
    // Alertmanager shows milliseconds.
    assert_eq!(alert["startsAt"].as_str().unwrap()[..19], active.as_str().unwrap()[..19]);
    up(&client, 1.0).await;
    // By itself it would end after four times the resend delay of a minute.
    alertmanager.is_resolved("Down").await;
    let of_it = format!("alertmanager=\"http://{address}\"");
    assert!(client.metric("isinglass_notifications_sent_total", &[&of_it]).await >= 2.0);
    assert_eq!(client.metric("isinglass_notifications_errors_total", &[&of_it]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_takes_over_alertmanagers_and_labels() {
    let address = Alertmanager::address();
    let alertmanager = Alertmanager::start(&address).await;
    let (server, _rules) = start(&Alertmanager::address(), "resend_delay_ms = 1000\n");
    let client = server.client();
    up(&client, 0.0).await;
    let active = eventually("the alert", Duration::from_secs(60), || async {
        client.get("api/v1/alerts").await.json()["data"]["alerts"].get(0).map(|one| one["activeAt"].clone())
    })
    .await;
    let path = server.scratch().join("isinglass.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace("north", "south");
    let (before, _) = config.split_once("urls = ").unwrap();
    std::fs::write(&path, format!("{before}urls = [\"http://{address}\"]\n")).unwrap();
    client.post("-/reload", &[], Vec::new()).await.ok();
    let alert = alertmanager.alert("Down").await;
    assert_eq!(alert["labels"]["zone"], "south");
    eventually("the annotation of the new label", Duration::from_secs(60), || async {
        let alert = alertmanager.alert("Down").await;
        (alert["annotations"]["summary"] == "a of south is 0").then_some(())
    })
    .await;
    assert_eq!(client.get("api/v1/alerts").await.json()["data"]["alerts"][0]["activeAt"], active);
    let known =
        async || client.get("api/v1/alertmanagers").await.json()["data"]["activeAlertmanagers"].clone();
    let wanted = json!([{ "url": format!("http://{address}/api/v2/alerts") }]);
    assert_eq!(known().await, wanted);
    // A setting that cannot be changes nothing.
    std::fs::write(&path, config.replace("urls = [\"http", "urls = [\"ftp")).unwrap();
    let refused = client.post("-/reload", &[], Vec::new()).await;
    assert_eq!(refused.status, 500);
    assert!(
        refused.text().starts_with("failed to reload: rules.alertmanagers.urls = "),
        "{}",
        refused.text()
    );
    assert_eq!(known().await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_that_was_down_is_told_once_it_is_there() {
    let address = Alertmanager::address();
    let (mut server, _rules) = start(&address, "resend_delay_ms = 1000\n");
    let client = server.client();
    up(&client, 0.0).await;
    eventually("a message that is sent again", Duration::from_secs(60), || async {
        (client.metric("isinglass_notifications_retries_total", &[]).await > 0.0).then_some(())
    })
    .await;
    assert_eq!(client.metric("isinglass_notifications_sent_total", &[]).await, 0.0);
    assert_eq!(client.metric("isinglass_notifications_queue_capacity", &[]).await, 10_000.0);
    let alertmanager = Alertmanager::start(&address).await;
    assert_eq!(alertmanager.alert("Down").await["labels"]["instance"], "a");
    up(&client, 1.0).await;
    alertmanager.is_resolved("Down").await;
    // What waits at a stop is sent, and it ends.
    assert!(server.stop().success(), "{}", server.log());
    assert_eq!(server.panics(), Vec::<String>::new());
}
