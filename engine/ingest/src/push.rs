//! The way of one request, top to bottom.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use isinglass_chain::Chain;
use isinglass_decode::{Context, Protocol, decode, decompress};
use isinglass_model::batch::{Decoded, HistogramBatch, SampleBatch};
use isinglass_model::columns::Columns;
use isinglass_model::kind::Signal;
use isinglass_model::limits::HardCaps;
use isinglass_model::verdict::{Decision, Verdicts};
use isinglass_model::{Counts, Tenant};
use isinglass_store::{Append, BatchKey, Begin, Resolver};
use xxhash_rust::xxh3::Xxh3;

use crate::cut::cut_rows;
use crate::derived::{Due, Note};
use crate::error::IngestError;
use crate::faults::{all_over_a_limit, faults};
use crate::filter::{drop_histograms, drop_rows, drop_samples, drop_series};
use crate::ingest::Ingest;
use crate::judge::{RefusedSeries, judge};
use crate::labelled::Labelled;
use crate::live::Advance;
use crate::request::{Fault, Outcome, Request, signal_of};
use crate::shadow::{Judged, Seen, SeenBatch, SeenMetrics, SeenRows};
use crate::transform::{transform_exemplars, transform_rows, transform_series};

/// How long rows wait for more of them before they are derived.
const DERIVE_SOON: Duration = Duration::from_millis(50);

/// How often a request that waits until less is left to derive looks.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

impl Ingest {
    /// Takes a request. `Ok` means that what `counts.stored` says is durable and
    /// visible; an error means that nothing of the request is stored.
    ///
    /// The work goes on to its end when the caller goes away: a sender that hangs
    /// up must not leave rows that nobody counted.
    pub async fn push(&self, request: Request) -> Result<Outcome, IngestError> {
        let this = self.clone();
        let task = tokio::spawn(async move { this.push_and_count(request).await });
        task.await.map_err(|error| IngestError::Internal(format!("a request ended early: {error}")))?
    }

    async fn push_and_count(&self, request: Request) -> Result<Outcome, IngestError> {
        let signal = signal_of(request.protocol);
        let (tenant, wire_bytes) = (request.tenant.clone(), request.body.len() as u64);
        let result = self.push_inner(request, signal).await;
        self.0.recorder.signal(&tenant, signal, |stats| match &result {
            Ok(outcome) => {
                stats.requests += 1;
                stats.wire_bytes += wire_bytes;
                stats.duplicates += u64::from(outcome.duplicate);
                if !outcome.duplicate {
                    stats.counts.add(&outcome.counts);
                }
            }
            Err(error) => {
                let kind = error.kind().as_str().into();
                *stats.refused_requests.entry(kind).or_default() += 1;
                *stats.rejected_bytes.entry(error.reason()).or_default() += wire_bytes;
            }
        });
        result
    }

    async fn push_inner(&self, request: Request, signal: Signal) -> Result<Outcome, IngestError> {
        if self.0.stopping.load(Ordering::Acquire) {
            return Err(IngestError::Stopping);
        }
        self.0.live.check_open(&request.tenant)?;
        // Before any work is done for what cannot be stored.
        self.0.store.takes_writes()?;
        let ticket = match self.0.store.begin(&request.tenant, batch_key(&request)).await {
            Begin::Duplicate(counts) => return Ok(self.outcome(counts, Vec::new(), true)),
            Begin::First(ticket) => ticket,
        };
        // One chain from here to the end, whatever takes its place meanwhile.
        let chain = self.0.chains.current();
        let admitted = allow(chain.admit(&request.tenant, signal, request.body.len() as u64), signal);
        admitted.inspect_err(|_| self.limited(self.seen(&chain, &request, signal)))?;
        let resolver = self.0.store.resolver(&request.tenant).await?;
        let this = self.clone();
        let mut prepared = self.compute(move || this.prepare(&chain, &request, signal, resolver)).await?;
        if prepared.worth_a_record() {
            let (is_derived, tenant) = (prepared.append.note.is_some(), prepared.append.tenant.clone());
            prepared.append.ticket = Some(ticket);
            self.0.store.append(prepared.append).await?;
            if is_derived {
                self.see_to_backlog(tenant).await;
            }
        }
        if let Some(advance) = prepared.advance {
            advance.note();
        }
        if let Some(seen) = prepared.seen {
            self.0.shadows.offer(seen);
        }
        Ok(self.outcome(prepared.counts, prepared.faults, false))
    }

    /// Has somebody derive what is applied: in a moment, when more may have come, or at once where
    /// enough waits. Where too much does, whoever brings more waits, too.
    async fn see_to_backlog(&self, tenant: Tenant) {
        match self.0.board.due(&tenant) {
            Due::No => {}
            Due::Overdue => _ = self.derive(&tenant, Due::Overdue).await,
            due => {
                let this = self.clone();
                drop(tokio::spawn(async move { this.derive_until_done(tenant, due).await }));
            }
        }
    }

