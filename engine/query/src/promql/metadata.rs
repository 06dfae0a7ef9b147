//! Questions about labels and metrics, which the index alone answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use isinglass_lang::promql::ast::{MatchOp, Matcher};
use isinglass_promql::labels::METRIC_NAME;
use isinglass_promql::{EvalError, Labels};
use isinglass_store::{Days, View};

use super::request::{Found, MetadataSelection, MetricMetadata};
use super::series;
use super::source::StoreSource;

/// Label sets of the series that are selected.
pub(super) fn series(
    source: &StoreSource,
    selection: &MetadataSelection,
    limit: usize,
) -> Result<Found<Vec<Labels>>, EvalError> {
    united(selection, limit, |matchers, days| {
        let found = series::select(source.view(), matchers, days)?.series(limit.saturating_add(1));
        let mut all: Vec<Labels> = found.items.iter().map(series::labels).collect();
        all.extend(of_views(source, matchers, selection)?);
        Ok(all)
    })
}

/// Names of their labels.
pub(super) fn label_names(
    source: &StoreSource,
    selection: &MetadataSelection,
    limit: usize,
) -> Result<Found<Vec<String>>, EvalError> {
    united(selection, limit, |matchers, days| {
        let found = series::select(source.view(), matchers, days)?.label_names(limit.saturating_add(1));
        let mut names: Vec<String> = found.items.iter().map(|name| name.to_string()).collect();
        for labels in of_views(source, matchers, selection)? {
            names.extend(labels.iter().map(|(name, _)| name.to_owned()));
        }
        Ok(names)
    })
}

/// Values of one of their labels.
pub(super) fn label_values(
    source: &StoreSource,
    label: &str,
    selection: &MetadataSelection,
    limit: usize,
) -> Result<Found<Vec<String>>, EvalError> {
    united(selection, limit, |matchers, days| {
        let found = series::select(source.view(), matchers, days)?;
        let mut values = found.label_values(label, limit.saturating_add(1)).items;
        if label == METRIC_NAME {
            values.extend(source.views().names(matchers)?);
        } else {
            let of = |labels: &Labels| labels.get(label).to_owned();
            let own = of_views(source, matchers, selection)?;
            values.extend(own.iter().map(of).filter(|value| !value.is_empty()));
        }
        Ok(values)
    })
}

/// The label sets of views that matchers find by name.
fn of_views(
    source: &StoreSource,
    matchers: &[Matcher],
    selection: &MetadataSelection,
) -> Result<Vec<Labels>, EvalError> {
    source.views().labels(matchers, (selection.start_ms, selection.end_ms), source.reads())
}

/// What any of the selectors finds, sorted; each says one more than the limit, if there is more.
fn united<T: Ord>(
    selection: &MetadataSelection,
    limit: usize,
    mut find: impl FnMut(&[Matcher], Option<Days>) -> Result<Vec<T>, EvalError>,
) -> Result<Found<Vec<T>>, EvalError> {
    let days = match (selection.start_ms, selection.end_ms) {
        (None, None) => None,
        (start, end) => Some(series::days(start.unwrap_or(i64::MIN), end.unwrap_or(i64::MAX))),
    };
    let mut items = Vec::new();
    if selection.matchers.is_empty() {
        items.extend(find(&[], days.clone())?);
    }
    for matchers in &selection.matchers {
        items.extend(find(matchers, days.clone())?);
    }
    // What the index alone finds is in order.
    items.sort_unstable();
    items.dedup();
    let truncated = items.len() > limit;
    items.truncate(limit);
    let warnings = if truncated { vec!["results truncated due to limit".to_owned()] } else { Vec::new() };
    Ok(Found { items, truncated, warnings })
}

/// Metric families that somebody described, by name.
pub(super) fn families(view: &View, metric: Option<&str>, limit: usize) -> Vec<MetricMetadata> {
    let mut families = BTreeMap::new();
    for found in view.series().metrics() {
        let meta = &found.meta;
        if meta.metric_type.is_empty() && meta.help.is_empty() && meta.unit.is_empty() {
            continue;
        }
        let name = family(&found.name, &meta.metric_type);
        if metric.is_some_and(|wanted| wanted != name) || families.contains_key(name) {
            continue;
        }
        let kind = if meta.metric_type.is_empty() { "unknown" } else { &meta.metric_type };
        let described = MetricMetadata {
            metric: name.to_owned(),
            kind: kind.to_owned(),
            help: meta.help.clone(),
            unit: meta.unit.clone(),
        };
        families.insert(name.to_owned(), described);
    }
    families.into_values().take(limit).collect()
}

/// The name that the series of a classic histogram or summary have in common.
fn family<'a>(metric: &'a str, kind: &str) -> &'a str {
    let suffixes: &[&str] = match kind {
        "histogram" | "gaugehistogram" => &["_bucket", "_sum", "_count"],
        "summary" => &["_sum", "_count"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| metric.strip_suffix(suffix)).unwrap_or(metric)
}

/// A selector as PromQL writes it.
pub(super) fn selector(matchers: &[Matcher]) -> String {
    let mut text = String::from("{");
    for (at, matcher) in matchers.iter().enumerate() {
        let op = match matcher.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Matches => "=~",
            MatchOp::NotMatches => "!~",
        };
        let comma = if at > 0 { ", " } else { "" };
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}{}{op}{:?}", matcher.label, matcher.value);
    }
    text.push('}');
    text
}

/// What a question is about, for the list of queries.
pub(super) fn written(selection: &MetadataSelection) -> String {
    let selectors: Vec<String> = selection.matchers.iter().map(|matchers| selector(matchers)).collect();
    if selectors.is_empty() { String::new() } else { format!(" of {}", selectors.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_no_suffix() {
        assert_eq!(family("a_bucket", "histogram"), "a");
        assert_eq!(family("a_count", "summary"), "a");
        assert_eq!(family("a_bucket", "summary"), "a_bucket");
        assert_eq!(family("a_count", "counter"), "a_count");
    }
}
