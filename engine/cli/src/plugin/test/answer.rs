//! What a plugin answers to rows that are shown to it in one batch or in several.

use std::collections::BTreeMap;

use anyhow::bail;
use isinglass_chain::World;
use isinglass_chain::rehearsal::{Cost, Player};
use isinglass_model::deltas::{Deltas, DerivedKind, DerivedMetric};

use super::case::{Case, Delta, Take, Verdict};
use super::halves::{self, Half};
use super::rows::Layout;
use super::transformed::{self, Left};

/// An answer, the same however the rows were divided and ordered.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// By the number of the row.
    Rows(Vec<Left>),
    /// By the number of the row.
    Verdicts(Vec<Verdict>),
    /// By bucket.
    Plan(Vec<Take>),
    /// By metric and labels.
    Derived {
        deltas: Vec<Delta>,
        halves: Vec<Half>,
        /// What a server makes of these.
        pairs: Vec<Delta>,
    },
}

/// Shows the batches of rows to the plugin. The error is what failed.
pub(super) fn of(
    player: Player<'_>,
    world: World,
    case: &Case,
    layout: &Layout,
    batches: &[Vec<usize>],
) -> anyhow::Result<Answer> {
    let mut left = vec![Left::Row(BTreeMap::new()); case.rows.len()];
    let mut verdicts = vec![Verdict::Keep; case.rows.len()];
    let mut plan = BTreeMap::new();
    let (mut deltas, mut pairs) = (BTreeMap::new(), BTreeMap::new());
    let (mut halves, mut given) = (Vec::new(), Vec::new());
    for rows in batches {
        let chosen: Vec<_> = rows.iter().map(|row| (*row, &case.rows[*row])).collect();
        let batch = || layout.batch(&chosen);
        let now = case.now_unix_nanos;
        match world {
            World::Transformer => {
                let mut batch = layout.editable(&chosen)?;
                let said = player.transform(&mut *batch, now).map_err(anyhow::Error::msg)?;
                for (at, (row, seen)) in rows.iter().zip(transformed::seen(&*batch)?).enumerate() {
                    left[*row] = said.refusal(at).map_or(Left::Row(seen), |refusal| Left::Gone {
                        reason: refusal.reason.to_string(),
                        message: Some(refusal.message.clone()),
                    });
                }
            }
            World::Validator => {
                let said = player.validate(&*batch()?, now).map_err(anyhow::Error::msg)?;
                for (at, row) in rows.iter().enumerate() {
                    if let Some(refusal) = said.refusal(at) {
                        let (code, message) = (refusal.reason.to_string(), Some(refusal.message.clone()));
                        verdicts[*row] = Verdict::Refuse { code, message };
                    }
                }
            }
            World::Limiter => {
                let said = player.limit(&*batch()?, now).map_err(anyhow::Error::msg)?;
                said.into_iter().map(take).for_each(|take| add(&mut plan, take));
            }
            World::Deriver => {
                let said = player.derive(&*batch()?, now).map_err(anyhow::Error::msg)?;
                for said in said {
                    sum(&mut deltas, player.metrics(), &said);
                    if let Some(of_batch) = said.halves {
                        halves.extend(halves::read(&of_batch, rows));
                        given.push(*of_batch);
                    }
                }
            }
            World::Function => {}
        }
    }
    if let Some(pairing) = player.pairing() {
        let paired = isinglass_ingest::paired(pairing, player.metrics(), &given);
        paired.iter().for_each(|said| sum(&mut pairs, player.metrics(), said));
    }
    Ok(match world {
        World::Transformer => Answer::Rows(left),
        World::Validator => Answer::Verdicts(verdicts),
        World::Limiter => Answer::Plan(plan.into_values().collect()),
        World::Deriver => Answer::Derived {
            deltas: deltas.into_values().collect(),
            halves: halves::in_order(halves),
            pairs: pairs.into_values().filter(is_something).collect(),
        },
        World::Function => bail!("functions are called, not shown rows"),
    })
}

/// A cost as a case writes it.
pub(super) fn take(cost: Cost) -> Take {
    let Cost { bucket, rate_per_second, burst, cost } = cost;
    Take { bucket, rate_per_second, burst, cost }
}

fn add(plan: &mut BTreeMap<String, Take>, take: Take) {
    match plan.get_mut(&take.bucket) {
        Some(known) => known.cost += take.cost,
        None => drop(plan.insert(take.bucket.clone(), take)),
    }
}

/// Nothing is observed where a pair lacks a side, and nothing is written of that.
fn is_something(delta: &Delta) -> bool {
    delta.value != 0.0 || delta.buckets.iter().any(|count| *count != 0.0)
}

type Series = (String, BTreeMap<String, String>);

/// Adds increments by metric and labels. A label without a value is none, as in Prometheus.
fn sum(all: &mut BTreeMap<Series, Delta>, metrics: &[DerivedMetric], deltas: &Deltas) {
    for increments in &deltas.increments {
        let metric = &metrics[usize::from(increments.metric)];
        let width = metric.classic_buckets();
        for series in 0..deltas.series as usize {
            let label = |label: &isinglass_model::deltas::DerivedLabel| {
                (label.name.clone(), label.of(series).to_owned())
            };
            let labels: BTreeMap<_, _> =
                deltas.labels.iter().map(label).filter(|(_, value)| !value.is_empty()).collect();
            let delta = all.entry((metric.name.clone(), labels.clone())).or_insert_with(|| Delta {
                metric: metric.name.clone(),
                labels,
                value: 0.0,
                buckets: vec![0.0; width],
            });
            match metric.kind {
                DerivedKind::Gauge => delta.value = increments.values[series],
                _ => delta.value += increments.values[series],
            }
            let counts = &increments.buckets[series * width..(series + 1) * width];
            delta.buckets.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
    }
}