    async fn derive_until_done(&self, tenant: Tenant, mut due: Due) {
        while due != Due::No && self.derive(&tenant, due).await {
            due = self.0.board.due(&tenant);
        }
    }

    /// Whether there was a slot. Without one it is left to the next request or tick.
    async fn derive(&self, tenant: &Tenant, due: Due) -> bool {
        match due {
            Due::Soon => tokio::time::sleep(DERIVE_SOON).await,
            // Somebody is at it, who needs the slots more.
            Due::Overdue => {
                while self.0.board.is_behind(tenant) {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
            Due::No | Due::Now => {}
        }
        let (board, of) = (Arc::clone(&self.0.board), tenant.clone());
        let had_slot = self.compute(move || Ok(board.derive(&of, due))).await.is_ok();
        if !had_slot {
            self.0.board.give_up(tenant);
        }
        had_slot
    }

    /// Runs `work` off the async threads, within the bound on compute slots.
    pub(crate) async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, IngestError> + Send + 'static,
    ) -> Result<T, IngestError> {
        let waited_ms = self.0.config.compute_wait_ms;
        let slot = Arc::clone(&self.0.slots).acquire_owned();
        let slot = tokio::time::timeout(Duration::from_millis(waited_ms), slot)
            .await
            .map_err(|_| IngestError::Busy { waited_ms })?
            .map_err(|_| IngestError::Stopping)?;
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(slot);
            result
        });
        task.await.map_err(|error| IngestError::Internal(format!("a request's work ended early: {error}")))?
    }

    /// Everything between the bytes and the WAL. Blocking.
    fn prepare(
        &self,
        chain: &Arc<Chain>,
        request: &Request,
        signal: Signal,
        mut resolver: Resolver,
    ) -> Result<Prepared, IngestError> {
        let inner = &*self.0;
        let (tenant, now) = (&request.tenant, inner.clock.now_unix_nanos());
        let body = decompress(request.compression, request.body.clone(), HardCaps::DEFAULT.body_bytes_max)?;
        let transforms = chain.transforms(tenant, signal);
        resolver.judge_under(chain.validators_digest(), transforms);
        resolver.limit(inner.live.of_series(tenant));
        resolver.hold_refusals();
        let mut context = Context { logs: &inner.logs, now_unix_nanos: now, resolver: &mut resolver };
        let mut decoded = decode(request.protocol, request.format, &body, &mut context)?;
        drop(body);
        let unseen = if transforms { decoded.rejections.items().len() } else { 0 };
        let transformed = self.transform(chain, tenant, signal, &mut decoded, &mut resolver, now);
        let refused = transformed.inspect_err(|error| self.refused_whole(tenant, signal, &decoded, error))?;
        let mut seen = self.seen(chain, request, signal);
        let shown = seen.is_some().then(|| (decoded.samples.clone(), decoded.histograms.clone()));
        let judged = self.keep_metrics(chain, tenant, &mut decoded, &mut resolver, refused, now);
        let cuts = cut_rows(&mut decoded, inner.live.limits(tenant))?;
        if !cuts.is_empty() {
            inner.recorder.signal(tenant, signal, |stats| stats.cut(&cuts));
        }
        keep_rows(chain, tenant, &mut decoded, seen.as_mut(), now)?;
        let sent = request.body.len() as u64;
        let limited = limit(chain, tenant, &decoded, &resolver, sent, now);
        if let Err(error) = allow(limited, signal) {
            self.refused_whole(tenant, signal, &decoded, &error);
            self.limited(with_metrics(seen, shown, judged, resolver));
            return Err(error);
        }
        let advance = inner.live.keep(tenant, &mut decoded, &resolver)?;
        if let Some(error) = all_over_a_limit(&decoded) {
            self.refused_whole(tenant, signal, &decoded, &error);
            self.limited(with_metrics(seen, shown, judged, resolver));
            return Err(error);
        }
        let life = resolver.life();
        let seen = with_metrics(seen, shown, judged, resolver);
        let mut prepared = self.finish(chain, (tenant, signal), decoded, unseen, now)?;
        prepared.append.life = life;
        prepared.advance = advance;
        prepared.seen = seen;
        Ok(prepared)
    }

    /// Where plugins that are tried out are shown this request, what is remembered of it.
    fn seen(&self, chain: &Arc<Chain>, request: &Request, signal: Signal) -> Option<Seen> {
        let tenant = &request.tenant;
        let new = || {
            let seen = Seen::new(chain, (tenant, signal), request.body.len() as u64, &*self.0.clock);
            Seen { deletions: self.0.shadows.deletions(), ..seen }
        };
        chain.has_shadows(tenant, signal).then(new)
    }

    /// A limiter refused a request.
    fn limited(&self, seen: Option<Seen>) {
        if let Some(seen) = seen {
            self.0.shadows.offer(Seen { limited: true, ..seen });
        }
    }

    /// What transformers change. Gives back series that validators refused before.
    fn transform(
        &self,
        chain: &Chain,
        tenant: &Tenant,
        signal: Signal,
        decoded: &mut Decoded,
        resolver: &mut Resolver,
        now: i64,
    ) -> Result<RefusedSeries, IngestError> {
        transform_rows(chain, tenant, decoded, now)?;
        match chain.transforms(tenant, signal) {
            true => {
                let refused = transform_series(chain, tenant, decoded, resolver, now)?;
                transform_exemplars(chain, tenant, decoded, resolver, now)?;
                Ok(refused)
            }
            false => Ok(RefusedSeries::default()),
        }
    }

    /// Counts all items of a request that is refused whole.
    fn refused_whole(&self, tenant: &Tenant, signal: Signal, decoded: &Decoded, error: &IngestError) {
        let received = decoded.received;
        let rejected = match error {
            IngestError::Untransformed(_)
            | IngestError::RateLimited { .. }
            | IngestError::OverBurst { .. }
            | IngestError::LimiterFailed { .. } => [(error.reason(), received)].into(),
            IngestError::OverLimit { .. } => decoded.rejections.by_reason().clone(),
            _ => return,
        };
        let counts = Counts { received, rejected, ..Counts::default() };
        self.0.recorder.signal(tenant, signal, |stats| stats.counts.add(&counts));
    }

    /// Label sets, then sample and histogram times. `refused` were refused before.
    fn keep_metrics(
        &self,
        chain: &Chain,
        tenant: &Tenant,
        decoded: &mut Decoded,
        resolver: &mut Resolver,
        mut refused: RefusedSeries,
        now: i64,
    ) -> Judged {
        refused.extend(judge(chain, tenant, resolver, std::mem::take(&mut decoded.unjudged), now));
        refused.extend(resolver.take_held());
        let text = |series| resolver.labels_of(series);
        let Decoded { samples, histograms, exemplars, rejections, .. } = decoded;
        drop_series(&refused, samples, histograms, exemplars, &text, rejections);
        let mut judged = Judged { refused, ..Judged::default() };
        if !samples.is_empty() {
            judged.of_samples = chain.validate(tenant, &Labelled::new(samples, resolver), now);
            drop_samples(&judged.of_samples, samples, &text, rejections);
        }
        if !histograms.is_empty() {
            judged.of_histograms = chain.validate(tenant, &Labelled::new(histograms, resolver), now);
            drop_histograms(&judged.of_histograms, histograms, &text, rejections);
        }
        judged
    }

    /// Derives, and puts the record together.
    /// `unseen`: so many of the first items that were refused no transformer has seen.
    pub(crate) fn finish(
        &self,
        chain: &Arc<Chain>,
        (tenant, signal): (&Tenant, Signal),
        decoded: Decoded,
        unseen: usize,
        now: i64,
    ) -> Result<Prepared, IngestError> {
        let inner = &*self.0;
        if !decoded.rejections.bytes().is_empty() {
            inner.recorder.signal(tenant, signal, |stats| stats.weigh(decoded.rejections.bytes()));
        }
        let counts = Counts {
            received: decoded.received,
            stored: decoded.kept(),
            stored_histograms: decoded.histograms.len() as u64,
            stored_exemplars: decoded.exemplars.len() as u64,
            rejected: decoded.rejections.by_reason().clone(),
        };
        debug_assert!(counts.balanced(), "{counts:?}");
        let mut append = Append::new(tenant.clone());
        append.counts = counts.clone();
        append.rejected = inner
            .allowance
            .rows(tenant, &decoded.rejections, unseen, &*inner.clock)
            .map_err(|error| IngestError::Internal(error.to_string()))?;
        append.spans = decoded.spans.map(|spans| spans.table).filter(|table| table.num_rows() > 0);
        append.logs = decoded.logs.map(|logs| logs.table).filter(|table| table.num_rows() > 0);
        let note = Note::of(chain, tenant, append.spans.as_ref(), append.logs.as_ref(), now);
        append.note = note.map(|note| Box::new(note) as _);
        append.samples = decoded.samples;
        append.histograms = decoded.histograms;
        append.exemplars = decoded.exemplars;
        let faults = faults(&decoded.rejections);
        Ok(Prepared { append, counts, faults, advance: None, seen: None })
    }

    fn outcome(&self, counts: Counts, faults: Vec<Fault>, duplicate: bool) -> Outcome {
        Outcome { counts, faults, duplicate, durability: self.0.store.config().durability }
    }
}

