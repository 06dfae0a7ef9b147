//! Transformers, before anything else looks at a request.
//!
//! Where there are some, nothing is kept that they have not seen: items that decode or a failed
//! transformer refuses are set aside without their text ([`WITHHELD`]), and an item that a
//! transformer drops is counted only.

use std::borrow::Cow;
use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::batch::{Decoded, SeriesBatch};
use isinglass_model::columns::Columns as _;
use isinglass_model::counts::{RejectedItem, Rejections};
use isinglass_model::edits::Rows;
use isinglass_model::kind::Signal;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::reason::code;
use isinglass_model::series::{Judgement, Refusal, SeriesRef};
use isinglass_model::verdict::{RowRefusal, Verdicts};
use isinglass_store::{Arrival, Resolver};

use crate::error::IngestError;
use crate::filter::{drop_series, retain_exemplars};
use crate::judge::RefusedSeries;
use crate::labelled::ExemplarLabels;

/// The text of an item that no transformer has seen.
pub(crate) const WITHHELD: &str = r#"{"withheld":"no transformer has seen it"}"#;

/// What is said of such an item where the words of decode might quote it.
const UNSEEN: &str = "refused before a transformer saw it; its sender was told what is wrong";

/// An item as it is set aside, though no transformer has seen it.
pub(crate) fn withheld(item: &RejectedItem) -> RejectedItem {
    // A plugin that refused the series speaks of labels that went through the transformers.
    let message = if item.plugin.is_empty() { UNSEEN } else { &item.message };
    RejectedItem { message: message.to_owned(), item: WITHHELD.to_owned(), ..item.clone() }
}

/// Changes log records and spans, and takes out what must not go on.
pub(crate) fn transform_rows(
    chain: &Chain,
    tenant: &Tenant,
    decoded: &mut Decoded,
    now_unix_nanos: i64,
) -> Result<(), IngestError> {
    let mut transform = |rows: &mut Rows, signal| {
        let verdicts = chain.transform(tenant, rows, now_unix_nanos)?;
        if !verdicts.keeps_all() {
            refuse(&verdicts, signal, rows.rows(), &mut decoded.rejections);
            rows.retain(|row| verdicts.refusal(row).is_none()).map_err(IngestError::Internal)?;
        }
        Ok::<(), IngestError>(())
    };
    if let Some(logs) = decoded.logs.take_if(|_| chain.transforms(tenant, Signal::Logs)) {
        let mut rows = Rows::from(logs);
        transform(&mut rows, Signal::Logs)?;
        decoded.logs = Some(rows.into_logs());
    }
    if let Some(spans) = decoded.spans.take_if(|_| chain.transforms(tenant, Signal::Traces)) {
        let mut rows = Rows::from(spans);
        transform(&mut rows, Signal::Traces)?;
        decoded.spans = Some(rows.into_spans());
    }
    Ok(())
}

fn refuse(verdicts: &Verdicts, signal: Signal, rows: usize, rejections: &mut Rejections) {
    for refusal in (0..rows).filter_map(|row| verdicts.refusal(row)) {
        rejections.push(refusal.reason.clone(), |reason| RejectedItem {
            signal,
            reason,
            message: refusal.message.clone(),
            plugin: refusal.plugin.clone(),
            digest: refusal.digest.clone(),
            rule: refusal.rule.clone(),
            item: WITHHELD.to_owned(),
        });
    }
}

