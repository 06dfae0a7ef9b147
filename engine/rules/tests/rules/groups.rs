//! Groups evaluated by hand: what unit tests of promtool cannot say.

use std::sync::Arc;

use isinglass_model::tenant::Tenant;
use isinglass_promql::Sample;
use isinglass_promql::value::is_stale;
use isinglass_rules::alert::AlertState;
use isinglass_rules::group::{Counts, Environment, Group, Health, Settings};
use isinglass_rules::view::GroupView;
use isinglass_rules::{Notification, RuleFile};

use crate::clock::{SECOND, TestClock};
use crate::engine::Engine;

/// A minute, in seconds.
const MINUTE: i64 = 60;

struct Scene {
    engine: Arc<Engine>,
    env: Environment,
    group: Group,
}

fn group(rules: &str, settings: &Settings, restores: bool) -> Group {
    let text = format!("groups:\n- name: g\n{rules}");
    let file = RuleFile::parse("f.yml", &text).unwrap_or_else(|errors| panic!("{errors:?}"));
    let spec = file.groups.into_iter().next().unwrap();
    Group::new(Tenant::default(), "f.yml".into(), spec, settings, restores)
}

impl Scene {
    /// A group whose text stands behind its name.
    fn of(rules: &str) -> Self {
        Self::over(Arc::new(Engine::default()), rules, false)
    }

    fn over(engine: Arc<Engine>, rules: &str, restores: bool) -> Self {
        let settings = Settings { external_url: "http://prom".into(), ..Settings::default() };
        let env = Environment {
            evaluate: engine.clone(),
            write: engine.clone(),
            notify: engine.clone(),
            clock: Arc::new(TestClock::at(0)),
            settings: Arc::new(settings),
        };
        let group = group(rules, &env.settings, restores);
        Self { engine, env, group }
    }

    async fn evaluate(&mut self, seconds: i64) -> &mut Self {
        self.group.evaluate(seconds * SECOND, &self.env, || false).await;
        self
    }

    fn error(&self, rule: usize) -> Option<&str> {
        self.group.rules[rule].last_error.as_deref()
    }

    fn written(&self, expr: &str, seconds: i64) -> Vec<String> {
        self.engine.written(expr, seconds * 1_000)
    }

    fn told(&self) -> Vec<Vec<Notification>> {
        std::mem::take(&mut *self.engine.told.lock().unwrap())
    }
}

#[tokio::test]
async fn results_that_cannot_be_written() {
    for (rule, error) in [
        (
            "{record: r, expr: up, labels: {i: x}}",
            "vector contains metrics with the same labelset after applying rule labels",
        ),
        (
            "{alert: A, expr: up, labels: {i: x}}",
            "vector contains metrics with the same labelset after applying alert labels",
        ),
        ("{record: r, expr: '\"text\"'}", "rule result is not a vector or scalar"),
        ("{record: r, expr: 'up[5m]'}", "rule result is not a vector or scalar"),
        ("{record: r, expr: 'up * on() up'}", "found duplicate series"),
    ] {
        let mut scene = Scene::of(&format!("  rules: [{rule}]"));
        scene.engine.float("up{i=\"a\"}", 0, 1.0);
        scene.engine.float("up{i=\"b\"}", 0, 1.0);
        scene.evaluate(0).await;
        assert!(scene.error(0).is_some_and(|got| got.contains(error)), "{rule}: {:?}", scene.error(0));
        assert_eq!(scene.group.rules[0].health, Health::Err);
        assert!(scene.engine.writes.lock().unwrap().is_empty(), "{rule}");
        assert_eq!((scene.group.counts.evaluations, scene.group.counts.failures), (1, 1));
    }
}

#[tokio::test]
async fn more_series_than_the_limit_write_nothing() {
    let mut scene = Scene::of("  limit: 1\n  rules: [{record: r, expr: up}, {alert: A, expr: up}]");
    scene.engine.float("up{i=\"a\"}", 0, 1.0);
    scene.evaluate(0).await;
    assert_eq!(scene.written("r", 0), ["{__name__=\"r\", i=\"a\"} 1"]);
    scene.engine.float("up{i=\"b\"}", 60_000, 1.0);
    scene.evaluate(MINUTE).await;
    assert_eq!(scene.error(0), Some("exceeded limit of 1 with 2 series"));
    assert_eq!(scene.error(1), Some("exceeded limit of 1 with 2 alerts"));
    assert_eq!(scene.group.rules[1].alerts().count(), 0);
    // What was written before lives on: a failure is no end.
    assert_eq!(scene.written("r", MINUTE), ["{__name__=\"r\", i=\"a\"} 1"]);
}

