//! Rules over time: a real Prometheus has the same rule file and the same samples, evaluates at the
//! same times, and has to make the same of them.
//!
//! Groups of both are due at the same nanosecond, which comes from the names of file and group. All
//! groups look back by three seconds, so that both have a sample long before it counts.

use std::collections::BTreeMap;
use std::time::Duration;

use isinglass_promql::histogram::BucketSpan;
use isinglass_promql::value::STALE;
use isinglass_promql::{Histogram, Labels, Sample};
use isinglass_promqltest::http::Client;
use isinglass_promqltest::http::write::{Protocol, requests};
use isinglass_promqltest::{LoadedPoint, LoadedSeries};
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::harness::reference::Reference;
use crate::harness::{Server, eventually, now_millis};

const RULES: &str = include_str!("promql_rules_timelines.yml");

/// A machine that is busy misses evaluations, which nobody can make up for.
const ATTEMPTS: usize = 3;

/// Values of instance `a`, one a second.
const A: [f64; 30] = [
    0., 0., 6., 6., 6., 6., 6., 9., 9., 9., 6., 0., 0., 0., 0., 0., 0., 6., 6., 6., 6., 3., 3., 0., 0., 0.,
    9., 0., 0., 0.,
];
/// Seconds in which instance `b` is there.
const B: [std::ops::Range<usize>; 2] = [0..12, 18..30];

fn series(labels: &[(&str, &str)], time_ms: i64, sample: Sample) -> LoadedSeries {
    let points = vec![LoadedPoint { time_ms, start_ms: None, sample }];
    LoadedSeries { labels: Labels::new(labels.iter().copied()), points }
}

/// What comes in a second.
fn samples(second: usize, time_ms: i64) -> Vec<LoadedSeries> {
    let load = |instance, value| {
        series(&[("__name__", "load"), ("instance", instance)], time_ms, Sample::Float(value))
    };
    let histogram = Histogram {
        count: 3.0 + second as f64,
        sum: 2.5 * second as f64,
        positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
        positive: vec![3.0, second as f64],
        ..Histogram::default()
    };
    let mut all = vec![
        load("a", A[second]),
        series(&[("__name__", "latency"), ("le", "none")], time_ms, Sample::Histogram(histogram.into())),
    ];
    if B.iter().any(|there| there.contains(&second)) {
        all.push(load("b", 4.0 + (second % 3) as f64));
    } else if B.iter().any(|there| there.end == second) {
        all.push(load("b", STALE));
    }
    all
}

struct Side {
    client: Client,
    name: &'static str,
}

