//! Items of one signal and minute through the chain.

use std::sync::Arc;

use arrow_array::builder::{FixedSizeBinaryBuilder, Int64Builder, StringDictionaryBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use arrow_select::filter::filter_record_batch;
use hashbrown::HashMap;
use isinglass_chain::Chain;
use isinglass_model::batch::{
    Decoded, ExemplarBatch, HistogramBatch, LogBatch, SampleBatch, SeriesBatch, SpanBatch,
};
use isinglass_model::edits::Rows;
use isinglass_model::kind::Signal;
use isinglass_model::labels::LabelSet;
use isinglass_model::reason::{code, is_dropped};
use isinglass_model::series::{Judgement, SeriesRef};
use isinglass_model::tables::Table;
use isinglass_model::verdict::Verdicts;
use isinglass_model::{Kind, Reason, Tenant};
use isinglass_store::{Append, Resolver};
use serde_json::Value;

use super::item::{Content, Item};
use super::{Reingested, kind_of, rows};
use crate::error::IngestError;
use crate::ingest::Ingest;
use crate::judge::{RefusedSeries, judge};
use crate::labelled::Labelled;
use crate::payload::{self, Point};
use crate::push::{Prepared, allow, limit};
use crate::transform::transform_exemplars;

/// What became of an item; `None` = kept so far.
type Fate = Option<Reason>;

impl Ingest {
    pub(super) async fn reingest_group(
        &self,
        tenant: &Tenant,
        items: Vec<Item>,
        dry_run: bool,
        report: &mut Reingested,
    ) -> Result<(), IngestError> {
        let Some(signal) = items.first().map(|item| item.signal) else { return Ok(()) };
        let chain = self.chains().current();
        let resolver = self.store().resolver(tenant).await?;
        let (this, of_tenant) = (self.clone(), tenant.clone());
        let work = move || {
            let group = Group { ingest: &this, chain: &chain, tenant: &of_tenant, signal, resolver };
            group.judged(items, dry_run)
        };
        let judged = self.compute(work).await?;
        let (mut stored, mut dropped, mut again) = (0, 0, 0);
        for fate in &judged.fates {
            match fate {
                None => stored += 1,
                Some(reason) if is_dropped(reason) => dropped += 1,
                Some(_) => again += 1,
            }
        }
        if let Some(prepared) = judged.prepared {
            let counts = prepared.counts.clone();
            self.store().append(prepared.append).await?;
            self.reingested(
                tenant,
                signal,
                &counts,
                [("stored", stored), ("dropped", dropped), ("rejected", again)],
            );
        }
        report.stored += stored;
        report.dropped += dropped;
        for reason in judged.fates.into_iter().flatten().filter(|reason| !is_dropped(reason)) {
            *report.rejected.entry(reason).or_default() += 1;
        }
        Ok(())
    }
}

struct Group<'a> {
    ingest: &'a Ingest,
    chain: &'a Arc<Chain>,
    tenant: &'a Tenant,
    signal: Signal,
    resolver: Resolver,
}

struct JudgedGroup {
    fates: Vec<Fate>,
    /// Nothing with a dry run, or where nothing is kept.
    prepared: Option<Prepared>,
}

