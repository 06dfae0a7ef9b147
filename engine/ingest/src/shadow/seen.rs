//! What is remembered of a request for the plugins that are tried out.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use isinglass_chain::Chain;
use isinglass_model::batch::{HistogramBatch, LogBatch, SampleBatch, SpanBatch};
use isinglass_model::columns::Columns;
use isinglass_model::edits::Rows;
use isinglass_model::kind::Signal;
use isinglass_model::reason::{Reason, code};
use isinglass_model::verdict::Verdicts;
use isinglass_model::{Clock, Tenant};
use isinglass_store::Resolver;

use crate::judge::RefusedSeries;

/// A request as it went through the chain that is enforced.
pub(crate) struct Seen {
    pub(crate) chain: Arc<Chain>,
    pub(crate) tenant: Tenant,
    pub(crate) signal: Signal,
    pub(crate) wire_bytes: u64,
    pub(crate) now_unix_nanos: i64,
    /// When it came, on the monotonic clock.
    pub(crate) at: Duration,
    pub(crate) rows: Option<SeenRows>,
    pub(crate) metrics: Option<SeenMetrics>,
    /// Whether a limiter refused all of it.
    pub(crate) limited: bool,
    /// Deletions of tenants before it came.
    pub(crate) deletions: u64,
}

/// What the validators said of samples.
#[derive(Default)]
pub(crate) struct Judged {
    /// Of the label sets.
    pub(crate) refused: RefusedSeries,
    /// Of the samples whose label set was kept, in their order.
    pub(crate) of_samples: Verdicts,
    /// Of the histograms whose label set was kept.
    pub(crate) of_histograms: Verdicts,
}

/// Log records or spans: what the validators were shown, and what they said.
pub(crate) struct SeenRows {
    pub(crate) batch: SeenBatch,
    pub(crate) verdicts: Verdicts,
}

pub(crate) enum SeenBatch {
    Logs(LogBatch),
    Spans(SpanBatch),
}

/// Samples: what the validators were shown, and what they said.
pub(crate) struct SeenMetrics {
    pub(crate) resolver: Resolver,
    pub(crate) samples: SampleBatch,
    pub(crate) histograms: HistogramBatch,
    pub(crate) judged: Judged,
}

impl Seen {
    /// A request whose items are not known yet.
    pub(crate) fn new(
        chain: &Arc<Chain>,
        (tenant, signal): (&Tenant, Signal),
        wire_bytes: u64,
        clock: &dyn Clock,
    ) -> Self {
        Self {
            chain: Arc::clone(chain),
            tenant: tenant.clone(),
            signal,
            wire_bytes,
            now_unix_nanos: clock.now_unix_nanos(),
            at: clock.monotonic(),
            rows: None,
            metrics: None,
            limited: false,
            deletions: 0,
        }
    }

    /// Roughly what it holds.
    pub(crate) fn bytes(&self) -> u64 {
        let of_rows = self.rows.as_ref().map_or(0, |rows| rows.columns().bytes());
        let of_metrics = self.metrics.as_ref().map_or(0, |metrics| {
            metrics.samples.len() * 32 + metrics.histograms.bytes() + metrics.judged.refused.len() * 16
        });
        self.wire_bytes.max((of_rows + of_metrics) as u64)
    }

    /// What a limiter that refused all of it makes of an item that was kept until then.
    pub(crate) fn kept_but_limited(&self) -> Option<Reason> {
        self.limited.then_some(Reason::Borrowed(code::RATE_LIMITED))
    }
}

impl SeenRows {
    pub(crate) fn columns(&self) -> &dyn Columns {
        match &self.batch {
            SeenBatch::Logs(logs) => logs,
            SeenBatch::Spans(spans) => spans,
        }
    }

    pub(crate) fn table(&self) -> &RecordBatch {
        match &self.batch {
            SeenBatch::Logs(logs) => &logs.table,
            SeenBatch::Spans(spans) => &spans.table,
        }
    }

    /// A copy that a transformer may change.
    pub(crate) fn editable(&self) -> Rows {
        match &self.batch {
            SeenBatch::Logs(logs) => Rows::from(logs.clone()),
            SeenBatch::Spans(spans) => Rows::from(spans.clone()),
        }
    }

    /// Back to columns of the table.
    pub(crate) fn edited(&self, rows: Rows) -> RecordBatch {
        match &self.batch {
            SeenBatch::Logs(_) => rows.into_logs().table,
            SeenBatch::Spans(_) => rows.into_spans().table,
        }
    }

    /// What limiters and derivers are shown: the rows that the validators kept, as a replay of
    /// the log would show them.
    pub(crate) fn kept(&self) -> Option<Self> {
        let table = self.table();
        let keep = || (0..table.num_rows()).map(|row| Some(self.verdicts.refusal(row).is_none()));
        let table = match self.verdicts.keeps_all() {
            true => table.clone(),
            false => filter_record_batch(table, &keep().collect::<BooleanArray>()).ok()?,
        };
        let batch = match &self.batch {
            SeenBatch::Logs(logs) => {
                let (attributes, stream_labels) = (None, Vec::new());
                SeenBatch::Logs(LogBatch { table, attributes, stream_labels, bytes: logs.bytes })
            }
            SeenBatch::Spans(_) => SeenBatch::Spans(SpanBatch { table, attributes: None }),
        };
        Some(Self { batch, verdicts: Verdicts::default() })
    }
}
