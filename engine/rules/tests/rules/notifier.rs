//! Messages to Alertmanagers: queues, batches, retries.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use isinglass_model::tenant::Tenant;
use isinglass_promql::Labels;
use isinglass_rules::notify::{HttpPost, Post, Sent};
use isinglass_rules::{Notification, Notifier, NotifierConfig, Notify};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::clock::{SECOND, TestClock, settle};

/// Answers as it was told to, then with 200.
#[derive(Default)]
struct Receiver {
    answers: Mutex<VecDeque<Result<u16, String>>>,
    got: Mutex<Vec<(String, String, Value)>>,
}

#[async_trait]
impl Post for Receiver {
    async fn post(&self, url: &str, tenant: &Tenant, body: Vec<u8>, _: Duration) -> Result<u16, String> {
        let body = serde_json::from_slice(&body).unwrap();
        self.got.lock().unwrap().push((url.to_owned(), tenant.to_string(), body));
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(200))
    }
}

struct Scene {
    receiver: Arc<Receiver>,
    clock: Arc<TestClock>,
    notifier: Notifier,
}

impl Scene {
    fn new(config: NotifierConfig, answers: &[Result<u16, &str>]) -> Self {
        let answers = answers.iter().map(|answer| answer.map_err(str::to_owned)).collect();
        let receiver = Arc::new(Receiver { answers: Mutex::new(answers), got: Mutex::default() });
        let clock = Arc::new(TestClock::at(0));
        let notifier = Notifier::start(&config, receiver.clone(), clock.clone());
        Self { receiver, clock, notifier }
    }

    fn counts(&self) -> (u64, u64, u64, u64, u64) {
        let Sent { sent, failed, retries, dropped, waiting, .. } = self.notifier.sent()[0].clone();
        (sent, failed, retries, dropped, waiting)
    }
}

fn config() -> NotifierConfig {
    NotifierConfig { alertmanagers: vec!["http://am".into()], ..NotifierConfig::default() }
}

fn alerts(count: usize) -> Vec<Notification> {
    let alert = |number| Notification {
        labels: Labels::new([("alertname", "A"), ("n", &format!("{number}"))]),
        annotations: vec![("text".into(), "it burns".into())],
        starts_at: SECOND,
        ends_at: 241 * SECOND + SECOND / 2,
        generator_url: "http://prom/graph?g0.expr=up&g0.tab=1".into(),
    };
    (0..count).map(alert).collect()
}

#[tokio::test]
async fn what_is_sent() {
    let mut config = config();
    config.external_labels = [("cluster", "eu"), ("n", "not this")].map(|(n, v)| (n.into(), v.into())).into();
    let scene = Scene::new(config, &[]);
    scene.notifier.notify(&Tenant::new("acme").unwrap(), alerts(1));
    settle().await;
    let wanted = serde_json::json!([{
        "labels": {"alertname": "A", "cluster": "eu", "n": "0"},
        "annotations": {"text": "it burns"},
        "startsAt": "1970-01-01T00:00:01Z",
        "endsAt": "1970-01-01T00:04:01.5Z",
        "generatorURL": "http://prom/graph?g0.expr=up&g0.tab=1",
    }]);
    let got = scene.receiver.got.lock().unwrap();
    assert_eq!(*got, [("http://am/api/v2/alerts".into(), "acme".into(), wanted)]);
    assert_eq!(scene.counts(), (1, 0, 0, 0, 0));
}

