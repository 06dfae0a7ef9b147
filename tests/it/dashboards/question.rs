//! Asks what a dashboard asks, as Grafana would.

use isinglass_promqltest::backend::{Answer, Outcome};
use isinglass_promqltest::grafana::{
    Asked, Dashboard, Lookup, Times, VariableModel, Variables, options, series_text,
};
use isinglass_promqltest::http::{Client, Window};
use isinglass_rules::RuleFile;
use isinglass_rules::file::{RuleKind, RuleSpec};

use super::expected::Expected;
use crate::harness::{now_millis, root};

/// The last half minute, a point every three seconds.
const TIMES: Times = Times { step_ms: 3_000, scrape_ms: 1_000, range_ms: 30_000 };

/// Variables of dashboards as they are opened, for those who only parse.
pub(super) fn opened(dashboards: &[(String, Dashboard)]) -> Vec<Variables> {
    let with = |variables: Variables, model: &VariableModel| variables.with(&model.name, model.opened(&[]));
    let of = |dashboard: &Dashboard| dashboard.variables.iter().fold(TIMES.variables(), with);
    dashboards.iter().map(|(_, dashboard)| of(dashboard)).collect()
}

/// The rules that ship.
pub(super) fn rules() -> Vec<RuleSpec> {
    let text = std::fs::read_to_string(root().join("deploy/grafana/rules/isinglass.yaml")).unwrap();
    let file = RuleFile::parse("isinglass.yaml", &text).unwrap();
    file.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Who asks, and what was wrong.
pub(super) struct Asker<'a> {
    client: Client,
    expected: &'a Expected,
    asked: usize,
    faults: Vec<String>,
    places: Vec<(String, String)>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(address: &str, expected: &'a Expected) -> Self {
        let client = Client::new(format!("http://{address}"));
        Self { client, expected, asked: 0, faults: Vec::new(), places: Vec::new() }
    }

    /// All that it asks: as it is opened, with all chosen, and with the first option of each.
    pub(super) async fn ask_dashboard(&mut self, file: &str, dashboard: &Dashboard) {
        let ways: [fn(&VariableModel, &[String]) -> _; 3] =
            [VariableModel::opened, VariableModel::all_of, |model, options| {
                VariableModel { current: Vec::new(), ..model.clone() }.opened(options)
            }];
        for way in ways {
            let mut variables = TIMES.variables();
            for model in &dashboard.variables {
                let options = self.options(file, model, &variables).await;
                variables = variables.with(&model.name, way(model, &options));
            }
            for query in &dashboard.queries {
                self.ask(file, &query.place, &query.asked, &variables).await;
            }
        }
    }

    /// Recorded series, and alerts, of which none has to be there.
    pub(super) async fn ask_rules(&mut self) {
        for rule in rules() {
            let answer = self.client.instant(&rule.expr, now_millis()).await;
            let quiet = matches!(rule.kind, RuleKind::Alerting(_));
            self.check("rules", &rule.name, &rule.expr, &answer, quiet);
        }
    }

    /// How many questions there were, and what was wrong.
    pub(super) fn finish(mut self) -> (usize, Vec<String>) {
        for empty in &self.expected.empty {
            let known =
                self.places.iter().any(|(file, place)| empty.file == *file && place.ends_with(&empty.place));
            if !known {
                self.faults.push(format!("expected.toml: {}: nothing stands at {}", empty.file, empty.place));
            }
        }
        self.faults.sort();
        self.faults.dedup();
        (self.asked, self.faults)
    }

    async fn ask(&mut self, file: &str, place: &str, asked: &Asked, variables: &Variables) {
        let end_ms = now_millis() - 1_000;
        let (expr, answer) = match asked {
            Asked::Range(expr) => {
                let (end_ms, step_ms) = (end_ms, TIMES.step_ms.cast_signed());
                let window = Window { start_ms: end_ms - TIMES.range_ms.cast_signed(), end_ms, step_ms };
                let expr = variables.expand(expr);
                let answer = self.client.range(&expr, window).await;
                (expr, answer)
            }
            Asked::Instant(expr) => {
                let expr = variables.expand(expr);
                let answer = self.client.instant(&expr, end_ms).await;
                (expr, answer)
            }
            // Asked for when its options were.
            Asked::Options(_) => return,
        };
        let quiet = self.expected.may_be_empty(file, place);
        self.check(file, place, &expr, &answer, quiet);
    }

    /// `quiet`: it may find nothing.
    fn check(&mut self, file: &str, place: &str, expr: &str, answer: &Answer, quiet: bool) {
        self.asked += 1;
        self.places.push((file.to_owned(), place.to_owned()));
        let fault = match &answer.result {
            Err(error) => Some(error.clone()),
            Ok(outcome) if is_empty(outcome) && !quiet => Some("nothing found".to_owned()),
            Ok(_) => answer.warnings.iter().chain(self.minded(&answer.infos)).next().cloned(),
        };
        self.faults.extend(fault.map(|fault| format!("{file}: {place}: {fault}: {expr}")));
    }

    fn minded<'b>(&self, infos: &'b [String]) -> impl Iterator<Item = &'b String> {
        infos.iter().filter(|info| !self.expected.may_be_said(info))
    }

    /// What a variable can be set to.
    async fn options(&mut self, file: &str, model: &VariableModel, variables: &Variables) -> Vec<String> {
        let place = format!("variable {}", model.name);
        if model.kind != "query" {
            return model.current.clone();
        }
        let found = self.look_up(&Lookup::of(&model.query), variables).await;
        let options = found.and_then(|found| options(&model.regex, found));
        self.asked += 1;
        self.places.push((file.to_owned(), place.clone()));
        let fault = match &options {
            Err(error) => Some(error.clone()),
            Ok(options) if options.is_empty() && !self.expected.may_be_empty(file, &place) => {
                Some("no options".to_owned())
            }
            Ok(_) => None,
        };
        self.faults.extend(fault.map(|fault| format!("{file}: {place}: {fault}: {}", model.query)));
        options.unwrap_or_default()
    }

    async fn look_up(&self, lookup: &Lookup, variables: &Variables) -> Result<Vec<String>, String> {
        match lookup {
            Lookup::LabelValues { label, selector } => {
                let selector = selector.as_ref().map(|selector| variables.expand(selector));
                self.list(&format!("/api/v1/label/{label}/values"), selector.as_deref()).await
            }
            Lookup::LabelNames => self.list("/api/v1/labels", None).await,
            Lookup::Metrics(_) => self.list("/api/v1/label/__name__/values", None).await,
            Lookup::QueryResult(expr) => {
                let answer = self.client.instant(&variables.expand(expr), now_millis() - 1_000).await;
                match answer.result? {
                    Outcome::Vector(rows) => Ok(rows.iter().filter_map(series_text).collect()),
                    other => Err(format!("no vector: {other:?}")),
                }
            }
            Lookup::Series(selector) => self.list("/api/v1/series", Some(&variables.expand(selector))).await,
        }
    }

    /// The texts of a list, in the time range of the dashboard.
    async fn list(&self, path: &str, selector: Option<&str>) -> Result<Vec<String>, String> {
        let end = now_millis() as f64 / 1e3;
        let [start, end] = [end - TIMES.range_ms as f64 / 1e3, end].map(|time| time.to_string());
        let mut parameters = vec![("start", start.as_str()), ("end", end.as_str())];
        parameters.extend(selector.map(|selector| ("match[]", selector)));
        let reply = self.client.get(path, &parameters).await?;
        let json: serde_json::Value = serde_json::from_str(&reply.body).map_err(|fault| fault.to_string())?;
        let all = json["data"].as_array().ok_or_else(|| reply.body.clone())?;
        Ok(all.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect())
    }
}

fn is_empty(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Vector(rows) | Outcome::Matrix(rows) => rows.is_empty(),
        Outcome::Scalar(_) | Outcome::Text(_) => false,
    }
}