impl Side {
    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let reply = self.client.get(&format!("/api/v1/{path}"), parameters).await.unwrap();
        let answer: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(answer["status"], "success", "{}: {path} {parameters:?}: {answer}", self.name);
        answer["data"].clone()
    }

    async fn write(&self, series: &[LoadedSeries]) {
        for request in requests(series, Protocol::V2).unwrap() {
            self.client.write(&request).await.unwrap();
        }
    }

    /// `ALERTS` are written from the third evaluation on.
    async fn is_ready(&self) {
        eventually(&format!("evaluations of {}", self.name), Duration::from_secs(60), || async {
            let groups = self.get("rules", &[]).await["groups"].clone();
            let never =
                |group: &Value| group["lastEvaluation"].as_str().is_none_or(|at| at.starts_with("0001"));
            let groups = groups.as_array().unwrap();
            (!groups.is_empty() && !groups.iter().any(never)).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_secs(4)).await;
    }

    /// Evaluations that this server missed.
    async fn missed(&self) -> f64 {
        let text = self.client.get("/metrics", &[]).await.unwrap().body;
        let lines = text.lines().filter(|line| line.contains("rule_group_iterations_missed_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Samples that rules have written, and what instant queries would see: without stale markers
    /// a series would be there for five minutes.
    async fn written(&self, start_ms: i64, end_ms: i64) -> Vec<(&'static str, BTreeMap<String, Value>)> {
        let selector = "{__name__=~\"ALERTS|ALERTS_FOR_STATE|load:.+|latency:.+\"}";
        let seconds = |ms: i64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
        let range = format!("{selector}[{}ms]", end_ms - start_ms);
        let raw = self.get("query", &[("query", &range), ("time", &seconds(end_ms))]).await;
        // The first sample ends what was there before, since when each server knows for itself.
        let (start, end) = (seconds(start_ms + 1_500), seconds(end_ms));
        let times = [("query", selector), ("start", &start), ("end", &end), ("step", "0.5")];
        let seen = self.get("query_range", &times).await;
        vec![("samples", by_labels(&raw)), ("what is seen", by_labels(&seen))]
    }
}

fn by_labels(data: &Value) -> BTreeMap<String, Value> {
    let series = data["result"].as_array().unwrap().iter();
    let series = series.map(|one| {
        let points = ["values", "histograms"].map(|kind| one[kind].clone());
        (one["metric"].to_string(), Value::from(points.to_vec()))
    });
    series.collect()
}

/// The different things that were said of each alert, in their order.
#[derive(Default)]
struct Alerts(BTreeMap<String, Vec<Value>>);

impl Alerts {
    fn note(&mut self, data: &Value) {
        for alert in data["alerts"].as_array().unwrap() {
            let said = self.0.entry(alert["labels"].to_string()).or_default();
            if said.last() != Some(alert) {
                said.push(alert.clone());
            }
        }
    }
}

/// What two runs of one story had to say.
struct Told {
    written: Vec<(&'static str, BTreeMap<String, Value>)>,
    alerts: Alerts,
    missed: f64,
}

async fn tell(side: &Side, start_ms: i64) -> Told {
    let mut alerts = Alerts::default();
    let end_ms = start_ms + 1_000 * (A.len() as i64 + 5);
    let before = side.missed().await;
    let mut next = 0;
    while now_millis() < end_ms {
        if next < A.len() && now_millis() >= start_ms + 1_000 * next as i64 {
            side.write(&samples(next, start_ms + 1_000 * next as i64)).await;
            next += 1;
        }
        // As the first samples count after three seconds, so do alerts.
        if now_millis() > start_ms + 4_500 {
            alerts.note(&side.get("alerts", &[]).await);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The last evaluations look back by three seconds.
    let written = side.written(start_ms, start_ms + 1_000 * A.len() as i64).await;
    Told { written, alerts, missed: side.missed().await - before }
}

/// The first difference.
fn difference(theirs: &Told, ours: &Told) -> Option<String> {
    for ((what, theirs), (_, ours)) in theirs.written.iter().zip(&ours.written) {
        if let Some(found) = of_maps(theirs, ours) {
            return Some(format!("{what} of {found}"));
        }
    }
    let values = |alerts: &Alerts| -> BTreeMap<String, Value> {
        alerts.0.iter().map(|(labels, said)| (labels.clone(), said.clone().into())).collect()
    };
    of_maps(&values(&theirs.alerts), &values(&ours.alerts)).map(|found| format!("alerts: {found}"))
}

fn of_maps(theirs: &BTreeMap<String, Value>, ours: &BTreeMap<String, Value>) -> Option<String> {
    let mut names: Vec<_> = theirs.keys().chain(ours.keys()).collect();
    names.sort();
    let name = names.into_iter().find(|name| theirs.get(*name) != ours.get(*name))?;
    let text = |side: &BTreeMap<String, Value>| side.get(name).map_or("nothing".into(), Value::to_string);
    Some(format!("{name}\nPrometheus: {}\nours:       {}", text(theirs), text(ours)))
}

struct Scene {
    reference: Side,
    ours: Side,
    file: String,
    _prometheus: Reference,
    _server: Server,
    _folder: TempDir,
}

impl Scene {
    async fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("rules.yml");
        std::fs::write(&path, RULES).unwrap();
        let file = path.display().to_string();
        let more = format!(
            "global: {{evaluation_interval: 1s, external_labels: {{zone: north}}}}\nrule_files: ['{file}']\n"
        );
        let prometheus =
            Reference::start_with(&more, &["--web.external-url=http://prom.example.com:80/"]).await;
        let server = Server::start_with(&format!(
            "[rules]\nfiles = [\"{file}\"]\nevaluation_interval_ms = 1000\n\
             external_url = \"http://prom.example.com:80/\"\n[rules.external_labels]\nzone = \"north\"\n"
        ));
        let reference = Side { client: Client::new(&*prometheus.base), name: "Prometheus" };
        let ours = Side { client: Client::new(format!("http://{}", server.addresses().http)), name: "ours" };
        Self { reference, ours, file, _prometheus: prometheus, _server: server, _folder: folder }
    }

    /// The story, told to both at once.
    async fn tell(&self) -> (Told, Told) {
        tokio::join!(self.reference.is_ready(), self.ours.is_ready());
        let start_ms = now_millis() / 1_000 * 1_000 + 1_000;
        tokio::join!(tell(&self.reference, start_ms), tell(&self.ours, start_ms))
    }

    /// All ways to ask for rules have the same answers, once the last sample has had its effect.
    async fn compare_rules(&self) {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let file = &*self.file;
        let ways: [&[(&str, &str)]; 13] = [
            &[],
            &[("type", "alert")],
            &[("type", "record")],
            &[("rule_name[]", "High"), ("rule_name[]", "load:rate")],
            &[("rule_group[]", "limited")],
            &[("rule_group[]", "none")],
            &[("file[]", file)],
            &[("file[]", "none.yml")],
            &[("match[]", "{severity=\"page\"}")],
            &[("match[]", "{team=~\"o.*\"}"), ("match[]", "{level=\"two\"}")],
            &[("exclude_alerts", "true")],
            &[("group_limit", "1")],
            &[("group_limit", "1"), ("type", "record"), ("match[]", "{team=~\".+\"}")],
        ];
        for way in ways {
            let theirs = shown(self.reference.get("rules", way).await);
            let ours = shown(self.ours.get("rules", way).await);
            assert_eq!(theirs, ours, "{way:?}");
        }
        let refused: [&[(&str, &str)]; 8] = [
            &[("type", "other")],
            &[("match[]", "{}")],
            &[("match[]", "{a=")],
            &[("exclude_alerts", "perhaps")],
            &[("group_limit", "0")],
            &[("group_limit", "x")],
            &[("group_next_token", "x")],
            &[("group_limit", "1"), ("group_next_token", "x")],
        ];
        for way in refused {
            let theirs = self.reference.client.get("/api/v1/rules", way).await.unwrap();
            let ours = self.ours.client.get("/api/v1/rules", way).await.unwrap();
            assert_eq!((theirs.status, theirs.body), (ours.status, ours.body), "{way:?}");
        }
    }
}

/// Without what differs from one evaluation to the next. A token is what its server likes.
fn shown(mut data: Value) -> Value {
    let token = data["groupNextToken"].is_string();
    data["groupNextToken"] = token.into();
    for group in data["groups"].as_array_mut().unwrap() {
        forget_times(group.as_object_mut().unwrap());
        for rule in group["rules"].as_array_mut().unwrap() {
            forget_times(rule.as_object_mut().unwrap());
        }
    }
    data
}

fn forget_times(object: &mut Map<String, Value>) {
    object.remove("evaluationTime");
    object.remove("lastEvaluation");
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_recorded_series_are_those_of_prometheus() {
    let mut last = String::new();
    for _ in 0..ATTEMPTS {
        let scene = Scene::start().await;
        let (theirs, ours) = scene.tell().await;
        let Some(found) = difference(&theirs, &ours) else {
            assert!(theirs.written[0].1.len() >= 10, "{:?}", theirs.written[0].1.keys());
            assert!(theirs.alerts.0.len() >= 4, "{:?}", theirs.alerts.0.keys());
            scene.compare_rules().await;
            return;
        };
        last = format!("evaluations missed: {} and {}\n{found}", theirs.missed, ours.missed);
        eprintln!("{last}");
    }
    panic!("{last}");
}