impl Group<'_> {
    fn judged(mut self, items: Vec<Item>, dry_run: bool) -> Result<JudgedGroup, IngestError> {
        let now = items.iter().map(|item| item.time).min().unwrap_or_default();
        let (chain, tenant) = (self.chain, self.tenant);
        let transforms = chain.transforms(tenant, self.signal);
        self.resolver.judge_under(chain.validators_digest(), transforms);
        self.resolver.limit(self.ingest.series_limits(tenant));
        let mut fates: Vec<Fate> = vec![None; items.len()];
        let (about, contents): (Vec<_>, Vec<_>) =
            items.into_iter().map(|item| ((item.time, item.reason, item.key), item.content)).unzip();
        let mut decoded = match self.signal {
            Signal::Metrics => self.metrics(contents, &mut fates, now)?,
            Signal::Logs | Signal::Traces => self.rows(&contents, &mut fates, now)?,
        };
        decoded.received = decoded.kept();
        if dry_run {
            return Ok(JudgedGroup { fates, prepared: None });
        }
        allow(limit(chain, tenant, &decoded, &self.resolver, 0, now), self.signal)?;
        let marks = marks(&about, &fates, self.signal, self.ingest.now_unix_nanos());
        let marks = marks.map_err(|error| IngestError::Internal(error.to_string()))?;
        let prepared = match marks.num_rows() {
            0 => None,
            _ => {
                let mut prepared = self.ingest.finish(chain, (tenant, self.signal), decoded, 0, now)?;
                let life = self.resolver.life();
                prepared.append = Append { life, reingested: Some(marks), ..prepared.append };
                Some(prepared)
            }
        };
        Ok(JudgedGroup { fates, prepared })
    }

    /// Log records or spans.
    fn rows(&self, contents: &[Content], fates: &mut [Fate], now: i64) -> Result<Decoded, IngestError> {
        let values: Vec<&Value> = contents
            .iter()
            .filter_map(|content| if let Content::Row(row) = content { Some(row) } else { None })
            .collect();
        let internal = |error: ArrowError| IngestError::Internal(error.to_string());
        let table = rows::read(kind_of(self.signal), &values).map_err(internal)?;
        let bytes = table.get_array_memory_size();
        let mut rows = match self.signal {
            Signal::Traces => Rows::from(SpanBatch { table, attributes: None }),
            _ => Rows::from(LogBatch { table, attributes: None, stream_labels: Vec::new(), bytes }),
        };
        // Counts attributes and labels of streams, as decode does.
        rows.retain(|_| true).map_err(IngestError::Internal)?;
        let said = self.chain.transform(self.tenant, &mut rows, now)?;
        let mut left: Vec<usize> = (0..fates.len()).collect();
        take_out(&said, &mut left, fates);
        rows.retain(|row| said.refusal(row).is_none()).map_err(IngestError::Internal)?;
        let mut decoded = Decoded::default();
        if self.signal == Signal::Traces {
            let mut spans = rows.into_spans();
            let said = self.chain.validate(self.tenant, &spans, now);
            take_out(&said, &mut left, fates);
            spans.table = kept(&said, &spans.table).map_err(internal)?;
            decoded.spans = Some(SpanBatch { attributes: None, ..spans });
        } else {
            let mut logs = rows.into_logs();
            let said = self.chain.validate(self.tenant, &logs, now);
            take_out(&said, &mut left, fates);
            logs.table = kept(&said, &logs.table).map_err(internal)?;
            decoded.logs = Some(LogBatch { attributes: None, ..logs });
        }
        Ok(decoded)
    }

    fn metrics(
        &mut self,
        contents: Vec<Content>,
        fates: &mut [Fate],
        now: i64,
    ) -> Result<Decoded, IngestError> {
        let mut points: Vec<(LabelSet, Point)> = Vec::with_capacity(contents.len());
        for content in contents {
            if let Content::Point(labels, point) = content {
                points.push((labels, point));
            }
        }
        let series = self.series(points.iter().map(|(labels, _)| labels), now)?;
        let (mut samples, mut histograms, mut exemplars) =
            (SampleBatch::default(), HistogramBatch::default(), ExemplarBatch::default());
        let (mut of_samples, mut of_histograms) = (Vec::new(), Vec::new());
        for (at, (labels, point)) in points.into_iter().enumerate() {
            let series = match series.get(&labels) {
                Some(Ok(series)) => *series,
                Some(Err(reason)) => {
                    fates[at] = Some(reason.clone());
                    continue;
                }
                None => return Err(IngestError::Internal("a label set was not judged".to_owned())),
            };
            match &point {
                Point::Sample(..) => of_samples.push(at),
                Point::Histogram(_) => of_histograms.push(at),
                Point::Exemplar(_) => {
                    fates[at] = self.exemplar(point, series, &mut exemplars, now)?;
                    continue;
                }
            }
            payload::put(point, series, &mut samples, &mut histograms, &mut exemplars);
        }
        if !samples.is_empty() {
            let said = self.chain.validate(self.tenant, &Labelled::new(&samples, &self.resolver), now);
            take_out(&said, &mut of_samples, fates);
            samples.retain(|row| said.refusal(row).is_none());
        }
        if !histograms.is_empty() {
            let said = self.chain.validate(self.tenant, &Labelled::new(&histograms, &self.resolver), now);
            take_out(&said, &mut of_histograms, fates);
            let mut row = 0;
            histograms.rows.retain(|_| {
                row += 1;
                said.refusal(row - 1).is_none()
            });
        }
        Ok(Decoded { samples, histograms, exemplars, ..Decoded::default() })
    }

    /// What becomes of each label set: a series, or why not.
    fn series<'b>(
        &mut self,
        labels: impl Iterator<Item = &'b LabelSet>,
        now: i64,
    ) -> Result<HashMap<LabelSet, Result<SeriesRef, Reason>, ahash::RandomState>, IngestError> {
        let mut old: Vec<LabelSet> = labels.cloned().collect();
        old.sort_unstable();
        old.dedup();
        let mut batch = SeriesBatch { labels: old.clone() };
        let said = self.chain.transform(self.tenant, &mut batch, now)?;
        let (mut refused, mut unjudged) = (RefusedSeries::default(), Vec::new());
        let mut becomes = Vec::with_capacity(old.len());
        for (row, new) in batch.labels.into_iter().enumerate() {
            if let Some(refusal) = said.refusal(row) {
                becomes.push(Err(refusal.reason.clone()));
                continue;
            }
            let Ok(known) = self.resolver.intern_labels(new) else {
                becomes.push(Err(Reason::Borrowed(code::MAX_SERIES_PER_USER)));
                continue;
            };
            match known.judgement {
                Judgement::Keep => {}
                Judgement::Pending => unjudged.push(known.series),
                Judgement::Reject(refusal) => {
                    refused.insert(known.series, refusal);
                }
            }
            becomes.push(Ok(known.series));
        }
        refused.extend(judge(self.chain, self.tenant, &mut self.resolver, unjudged, now));
        let judged = |series: SeriesRef| match refused.get(&series) {
            Some(refusal) => Err(refusal.reason.clone()),
            None => Ok(series),
        };
        Ok(old.into_iter().zip(becomes.into_iter().map(|becomes| becomes.and_then(judged))).collect())
    }

    /// One exemplar, whose labels are shown to the transformers as well.
    fn exemplar(
        &self,
        point: Point,
        series: SeriesRef,
        exemplars: &mut ExemplarBatch,
        now: i64,
    ) -> Result<Fate, IngestError> {
        let mut one = Decoded::default();
        payload::put(point, series, &mut one.samples, &mut one.histograms, &mut one.exemplars);
        if self.chain.transforms(self.tenant, Signal::Metrics) {
            transform_exemplars(self.chain, self.tenant, &mut one, &self.resolver, now)?;
        }
        if one.exemplars.is_empty() {
            let reason = one.rejections.by_reason().keys().next().cloned();
            return Ok(Some(reason.unwrap_or(Reason::Borrowed(code::PLUGIN_ERROR))));
        }
        let ExemplarBatch { series, time_ms, value, trace_id, span_id, attributes } = one.exemplars;
        exemplars.series.extend(series);
        exemplars.time_ms.extend(time_ms);
        exemplars.value.extend(value);
        exemplars.trace_id.extend(trace_id);
        exemplars.span_id.extend(span_id);
        exemplars.attributes.extend(attributes);
        Ok(None)
    }
}

