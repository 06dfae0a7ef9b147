//! A replay from its request to its report.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use isinglass_chain::Again;
use isinglass_model::Kind;
use isinglass_model::columns::Shape;
use isinglass_model::ids::metric_id;
use isinglass_store::{OrderedRows, View};

use super::background::Background;
use super::compare::Comparison;
use super::cut::{Cut, Replaced};
use super::derivation::Derivation;
use super::pending::{Digests, Pending};
use super::report::{Provenance, ReplayReport, SourceReport};
use super::source::Source;
use super::work::{Tick, Work};
use super::write::{Writing, names};
use super::{NANOS, ReplayError, ReplayProgress, ReplayRequest};
use crate::derived::{Counters, Pairs};
use crate::ingest::Ingest;

/// Samples of so long a time are compared at once, of less where they are many.
pub(super) const SLICE_MS: i64 = 3_600_000;
pub(super) const SLICE_MS_MIN: i64 = 1_000;

/// Series that differ and are named in a report.
const DIFFERENCES_MAX: usize = 100;

/// How long it waits for memory.
const ROOM_WAIT: Duration = Duration::from_secs(30);

impl Ingest {
    /// Derives again, and compares with what is stored. With `write` the result takes the place
    /// of what is stored: all of it or, after an error, nothing.
    pub async fn replay(
        &self,
        request: ReplayRequest,
        progress: Arc<ReplayProgress>,
    ) -> Result<ReplayReport, ReplayError> {
        if request.from_ms >= request.to_ms {
            let (from, to) = (request.from_ms, request.to_ms);
            return Err(ReplayError::Request(format!("from = {from} ms must be before to = {to} ms")));
        }
        let again = self.deriver_of(&request).await?;
        let deriver = again.deriver().cloned();
        let deriver = deriver.ok_or_else(|| ReplayError::Internal("a deriver without metrics".to_owned()))?;
        let replaced = names(deriver.metrics.iter().chain(self.metrics_of(&request.name).iter()));
        let mut run = Run::prepare(self, &request, again, replaced, progress).await?;
        let result = run.go().await;
        if result.is_err()
            && let Some(writing) = run.writing.take()
        {
            writing.abandon().await;
        }
        result?;
        run.finish().await
    }

    async fn deriver_of(&self, request: &ReplayRequest) -> Result<Again, ReplayError> {
        let chains = Arc::clone(self.chains());
        let ReplayRequest { name, tenant, instead, .. } = request.clone();
        let loaded = tokio::task::spawn_blocking(move || chains.again(&name, &tenant, instead)).await;
        Ok(loaded.map_err(|error| ReplayError::Internal(error.to_string()))??)
    }

    /// What the live deriver of this name writes, under any configuration.
    fn metrics_of(&self, name: &str) -> Vec<isinglass_model::deltas::DerivedMetric> {
        let chain = self.chains().current();
        let of_name = chain.derivers().iter().filter(|deriver| deriver.name == name);
        of_name.flat_map(|deriver| deriver.metrics.iter().cloned()).collect()
    }
}

/// A replay under way.
pub(super) struct Run<'a> {
    pub(super) ingest: &'a Ingest,
    pub(super) request: &'a ReplayRequest,
    pub(super) progress: Arc<ReplayProgress>,
    pub(super) background: Background,
    pub(super) work: Option<Work>,
    pub(super) comparison: Comparison,
    pub(super) writing: Option<Writing>,
    /// Where the rows are.
    pub(super) cut: Cut,
    /// What is compared.
    pub(super) stored: Arc<View>,
    /// Names of the metrics whose samples are replaced, and their ids.
    pub(super) replaced: BTreeSet<String>,
    pub(super) replaced_ids: HashSet<i64>,
    /// By series id, of samples and of native histograms.
    pub(super) places: HashMap<(i64, bool), Option<usize>, ahash::RandomState>,
    pub(super) provenance: Provenance,
    pub(super) digests: Digests,
    /// What is not compared yet, and from where on.
    pub(super) pending: Pending,
    pub(super) pending_from_ms: i64,
    pub(super) samples_max: usize,
    pub(super) memory: usize,
    pub(super) slice_ms: i64,
    /// Whether stored counters end with the range, and the wait of rows with them.
    pub(super) counters_end: bool,
}