/// A request on its way into the WAL.
pub(crate) struct Prepared {
    pub(crate) append: Append,
    pub(crate) counts: Counts,
    faults: Vec<Fault>,
    /// How far streams and series have come with it.
    advance: Option<Advance>,
    /// For plugins that are tried out.
    seen: Option<Seen>,
}

impl Prepared {
    /// A request without a row to store or to set aside needs no record.
    fn worth_a_record(&self) -> bool {
        self.counts.stored > 0 || self.append.rejected.is_some()
    }
}

/// The same with its samples, where it has some: as they were before validators took any out.
fn with_metrics(
    seen: Option<Seen>,
    shown: Option<(SampleBatch, HistogramBatch)>,
    judged: Judged,
    resolver: Resolver,
) -> Option<Seen> {
    let shown = shown.filter(|(samples, histograms)| !(samples.is_empty() && histograms.is_empty()));
    let metrics = shown.map(|(samples, histograms)| SeenMetrics { resolver, samples, histograms, judged });
    seen.map(|seen| Seen { metrics, ..seen })
}

/// Log records and spans.
fn keep_rows(
    chain: &Chain,
    tenant: &Tenant,
    decoded: &mut Decoded,
    mut seen: Option<&mut Seen>,
    now: i64,
) -> Result<(), IngestError> {
    let validate = |batch: &dyn Columns| -> Verdicts { chain.validate(tenant, batch, now) };
    let internal = |error: arrow_schema::ArrowError| IngestError::Internal(error.to_string());
    if let Some(mut logs) = decoded.logs.take() {
        let verdicts = validate(&logs);
        if let Some(seen) = &mut seen {
            seen.rows = Some(SeenRows { batch: SeenBatch::Logs(logs.clone()), verdicts: verdicts.clone() });
        }
        logs.table =
            drop_rows(&verdicts, Signal::Logs, logs.table, &mut decoded.rejections).map_err(internal)?;
        logs.attributes = logs.attributes.filter(|_| verdicts.keeps_all());
        decoded.logs = Some(logs);
    }
    if let Some(mut spans) = decoded.spans.take() {
        let verdicts = validate(&spans);
        if let Some(seen) = &mut seen {
            seen.rows = Some(SeenRows { batch: SeenBatch::Spans(spans.clone()), verdicts: verdicts.clone() });
        }
        spans.table =
            drop_rows(&verdicts, Signal::Traces, spans.table, &mut decoded.rejections).map_err(internal)?;
        spans.attributes = spans.attributes.filter(|_| verdicts.keeps_all());
        decoded.spans = Some(spans);
    }
    Ok(())
}

