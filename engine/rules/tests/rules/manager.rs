//! Groups as tasks: when they run, reloads and shutdown.

use std::collections::BTreeMap;
use std::sync::Arc;

use isinglass_model::tenant::Tenant;
use isinglass_promql::Sample;
use isinglass_promql::value::is_stale;
use isinglass_rules::group::Settings;
use isinglass_rules::manager::TenantFiles;
use isinglass_rules::schedule::{Schedule, group_hash};
use isinglass_rules::view::RuleView;
use isinglass_rules::{Manager, ManagerConfig, RuleClock, RuleFile};

use crate::clock::{SECOND, TestClock, settle};
use crate::engine::Engine;

struct Scene {
    engine: Arc<Engine>,
    clock: Arc<TestClock>,
    manager: Manager,
}

const START: i64 = 1_000_000;

impl Scene {
    fn new() -> Self {
        let (engine, clock) = (Arc::new(Engine::default()), Arc::new(TestClock::at(START)));
        let config = ManagerConfig {
            settings: Settings { interval_ms: 10_000, ..Settings::default() },
            concurrent_groups_max: 0,
        };
        let manager = Manager::new(config, engine.clone(), engine.clone(), engine.clone(), clock.clone());
        Self { engine, clock, manager }
    }

    async fn load(&self, files: TenantFiles) {
        self.manager.reload(files).await;
        settle().await;
    }

    fn now_ms(&self) -> i64 {
        self.clock.now() / 1_000_000
    }

    fn times(&self, metric: &str) -> Vec<i64> {
        let writes = self.engine.writes.lock().unwrap();
        let own = writes.iter().filter(|one| one.labels.metric_name() == metric);
        own.map(|one| one.time_ms).collect()
    }

    fn stale(&self, metric: &str) -> usize {
        let writes = self.engine.writes.lock().unwrap();
        let own = writes.iter().filter(|one| one.labels.metric_name() == metric);
        own.filter(|one| matches!(one.sample, Sample::Float(value) if is_stale(value))).count()
    }
}

/// One file of the default tenant: its groups, each as its name and its rules.
fn files(groups: &[(&str, &str)]) -> TenantFiles {
    BTreeMap::from([(Tenant::default(), vec![file("f.yml", groups)])])
}

fn file(name: &str, groups: &[(&str, &str)]) -> RuleFile {
    let groups: Vec<_> =
        groups.iter().map(|(name, rules)| format!("- name: {name}\n  rules: [{rules}]\n")).collect();
    RuleFile::parse(name, &format!("groups:\n{}", groups.concat())).unwrap()
}

#[tokio::test]
async fn groups_run_at_their_own_times() {
    let scene = Scene::new();
    scene.load(files(&[("a", "{record: a, expr: 1}"), ("b", "{record: b, expr: 1}")])).await;
    scene.clock.advance(30).await;
    for name in ["a", "b"] {
        let hash = group_hash(&Tenant::default(), "f.yml", name);
        let first = Schedule::new(10 * SECOND, hash, START * SECOND).next() / 1_000_000;
        assert_eq!(scene.times(name), [first, first + 10_000, first + 20_000], "{name}");
    }
    assert_ne!(scene.times("a"), scene.times("b"));
    scene.manager.shutdown().await;
}

#[tokio::test]
async fn missed_times_are_counted_and_left_out() {
    let scene = Scene::new();
    scene.load(files(&[("a", "{record: a, expr: 1}")])).await;
    scene.clock.advance(10).await;
    scene.clock.jump(45).await;
    let times = scene.times("a");
    assert_eq!(times.len(), 2);
    let missed = u64::try_from((times[1] - times[0]) / 10_000 - 1).unwrap();
    let counts = scene.manager.figures()[0].counts;
    assert_eq!((counts.iterations_missed, counts.iterations), (missed, missed + 2));
    assert!(missed >= 3, "{missed}");
}

#[tokio::test]
async fn a_reload_leaves_groups_that_say_the_same_alone() {
    let scene = Scene::new();
    let same = ("a", "{alert: A, expr: 1, for: 1h}");
    scene.load(files(&[same, ("b", "{record: b, expr: 1}")])).await;
    scene.clock.advance(20).await;
    scene.load(files(&[same, ("b", "{record: c, expr: 1}")])).await;
    scene.clock.advance(10).await;
    let figures = scene.manager.figures();
    let rules = scene.manager.rules(&Tenant::default());
    assert_eq!(figures[0].counts.iterations, 3);
    assert_eq!(rules.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    // The rule that is no more has ended, at once.
    assert_eq!((scene.stale("b"), scene.times("c").len()), (1, 1));
    let alerts = scene.manager.alerts(&Tenant::default()).alerts;
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].labels["alertname"], "A");
}

