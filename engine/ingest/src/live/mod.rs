//! What is active of each tenant: log streams, live traces, the newest sample of each series.
//!
//! New streams and traces beyond a limit are refused, those that are there flow on. What a
//! request adds counts from the moment it is let in; how far streams and series have come is
//! noted only once its record is in the log, because its sender may send it again. After a
//! restart nothing is active, so that limits are met by who comes first.
//!
//! | file | is |
//! |---|---|
//! | `streams.rs` | active streams, and lines too far behind |
//! | `traces.rs` | live traces and their bytes |
//! | `order.rs` | samples too far behind, other values at the same time |
//! | `recent.rs` | a table of what was seen lately |
//! | `refusals.rs` | verdicts with sentences of their own |

use std::sync::Arc;

use hashbrown::HashMap;
use isinglass_model::batch::Decoded;
use isinglass_model::kind::Signal;
use isinglass_model::reason::code;
use isinglass_model::verdict::Verdicts;
use isinglass_model::{Clock, Tenant};
use isinglass_store::{Life, Resolver, SeriesLimits};
use parking_lot::Mutex;

use crate::config::IngestConfig;
use crate::error::IngestError;
use crate::filter::{LabelText, drop_histograms, drop_rows, drop_samples};
use crate::limits::TenantLimits;

mod order;
mod recent;
mod refusals;
mod streams;
mod traces;

use order::{Newest, Order};
use refusals::Refusals;
use streams::{Progress, Streams};
use traces::Traces;

/// Tenants with something active; at the bound those without it go.
const TENANTS_MAX: usize = 10_000;

/// What is active of all tenants.
pub(crate) struct Live {
    general: TenantLimits,
    own: HashMap<Tenant, TenantLimits, ahash::RandomState>,
    tenants: Mutex<HashMap<Tenant, Arc<Active>, ahash::RandomState>>,
    clock: Arc<dyn Clock>,
}

/// What is active of a tenant.
#[derive(Default)]
struct Active {
    streams: Mutex<Streams>,
    traces: Mutex<Traces>,
    order: Mutex<Order>,
}

/// How far streams and series have come with a request, to be noted once it is stored.
pub(crate) struct Advance {
    active: Arc<Active>,
    streams: Vec<Progress>,
    life: Life,
    newest: Newest,
}

impl Advance {
    /// The request is stored.
    pub(crate) fn note(self) {
        if !self.streams.is_empty() {
            self.active.streams.lock().advance(&self.streams);
        }
        if !self.newest.is_empty() {
            self.active.order.lock().advance(self.life, &self.newest);
        }
    }
}

impl Live {
    pub(crate) fn new(config: &IngestConfig, clock: Arc<dyn Clock>) -> Self {
        let own = |(name, own): (&String, &crate::limits::OwnLimits)| {
            Some((Tenant::new(name).ok()?, own.over(&config.limits)))
        };
        Self {
            general: config.limits,
            own: config.tenants.iter().filter_map(own).collect(),
            tenants: Mutex::default(),
            clock,
        }
    }

    /// The limits of a tenant.
    pub(crate) fn limits(&self, tenant: &Tenant) -> &TenantLimits {
        self.own.get(tenant).unwrap_or(&self.general)
    }

    /// Refuses everything of a tenant whose intake is switched off.
    pub(crate) fn check_open(&self, tenant: &Tenant) -> Result<(), IngestError> {
        let limits = self.limits(tenant);
        match self.clock.now_unix_millis() < limits.blocked_until_ms {
            true => Err(IngestError::Blocked {
                tenant: tenant.clone(),
                until_ms: limits.blocked_until_ms,
                status: limits.blocked_status,
            }),
            false => Ok(()),
        }
    }

    /// How many series the tenant may have.
    pub(crate) fn of_series(&self, tenant: &Tenant) -> SeriesLimits {
        let limits = self.limits(tenant);
        let given = |limit: usize| if limit == 0 { usize::MAX } else { limit };
        SeriesLimits {
            total: given(limits.series_max),
            per_metric: given(limits.series_per_metric_max),
            metadata_bytes: limits.metadata_bytes_max,
        }
    }

