//! The dashboards and rules of `deploy/grafana`: every expression is read as Grafana would send
//! it, and names only metrics that there are.

#[path = "dashboards/folder.rs"]
mod folder;
#[path = "dashboards/rules.rs"]
mod rules;

use std::collections::BTreeSet;

use isinglass_lang::promql::{self, ast};
use isinglass_promqltest::grafana::{Asked, Dashboard, Lookup, Times, VariableModel, Variables};

use folder::{dashboards, metrics, text};

/// Options that need escaping, as label values have them.
const OPTIONS: [&str; 3] = ["GET /api/v1/users/{id}?x=1", r"C:\disk+1|2", "10.0.0.1:9100"];

/// Short and long ranges, fast and slow scrapes.
fn times() -> [Times; 3] {
    let times = |step_ms, scrape_ms, range_ms| Times { step_ms, scrape_ms, range_ms };
    [times(15_000, 15_000, 3_600_000), times(500, 1_000, 60_000), times(5_400_000, 60_000, 31_536_000_000)]
}

/// The variables of a dashboard as it is opened, with all chosen, and with the first option.
fn selections(dashboard: &Dashboard, times: Times) -> [Variables; 3] {
    let options = |model: &VariableModel| match model.kind.as_str() {
        "query" => OPTIONS.map(str::to_owned).to_vec(),
        _ => model.current.clone(),
    };
    let ways: [&dyn Fn(&VariableModel) -> _; 3] =
        [&|model| model.opened(&options(model)), &|model| model.all_of(&options(model)), &|model| {
            VariableModel { current: Vec::new(), ..model.clone() }.opened(&options(model))
        }];
    ways.map(|way| {
        let with = |variables: Variables, model: &VariableModel| variables.with(&model.name, way(model));
        dashboard.variables.iter().fold(times.variables(), with)
    })
}

/// What is to be parsed of a query; a selector is an expression, too.
fn expression(asked: &Asked) -> Option<&str> {
    match asked {
        Asked::Range(expr) | Asked::Instant(expr) => Some(expr),
        Asked::Options(Lookup::QueryResult(expr) | Lookup::Series(expr)) => Some(expr),
        Asked::Options(Lookup::LabelValues { selector, .. }) => selector.as_deref(),
        Asked::Options(Lookup::LabelNames | Lookup::Metrics(_)) => None,
    }
}

fn parse(place: &str, expr: &str) -> ast::Expr {
    promql::parse(expr).unwrap_or_else(|fault| panic!("{place}: {fault}\n{expr}"))
}

/// The metrics that an expression names; a selector that names none is a mistake here.
fn metric_names(place: &str, expr: &ast::Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    promql::walk(expr, &mut |expr| {
        if let ast::ExprKind::Selector(selector) = &expr.kind {
            let name = selector.name.clone().unwrap_or_else(|| panic!("{place}: {expr} names no metric"));
            names.insert(name);
        }
    });
    names
}

fn assert_known(place: &str, expr: &ast::Expr, known: &BTreeSet<String>) {
    for name in metric_names(place, expr) {
        assert!(known.contains(&name), "{place}: {name} is not in metrics.txt");
    }
}

#[test]
fn all_dashboards_are_there() {
    let uids: Vec<_> = dashboards().into_iter().map(|(_, dashboard)| dashboard.uid).collect();
    let wanted =
        ["isinglass-alerts", "isinglass-node", "isinglass-red", "isinglass-self", "isinglass-service-graph"];
    assert_eq!(uids.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(wanted));
    assert_eq!(uids.len(), wanted.len(), "{uids:?}");
}

#[test]
fn every_expression_is_promql_whatever_is_chosen() {
    let known = metrics();
    for (file, dashboard) in dashboards() {
        let selections = times().map(|times| selections(&dashboard, times));
        for query in &dashboard.queries {
            let place = format!("{file}: {}", query.place);
            let Some(written) = expression(&query.asked) else { continue };
            for variables in selections.as_flattened() {
                let sent = parse(&place, &variables.expand(written));
                assert_known(&place, &sent, &known);
            }
        }
    }
}

#[test]
fn selectors_of_options_are_selectors() {
    for (file, dashboard) in dashboards() {
        let [opened, ..] = selections(&dashboard, times()[0]);
        for query in &dashboard.queries {
            let Asked::Options(Lookup::LabelValues { label, selector }) = &query.asked else { continue };
            assert!(promql::is_plain_label_name(label), "{file}: {}: {label}", query.place);
            let Some(selector) = selector else { continue };
            let read = promql::parse_selector(&opened.expand(selector));
            assert!(read.is_ok(), "{file}: {}: {read:?}", query.place);
        }
    }
}

