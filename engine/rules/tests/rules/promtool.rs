//! Unit tests of rules as `promtool test rules` reads and runs them.
//!
//! <https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/>

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use isinglass_lang::promql::parse_duration;
use isinglass_model::tenant::Tenant;
use isinglass_promql::{Histogram, Labels, Sample};
use isinglass_promqltest::compare::almost_equal;
use isinglass_promqltest::points::{Slot, parse};
use isinglass_rules::RuleFile;
use isinglass_rules::alert::AlertState;
use isinglass_rules::group::{Environment, Group, Settings};
use serde::Deserialize;

use crate::clock::TestClock;
use crate::engine::{Engine, labels};

type Map = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitFile {
    rule_files: Vec<String>,
    #[serde(default = "minute")]
    evaluation_interval: String,
    #[serde(default)]
    group_eval_order: Vec<String>,
    tests: Vec<UnitTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitTest {
    #[serde(default)]
    name: String,
    #[serde(default = "minute")]
    interval: String,
    #[serde(default)]
    input_series: Vec<Input>,
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
    #[serde(default)]
    promql_expr_test: Vec<ExprTest>,
    #[serde(default)]
    external_labels: Map,
    #[serde(default)]
    external_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    series: String,
    values: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AlertTest {
    eval_time: String,
    alertname: String,
    #[serde(default)]
    exp_alerts: Option<Vec<ExpectedAlert>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedAlert {
    #[serde(default)]
    exp_labels: Option<Map>,
    #[serde(default)]
    exp_annotations: Option<Map>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExprTest {
    expr: String,
    eval_time: String,
    #[serde(default)]
    exp_samples: Option<Vec<ExpectedSample>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedSample {
    labels: String,
    #[serde(default)]
    value: f64,
    #[serde(default)]
    histogram: Option<String>,
}

fn minute() -> String {
    "1m".into()
}

fn millis(text: &str) -> i64 {
    parse_duration(text).unwrap()
}

/// Runs a file; says what is not as it expects.
pub(crate) async fn run(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: UnitFile =
        serde_saphyr::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut failures = Vec::new();
    for (at, test) in file.tests.iter().enumerate() {
        for failure in (Run { path, file: &file, test, failures: Vec::new() }).run().await {
            failures.push(format!("{}: test {at} {:?}: {failure}", path.display(), test.name));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

struct Run<'a> {
    path: &'a Path,
    file: &'a UnitFile,
    test: &'a UnitTest,
    failures: Vec<String>,
}

impl Run<'_> {
    async fn run(mut self) -> Vec<String> {
        let engine = Arc::new(Engine::default());
        self.load(&engine);
        let env = self.environment(&engine);
        let mut groups = self.groups(&env.settings);
        let step = millis(&self.file.evaluation_interval);
        for time_ms in (0..=self.end_ms()).step_by(usize::try_from(step).unwrap()) {
            for group in &mut groups {
                group.evaluate(time_ms * 1_000_000, &env, || false).await;
                self.check_health(group, time_ms);
            }
            for test in &self.test.alert_rule_test {
                let at = millis(&test.eval_time);
                if (time_ms..time_ms + step).contains(&at) {
                    self.failures.extend(check_alerts(test, &groups));
                }
            }
        }
        for test in &self.test.promql_expr_test {
            self.failures.extend(check_expr(test, &engine));
        }
        self.failures
    }

    fn end_ms(&self) -> i64 {
        let alerts = self.test.alert_rule_test.iter().map(|test| millis(&test.eval_time));
        let exprs = self.test.promql_expr_test.iter().map(|test| millis(&test.eval_time));
        alerts.chain(exprs).max().unwrap_or(0)
    }

    fn load(&self, engine: &Engine) {
        let interval = millis(&self.test.interval);
        for input in &self.test.input_series {
            let labels = labels(&input.series);
            for (slot, time_ms) in
                parse(&input.values).unwrap().into_iter().zip((0..).step_by(interval as usize))
            {
                match slot {
                    Slot::Missing => {}
                    Slot::Float(value) => engine.add(&labels, time_ms, &Sample::Float(value)),
                    Slot::Histogram { histogram, .. } => {
                        engine.add(&labels, time_ms, &Sample::Histogram(histogram));
                    }
                }
            }
        }
    }

    fn environment(&self, engine: &Arc<Engine>) -> Environment {
        let settings = Settings {
            external_labels: Arc::new(self.test.external_labels.clone()),
            external_url: self.test.external_url.as_str().into(),
            interval_ms: millis(&self.test.interval),
            ..Settings::default()
        };
        Environment {
            evaluate: engine.clone(),
            write: engine.clone(),
            notify: engine.clone(),
            clock: Arc::new(TestClock::at(0)),
            settings: Arc::new(settings),
        }
    }

    fn groups(&self, settings: &Settings) -> Vec<Group> {
        let mut groups = Vec::new();
        for name in &self.file.rule_files {
            let text = std::fs::read_to_string(self.path.with_file_name(name)).unwrap();
            let file = RuleFile::parse(name, &text).unwrap_or_else(|errors| panic!("{errors:?}"));
            for spec in file.groups {
                groups.push(Group::new(Tenant::default(), name.as_str().into(), spec, settings, false));
            }
        }
        let place = |group: &Group| {
            self.file.group_eval_order.iter().position(|name| *name == group.spec.name).unwrap_or(usize::MAX)
        };
        groups.sort_by_key(place);
        groups
    }

    fn check_health(&mut self, group: &Group, time_ms: i64) {
        for rule in &group.rules {
            if let Some(error) = &rule.last_error {
                self.failures.push(format!("rule {} at {}s: {error}", rule.spec.name, time_ms / 1_000));
            }
        }
    }
}

fn check_alerts(test: &AlertTest, groups: &[Group]) -> Option<String> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let firing = rules
        .filter(|rule| rule.alerting().is_some() && rule.spec.name == test.alertname)
        .flat_map(|rule| rule.alerts())
        .filter(|alert| alert.state == AlertState::Firing);
    let mut got: Vec<(Map, Map)> =
        firing.map(|alert| (map(&alert.labels), alert.annotations.iter().cloned().collect())).collect();
    let mut wanted: Vec<_> = test.exp_alerts.iter().flatten().map(|alert| expected(test, alert)).collect();
    got.sort();
    wanted.sort();
    (got != wanted)
        .then(|| format!("{} at {}: want {wanted:#?}, got {got:#?}", test.alertname, test.eval_time))
}

fn expected(test: &AlertTest, alert: &ExpectedAlert) -> (Map, Map) {
    let mut labels = alert.exp_labels.clone().unwrap_or_default();
    labels.insert("alertname".into(), test.alertname.clone());
    (labels, alert.exp_annotations.clone().unwrap_or_default())
}

fn map(labels: &Labels) -> Map {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn check_expr(test: &ExprTest, engine: &Engine) -> Option<String> {
    let mut got: Vec<(Labels, Sample)> = match engine.vector(&test.expr, millis(&test.eval_time)) {
        Ok(all) => all.into_iter().map(|series| (series.labels, series.points[0].sample.clone())).collect(),
        Err(error) => return Some(format!("{} at {}: {error}", test.expr, test.eval_time)),
    };
    let mut wanted: Vec<_> = test.exp_samples.iter().flatten().map(expected_sample).collect();
    got.sort_by(|one, other| one.0.cmp(&other.0));
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let same = got.len() == wanted.len() && got.iter().zip(&wanted).all(|(got, wanted)| same(got, wanted));
    (!same).then(|| format!("{} at {}: want {wanted:?}, got {got:?}", test.expr, test.eval_time))
}

fn same(got: &(Labels, Sample), wanted: &(Labels, Sample)) -> bool {
    let values = match (&got.1, &wanted.1) {
        (Sample::Float(got), Sample::Float(wanted)) => almost_equal(*got, *wanted),
        (Sample::Histogram(got), Sample::Histogram(wanted)) => got.to_test_text() == wanted.to_test_text(),
        _ => false,
    };
    values && got.0 == wanted.0
}

fn expected_sample(sample: &ExpectedSample) -> (Labels, Sample) {
    let value = match &sample.histogram {
        None => Sample::Float(sample.value),
        Some(text) => Sample::Histogram(Arc::new(Histogram::parse_test(text).unwrap().0)),
    };
    (labels(&sample.labels), value)
}