/// Shows label sets to the transformers that they have not seen yet, and lets the rows of the
/// request point to what they made of them. What validators have to judge is left in
/// `decoded.unjudged`; given back are series among it, or made of it, that were refused before.
pub(crate) fn transform_series(
    chain: &Chain,
    tenant: &Tenant,
    decoded: &mut Decoded,
    resolver: &mut Resolver,
    now_unix_nanos: i64,
) -> Result<RefusedSeries, IngestError> {
    let mut arrived = std::mem::take(&mut decoded.unjudged);
    arrived.sort_unstable();
    arrived.dedup();
    if arrived.is_empty() {
        return Ok(RefusedSeries::default());
    }
    let labels: Vec<_> =
        arrived.iter().map(|series| resolver.labels_of(*series)).collect::<Option<_>>().unwrap_or_default();
    if labels.len() != arrived.len() {
        return Err(IngestError::Internal("a series of this request has no labels".to_owned()));
    }
    let mut batch = SeriesBatch { labels: labels.clone() };
    let verdicts = chain.transform(tenant, &mut batch, now_unix_nanos)?;
    let mut seen = Vec::with_capacity(arrived.len());
    let mut gone = RefusedSeries::default();
    let mut becomes = HashMap::<SeriesRef, SeriesRef, ahash::RandomState>::default();
    for (row, ((series, old), new)) in arrived.iter().zip(&labels).zip(batch.labels).enumerate() {
        if let Some(refusal) = verdicts.refusal(row) {
            let refusal = Arc::new(remembered(refusal));
            if refusal.reason != code::PLUGIN_ERROR {
                seen.push((*series, Arrival::Refused(Arc::clone(&refusal))));
            }
            gone.insert(*series, refusal);
        } else if *old == new {
            seen.push((*series, Arrival::Unchanged));
            becomes.insert(*series, *series);
        } else {
            match resolver.intern_labels(new) {
                Ok(known) => {
                    seen.push((*series, Arrival::Becomes(known.series)));
                    becomes.insert(*series, known.series);
                }
                Err(error) => {
                    gone.insert(*series, Arc::new(over_the_cap(&error)));
                }
            }
        }
    }
    let Decoded { samples, histograms, exemplars, rejections, .. } = decoded;
    drop_series(&gone, samples, histograms, exemplars, &|_| None, rejections);
    let point = |series: &mut SeriesRef| *series = becomes.get(series).copied().unwrap_or(*series);
    samples.series.iter_mut().for_each(point);
    histograms.rows.iter_mut().for_each(|row| point(&mut row.series));
    exemplars.series.iter_mut().for_each(point);

    let mut refused = RefusedSeries::default();
    for series in becomes.into_values() {
        match resolver.judgement(series) {
            Judgement::Keep => {}
            Judgement::Pending => decoded.unjudged.push(series),
            Judgement::Reject(refusal) => {
                refused.insert(series, refusal);
            }
        }
    }
    // One that was passed over has not seen them: they are shown again next time.
    if verdicts.plugin_errors == 0 {
        resolver.arrived(&seen, chain.validators_digest());
    }
    Ok(refused)
}

fn remembered(refusal: &RowRefusal) -> Refusal {
    let RowRefusal { reason, message, plugin, digest, rule } = refusal.clone();
    Refusal { reason, message, plugin, digest, rule }
}

fn over_the_cap(error: &isinglass_model::series::ResolveError) -> Refusal {
    Refusal {
        reason: error.reason().into(),
        message: error.to_string(),
        plugin: String::new(),
        digest: String::new(),
        rule: String::new(),
    }
}

/// Shows the labels of exemplars to the transformers, as those of a series of their metric.
pub(crate) fn transform_exemplars(
    chain: &Chain,
    tenant: &Tenant,
    decoded: &mut Decoded,
    resolver: &Resolver,
    now_unix_nanos: i64,
) -> Result<(), IngestError> {
    let Decoded { exemplars, rejections, .. } = decoded;
    let mut rows = Vec::new();
    let mut batch = ExemplarLabels::default();
    for (row, attributes) in exemplars.attributes.iter_mut().enumerate().filter(|(_, of)| !of.is_empty()) {
        let of_series = resolver.labels_of(exemplars.series[row]);
        let labels = of_series.and_then(|series| Some((shown(attributes, series.metric())?, series)));
        match labels {
            Some((labels, series)) => {
                batch.own.labels.push(labels);
                batch.of_series.push(series);
                rows.push(row);
            }
            // What cannot be shown cannot be kept.
            None => attributes.clear(),
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let verdicts = chain.transform(tenant, &mut batch, now_unix_nanos)?;
    let mut keep = vec![true; exemplars.len()];
    for (at, (row, labels)) in rows.into_iter().zip(&batch.own.labels).enumerate() {
        keep[row] = verdicts.refusal(at).is_none();
        let old = std::mem::take(&mut exemplars.attributes[row]);
        exemplars.attributes[row] = labels
            .iter()
            .filter(|(name, _)| *name != METRIC_NAME)
            .map(|(name, value)| (name.to_owned(), json_of(&old, name, value)))
            .collect();
    }
    refuse(&verdicts, Signal::Metrics, batch.rows(), rejections);
    retain_exemplars(exemplars, &keep);
    Ok(())
}

/// Labels of an exemplar, of several of one name the first; `None` if they are no label set.
fn shown(attributes: &[(String, String)], metric: &str) -> Option<LabelSet> {
    let mut texts: Vec<(&str, Cow<'_, str>)> = vec![(METRIC_NAME, metric.into())];
    for (name, json) in attributes {
        if texts.iter().all(|(known, _)| known != name) {
            texts.push((name, plain(json)));
        }
    }
    let mut labels: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, &**text)).collect();
    LabelSet::new(&mut labels, Temporality::Unspecified).ok()
}

/// The text of a JSON string; anything else as JSON text.
fn plain(json: &str) -> Cow<'_, str> {
    serde_json::from_str::<String>(json).map_or(Cow::Borrowed(json), Cow::Owned)
}

/// The value as it came, if it is still the same, else a JSON string.
fn json_of(old: &[(String, String)], name: &str, value: &str) -> String {
    let same = |(known, json): &&(String, String)| known == name && plain(json) == value;
    old.iter().find(same).map_or_else(|| serde_json::Value::from(value).to_string(), |(_, json)| json.clone())
}