#[tokio::test]
async fn of_two_limits_the_lower_one_counts() {
    for (limit, series_max, wanted) in
        [(0, 1, Some(1)), (5, 1, Some(1)), (1, 5, Some(1)), (0, 0, None), (2, 2, None)]
    {
        let mut scene = Scene::of("  rules: []");
        let settings = Settings { series_max, ..Settings::default() };
        scene.group =
            group(&format!("  limit: {limit}\n  rules: [{{record: r, expr: up}}]"), &settings, false);
        scene.engine.float("up{i=\"a\"}", 0, 1.0);
        scene.engine.float("up{i=\"b\"}", 0, 1.0);
        scene.evaluate(0).await;
        let error = wanted.map(|limit| format!("exceeded limit of {limit} with 2 series"));
        assert_eq!(scene.error(0), error.as_deref(), "{limit} {series_max}");
    }
}

#[tokio::test]
async fn a_rule_recovers_from_a_failed_write() {
    let mut scene = Scene::of("  rules: [{record: r, expr: up}]");
    scene.engine.float("up", 0, 1.0);
    *scene.engine.broken.lock().unwrap() = Some("disk full".into());
    scene.evaluate(0).await;
    assert_eq!((scene.error(0), scene.group.rules[0].health), (Some("disk full"), Health::Err));
    *scene.engine.broken.lock().unwrap() = None;
    scene.evaluate(MINUTE).await;
    assert_eq!((scene.error(0), scene.group.rules[0].health), (None, Health::Ok));
    assert_eq!(scene.written("r", MINUTE), ["{__name__=\"r\"} 1"]);
    let counts = Counts { iterations: 2, evaluations: 2, failures: 1, samples_last: 1, iterations_missed: 0 };
    assert_eq!(scene.group.counts, counts);
}

#[tokio::test]
async fn stale_markers_are_written_once_and_after_a_failed_write_again() {
    let mut scene = Scene::of("  rules: [{record: r, expr: up == 1}]");
    scene.engine.float("up", 0, 1.0);
    scene.engine.float("up", 60_000, 0.0);
    scene.evaluate(0).await;
    *scene.engine.broken.lock().unwrap() = Some("disk full".into());
    scene.evaluate(MINUTE).await;
    *scene.engine.broken.lock().unwrap() = None;
    scene.evaluate(2 * MINUTE).await;
    scene.evaluate(3 * MINUTE).await;
    let writes = scene.engine.writes.lock().unwrap();
    let stale = |sample: &Sample| matches!(sample, Sample::Float(value) if is_stale(*value));
    let got: Vec<_> = writes.iter().map(|one| (one.time_ms, stale(&one.sample))).collect();
    assert_eq!(got, [(0, false), (120_000, true)]);
}

#[tokio::test]
async fn alerts_are_told_of_when_they_fire_again_after_a_minute_and_when_they_are_resolved() {
    let mut scene = Scene::of(
        "  interval: 30s\n  rules: [{alert: A, expr: up == 0, for: 1m, annotations: {v: '{{ $value }}'}}]",
    );
    for step in 0..7 {
        scene.engine.float("up{i=\"a\"}", step * 30_000, 0.0);
    }
    scene.engine.float("up{i=\"a\"}", 210_000, 1.0);
    let mut news = Vec::new();
    for seconds in (0..=240).step_by(30) {
        scene.evaluate(seconds).await;
        for alert in scene.told().into_iter().flatten() {
            news.push((seconds, alert.starts_at / SECOND, alert.ends_at / SECOND));
        }
    }
    // It fires at 60 s. Four times the resend delay is longer than four intervals.
    assert_eq!(news, [(60, 60, 300), (150, 60, 390), (210, 60, 210)]);
}

