//! Samples: what is said of them is mostly said of their label sets, each of which is shown to a
//! plugin once and remembered.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_chain::{Unknown, World};
use isinglass_model::batch::{HistogramBatch, SampleBatch, SeriesBatch};
use isinglass_model::labels::LabelSet;
use isinglass_model::reason::DROPPED;
use isinglass_model::series::SeriesRef;
use isinglass_model::tables::shadow::what;
use isinglass_model::verdict::{RowRefusal, Verdicts};
use isinglass_model::{Reason, Tenant};
use isinglass_store::Life;
use serde_json::json;

use super::ask::{Asked, EXAMPLES_MAX, KEPT};
use super::seen::SeenMetrics;
use super::senders::of_labels;
use super::sums::{Example, Group};
use crate::labelled::Labelled;

/// Label sets whose verdict is remembered, all plugins and tenants together. At the bound all are
/// forgotten and shown again.
const REMEMBERED_MAX: usize = 500_000;

/// What a plugin says of a label set.
#[derive(Debug, Clone)]
enum Said {
    Nothing,
    Refused(Arc<RowRefusal>),
    Changed(Arc<[LabelChange]>),
}

#[derive(Debug)]
struct LabelChange {
    label: String,
    before: Option<String>,
    after: Option<String>,
}

type BySeries = HashMap<SeriesRef, Said, ahash::RandomState>;

/// What was said before, by plugin (its configuration included) and tenant.
#[derive(Debug, Default)]
pub(super) struct SeriesCache {
    known: HashMap<(u64, Tenant), (Life, BySeries), ahash::RandomState>,
}

impl SeriesCache {
    fn of(&mut self, identity: u64, tenant: &Tenant, life: Life) -> &mut BySeries {
        let remembered: usize = self.known.values().map(|(_, series)| series.len()).sum();
        if remembered >= REMEMBERED_MAX {
            self.known.clear();
        }
        let (of, known) = self.known.entry((identity, tenant.clone())).or_default();
        if *of != life {
            // The tenant was deleted meanwhile, and its series mean nothing any more.
            (*of, *known) = (life, BySeries::default());
        }
        known
    }
}

/// A sample or a histogram.
struct Item {
    series: SeriesRef,
    time_ms: i64,
    value: Option<f64>,
}

fn items(metrics: &SeenMetrics) -> impl Iterator<Item = Item> + '_ {
    let samples = &metrics.samples;
    let of_samples = (0..samples.len()).map(|row| Item {
        series: samples.series[row],
        time_ms: samples.time_ms[row],
        value: Some(samples.value[row]),
    });
    let of_histograms = metrics.histograms.rows.iter();
    of_samples.chain(of_histograms.map(|row| Item {
        series: row.series,
        time_ms: row.time_ms,
        value: row.sum,
    }))
}

fn labels(metrics: &SeenMetrics) -> HashMap<SeriesRef, LabelSet, ahash::RandomState> {
    let mut series: Vec<_> = items(metrics).map(|item| item.series).collect();
    series.sort_unstable();
    series.dedup();
    series.into_iter().filter_map(|series| Some((series, metrics.resolver.labels_of(series)?))).collect()
}

/// Samples and histograms of these series by job.
pub(super) fn senders(metrics: &SeenMetrics, sees: impl Fn(&LabelSet) -> bool) -> Vec<(String, u64)> {
    let labels = labels(metrics);
    let mut counts = HashMap::<&str, u64, ahash::RandomState>::default();
    for item in items(metrics) {
        match labels.get(&item.series) {
            Some(labels) if !sees(labels) => {}
            labels => *counts.entry(labels.map_or("", of_labels)).or_default() += 1,
        }
    }
    counts.into_iter().map(|(sender, items)| (sender.to_owned(), items)).collect()
}

