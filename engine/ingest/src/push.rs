//! The way of one request, top to bottom.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use isinglass_chain::{Chain, LiveChain};
use isinglass_decode::{Context, LogsConfig, Protocol, decode, decompress};
use isinglass_model::batch::{Decoded, HistogramBatch, SampleBatch};
use isinglass_model::columns::Columns;
use isinglass_model::functions::FunctionSource;
use isinglass_model::kind::Signal;
use isinglass_model::limits::HardCaps;
use isinglass_model::verdict::{Decision, Verdicts};
use isinglass_model::{Clock, Counts, SystemTable, Tenant};
use isinglass_store::{
    Append, BatchKey, Begin, Deleted, Lock, Resolver, SeriesLimits, Store, StoreConfig, Tick as TickMark,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::Xxh3;

use crate::config::IngestConfig;
use crate::cut::cut_rows;
use crate::derived::{Board, Limits, Note, write_tick};
use crate::error::IngestError;
use crate::faults::{all_over_a_limit, faults};
use crate::filter::{drop_histograms, drop_rows, drop_samples, drop_series};
use crate::judge::{RefusedSeries, judge};
use crate::live::{Advance, Live};
use crate::plugin_costs::PluginCosts;
use crate::plugins::Plugins;
use crate::refused::Allowance;
use crate::replay::{Jobs, ReplaysTable};
use crate::request::{Fault, Outcome, Request, signal_of};
use crate::shadow::{Judged, Seen, SeenBatch, SeenMetrics, SeenRows, ShadowStats, Shadows};
use crate::stats::{IngestStats, Recorder};
use crate::transform::{transform_exemplars, transform_rows, transform_series};

/// The write path. Cheap to clone.
#[derive(Clone)]
pub struct Ingest(Arc<Inner>);

struct Inner {
    store: Store,
    chains: Arc<LiveChain>,
    board: Arc<Board>,
    config: IngestConfig,
    logs: LogsConfig,
    clock: Arc<dyn Clock>,
    slots: Arc<Semaphore>,
    allowance: Allowance,
    live: Live,
    recorder: Recorder,
    shadows: Shadows,
    /// Held by who sends rows of `rejected` again.
    reingesting: Arc<tokio::sync::Mutex<()>>,
    stopping: AtomicBool,
    ticker: parking_lot::Mutex<Option<JoinHandle<()>>>,
    /// One tick at a time: a flush must not read counters that a tick under way covers.
    ticking: tokio::sync::Mutex<()>,
    replays: Arc<Jobs>,
}

impl Ingest {
    /// Opens the store and answers when all that it has acknowledged can be seen.
    /// Needs a tokio runtime.
    pub async fn start(
        store: StoreConfig,
        chains: Arc<LiveChain>,
        config: IngestConfig,
        logs: LogsConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngestError> {
        let lock = Lock::take(&store.data_dir)?;
        let ingest = Self::start_early(lock, store, chains, config, logs, clock).await?;
        ingest.store().caught_up().await?;
        Ok(ingest)
    }

    /// Opens the store and answers when requests can be taken. What a crash left
    /// uncounted is counted while the store reads its log, in the log's order and
    /// before anything that comes later.
    pub async fn start_early(
        lock: Lock,
        store: StoreConfig,
        chains: Arc<LiveChain>,
        config: IngestConfig,
        logs: LogsConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, IngestError> {
        let stale_after = Duration::from_millis(config.derived_stale_after_ms);
        let board = Arc::new(Board::new(
            Arc::clone(&chains),
            Arc::clone(&clock),
            Limits { series_max: config.derived_series_max, values_max: config.derived_label_values_max },
            stale_after,
        ));
        let store = Store::open_early(lock, store, Arc::clone(&clock), Arc::<Board>::clone(&board)).await?;
        let slots = match config.compute_slots {
            0 => 2 * std::thread::available_parallelism().map_or(2, usize::from),
            slots => slots,
        };
        let ingest = Self(Arc::new(Inner {
            store,
            chains,
            board,
            allowance: Allowance::new(config.rejected_rows_per_minute),
            live: Live::new(&config, Arc::clone(&clock)),
            slots: Arc::new(Semaphore::new(slots)),
            config,
            logs,
            clock,
            recorder: Recorder::default(),
            shadows: Shadows::start(),
            reingesting: Arc::default(),
            stopping: AtomicBool::new(false),
            ticker: parking_lot::Mutex::new(None),
            ticking: tokio::sync::Mutex::new(()),
            replays: Arc::default(),
        }));
        *ingest.0.ticker.lock() = Some(tokio::spawn(tick_forever(ingest.clone())));
        Ok(ingest)
    }

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
            prepared.append.ticket = Some(ticket);
            self.0.store.append(prepared.append).await?;
        }
        if let Some(advance) = prepared.advance {
            advance.note();
        }
        if let Some(seen) = prepared.seen {
            self.0.shadows.offer(seen);
        }
        Ok(self.outcome(prepared.counts, prepared.faults, false))
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
        if let Err(error) = allow(chain.limit(tenant, &kept_batches(&decoded), now), signal) {
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

    /// Bounds of derived series.
    pub(crate) fn derived_limits(&self) -> Limits {
        self.0.board.limits
    }

    /// How many series a tenant may have.
    pub(crate) fn series_limits(&self, tenant: &Tenant) -> SeriesLimits {
        self.0.live.of_series(tenant)
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
            judged.of_samples = chain.validate(tenant, samples, now);
            drop_samples(&judged.of_samples, samples, &text, rejections);
        }
        if !histograms.is_empty() {
            judged.of_histograms = chain.validate(tenant, histograms, now);
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

    /// Writes the derived metrics of all tenants now.
    ///
    /// An error names the first tenant whose tick was not stored; the others are
    /// written, and what failed is in the next tick.
    pub async fn tick(&self) -> Result<(), IngestError> {
        let _one_at_a_time = self.0.ticking.lock().await;
        let mut first_error = Ok(());
        for (tenant, board) in self.0.board.tenants() {
            match self.tick_tenant(&tenant, &board).await {
                Ok(()) => board.lock().commit_tick(),
                Err(error) => {
                    board.lock().abort_tick(self.0.board.limits);
                    self.0.recorder.tenant(&tenant, |stats| stats.failed_ticks += 1);
                    tracing::warn!(%tenant, %error, "derived metrics were not written; the next tick covers them");
                    first_error = first_error.and(Err(error));
                }
            }
        }
        first_error
    }

    async fn tick_tenant(&self, tenant: &Tenant, board: &SharedBoard) -> Result<(), IngestError> {
        let resolver = self.0.store.resolver(tenant).await?;
        let (this, of_tenant, board) = (self.clone(), tenant.clone(), Arc::clone(board));
        match self.compute(move || Ok(this.read_tick(&of_tenant, &board, resolver))).await? {
            Some(append) => self.append_tick(tenant, append).await,
            None => Ok(()),
        }
    }

    fn read_tick(&self, tenant: &Tenant, board: &SharedBoard, mut resolver: Resolver) -> Option<Append> {
        let inner = &*self.0;
        let now = inner.clock.now_unix_nanos();
        resolver.limit(inner.live.of_series(tenant));
        let tick =
            write_tick(&inner.board, tenant, &mut board.lock(), &inner.chains.current(), &mut resolver, now);
        tick.map(|tick| {
            let mut append = Append::new(tenant.clone());
            append.life = resolver.life();
            append.tick = Some(TickMark { covers: tick.covers });
            append.samples = tick.samples;
            append.histograms = tick.histograms;
            append.exemplars = tick.exemplars;
            append
        })
    }

    pub(crate) async fn append_tick(&self, tenant: &Tenant, append: Append) -> Result<(), IngestError> {
        let samples = (append.samples.len() + append.histograms.len()) as u64;
        self.0.store.append(append).await?;
        self.0.recorder.tenant(tenant, |stats| stats.derived_samples += samples);
        Ok(())
    }

    /// Answers when everything received, derived metrics included, is in
    /// committed tables.
    pub async fn flush(&self) -> Result<(), IngestError> {
        // What waits in the log is not counted yet; a flush of the store waits for it too,
        // and says why if it cannot come.
        if self.0.store.is_replaying() {
            self.0.store.flush().await?;
        }
        self.tick().await?;
        self.settle_shadows().await?;
        Ok(self.0.store.flush().await?)
    }

    /// Answers when what plugins that are tried out said of all requests that were answered can
    /// be asked for, or when they take too long.
    pub async fn settle_shadows(&self) -> Result<(), IngestError> {
        self.0.shadows.settle(SETTLE_MAX).await;
        self.write_shadows().await
    }

    /// Writes what plugins that are tried out said so far.
    async fn write_shadows(&self) -> Result<(), IngestError> {
        let mut first_error = Ok(());
        for (tenant, said) in self.0.shadows.take() {
            let rows = self.0.shadows.rows(&said, self.0.clock.now_unix_nanos());
            let rows = rows.map_err(|error| IngestError::Internal(error.to_string()))?;
            let count = rows.num_rows();
            let append = Append { shadow: Some(rows), ..Append::new(tenant.clone()) };
            match self.0.store.append(append).await {
                Ok(_) => self.0.shadows.written(count),
                Err(error) => {
                    tracing::warn!(%tenant, %error, "rows of shadow were not written; they come with the next");
                    self.0.shadows.put_back(&tenant, said);
                    first_error = first_error.and(Err(error.into()));
                }
            }
        }
        first_error
    }

    /// Counts about plugins that are tried out.
    pub fn shadow_stats(&self) -> ShadowStats {
        self.0.shadows.stats()
    }

    /// Takes no more, writes the derived metrics, flushes and closes the store.
    pub async fn close(&self) -> Result<(), IngestError> {
        self.0.stopping.store(true, Ordering::Release);
        let ticker = self.0.ticker.lock().take();
        if let Some(ticker) = ticker {
            ticker.abort();
        }
        self.0.replays.stop().await;
        self.0.board.expire_all();
        let ticked = self.tick().await;
        // What was not written is lost, and little.
        let _ = self.write_shadows().await;
        self.0.store.clone().close().await?;
        ticked
    }

    /// Deletes a tenant, see [`Store::delete_tenant`]. Goes on to its end when the caller
    /// goes away.
    pub async fn delete_tenant(&self, tenant: &Tenant) -> Result<Option<Deleted>, IngestError> {
        self.0.shadows.forget(tenant);
        let (store, tenant) = (self.0.store.clone(), tenant.clone());
        let work = tokio::spawn(async move { store.delete_tenant(&tenant).await });
        Ok(work
            .await
            .map_err(|error| IngestError::Internal(format!("a deletion ended early: {error}")))??)
    }

    /// Held while a tick is written: there is one at a time.
    pub(crate) async fn one_tick(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.ticking.lock().await
    }

    pub(crate) fn board(&self) -> &Board {
        &self.0.board
    }

    pub(crate) fn replays(&self) -> &Jobs {
        &self.0.replays
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    pub(crate) fn config(&self) -> &IngestConfig {
        &self.0.config
    }

    /// The store behind it.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The plugin chains: the one in use, and how another takes its place.
    pub fn chains(&self) -> &Arc<LiveChain> {
        &self.0.chains
    }

    /// The functions that its plugins bring to queries.
    pub fn functions(&self) -> Arc<dyn FunctionSource> {
        Arc::<LiveChain>::clone(&self.0.chains)
    }

    /// What is known here and asked for in SQL: `system.plugins`, `system.plugin_costs` and
    /// `system.replays`.
    pub fn system_tables(&self) -> Vec<Arc<dyn SystemTable>> {
        let chains = &self.0.chains;
        vec![
            Arc::new(Plugins::new(chains)),
            Arc::new(PluginCosts::new(chains)),
            Arc::new(ReplaysTable::new(&self.0.replays)),
        ]
    }

    pub(crate) fn reingesting(&self) -> &Arc<tokio::sync::Mutex<()>> {
        &self.0.reingesting
    }

    pub(crate) fn now_unix_nanos(&self) -> i64 {
        self.0.clock.now_unix_nanos()
    }

    /// Counts items that were sent again: what is stored now is received once more, and the
    /// refusal from before stays counted.
    pub(crate) fn reingested(
        &self,
        tenant: &Tenant,
        signal: Signal,
        counts: &Counts,
        outcomes: [(&'static str, u64); 3],
    ) {
        self.0.recorder.signal(tenant, signal, |stats| stats.counts.add(counts));
        self.0.recorder.tenant(tenant, |stats| {
            for (outcome, items) in outcomes.into_iter().filter(|(_, items)| *items > 0) {
                *stats.reingested.entry(outcome).or_default() += items;
            }
        });
    }

    /// Counts since start.
    pub fn stats(&self) -> IngestStats {
        self.0.recorder.snapshot()
    }
}

/// How long a flush waits for plugins that are tried out.
const SETTLE_MAX: Duration = Duration::from_secs(10);

pub(crate) type SharedBoard = Arc<parking_lot::Mutex<crate::derived::TenantBoard>>;

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

async fn tick_forever(ingest: Ingest) {
    let mut interval = tokio::time::interval(Duration::from_millis(ingest.0.config.tick_interval_ms.max(1)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval.tick().await;
    loop {
        interval.tick().await;
        // What failed is logged, counted and part of the next tick.
        let _ = ingest.tick().await;
        let _ = ingest.write_shadows().await;
        let chains = Arc::clone(&ingest.0.chains);
        // What came of it is logged and counted.
        let _ = tokio::task::spawn_blocking(move || chains.roll_back_failing()).await;
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

pub(crate) fn kept_batches(decoded: &Decoded) -> Vec<&dyn Columns> {
    let mut batches: Vec<&dyn Columns> = Vec::new();
    if !decoded.samples.is_empty() {
        batches.push(&decoded.samples);
    }
    if !decoded.histograms.is_empty() {
        batches.push(&decoded.histograms);
    }
    if let Some(logs) = &decoded.logs {
        batches.push(logs);
    }
    if let Some(spans) = &decoded.spans {
        batches.push(spans);
    }
    batches
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