#[tokio::test]
async fn what_is_told_of_an_alert() {
    let mut scene =
        Scene::of("  rules: [{alert: A, expr: up == 0, labels: {l: x}, annotations: {v: '{{ $value }}'}}]");
    scene.engine.float("up{i=\"a\"}", 0, 0.0);
    scene.evaluate(0).await;
    let told = scene.told();
    let [alert] = &told[0][..] else { panic!("{told:?}") };
    assert_eq!(alert.labels.to_string(), "{alertname=\"A\", i=\"a\", l=\"x\"}");
    assert_eq!(alert.annotations, [("v".to_owned(), "0".to_owned())]);
    assert_eq!(&*alert.generator_url, "http://prom/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
}

#[tokio::test]
async fn a_resolved_alert_is_kept_for_a_quarter_of_an_hour() {
    let mut scene = Scene::of("  rules: [{alert: A, expr: up == 0}]");
    scene.engine.float("up", 0, 0.0);
    scene.engine.float("up", 60_000, 1.0);
    scene.evaluate(0).await;
    assert_eq!(scene.told().len(), 1);
    let mut told = Vec::new();
    for minute in 1..=20 {
        scene.engine.float("up", minute * 60_000, 1.0);
        scene.evaluate(minute * MINUTE).await;
        told.push(scene.told().len());
        assert_eq!(scene.group.rules[0].state(), AlertState::Inactive);
        assert_eq!(scene.group.rules[0].alerts().count(), 0);
    }
    // It is said at once, then every second minute (the delay has to be over, not reached).
    assert_eq!(told.iter().sum::<usize>(), 8);
    assert_eq!(told[16..], [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_longer_for_takes_a_firing_alert_back() {
    let mut scene = Scene::of("  rules: [{alert: A, expr: up == 0, for: 1m}]");
    scene.engine.float("up", 0, 0.0);
    scene.evaluate(0).await.evaluate(MINUTE).await;
    assert_eq!(scene.group.rules[0].state(), AlertState::Firing);
    let mut longer = group("  rules: [{alert: A, expr: up == 0, for: 3m}]", &scene.env.settings, false);
    longer.carry_over(scene.group.clone());
    scene.group = longer;
    scene.evaluate(2 * MINUTE).await;
    assert_eq!(scene.group.rules[0].state(), AlertState::Pending);
    scene.evaluate(3 * MINUTE).await;
    assert_eq!(scene.group.rules[0].state(), AlertState::Firing);
}

#[tokio::test]
async fn removed_rules_get_stale_markers_and_others_go_on() {
    let mut scene =
        Scene::of("  rules: [{record: a, expr: up}, {record: b, expr: up}, {alert: A, expr: up, for: 5m}]");
    scene.engine.float("up", 0, 1.0);
    scene.evaluate(0).await;
    let mut next =
        group("  rules: [{record: b, expr: up}, {alert: A, expr: up, for: 5m}]", &scene.env.settings, false);
    next.carry_over(scene.group.clone());
    scene.group = next;
    scene.evaluate(MINUTE).await;
    assert!(scene.written("a", MINUTE).is_empty());
    assert_eq!(scene.written("b", MINUTE).len(), 1);
    assert_eq!(scene.group.rules[1].alerts().next().unwrap().active_at, 0);
    assert_eq!(
        scene.written("ALERTS_FOR_STATE", MINUTE),
        ["{__name__=\"ALERTS_FOR_STATE\", alertname=\"A\"} 0"]
    );
}

/// An alert with a `for` of 25 minutes that was active until minute 20, and what it is since when
/// it is back after a while.
async fn check_restored(down_minutes: i64, was_active: bool, active_minute: i64) {
    let rules = "  rules: [{alert: A, expr: up == 0, for: 25m, labels: {l: '{{ $labels.i }}'}}]";
    let engine = Arc::new(Engine::default());
    let mut before = Scene::over(Arc::clone(&engine), rules, false);
    for minute in 0..=200 {
        let up = if minute == 20 && !was_active { 1.0 } else { 0.0 };
        engine.float("up{i=\"a\"}", minute * 60_000, up);
    }
    for minute in 0..=20 {
        before.evaluate(minute * MINUTE).await;
    }
    let back = 20 + down_minutes;
    let mut scene = Scene::over(engine, rules, true);
    scene.evaluate(back * MINUTE).await;
    assert!(scene.group.restores());
    scene.engine.writes.lock().unwrap().clear();
    scene.evaluate((back + 1) * MINUTE).await;
    // Nothing may stand in the way of what is read back.
    assert!(scene.engine.writes.lock().unwrap().is_empty());
    scene.group.restore((back + 1) * MINUTE * SECOND, &scene.env).await;
    let alert = scene.group.rules[0].alerts().next().unwrap();
    assert_eq!(alert.active_at / SECOND / MINUTE, active_minute, "down for {down_minutes}");
    scene.evaluate((back + 2) * MINUTE).await;
    assert_eq!(scene.engine.writes.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn since_when_an_alert_is_active_outlives_a_restart() {
    // Of 25 minutes 20 are over, so it fires after the ten minutes of grace.
    check_restored(4, true, 25 + 10 - 25).await;
    check_restored(50, true, 71 + 10 - 25).await;
    // After more than an hour, or after a stale marker, it is a new one.
    check_restored(70, true, 90).await;
    check_restored(4, false, 24).await;
}

#[tokio::test]
async fn short_waits_are_not_restored() {
    let engine = Arc::new(Engine::default());
    let rules = "  rules: [{alert: A, expr: up == 0, for: 5m}]";
    engine.float("up", 600_000, 0.0);
    engine.float("ALERTS_FOR_STATE{alertname=\"A\"}", 500_000, 0.0);
    let mut scene = Scene::over(engine, rules, true);
    scene.evaluate(10 * MINUTE).await;
    scene.group.restore(10 * MINUTE * SECOND, &scene.env).await;
    assert_eq!(scene.group.rules[0].alerts().next().unwrap().active_at / SECOND, 600);
}

#[tokio::test]
async fn an_evaluation_ends_between_two_rules() {
    let mut scene = Scene::of("  rules: [{record: a, expr: 1}, {record: b, expr: 1}]");
    let asked = std::sync::atomic::AtomicU32::new(0);
    let stopped = || asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0;
    scene.group.evaluate(0, &scene.env, stopped).await;
    assert_eq!(scene.written("{__name__=~\"a|b\"}", 0), ["{__name__=\"a\"} 1"]);
}

#[tokio::test]
async fn what_the_api_shows() {
    let mut scene = Scene::of(
        "  limit: 5\n  rules:\n  - {record: r, expr: 'sum(up)', labels: {a: b}}\n  - {record: s, expr: '\"x\"'}\n  - {alert: A, expr: up == 0, for: 1m, keep_firing_for: 2m, labels: {l: x}, annotations: {v: '{{ $value }}'}}",
    );
    let json = |scene: &Scene| serde_json::to_value(GroupView::from(&scene.group)).unwrap();
    let never = "0001-01-01T00:00:00Z";
    let before = json(&scene);
    assert_eq!(before["rules"][2]["state"], "unknown");
    assert_eq!(
        (&before["rules"][0]["health"], &before["lastEvaluation"]),
        (&"unknown".into(), &never.into())
    );
    scene.engine.float("up{i=\"a\"}", 0, 0.0);
    scene.evaluate(0).await.evaluate(MINUTE).await;
    scene.engine.float("up{i=\"a\"}", 120_000, 1.0);
    scene.evaluate(2 * MINUTE).await;
    let then = "1970-01-01T00:00:00Z";
    let wanted = serde_json::json!({
        "name": "g", "file": "f.yml", "interval": 60.0, "limit": 5, "evaluationTime": 0.0, "lastEvaluation": then,
        "rules": [
            {"type": "recording", "name": "r", "query": "sum(up)", "labels": {"a": "b"}, "health": "ok",
             "evaluationTime": 0.0, "lastEvaluation": then},
            {"type": "recording", "name": "s", "query": "\"x\"", "health": "err",
             "lastError": "rule result is not a vector or scalar", "evaluationTime": 0.0, "lastEvaluation": then},
            {"type": "alerting", "state": "firing", "name": "A", "query": "up == 0", "duration": 60.0,
             "keepFiringFor": 120.0, "labels": {"l": "x"}, "annotations": {"v": "{{ $value }}"}, "health": "ok",
             "evaluationTime": 0.0, "lastEvaluation": then,
             "alerts": [{"labels": {"alertname": "A", "i": "a", "l": "x"}, "annotations": {"v": "0"},
                         "state": "firing", "activeAt": "1970-01-01T00:00:00Z",
                         "keepFiringSince": "1970-01-01T00:02:00Z", "value": "0e+00"}]},
        ],
    });
    assert_eq!(json(&scene), wanted);
}