/// The samples and histograms that the validators kept.
pub(super) fn kept(metrics: &SeenMetrics) -> (SampleBatch, HistogramBatch) {
    let (mut samples, mut histograms) = (metrics.samples.clone(), metrics.histograms.clone());
    samples.retain_series(|series| !metrics.judged.refused.contains_key(&series));
    samples.retain(|row| metrics.judged.of_samples.refusal(row).is_none());
    histograms.rows.retain(|row| !metrics.judged.refused.contains_key(&row.series));
    let mut row = 0;
    histograms.rows.retain(|_| {
        row += 1;
        metrics.judged.of_histograms.refusal(row - 1).is_none()
    });
    (samples, histograms)
}

/// Asks a validator or a transformer.
pub(super) fn ask(asked: &Asked<'_>, metrics: &SeenMetrics, cache: &mut SeriesCache) {
    let labels = labels(metrics);
    let mut identity = DefaultHasher::new();
    asked.shadow.identity().hash(&mut identity);
    let known = cache.of(identity.finish(), &asked.seen.tenant, metrics.resolver.life());
    let total = (metrics.samples.len() + metrics.histograms.len()) as u64;
    if let Err(unknown) = show(asked, &labels, known) {
        return asked.failed(unknown, total);
    }
    let (of_samples, of_histograms) = match times(asked, metrics) {
        Ok(said) => said,
        Err(unknown) => return asked.failed(unknown, total),
    };
    let live = live(metrics);
    let mut tally = Tally { asked, labels: &labels, alike: HashMap::default() };
    for (row, item) in items(metrics).enumerate() {
        let of_row = row.checked_sub(metrics.samples.len());
        let by_time = of_row.map_or_else(|| of_samples.refusal(row), |row| of_histograms.refusal(row));
        let said = known.get(&item.series).unwrap_or(&Said::Nothing);
        tally.count(&item, said, by_time, live[row]);
    }
    tally.add();
}

/// Shows the label sets that it has not seen yet.
fn show(
    asked: &Asked<'_>,
    labels: &HashMap<SeriesRef, LabelSet, ahash::RandomState>,
    known: &mut BySeries,
) -> Result<(), Unknown> {
    let (series, old): (Vec<_>, Vec<_>) = labels
        .iter()
        .filter(|(series, _)| !known.contains_key(*series))
        .map(|(series, labels)| (*series, labels.clone()))
        .unzip();
    if series.is_empty() {
        return Ok(());
    }
    let (seen, mut batch) = (asked.seen, SeriesBatch { labels: old.clone() });
    let said = match asked.shadow.world() {
        World::Transformer => asked.shadow.transform(&seen.tenant, &mut batch, seen.now_unix_nanos)?,
        _ => asked.shadow.validate(&seen.tenant, &batch, seen.now_unix_nanos)?,
    };
    for (row, series) in series.into_iter().enumerate() {
        let of = match said.refusal(row) {
            Some(refusal) => Said::Refused(Arc::new(refusal.clone())),
            None if old[row] == batch.labels[row] => Said::Nothing,
            None => Said::Changed(changes(&old[row], &batch.labels[row])),
        };
        known.insert(series, of);
    }
    Ok(())
}

fn changes(old: &LabelSet, new: &LabelSet) -> Arc<[LabelChange]> {
    let added = new.iter().map(|(name, _)| name).filter(|name| old.get(name).is_none());
    let names = old.iter().map(|(name, _)| name).chain(added);
    let changed = names.filter(|name| old.get(name) != new.get(name)).map(|name| LabelChange {
        label: name.to_owned(),
        before: old.get(name).map(str::to_owned),
        after: new.get(name).map(str::to_owned),
    });
    changed.collect()
}

/// What a validator says of the samples themselves.
fn times(asked: &Asked<'_>, metrics: &SeenMetrics) -> Result<(Verdicts, Verdicts), Unknown> {
    if asked.shadow.world() != World::Validator {
        return Ok(Default::default());
    }
    let samples = asked.validate(&Labelled::new(&metrics.samples, &metrics.resolver))?;
    let histograms = asked.validate(&Labelled::new(&metrics.histograms, &metrics.resolver))?;
    Ok((samples, histograms))
}