pub(crate) fn allow(decision: Decision, signal: Signal) -> Result<(), IngestError> {
    match decision {
        Decision::Allow => Ok(()),
        Decision::Deny { reason, retry_after, message } => {
            Err(IngestError::RateLimited { reason, signal, message, retry_after })
        }
        Decision::TooLarge { message } => Err(IngestError::OverBurst { message }),
        Decision::Unavailable { message } => Err(IngestError::LimiterFailed { message }),
    }
}

/// Asks the limiters about what is kept. `sent`: bytes on the wire, 0 = it did not come over one.
pub(crate) fn limit(
    chain: &Chain,
    tenant: &Tenant,
    decoded: &Decoded,
    resolver: &Resolver,
    sent: u64,
    now: i64,
) -> Decision {
    let samples = Labelled::new(&decoded.samples, resolver);
    let histograms = Labelled::new(&decoded.histograms, resolver);
    let mut batches: Vec<&dyn Columns> = Vec::new();
    if !decoded.samples.is_empty() {
        batches.push(&samples);
    }
    if !decoded.histograms.is_empty() {
        batches.push(&histograms);
    }
    if let Some(logs) = &decoded.logs {
        batches.push(logs);
    }
    if let Some(spans) = &decoded.spans {
        batches.push(spans);
    }
    chain.limit_sent(tenant, &batches, sent, now)
}

/// The sender's key, else a hash of what it sent.
fn batch_key(request: &Request) -> BatchKey {
    let mut hash = Xxh3::new();
    match &request.batch_key {
        Some(key) => {
            hash.update(b"key");
            hash.update(key.as_bytes());
        }
        None => {
            hash.update(&[protocol_tag(request.protocol), request.format as u8, request.compression as u8]);
            hash.update(&request.body);
        }
    }
    BatchKey(hash.digest128())
}

fn protocol_tag(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::OtlpTraces => 1,
        Protocol::OtlpLogs => 2,
        Protocol::OtlpMetrics => 3,
        Protocol::RemoteWrite1 => 4,
        Protocol::LokiPush => 5,
        Protocol::RemoteWrite2 => 6,
    }
}
