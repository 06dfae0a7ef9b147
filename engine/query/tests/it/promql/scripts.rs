//! Upstream's scripts: every query over a store is answered as over samples in memory.
//!
//! Whether these answers are upstream's is tested in `isinglass-promqltest`.

use std::path::PathBuf;

use isinglass_model::Tenant;
use isinglass_promql::{EvalError, Limits, MemorySource, Options, instant, range};
use isinglass_promqltest::report::Summary;
use isinglass_promqltest::{Answer, Backend, FileReport, LoadedSeries, run_file};
use isinglass_query::{PromqlRequest, PromqlTime, QueryConfig};

use super::answers::difference;
use super::loaded::{remember, store};
use crate::fixture::{Fixture, Rows};

/// What one evaluation may read.
const SAMPLES_MAX: u64 = 1_000_000;

/// Samples in memory alone.
#[derive(Default)]
struct InMemory(MemorySource);

impl Backend for InMemory {
    fn clear(&mut self) -> Result<(), String> {
        self.0 = MemorySource::default();
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        remember(&mut self.0, series);
        Ok(())
    }

    fn instant(&mut self, text: &str, time_ms: i64) -> Answer {
        answer(instant(text, time_ms, &self.0, &options(), &|| None))
    }

    fn range(&mut self, text: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
        answer(range(text, (start_ms, end_ms, step_ms), &self.0, &options(), &|| None))
    }
}

/// A store, and the same in memory.
struct Both {
    runtime: tokio::runtime::Runtime,
    fixture: Fixture,
    rows: Rows,
    tenants: usize,
    memory: InMemory,
    differences: Vec<String>,
}

impl Both {
    fn new(rows: Rows) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut config = QueryConfig { threads: 2, ..QueryConfig::default() };
        config.promql.samples_max = SAMPLES_MAX;
        let fixture = runtime.block_on(Fixture::empty(config));
        Self { runtime, fixture, rows, tenants: 0, memory: InMemory::default(), differences: Vec::new() }
    }

    fn tenant(&self) -> Tenant {
        Tenant::new(&format!("t{}", self.tenants)).unwrap()
    }

    fn stored(&self, text: &str, time: PromqlTime) -> Answer {
        let request = PromqlRequest::new(text, time);
        match self.runtime.block_on(self.fixture.engine.promql(&self.tenant(), request)) {
            Err(error) => Answer::error(error.message()),
            Ok(answer) => {
                Answer { warnings: answer.warnings, infos: answer.infos, ..Answer::of(answer.value) }
            }
        }
    }

    fn compared(&mut self, text: &str, remembered: Answer, stored: Answer) -> Answer {
        if let Some(difference) = difference(&stored, &remembered) {
            self.differences.push(format!("{text}: {difference}"));
        }
        stored
    }
}

fn options() -> Options {
    let limits = Limits { samples_max: SAMPLES_MAX, ..Limits::default() };
    Options { parts: 2, limits, ..Options::default() }
}

fn answer(result: Result<isinglass_promql::Answer, EvalError>) -> Answer {
    match result {
        Err(error) => Answer::error(error.to_string()),
        Ok(answer) => Answer { warnings: answer.warnings, infos: answer.infos, ..Answer::of(answer.value) },
    }
}

impl Backend for Both {
    fn clear(&mut self) -> Result<(), String> {
        self.tenants += 1;
        self.memory.clear()
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        self.memory.load(series)?;
        let half = series.len() / 2;
        let parts =
            if self.rows == Rows::Half { vec![&series[..half], &series[half..]] } else { vec![series] };
        let flush = |part| self.rows == Rows::Flushed || (self.rows == Rows::Half && part == 0);
        for (at, part) in parts.into_iter().enumerate() {
            self.runtime.block_on(store(&self.fixture.store, &self.tenant(), part));
            if flush(at) {
                self.runtime.block_on(self.fixture.store.flush()).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    fn instant(&mut self, text: &str, time_ms: i64) -> Answer {
        let remembered = self.memory.instant(text, time_ms);
        let stored = self.stored(text, PromqlTime::Instant { time_ms });
        self.compared(text, remembered, stored)
    }

    fn range(&mut self, text: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
        let remembered = self.memory.range(text, start_ms, end_ms, step_ms);
        let stored = self.stored(text, PromqlTime::Range { start_ms, end_ms, step_ms });
        self.compared(text, remembered, stored)
    }
}

fn check(files: &[&str], rows: Rows) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/promql");
    let (mut reports, mut differences) = (Vec::new(), Vec::new());
    for file in files {
        let mut both = Both::new(rows);
        let report = run_file(&folder.join(file), &mut both, None);
        let remembered = run_file(&folder.join(file), &mut InMemory::default(), None);
        let failed = |report: &FileReport| report.failures.iter().map(|one| one.line).collect::<Vec<_>>();
        assert_eq!(failed(&report), failed(&remembered), "lines of {file} that fail");
        reports.push(report);
        differences.extend(both.differences.into_iter().map(|difference| format!("{file}: {difference}")));
    }
    println!("{}", Summary(&reports));
    let executions: usize = reports.iter().map(|report| report.executions).sum();
    assert!(executions > 0, "no scripts");
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n"));
}

/// Few files a test, so that they run side by side.
macro_rules! scripts {
    ($($name:ident: $files:expr;)*) => {$(
        #[test]
        fn $name() {
            check(&$files, Rows::Unflushed);
        }
    )*};
}

scripts! {
    functions: ["functions.test"];
    histograms: ["histograms.test"];
    native_histograms: ["native_histograms.test"];
    operators: ["operators.test", "fill-modifier.test"];
    aggregators: ["aggregators.test", "limit.test"];
    vectors: ["extended_vectors.test", "range_queries.test", "staleness.test", "subquery.test"];
    selectors: ["selectors.test", "at_modifier.test", "collision.test", "literals.test", "info.test"];
    others: [
        "duration_expression.test",
        "name_label_dropping.test",
        "start_timestamps.test",
        "trig_functions.test",
        "type_and_unit.test",
    ];
}

#[test]
fn scripts_over_files() {
    let files =
        ["selectors.test", "staleness.test", "start_timestamps.test", "range_queries.test", "collision.test"];
    check(&files, Rows::Flushed);
}

#[test]
fn scripts_over_files_and_memory() {
    check(&["at_modifier.test", "subquery.test", "info.test", "native_histograms.test"], Rows::Half);
}

/// A script that comes later is run, too.
#[test]
fn all_scripts_are_named() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/promql");
    let own = include_str!("scripts.rs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".test") || own.contains(&format!("\"{name}\"")), "{name} is not run");
    }
}
