//! What the series of a tenant are made of.

use isinglass_model::Kind;
use isinglass_promql::EvalError;
use isinglass_store::{MatchOp, Matcher, View};

use super::request::Cardinality;
use crate::error::QueryError;

/// The `limit` largest of each list. Walks over all values of all labels; `ended` is asked at
/// each label.
pub(super) fn of(
    view: &View,
    limit: usize,
    ended: &dyn Fn() -> Option<EvalError>,
) -> Result<Cardinality, EvalError> {
    let index = view.series();
    let of_store = |error| QueryError::of_store(error).to_promql();
    let mut found =
        Cardinality { series: index.len() as u64, head_time_ms: head_time(view), ..Cardinality::default() };
    found.series_by_metric =
        index.metrics().iter().map(|metric| (metric.name.to_string(), metric.series as u64)).collect();
    largest(&mut found.series_by_metric, limit);
    for name in index.label_names(&[], None, usize::MAX).map_err(of_store)?.items {
        ended().map_or(Ok(()), Err)?;
        let values = index.label_values(&name, &[], None, usize::MAX).map_err(of_store)?.items;
        let bytes: usize = values.iter().map(String::len).sum();
        found.label_pairs += values.len() as u64;
        found.values_by_label.push((name.to_string(), values.len() as u64));
        found.bytes_by_label.push((name.to_string(), bytes as u64));
        pairs(view, &name, limit, &mut found.series_by_pair)?;
        for list in [&mut found.values_by_label, &mut found.bytes_by_label, &mut found.series_by_pair] {
            largest(list, limit);
        }
    }
    Ok(found)
}

/// How many series have each value of a label.
fn pairs(view: &View, name: &str, limit: usize, all: &mut Vec<(String, u64)>) -> Result<(), EvalError> {
    let has = [Matcher::new(name, MatchOp::NotEqual, "")];
    let series = view.series().select(&has).map_err(|error| QueryError::of_store(error).to_promql())?;
    let column = series.column(name);
    let mut counts = vec![0_u64; column.values.len()];
    for key in column.keys.into_iter().flatten() {
        if let Some(count) = counts.get_mut(key as usize) {
            *count += 1;
        }
    }
    let mut of_label: Vec<(String, u64)> = column.values.into_iter().zip(counts).collect();
    largest(&mut of_label, limit);
    all.extend(of_label.into_iter().map(|(value, count)| (format!("{name}={value}"), count)));
    Ok(())
}

/// The largest ones; of equals the first by name.
fn largest(list: &mut Vec<(String, u64)>, limit: usize) {
    list.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    list.truncate(limit);
}

fn head_time(view: &View) -> Option<(i64, i64)> {
    let of = |kind| view.table(kind).head_time();
    let ranges = [Kind::Samples, Kind::Histograms].into_iter().filter_map(of);
    let whole = ranges.reduce(|(low, high), (from, to)| (low.min(from), high.max(to)))?;
    Some((whole.0.div_euclid(1_000), whole.1.div_euclid(1_000)))
}