#[tokio::test]
async fn batches_hold_alerts_of_one_tenant() {
    let scene = Scene::new(config(), &[]);
    scene.notifier.notify(&Tenant::default(), alerts(130));
    scene.notifier.notify(&Tenant::new("acme").unwrap(), alerts(1));
    settle().await;
    let got = scene.receiver.got.lock().unwrap();
    let sizes: Vec<_> =
        got.iter().map(|(_, tenant, body)| (tenant.as_str(), body.as_array().unwrap().len())).collect();
    assert_eq!(sizes, [("default", 64), ("default", 64), ("default", 2), ("acme", 1)]);
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest() {
    let scene = Scene::new(NotifierConfig { queue_alerts_max: 10, ..config() }, &[]);
    scene.notifier.notify(&Tenant::default(), alerts(25));
    assert_eq!(scene.counts(), (0, 0, 0, 15, 10));
    settle().await;
    assert_eq!(scene.counts(), (10, 0, 0, 15, 0));
    assert_eq!(scene.receiver.got.lock().unwrap()[0].2[0]["labels"]["n"], "15");
}

#[tokio::test]
async fn failures_are_tried_again_with_growing_pauses() {
    let scene = Scene::new(config(), &[Err("refused"), Ok(503), Ok(200)]);
    scene.notifier.notify(&Tenant::default(), alerts(3));
    settle().await;
    assert_eq!(scene.receiver.got.lock().unwrap().len(), 1);
    scene.clock.jump(1).await;
    assert_eq!(scene.receiver.got.lock().unwrap().len(), 2);
    scene.clock.jump(1).await;
    assert_eq!(scene.counts(), (3, 0, 2, 0, 0));
}

#[tokio::test]
async fn the_last_failure_drops_a_message_and_a_refusal_at_once() {
    let scene = Scene::new(config(), &[Ok(500), Ok(500), Ok(500), Ok(400)]);
    scene.notifier.notify(&Tenant::default(), alerts(3));
    for _ in 0..5 {
        settle().await;
        scene.clock.jump(1).await;
    }
    assert_eq!(scene.counts(), (0, 3, 2, 0, 0));
    scene.notifier.notify(&Tenant::default(), alerts(2));
    settle().await;
    assert_eq!(scene.counts(), (0, 5, 2, 0, 0));
}

#[tokio::test]
async fn every_alertmanager_gets_all_and_holds_up_no_other() {
    let mut config = config();
    config.alertmanagers.push("http://other/prefix/".into());
    let scene = Scene::new(config, &[Err("down")]);
    scene.notifier.notify(&Tenant::default(), alerts(2));
    settle().await;
    let sent: Vec<_> = scene.notifier.sent().iter().map(|sent| (sent.url.clone(), sent.sent)).collect();
    assert_eq!(sent, [("http://am".into(), 0), ("http://other/prefix/".into(), 2)]);
    assert_eq!(scene.receiver.got.lock().unwrap()[1].0, "http://other/prefix/api/v2/alerts");
}

#[tokio::test]
async fn a_shutdown_sends_what_waits() {
    let scene = Scene::new(config(), &[]);
    scene.notifier.notify(&Tenant::default(), alerts(100));
    scene.notifier.shutdown(Duration::from_secs(60)).await;
    assert_eq!(scene.counts(), (100, 0, 0, 0, 0));
    scene.notifier.notify(&Tenant::default(), alerts(1));
    scene.notifier.shutdown(Duration::from_secs(60)).await;
    assert_eq!(scene.counts(), (100, 0, 0, 1, 0));
}

/// A server of one request: reads it whole, answers 200 and returns it.
async fn serve(listener: tokio::net::TcpListener) -> String {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut got = Vec::new();
    while !got.ends_with(b"[]") {
        let mut buffer = [0; 1_024];
        let bytes = socket.read(&mut buffer).await.unwrap();
        got.extend_from_slice(&buffer[..bytes]);
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    String::from_utf8(got).unwrap().to_lowercase()
}

#[tokio::test]
async fn messages_go_over_http() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v2/alerts", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener));
    let tenant = Tenant::new("acme").unwrap();
    let timeout = Duration::from_secs(60);
    assert_eq!(HttpPost::default().post(&url, &tenant, b"[]".to_vec(), timeout).await, Ok(200));
    let request = server.await.unwrap();
    assert!(request.starts_with("post /api/v2/alerts http/1.1"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    assert!(request.contains("x-scope-orgid: acme\r\n"), "{request}");
    let refused = HttpPost::default().post(&url, &tenant, b"[]".to_vec(), timeout).await;
    assert!(refused.unwrap_err().contains("onnect"));
}