/// Notes which of the items that are left are refused; `left[row]` is the item of a row.
fn take_out(said: &Verdicts, left: &mut Vec<usize>, fates: &mut [Fate]) {
    let mut row = 0;
    left.retain(|at| {
        row += 1;
        let refusal = said.refusal(row - 1);
        if let Some(refusal) = refusal {
            fates[*at] = Some(refusal.reason.clone());
        }
        refusal.is_none()
    });
}

fn kept(said: &Verdicts, table: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let keep: BooleanArray = (0..table.num_rows()).map(|row| Some(said.refusal(row).is_none())).collect();
    filter_record_batch(table, &keep)
}

/// A mark for each item that is stored, or dropped as it is meant to be.
fn marks(
    about: &[(i64, String, u128)],
    fates: &[Fate],
    signal: Signal,
    at: i64,
) -> Result<RecordBatch, ArrowError> {
    let (mut times, mut ats) = (Int64Builder::new(), Int64Builder::new());
    let mut signals = StringDictionaryBuilder::<Int32Type>::new();
    let mut reasons = StringDictionaryBuilder::<Int32Type>::new();
    let mut outcomes = StringDictionaryBuilder::<Int32Type>::new();
    let mut keys = FixedSizeBinaryBuilder::new(16);
    for ((time, reason, key), fate) in about.iter().zip(fates) {
        let outcome = match fate {
            None => "stored",
            Some(reason) if is_dropped(reason) => "dropped",
            Some(_) => continue,
        };
        times.append_value(*time);
        ats.append_value(at);
        signals.append_value(signal.as_str());
        reasons.append_value(reason);
        outcomes.append_value(outcome);
        keys.append_value(key.to_be_bytes())?;
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(times.finish()),
        Arc::new(ats.finish()),
        Arc::new(signals.finish()),
        Arc::new(reasons.finish()),
        Arc::new(outcomes.finish()),
        Arc::new(keys.finish()),
    ];
    let table = Table::of(Kind::Reingested);
    let fields: Vec<_> =
        (0..table.columns.len()).map(|column| Arc::clone(table.batch_field(column))).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
