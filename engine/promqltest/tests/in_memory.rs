//! Upstream's scripts through the engine, on samples in memory.
//!
//! `PROMQLTEST_DIR` names another folder of scripts.

use std::path::PathBuf;
use std::sync::Arc;

use isinglass_promql::histogram::hint_after;
use isinglass_promql::value::is_stale;
use isinglass_promql::{EvalError, Histogram, Limits, MemorySource, Options, Sample, instant, range};
use isinglass_promqltest::report::{Failures, Summary};
use isinglass_promqltest::{Answer, Backend, LoadedSeries, run_file, run_folder};

#[derive(Default)]
struct InMemory {
    source: MemorySource,
}

fn options() -> Options {
    let limits = Limits { samples_max: 1_000_000, ..Limits::default() };
    Options { parts: 2, limits, ..Options::default() }
}

fn answer(result: Result<isinglass_promql::Answer, EvalError>) -> Answer {
    match result {
        Err(error) => Answer::error(error.to_string()),
        Ok(answer) => Answer { warnings: answer.warnings, infos: answer.infos, ..Answer::of(answer.value) },
    }
}

impl Backend for InMemory {
    fn clear(&mut self) -> Result<(), String> {
        self.source = MemorySource::default();
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        for LoadedSeries { labels, points } in series {
            let mut before: Option<Arc<Histogram>> = None;
            for point in points {
                let start_ms = point.start_ms.unwrap_or_default();
                match &point.sample {
                    Sample::Float(value) => {
                        self.source.add_float(labels, point.time_ms, start_ms, *value);
                        before = None;
                    }
                    Sample::Histogram(histogram) => {
                        let mut stored = Histogram::clone(histogram);
                        stored.reset_hint = hint_after(before.as_deref(), &stored);
                        let stored = Arc::new(stored);
                        before = (!is_stale(stored.sum)).then(|| Arc::clone(&stored));
                        self.source.add_histogram(labels, point.time_ms, start_ms, stored);
                    }
                }
            }
        }
        Ok(())
    }

    fn instant(&mut self, query: &str, time_ms: i64) -> Answer {
        answer(instant(query, time_ms, &self.source, &options(), &|| None))
    }

    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
        answer(range(query, (start_ms, end_ms, step_ms), &self.source, &options(), &|| None))
    }
}

fn folder() -> PathBuf {
    match std::env::var_os("PROMQLTEST_DIR") {
        Some(folder) => folder.into(),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/promql"),
    }
}

#[test]
fn upstreams_scripts_pass() {
    // One file, or one line of it, to look into a failure.
    let reports = match std::env::var("PROMQLTEST_FILE") {
        Ok(file) => {
            let (file, line) = file.split_once(':').unwrap_or((&file, ""));
            vec![run_file(&folder().join(file), &mut InMemory::default(), line.parse().ok())]
        }
        Err(_) => run_folder(&folder(), InMemory::default),
    };
    println!("{}", Summary(&reports));
    assert!(!reports.is_empty(), "no scripts");
    let failed: usize = reports.iter().map(|report| report.failed).sum();
    assert_eq!(failed, 0, "{}", Failures(&reports));
}