/// Grafana leaves a name that it does not know as it is; only `label_replace` wants that, for its
/// groups.
#[test]
fn every_variable_is_defined_before_it_is_used() {
    for (file, dashboard) in dashboards() {
        let mut known = times()[0].variables();
        let group = |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit());
        let check = |known: &Variables, place: &str, text: &str| {
            let unknown: Vec<_> = known.unknown(text).into_iter().filter(|name| !group(name)).collect();
            assert!(unknown.is_empty(), "{file}: {place}: {unknown:?} in {text}");
        };
        for model in &dashboard.variables {
            check(&known, &model.name, &model.query);
            known = known.with(&model.name, model.opened(&[]));
        }
        for query in &dashboard.queries {
            check(&known, &query.place, expression(&query.asked).unwrap_or_default());
        }
        for panel in &dashboard.panels {
            check(&known, "title", &panel.title);
        }
    }
}

/// A rate over `$__interval` can have one sample in its window, and none on average.
#[test]
fn rates_look_back_far_enough() {
    for (file, dashboard) in dashboards() {
        for query in &dashboard.queries {
            let written = expression(&query.asked).unwrap_or_default();
            assert!(!written.contains("[$__interval]"), "{file}: {}: {written}", query.place);
        }
    }
}

#[test]
fn every_data_source_is_the_variable_that_names_ours() {
    let provisioned = text("provisioning/datasources/isinglass.yaml");
    assert!(provisioned.contains("\n    uid: isinglass\n"), "the uid is what dashboards open with");
    for (file, dashboard) in dashboards() {
        let source = dashboard.variables.first().unwrap_or_else(|| panic!("{file} has no variables"));
        assert_eq!((source.name.as_str(), source.kind.as_str()), ("datasource", "datasource"), "{file}");
        assert_eq!(source.current, ["isinglass"], "{file}");
        for (place, uid) in &dashboard.data_sources {
            let ours = uid == "${datasource}" || uid == "-- Grafana --" && place.starts_with("annotation ");
            assert!(ours, "{file}: {place}: {uid}");
        }
    }
}

#[test]
fn panels_have_numbers_and_words_of_their_own() {
    for (file, dashboard) in dashboards() {
        assert_eq!(dashboard.schema_version, 42, "{file}");
        let numbers: BTreeSet<_> = dashboard.panels.iter().map(|panel| panel.id).collect();
        assert_eq!(numbers.len(), dashboard.panels.len(), "{file}: a number twice");
        for panel in &dashboard.panels {
            assert!(!panel.title.trim().is_empty(), "{file}: panel {} has no title", panel.id);
            let described = panel.kind == "row" || !panel.description.trim().is_empty();
            assert!(described, "{file}: {:?} has no description", panel.title);
        }
    }
}

#[test]
fn panels_do_not_overlap_and_stay_within_the_grid() {
    for (file, dashboard) in dashboards() {
        for (at, panel) in dashboard.panels.iter().enumerate() {
            assert!(panel.place.x + panel.place.w <= 24, "{file}: {:?} is too wide", panel.title);
            assert!(panel.place.w > 0 && panel.place.h > 0, "{file}: {:?} has no size", panel.title);
            for other in &dashboard.panels[at + 1..] {
                assert!(
                    !panel.place.overlaps(&other.place),
                    "{file}: {:?} and {:?}",
                    panel.title,
                    other.title
                );
            }
        }
    }
}

/// Plugins that every Grafana from 11 on has.
#[test]
fn panels_are_of_core_kinds() {
    let core = ["bargauge", "heatmap", "nodeGraph", "row", "stat", "state-timeline", "table", "timeseries"];
    for (file, dashboard) in dashboards() {
        for panel in &dashboard.panels {
            assert!(core.contains(&panel.kind.as_str()), "{file}: {:?} is a {}", panel.title, panel.kind);
        }
    }
}

#[test]
fn every_rule_is_promql_over_known_metrics() {
    let exprs = rules::expressions(&text("rules/isinglass.yaml"));
    assert!(exprs.len() >= 20, "{exprs:?}");
    let known = metrics();
    for (rule, expr) in exprs {
        assert_known(&rule, &parse(&rule, &expr), &known);
    }
}

#[test]
fn recorded_series_are_listed() {
    let recorded = rules::recorded(&text("rules/isinglass.yaml"));
    let listed: BTreeSet<_> = metrics().into_iter().filter(|name| name.contains(':')).collect();
    assert_eq!(listed, recorded);
}

/// The list says nothing of the server that the server's own page does not say.
#[test]
fn listed_metrics_of_the_server_are_documented() {
    let page = folder::documentation();
    for name in metrics() {
        let ours = name.starts_with("isinglass_") || name.starts_with("process_");
        let histogram = ["_bucket", "_count", "_sum"].into_iter().find_map(|end| name.strip_suffix(end));
        let documented = [Some(name.as_str()), histogram]
            .into_iter()
            .flatten()
            .any(|name| page.contains(&format!("`{name}`")) || page.contains(&format!("`{name}{{")));
        assert!(!ours || documented, "{name} is not in docs/formats/metrics.md");
    }
}