    /// Takes out what is over a limit on what is active. `None` if there is nothing to note.
    pub(crate) fn keep(
        &self,
        tenant: &Tenant,
        decoded: &mut Decoded,
        resolver: &Resolver,
    ) -> Result<Option<Advance>, IngestError> {
        let limits = self.limits(tenant);
        let text = |series| resolver.labels_of(series).map_or_else(String::new, |labels| labels.to_string());
        if limits.histogram_buckets_max > 0 {
            few_buckets(decoded, limits.histogram_buckets_max, &text);
        }
        if !(limits.of_streams() || limits.of_traces() || limits.of_order()) {
            return Ok(None);
        }
        let active = self.active(tenant);
        let now = self.clock.monotonic();
        let mut streams = Vec::new();
        if limits.of_streams()
            && let Some(logs) = &mut decoded.logs
        {
            let verdicts;
            (verdicts, streams) = active.streams.lock().judge(&logs.table, limits, now);
            keep_rows(&mut logs.table, &verdicts, Signal::Logs, &mut decoded.rejections)?;
            logs.attributes = logs.attributes.take().filter(|_| verdicts.keeps_all());
        }
        if limits.of_traces()
            && let Some(spans) = &mut decoded.spans
        {
            let verdicts = active.traces.lock().judge(&spans.table, limits, now);
            keep_rows(&mut spans.table, &verdicts, Signal::Traces, &mut decoded.rejections)?;
            spans.attributes = spans.attributes.take().filter(|_| verdicts.keeps_all());
        }
        let life = resolver.life();
        let newest = match limits.of_order() {
            true => in_order(&active, decoded, life, limits, &text),
            false => Newest::default(),
        };
        Ok(Some(Advance { active, streams, life, newest }))
    }

    fn active(&self, tenant: &Tenant) -> Arc<Active> {
        let mut tenants = self.tenants.lock();
        if let Some(active) = tenants.get(tenant) {
            return Arc::clone(active);
        }
        if tenants.len() >= TENANTS_MAX {
            let now = self.clock.monotonic();
            tenants.retain(|tenant, active| !active.is_idle(self.limits(tenant), now));
        }
        let active = Arc::new(Active::default());
        if tenants.len() < TENANTS_MAX {
            tenants.insert(tenant.clone(), Arc::clone(&active));
        }
        active
    }
}

impl Active {
    fn is_idle(&self, limits: &TenantLimits, now: std::time::Duration) -> bool {
        self.streams.lock().is_idle(limits, now)
            && self.traces.lock().is_idle(limits, now)
            && self.order.lock().is_empty()
    }
}

fn keep_rows(
    table: &mut arrow_array::RecordBatch,
    verdicts: &Verdicts,
    signal: Signal,
    rejections: &mut isinglass_model::counts::Rejections,
) -> Result<(), IngestError> {
    let kept = drop_rows(verdicts, signal, table.clone(), rejections);
    *table = kept.map_err(|error| IngestError::Internal(error.to_string()))?;
    Ok(())
}

fn few_buckets(decoded: &mut Decoded, max: usize, text: LabelText<'_>) {
    let mut refusals = Refusals::of(decoded.histograms.len());
    for (row, histogram) in decoded.histograms.rows.iter().enumerate() {
        let got = histogram.positive_buckets.len() + histogram.negative_buckets.len();
        if got > max {
            refusals.refuse(row, code::MAX_NATIVE_HISTOGRAM_BUCKETS, || {
                format!("the histogram has {got} buckets, the limit is {max} (histogram_buckets_max)")
            });
        }
    }
    drop_histograms(&refusals.into_verdicts(), &mut decoded.histograms, text, &mut decoded.rejections);
}

fn in_order(
    active: &Active,
    decoded: &mut Decoded,
    life: Life,
    limits: &TenantLimits,
    text: LabelText<'_>,
) -> Newest {
    let order = active.order.lock();
    let mut newest = Newest::default();
    let Decoded { samples, histograms, rejections, .. } = decoded;
    let verdicts = order.judge_samples(life, samples, limits, &mut newest);
    let of_histograms = order.judge_histograms(life, histograms, limits, &mut newest);
    drop(order);
    drop_samples(&verdicts, samples, text, rejections);
    drop_histograms(&of_histograms, histograms, text, rejections);
    newest
}

#[cfg(test)]
mod tests;
