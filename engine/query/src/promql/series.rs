//! From matchers to the series that are to be read.

use std::sync::Arc;

use isinglass_lang::promql::ast::{MatchOp, Matcher};
use isinglass_model::labels::Temporality;
use isinglass_model::series::SeriesRef;
use isinglass_promql::memory::MemorySource;
use isinglass_promql::source::{Selection, Source};
use isinglass_promql::{EvalError, Labels};
use isinglass_store::{Days, SeriesSelection, View};

use super::kept::Known;
use crate::error::QueryError;

/// A label that no sender can give a series: series of delta temporality have it with the value
/// `delta`, so that they are not taken for cumulative ones of the same name.
const TEMPORALITY: &str = "__temporality__";

/// A series that is to be read, as rows of files are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Wanted {
    pub(super) metric_id: i64,
    pub(super) series_id: i64,
    pub(super) series: SeriesRef,
}

impl Wanted {
    pub(super) fn key(&self) -> (i64, i64) {
        (self.metric_id, self.series_id)
    }
}

/// The series for which all matchers hold, of those written on one of the days.
pub(super) fn select(
    view: &View,
    matchers: &[Matcher],
    days: Option<Days>,
) -> Result<SeriesSelection, EvalError> {
    let (temporality, of_index): (Vec<_>, Vec<_>) =
        matchers.iter().cloned().partition(|matcher| matcher.label == TEMPORALITY);
    let of_index: Vec<isinglass_store::Matcher> = of_index.into_iter().map(of_store).collect();
    let found =
        view.series().select_on(&of_index, days).map_err(|error| QueryError::of_store(error).to_promql())?;
    if temporality.is_empty() {
        return Ok(found);
    }
    let (delta, other) = (holds(&temporality, "delta")?, holds(&temporality, "")?);
    let refs: Vec<SeriesRef> = found.refs().collect();
    let of = |series: &SeriesRef| {
        let labels = view.series().of_refs(std::slice::from_ref(series)).pop()?.labels;
        Some(if labels.temporality() == Temporality::Delta { delta } else { other })
    };
    let stay: Vec<bool> = refs.iter().map(|series| of(series).unwrap_or(false)).collect();
    Ok(found.filter(&stay))
}

/// Whether matchers hold for a series with this temporality.
fn holds(matchers: &[Matcher], value: &str) -> Result<bool, EvalError> {
    matches(matchers, &Labels::new([(TEMPORALITY, value)]))
}

/// Whether matchers hold for a label set, by the engine's own reading of them.
pub(super) fn matches(matchers: &[Matcher], labels: &Labels) -> Result<bool, EvalError> {
    let mut one = MemorySource::default();
    one.add_float(labels, 0, 0, 0.0);
    let selection = Selection {
        matchers: matchers.to_vec(),
        after_ms: -1,
        until_ms: 0,
        start_times: false,
        latest: false,
        step_ms: 0,
    };
    Ok(!one.series(&selection)?.is_empty())
}

fn of_store(matcher: Matcher) -> isinglass_store::Matcher {
    let op = match matcher.op {
        MatchOp::Equal => isinglass_store::MatchOp::Equal,
        MatchOp::NotEqual => isinglass_store::MatchOp::NotEqual,
        MatchOp::Matches => isinglass_store::MatchOp::Regex,
        MatchOp::NotMatches => isinglass_store::MatchOp::NotRegex,
    };
    isinglass_store::Matcher::new(matcher.label, op, matcher.value)
}

/// Selected series in the order of files.
pub(super) fn in_order(selection: &SeriesSelection) -> Arc<[Wanted]> {
    let of = |(series, (metric_id, series_id))| Wanted { metric_id, series_id, series };
    let mut wanted: Vec<Wanted> = selection.refs().zip(selection.ids()).map(of).collect();
    wanted.sort_unstable();
    wanted.into()
}

/// UTC days of a span of time, both ends included, milliseconds since the epoch.
pub(super) fn days(first_ms: i64, last_ms: i64) -> Days {
    const DAY_MS: i64 = 86_400_000;
    let day = |ms: i64| {
        let day = ms.div_euclid(DAY_MS);
        i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
    };
    day(first_ms)..=day(last_ms)
}

/// The labels of a series as PromQL sees them.
pub(super) fn labels(series: &isinglass_store::Series) -> Labels {
    // Both are packed alike, but for the first byte.
    let labels = Labels::of_packed(series.labels.as_bytes().get(1..).unwrap_or_default());
    if series.labels.temporality() != Temporality::Delta {
        return labels;
    }
    let mut builder = labels.builder();
    builder.set(TEMPORALITY, "delta");
    builder.build()
}

/// The labels of a run of wanted series, made some at a time.
pub(super) struct LabelsOf {
    view: Arc<View>,
    made: Made,
}

/// Where label sets stay that were made.
enum Made {
    /// With the selection, for the next question.
    Kept { known: Arc<Known>, last: usize },
    /// Nowhere.
    Passing { from: usize, made: Vec<Option<Labels>> },
}

/// Label sets made at a time: few at first, for who wants few.
const MADE_FIRST: usize = 16;
const MADE_MAX: usize = 1_024;

impl LabelsOf {
    pub(super) fn new(view: &Arc<View>, known: Option<Arc<Known>>) -> Self {
        let made = match known {
            Some(known) => Made::Kept { known, last: 0 },
            None => Made::Passing { from: 0, made: Vec::new() },
        };
        Self { view: Arc::clone(view), made }
    }

    /// Those of one of `wanted`; `None` if the series was forgotten. The place never goes back.
    pub(super) fn at(&mut self, wanted: &[Wanted], place: usize) -> Option<&Labels> {
        match &mut self.made {
            Made::Kept { known, last } => {
                if known.labels(place).is_none() {
                    *last = some_more(*last);
                    let end = wanted.len().min(place + *last);
                    for (place, made) in (place..end).zip(make(&self.view, &wanted[place..end])) {
                        made.map(|labels| known.set_labels(place, labels));
                    }
                }
                known.labels(place)
            }
            Made::Passing { from, made } => {
                if place >= *from + made.len() {
                    let end = wanted.len().min(place + some_more(made.len()));
                    (*made, *from) = (make(&self.view, &wanted[place..end]), place);
                }
                made.get(place - *from)?.as_ref()
            }
        }
    }
}

fn some_more(last: usize) -> usize {
    (last * 2).clamp(MADE_FIRST, MADE_MAX)
}

/// The labels of some series; none of those that were forgotten.
fn make(view: &View, wanted: &[Wanted]) -> Vec<Option<Labels>> {
    let refs: Vec<SeriesRef> = wanted.iter().map(|one| one.series).collect();
    let mut found = view.series().of_refs(&refs).into_iter().peekable();
    let next = |series: &SeriesRef| Some(labels(&found.next_if(|one| one.series == *series)?));
    refs.iter().map(next).collect()
}