/// For each item why the enforced validators refused it.
fn live(metrics: &SeenMetrics) -> Vec<Option<Refused<'_>>> {
    let of_samples = metrics.samples.series.iter().copied();
    let mut all = refused(metrics, of_samples, &metrics.judged.of_samples);
    let of_histograms = metrics.histograms.rows.iter().map(|row| row.series);
    all.extend(refused(metrics, of_histograms, &metrics.judged.of_histograms));
    all
}

/// `verdicts` are of the items whose label set was kept.
fn refused<'a>(
    metrics: &'a SeenMetrics,
    series: impl Iterator<Item = SeriesRef>,
    verdicts: &'a Verdicts,
) -> Vec<Option<Refused<'a>>> {
    let mut kept = 0;
    let of = |series| {
        if let Some(refusal) = metrics.judged.refused.get(&series) {
            return Some((&refusal.reason, refusal.plugin.as_str(), refusal.digest.as_str()));
        }
        kept += 1;
        let refusal = verdicts.refusal(kept - 1)?;
        Some((&refusal.reason, refusal.plugin.as_str(), refusal.digest.as_str()))
    };
    series.map(of).collect()
}

/// Reason, plugin and digest.
type Refused<'a> = (&'a Reason, &'a str, &'a str);

/// Items that are treated alike.
struct Tally<'a> {
    asked: &'a Asked<'a>,
    labels: &'a HashMap<SeriesRef, LabelSet, ahash::RandomState>,
    alike: HashMap<Group, (u64, Vec<Example>), ahash::RandomState>,
}

impl Tally<'_> {
    fn count(&mut self, item: &Item, said: &Said, by_time: Option<&RowRefusal>, live: Option<Refused<'_>>) {
        let refusal = match said {
            Said::Refused(refusal) => Some(&**refusal),
            _ => by_time,
        };
        let became = live.map(|(reason, ..)| reason.clone()).or_else(|| self.asked.seen.kept_but_limited());
        let became = Some(became.unwrap_or(Reason::Borrowed(KEPT)));
        let sender = self.labels.get(&item.series).map_or("", of_labels);
        let group = |what| Group { live: became.clone(), ..self.asked.group(what, sender) };
        if let Some(refusal) = refusal {
            let (what, reason) = match refusal.reason.strip_prefix(DROPPED) {
                Some(code) => (what::DROPPED, Reason::Owned(code.to_owned())),
                None => (what::REFUSED, refusal.reason.clone()),
            };
            let group = Group { reason: Some(reason), ..group(what) };
            self.add_one(group, item, || (Some(refusal.message.clone()), None, None));
        } else if let Said::Changed(changes) = said {
            for change in changes.iter() {
                let group =
                    Group { field: Some(format!("labels['{}']", change.label)), ..group(what::CHANGED) };
                self.add_one(group, item, || (None, change.before.clone(), change.after.clone()));
            }
        } else if let Some((_, plugin, digest)) = live
            && self.asked.shadow.enforced(&self.asked.seen.tenant) == Some((plugin, digest))
        {
            self.add_one(group(what::KEPT), item, || (None, None, None));
        }
    }

    fn add_one(
        &mut self,
        group: Group,
        item: &Item,
        texts: impl FnOnce() -> (Option<String>, Option<String>, Option<String>),
    ) {
        let (items, examples) = self.alike.entry(group).or_default();
        *items += 1;
        if examples.len() < EXAMPLES_MAX {
            let (message, before, after) = texts();
            let labels = self.labels.get(&item.series).map(ToString::to_string);
            // A NaN or an infinity has no JSON number, so values are text.
            let value = item.value.map(|value| value.to_string());
            let shown = json!({ "series": labels, "time_ms": item.time_ms, "value": value });
            examples.push(Example { message, before, after, item: Some(shown.to_string()) });
        }
    }

    fn add(self) {
        for (group, (items, examples)) in self.alike {
            self.asked.add(group, items, |_| examples);
        }
    }
}
