//! Where samples come from.

use std::sync::Arc;

use isinglass_lang::promql::ast::Matcher;

use crate::error::Result;
use crate::histogram::Histogram;
use crate::labels::Labels;

/// Series and their samples, by matcher and time. All selections of a query see one state.
pub trait Source: Send + Sync {
    /// Opens a selection in at most `parts` parts of about equal size: series are in exactly one
    /// of them, and each part can be read by a thread of its own.
    fn select(&self, selection: &Selection, parts: usize) -> Result<Vec<Box<dyn SeriesStream>>>;

    /// The values of a label among series that have samples in a span of time, for `info`, which
    /// has to know the info series before it reads them. The default reads all of them.
    fn series(&self, selection: &Selection) -> Result<Vec<Labels>> {
        let mut all = Vec::new();
        for mut part in self.select(selection, 1)? {
            while let Some(series) = part.next()? {
                all.push(series.labels.clone());
            }
        }
        Ok(all)
    }

    /// A function of samples that PromQL does not have; its name was made known to the parser.
    fn function(&self, _name: &str) -> Option<Arc<dyn SampleFunction>> {
        None
    }

    /// Memory that evaluation holds from now on, which a source may refuse.
    fn hold(&self, _bytes: usize) -> Result<()> {
        Ok(())
    }

    /// Memory that it holds no more.
    fn release(&self, _bytes: usize) {}

    /// The thread that calls this has done its part of an evaluation and ends.
    fn thread_ends(&self) {}
}

/// A function of each sample by itself, applied to many at once.
pub trait SampleFunction: Send + Sync {
    /// Scalars that it takes besides the sample.
    fn scalars(&self) -> usize;

    /// The values for the samples in the first column; those beside it are the scalars at their
    /// times. `None` = there is no sample.
    fn call(&self, columns: Vec<Vec<f64>>) -> Result<Vec<Option<f64>>>;
}

/// What a selector wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// All must match. A series without a label has the empty value.
    pub matchers: Vec<Matcher>,
    /// Samples later than this, milliseconds since the epoch.
    pub after_ms: i64,
    /// Samples up to this, milliseconds since the epoch.
    pub until_ms: i64,
    /// Whether start times are used.
    pub start_times: bool,
    /// Whether only the latest float of each series counts, and its histograms; a source may give
    /// more.
    pub latest: bool,
    /// The distance of the times at which the samples are wanted, for a source that could leave
    /// some out; 0 = all are.
    pub step_ms: i64,
}

/// The series of a part, in any order.
pub trait SeriesStream: Send {
    /// The next series. What it borrows is valid until the next call.
    fn next(&mut self) -> Result<Option<SeriesSamples<'_>>>;
}

/// The samples of a series in a span of time. Times rise in both lists, and no time is in both.
#[derive(Debug, Clone, Copy)]
pub struct SeriesSamples<'a> {
    /// Its labels.
    pub labels: &'a Labels,
    /// Times of floats, milliseconds since the epoch.
    pub times: &'a [i64],
    /// Floats; a stale marker has the bits of [`crate::value::STALE`].
    pub values: &'a [f64],
    /// Start times of floats, 0 = unknown; empty where none is known or wanted.
    pub starts: &'a [i64],
    /// Native histograms; a stale marker among them is a float.
    pub histograms: &'a [HistogramSample],
}

/// A native histogram and its times.
#[derive(Debug, Clone)]
pub struct HistogramSample {
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Start time, 0 = unknown.
    pub start_ms: i64,
    /// The histogram.
    pub histogram: Arc<Histogram>,
}