impl<'a> Run<'a> {
    async fn prepare(
        ingest: &'a Ingest,
        request: &'a ReplayRequest,
        again: Again,
        replaced: BTreeSet<String>,
        progress: Arc<ReplayProgress>,
    ) -> Result<Self, ReplayError> {
        let (config, tenant) = (ingest.config(), &request.tenant);
        let tick_ms = i64::try_from(config.tick_interval_ms).unwrap_or(i64::MAX).clamp(1_000, 3_600_000);
        let running = Replaced { name: request.name.clone(), to_ms: request.to_ms };
        let cut = ingest.cut(tenant, Some(running).filter(|_| request.write)).await?;
        let stored = ingest.store().view(tenant).await?;
        let replaced_ids: HashSet<i64> = replaced.iter().map(|name| metric_id(name)).collect();
        let memory_bytes = config.replay_memory_bytes.min(request.memory.bytes() / 8);
        let memory = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        let mut run = Run {
            ingest,
            request,
            background: Background::start()?,
            work: None,
            comparison: Comparison::new(request.from_ms, config.derived_series_max.saturating_mul(64)),
            writing: None,
            cut,
            stored,
            replaced,
            replaced_ids,
            places: HashMap::default(),
            provenance: provenance(request, &again, tick_ms),
            digests: Digests::default(),
            pending: Pending::default(),
            pending_from_ms: 0,
            samples_max: (memory / 256).clamp(10_000, 1 << 20),
            memory,
            slice_ms: SLICE_MS,
            counters_end: true,
            progress,
        };
        run.provenance.asked_to_ms = request.to_ms.min(run.cut.end_ms);
        (run.provenance.to_ms, run.counters_end) = run.end().await?;
        if run.provenance.from_ms >= run.provenance.to_ms {
            return Err(ReplayError::Request("the range lies in the future".to_owned()));
        }
        run.progress.to_ms.store(run.provenance.to_ms, Ordering::Relaxed);
        // From where on a counter that is not stale has a sample.
        let reach = i64::try_from(config.derived_stale_after_ms).unwrap_or(i64::MAX);
        run.pending_from_ms = request.from_ms.saturating_sub(reach.saturating_add(2 * tick_ms));
        run.work = Some(run.begin(again)?);
        if request.write {
            let metrics = run.work.as_ref().map(|work| Arc::clone(&work.derivation.metrics));
            let metrics = metrics.unwrap_or_else(|| Arc::from([]));
            run.writing = Some(Writing::begin(ingest, tenant, &metrics).await?);
        }
        Ok(run)
    }

    fn begin(&mut self, again: Again) -> Result<Work, ReplayError> {
        let time = self.provenance.from_ms.saturating_mul(NANOS)..self.provenance.to_ms.saturating_mul(NANOS);
        let step = self.provenance.tick_ms.saturating_mul(NANOS);
        let mut sources = Vec::new();
        for (kind, shape) in [(Kind::Spans, Shape::Spans), (Kind::Logs, Shape::Logs)] {
            if let Some(mut columns) = again.columns(shape) {
                // For exemplars.
                columns.extend(["trace_id", "span_id"].map(str::to_owned));
                let rows = OrderedRows::of(&self.cut.rows, kind, &columns, time.clone(), step, self.memory)?;
                sources.push(Source::new(kind, rows));
            }
        }
        if sources.is_empty() {
            let name = &self.request.name;
            return Err(ReplayError::Request(format!("{name} is shown neither spans nor logs")));
        }
        let config = self.ingest.config();
        let pairing = again.deriver().and_then(|deriver| deriver.pairing.clone());
        let exemplar_label = again.deriver().map(|deriver| Arc::clone(&deriver.exemplar_label));
        let derivation = Derivation {
            metrics: again.deriver().map_or_else(|| Arc::from([]), |deriver| Arc::clone(&deriver.metrics)),
            again: Arc::new(again),
            chain: self.ingest.chains().current(),
            tenant: self.request.tenant.clone(),
            limits: self.ingest.derived_limits(),
            stale_after: Duration::from_millis(config.derived_stale_after_ms),
            counters: Counters::default(),
            pairs: Pairs::default(),
            pairing,
            exemplar_label: exemplar_label.unwrap_or_default(),
            series: Vec::new(),
            refused: 0,
        };
        Ok(Work { derivation, sources })
    }

