//! The engine itself as a back end, on samples in memory.

use std::sync::Arc;

use isinglass_promql::histogram::hint_after;
use isinglass_promql::value::is_stale;
use isinglass_promql::{EvalError, Histogram, Limits, MemorySource, Options, Sample, instant, range};

use crate::backend::{Answer, Backend, LoadedSeries};

/// Samples in memory.
#[derive(Debug)]
pub struct MemoryBackend {
    source: MemorySource,
    options: Options,
}

impl Default for MemoryBackend {
    /// As upstream's scripts want it, selections in two parts.
    fn default() -> Self {
        let limits = Limits { samples_max: 1_000_000, ..Limits::default() };
        Self::new(Options { parts: 2, limits, ..Options::default() })
    }
}

impl MemoryBackend {
    /// Without samples.
    pub fn new(options: Options) -> Self {
        Self { source: MemorySource::default(), options }
    }

    /// How queries are evaluated from now on.
    pub fn options_mut(&mut self) -> &mut Options {
        &mut self.options
    }
}

impl Backend for MemoryBackend {
    fn clear(&mut self) -> Result<(), String> {
        self.source = MemorySource::default();
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        for one in series {
            add(&mut self.source, one);
        }
        Ok(())
    }

    fn instant(&mut self, query: &str, time_ms: i64) -> Answer {
        answer(instant(query, time_ms, &self.source, &self.options, &|| None))
    }

    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
        answer(range(query, (start_ms, end_ms, step_ms), &self.source, &self.options, &|| None))
    }
}

fn add(source: &mut MemorySource, series: &LoadedSeries) {
    let mut before: Option<Arc<Histogram>> = None;
    for point in &series.points {
        let start_ms = point.start_ms.unwrap_or_default();
        match &point.sample {
            Sample::Float(value) => {
                source.add_float(&series.labels, point.time_ms, start_ms, *value);
                before = None;
            }
            Sample::Histogram(histogram) => {
                let mut stored = Histogram::clone(histogram);
                stored.reset_hint = hint_after(before.as_deref(), &stored);
                let stored = Arc::new(stored);
                before = (!is_stale(stored.sum)).then(|| Arc::clone(&stored));
                source.add_histogram(&series.labels, point.time_ms, start_ms, stored);
            }
        }
    }
}

fn answer(result: Result<isinglass_promql::Answer, EvalError>) -> Answer {
    match result {
        Err(error) => Answer::error(error.to_string()),
        Ok(answer) => Answer { warnings: answer.warnings, infos: answer.infos, ..Answer::of(answer.value) },
    }
}