#[tokio::test]
async fn a_changed_group_keeps_its_alerts() {
    let scene = Scene::new();
    scene.load(files(&[("a", "{alert: A, expr: 1, for: 1h}")])).await;
    scene.clock.advance(20).await;
    let before = scene.manager.alerts(&Tenant::default()).alerts;
    scene.load(files(&[("a", "{alert: A, expr: 1, for: 2h}, {record: r, expr: 1}")])).await;
    scene.clock.advance(10).await;
    let after = scene.manager.alerts(&Tenant::default()).alerts;
    assert_eq!((before.len(), &before[0].active_at), (1, &after[0].active_at));
    let RuleView::Alerting(rule) = &scene.manager.rules(&Tenant::default()).groups[0].rules[0] else {
        panic!()
    };
    assert_eq!(rule.duration, 7_200.0);
}

#[tokio::test]
async fn other_settings_begin_all_groups_anew_and_alerts_go_on() {
    let scene = Scene::new();
    let same = [("a", "{alert: A, expr: 1, for: 1h, annotations: {zone: '{{ $externalLabels.zone }}'}}")];
    scene.load(files(&same)).await;
    scene.clock.advance(20).await;
    let before = scene.manager.alerts(&Tenant::default()).alerts;
    let external_labels = Arc::new(BTreeMap::from([("zone".to_owned(), "north".to_owned())]));
    let settings = Settings { interval_ms: 5_000, external_labels, ..Settings::default() };
    scene.manager.reload_with(files(&same), settings, scene.engine.clone()).await;
    settle().await;
    scene.clock.advance(10).await;
    let after = scene.manager.alerts(&Tenant::default()).alerts;
    assert_eq!((before.len(), &before[0].active_at), (1, &after[0].active_at));
    assert_eq!((&*before[0].annotations["zone"], &*after[0].annotations["zone"]), ("", "north"));
    assert_eq!(scene.manager.rules(&Tenant::default()).groups[0].interval, 5.0);
}

#[tokio::test]
async fn removed_groups_get_stale_markers_after_two_intervals() {
    let scene = Scene::new();
    scene.load(files(&[("a", "{record: a, expr: 1}")])).await;
    scene.clock.advance(15).await;
    let removed_ms = scene.now_ms();
    scene.load(TenantFiles::new()).await;
    assert_eq!(scene.manager.rules(&Tenant::default()).groups, []);
    scene.clock.advance(19).await;
    assert_eq!(scene.stale("a"), 0);
    scene.clock.advance(1).await;
    assert_eq!(scene.stale("a"), 1);
    assert_eq!(scene.times("a").last(), Some(&removed_ms));
}

#[tokio::test]
async fn a_shutdown_writes_no_stale_markers() {
    let scene = Scene::new();
    scene.load(files(&[("a", "{record: a, expr: 1}"), ("b", "{record: b, expr: 1}")])).await;
    scene.clock.advance(15).await;
    scene.load(files(&[("a", "{record: a, expr: 1}")])).await;
    scene.manager.shutdown().await;
    scene.clock.advance(60).await;
    assert_eq!((scene.stale("a"), scene.stale("b")), (0, 0));
    let before = scene.times("a").len();
    scene.load(files(&[("a", "{record: a, expr: 1}")])).await;
    scene.clock.advance(20).await;
    assert_eq!(scene.times("a").len(), before, "a manager that was shut down stays so");
}

#[tokio::test]
async fn the_first_load_restores_and_writes_alerts_from_the_third_evaluation_on() {
    let scene = Scene::new();
    scene.load(files(&[("a", "{alert: A, expr: 1}")])).await;
    scene.clock.advance(20).await;
    assert_eq!(scene.times("ALERTS").len(), 0);
    scene.clock.advance(10).await;
    assert_eq!(scene.times("ALERTS").len(), 1);
    // Later ones begin anew.
    scene.load(files(&[("b", "{alert: B, expr: 1}")])).await;
    scene.clock.advance(10).await;
    let writes = scene.engine.writes.lock().unwrap();
    assert!(writes.iter().any(|one| one.labels.get("alertname") == "B"));
}

#[tokio::test]
async fn tenants_see_their_own_rules() {
    let scene = Scene::new();
    let (one, other) = (Tenant::new("one").unwrap(), Tenant::new("other").unwrap());
    let group = |name| vec![file("f.yml", &[(name, "{alert: A, expr: 1}")])];
    scene.load(BTreeMap::from([(one.clone(), group("a")), (other.clone(), group("b"))])).await;
    scene.clock.advance(10).await;
    assert_eq!(scene.manager.rules(&one).groups[0].name, "a");
    assert_eq!(scene.manager.rules(&other).groups[0].name, "b");
    assert_eq!(scene.manager.alerts(&one).alerts.len(), 1);
    assert_eq!(scene.manager.rules(&Tenant::default()).groups, []);
}
