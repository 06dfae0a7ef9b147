//! The series of a view, for the PromQL engine.

use std::sync::Arc;

use isinglass_model::Kind;
use isinglass_promql::source::{SampleFunction, Selection, SeriesStream, Source};
use isinglass_promql::{ErrorKind, EvalError};
use isinglass_store::View;

use super::brought::Brought;
use super::facts::ScanFacts;
use super::kept::{Keeping, SampleCache};
use super::part::{Part, Tables};
use super::scan::{Reads, Span, TableScan};
use super::views::ViewReader;
use super::{floats, histograms, series};

/// Fewer series are not divided: parts read the same pages where they meet.
const SERIES_OF_A_PART_MIN: usize = 32;

/// One view, for all selections of a query.
pub(super) struct StoreSource {
    view: Arc<View>,
    reads: Arc<Reads>,
    samples: Arc<SampleCache>,
    views: ViewReader,
    brought: Brought,
    series_max: u64,
}

impl StoreSource {
    pub(super) fn new(
        view: Arc<View>,
        reads: Arc<Reads>,
        samples: Arc<SampleCache>,
        views: ViewReader,
        brought: Brought,
        series_max: u64,
    ) -> Self {
        Self { view, reads, samples, views, brought, series_max }
    }

    pub(super) fn views(&self) -> &ViewReader {
        &self.views
    }

    pub(super) fn view(&self) -> &Arc<View> {
        &self.view
    }

    pub(super) fn reads(&self) -> &Arc<Reads> {
        &self.reads
    }

    pub(super) fn facts(&self) -> ScanFacts {
        self.reads.facts()
    }

    /// The calling thread ends.
    pub(super) fn thread_ended(&self) {
        self.reads.thread_ended();
    }

    /// Why the query has to end, if it has to.
    pub(super) fn ended(&self) -> Option<EvalError> {
        self.reads.ended()
    }

    /// The series of a selection in the order of files.
    pub(super) fn wanted(
        &self,
        matchers: &[isinglass_lang::promql::ast::Matcher],
        (first_ms, last_ms): (i64, i64),
    ) -> Result<Arc<[series::Wanted]>, EvalError> {
        let found = series::select(&self.view, matchers, Some(series::days(first_ms, last_ms)))?;
        if found.len() as u64 > self.series_max {
            let (found, limit) = (found.len(), self.series_max);
            let message = format!(
                "a selector of the query finds {found} series, more than query.promql.series_max = {limit}"
            );
            return Err(EvalError::of(ErrorKind::Limit, message));
        }
        Ok(series::in_order(&found))
    }
}

impl Source for StoreSource {
    fn select(&self, selection: &Selection, parts: usize) -> Result<Vec<Box<dyn SeriesStream>>, EvalError> {
        let mut all = self.stored(selection, parts)?;
        all.extend(self.views.select(selection, &self.reads)?);
        Ok(all)
    }

    fn function(&self, name: &str) -> Option<Arc<dyn SampleFunction>> {
        self.brought.find(name)
    }

    fn hold(&self, bytes: usize) -> Result<(), EvalError> {
        self.reads.hold(bytes)
    }

    fn release(&self, bytes: usize) {
        self.reads.release(bytes);
    }

    fn thread_ends(&self) {
        self.thread_ended();
    }
}

impl StoreSource {
    /// Series of samples as they came.
    fn stored(&self, selection: &Selection, parts: usize) -> Result<Vec<Box<dyn SeriesStream>>, EvalError> {
        let (after_ms, until_ms) = (selection.after_ms, selection.until_ms);
        if after_ms >= until_ms {
            return Ok(Vec::new());
        }
        let wanted = self.wanted(&selection.matchers, (after_ms.saturating_add(1), until_ms))?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.samples.known(&self.view.tenant, &selection.matchers, &wanted);
        // Equal series in one place, so that less of memory is looked at.
        let wanted = known.as_ref().map_or(wanted, |known| Arc::clone(known.wanted()));
        let open = |kind, after_ms, columns: &'static [&'static str]| {
            let span = Span::new(after_ms, until_ms);
            TableScan::open(&self.view, kind, &wanted, span, columns, &self.reads)
        };
        let earlier_ms = after_ms.saturating_sub(histograms::EARLIER_MS);
        let mut samples = open(Kind::Samples, after_ms, floats::columns(selection.start_times))?;
        let keeping = Keeping::of(&self.samples, known.as_ref(), wanted.len(), samples.files());
        if keeping.is_some() {
            samples.read_columns(floats::columns(true));
        }
        let tables = Arc::new(Tables {
            samples,
            keeping: keeping.map(Arc::new),
            histograms: open(Kind::Histograms, earlier_ms, &histograms::COLUMNS)?,
            after_ms,
            start_times: selection.start_times,
            latest: selection.latest,
        });
        let most = wanted.len().div_ceil(SERIES_OF_A_PART_MIN);
        let each = wanted.len().div_ceil(parts.clamp(1, most));
        let part = |from: usize| {
            let range = from..wanted.len().min(from + each);
            Box::new(Part::new(&self.view, &tables, &wanted, known.clone(), range)) as Box<dyn SeriesStream>
        };
        Ok((0..wanted.len()).step_by(each).map(part).collect())
    }
}
