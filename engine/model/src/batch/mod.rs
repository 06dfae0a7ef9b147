//! Batches on their way from decode to store.
//!
//! They are born in the layout in which they are stored: text that repeats is
//! dictionary-encoded while it is read, and there is no object per sample, line
//! or span.

use arrow_array::RecordBatch;

mod attributes;
mod lookup;
mod metrics;
mod resource;
mod table;

pub use attributes::AttributeIndex;
pub use lookup::columns_behind;
pub use metrics::{ExemplarBatch, HistogramBatch, HistogramRow, STALE_NAN_BITS, SampleBatch, SeriesBatch};
pub use table::{LogBatch, SpanBatch};

pub(crate) use lookup::attribute_column;
pub(crate) use metrics::text_column;
pub(crate) use table::table_column;

use crate::counts::Rejections;

/// Everything that one request held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Items in the request, kept or not.
    pub received: u64,
    /// Float samples.
    pub samples: SampleBatch,
    /// Native histograms.
    pub histograms: HistogramBatch,
    /// Exemplars.
    pub exemplars: ExemplarBatch,
    /// Series among the above whose labels no validator has seen yet; may name
    /// one twice.
    pub unjudged: Vec<crate::series::SeriesRef>,
    /// Log records.
    pub logs: Option<LogBatch>,
    /// Spans.
    pub spans: Option<SpanBatch>,
    /// Items that decode could not take, and items of series refused before.
    pub rejections: Rejections,
}

impl Decoded {
    /// Items that are not rejected so far.
    pub fn kept(&self) -> u64 {
        let rows = |batch: Option<&RecordBatch>| batch.map_or(0, RecordBatch::num_rows);
        let metrics = self.samples.len() + self.histograms.len() + self.exemplars.len();
        let others = rows(self.logs.as_ref().map(|b| &b.table)) + rows(self.spans.as_ref().map(|b| &b.table));
        (metrics + others) as u64
    }
}
