//! Which label names and values there are.

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::select::each_value;
use super::selection::{LabelColumn, Limited};
use super::table::SeriesTable;
use super::values::ValuesOf;

/// Names whose series are compared under one read lock.
const NAMES_AT_ONCE: usize = 64;

/// Values whose series are compared under one read lock.
const VALUES_AT_ONCE: usize = 64;

/// To compare the series of a value costs so many times what it costs to find the value of
/// one series.
const COST_OF_A_VALUE: usize = 4;

/// Every label name.
pub(super) fn all_names(table: &SeriesTable, limit: usize) -> Limited<Arc<str>> {
    let mut names: Vec<Arc<str>> =
        table.labels(|labels| labels.names().iter().map(|name| Arc::clone(&name.text)).collect());
    names.sort_unstable();
    Limited::of(names.into_iter(), limit)
}

/// Every value of a name.
pub(super) fn all_values(table: &SeriesTable, name: &str, limit: usize) -> Limited<String> {
    let Some(values) = ValuesOf::take(table, name, "") else { return Limited::of(std::iter::empty(), limit) };
    all_of(table, values, limit)
}

fn all_of(table: &SeriesTable, values: ValuesOf, limit: usize) -> Limited<String> {
    let values = values.in_order(table);
    Limited::of(values.sorted().map(|(_, text)| text.to_owned()), limit)
}

/// Label names of some series.
pub(super) fn names(table: &SeriesTable, series: &RoaringBitmap, limit: usize) -> Limited<Arc<str>> {
    let mut found = Vec::new();
    for from in (0..).step_by(NAMES_AT_ONCE) {
        let some: Vec<(Arc<str>, Arc<RoaringBitmap>)> = table.labels(|labels| {
            let some = labels.names().iter().skip(from).take(NAMES_AT_ONCE);
            some.map(|name| (Arc::clone(&name.text), Arc::clone(&name.series))).collect()
        });
        if some.is_empty() {
            break;
        }
        found.extend(some.into_iter().filter(|(_, has)| !has.is_disjoint(series)).map(|(name, _)| name));
    }
    found.sort_unstable();
    Limited::of(found.into_iter(), limit)
}

/// Values of a name of some series.
pub(super) fn values(
    table: &SeriesTable,
    series: &RoaringBitmap,
    name: &str,
    limit: usize,
) -> Limited<String> {
    let Some(values) = ValuesOf::take(table, name, "") else { return Limited::of(std::iter::empty(), limit) };
    // Read after the values: whoever has one of them is among these.
    let has = table.labels(|labels| labels.name_at(values.name).map(|name| Arc::clone(&name.series)));
    if has.is_some_and(|has| has.is_subset(series)) {
        return all_of(table, values, limit);
    }
    let found = if (series.len() as usize) < values.len().saturating_mul(COST_OF_A_VALUE) {
        let mut found = RoaringBitmap::new();
        each_value(table, series, values.name, |_, value| found.extend(value));
        found.into_iter().collect()
    } else {
        met(table, series, &values)
    };
    let mut texts: Vec<&str> = found.into_iter().filter_map(|value| values.get(value)).collect();
    texts.sort_unstable();
    Limited::of(texts.into_iter().map(str::to_owned), limit)
}

/// The values that one of the series has, asked of each value.
fn met(table: &SeriesTable, series: &RoaringBitmap, values: &ValuesOf) -> Vec<u32> {
    let mut found = Vec::new();
    for from in (0..values.len()).step_by(VALUES_AT_ONCE) {
        let to = values.len().min(from + VALUES_AT_ONCE);
        table.labels(|labels| {
            let Some(name) = labels.name_at(values.name) else { return };
            let meets =
                |value: &u32| name.postings.get(*value as usize).is_some_and(|posting| posting.meets(series));
            found.extend((from as u32..to as u32).filter(meets));
        });
    }
    found
}

/// The values of a name, series by series.
pub(super) fn column(table: &SeriesTable, series: &RoaringBitmap, name: &str) -> LabelColumn {
    let mut column = LabelColumn { keys: Vec::with_capacity(series.len() as usize), values: Vec::new() };
    let Some(values) = ValuesOf::take(table, name, "") else {
        column.keys.resize(series.len() as usize, None);
        return column;
    };
    let mut known: HashMap<u32, u32, ahash::RandomState> = HashMap::default();
    each_value(table, series, values.name, |_, value| {
        let key = value.map(|value| {
            *known.entry(value).or_insert_with(|| {
                column.values.push(values.get(value).unwrap_or_default().to_owned());
                column.values.len() as u32 - 1
            })
        });
        column.keys.push(key);
    });
    column
}