    async fn go(&mut self) -> Result<(), ReplayError> {
        let (from, to, tick) = (self.provenance.from_ms, self.provenance.to_ms, self.provenance.tick_ms);
        let mut number = from.div_euclid(tick);
        while number.saturating_mul(tick) < to {
            self.progress.is_cancelled()?;
            self.wait_for_room().await?;
            let Some(mut work) = self.work.take() else { break };
            let next = work.next_ms().await?;
            if work.derivation.is_idle() {
                let Some(next) = next else {
                    self.work = Some(work);
                    break;
                };
                let at = next.div_euclid(tick);
                if at > number {
                    self.work = Some(work);
                    self.settle(number.saturating_mul(tick).max(from)).await?;
                    self.settle(at.saturating_mul(tick)).await?;
                    number = at;
                    continue;
                }
            }
            let start_ms = number.saturating_mul(tick).max(from);
            let end_ms = (number + 1).saturating_mul(tick).min(to);
            let last = self.counters_end && end_ms == to;
            let ticking = self.background.run(move || {
                let made = work.tick(Tick { start_ms, end_ms, last });
                (work, made)
            });
            let (work, made) = ticking.await?;
            self.progress.rows.store(work.rows(), Ordering::Relaxed);
            self.progress.at_ms.store(end_ms, Ordering::Relaxed);
            self.digests.take(&work.derivation.series, made?, to, &mut self.pending);
            self.work = Some(work);
            if self.pending.weight() >= self.samples_max || end_ms - self.pending_from_ms >= SLICE_MS {
                self.settle(end_ms).await?;
            }
            number += 1;
        }
        self.settle(number.saturating_mul(tick).clamp(from, to)).await?;
        self.settle(to).await
    }

    /// Waits while the process holds more than leaves room.
    async fn wait_for_room(&self) -> Result<(), ReplayError> {
        let wanted = self.memory as u64;
        let until = tokio::time::Instant::now() + ROOM_WAIT;
        while self.request.memory.is_exceeded() {
            if tokio::time::Instant::now() >= until {
                return Err(ReplayError::NoRoom { wanted });
            }
            self.progress.is_cancelled()?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<ReplayReport, ReplayError> {
        let work = self.work.take();
        let work = work.ok_or_else(|| ReplayError::Internal("a replay lost its work".to_owned()))?;
        for source in &work.sources {
            let version = self.cut.rows.table(source.kind).version;
            let report = SourceReport { version, rows: source.taken, duplicates: source.duplicates };
            self.provenance.sources.insert(source.kind.to_string(), report);
        }
        let Digests { samples, histograms, exemplars } = &self.digests;
        (self.provenance.samples, self.provenance.samples_digest) = (samples.rows, samples.digest());
        (self.provenance.histograms, self.provenance.histograms_digest) =
            (histograms.rows, histograms.digest());
        (self.provenance.exemplars, self.provenance.exemplars_digest) = (exemplars.rows, exemplars.digest());
        let metrics = self.comparison.metrics();
        let reconciled = metrics.iter().all(|metric| metric.equal);
        let reasons = if reconciled { Vec::new() } else { self.reasons(&work).await? };
        // Where nothing is to go, no file is written again without it.
        let (stored_samples, stored_histograms) = self.comparison.stored();
        let gone = match stored_samples + stored_histograms {
            0 => BTreeSet::new(),
            _ => std::mem::take(&mut self.replaced),
        };
        let written = match self.writing.take() {
            Some(writing) => Some(writing.commit(gone, &self.provenance).await?),
            None => None,
        };
        Ok(ReplayReport {
            reconciled,
            series: self.comparison.counts(),
            metrics,
            differences: self.comparison.differences(DIFFERENCES_MAX),
            reasons,
            stored_samples,
            stored_histograms,
            written,
            provenance: self.provenance,
        })
    }
}

fn provenance(request: &ReplayRequest, again: &Again, tick_ms: i64) -> Provenance {
    let deriver = again.deriver();
    Provenance {
        name: request.name.clone(),
        plugin: deriver.map(|deriver| deriver.plugin.clone()).unwrap_or_default(),
        digest: deriver.map(|deriver| format!("sha256:{}", deriver.digest)).unwrap_or_default(),
        config_digest: format!("sha256:{}", again.config_digest()),
        from_ms: request.from_ms,
        to_ms: request.to_ms,
        asked_to_ms: request.to_ms,
        tick_ms,
        sources: BTreeMap::new(),
        samples: 0,
        samples_digest: String::new(),
        histograms: 0,
        histograms_digest: String::new(),
        exemplars: 0,
        exemplars_digest: String::new(),
    }
}
