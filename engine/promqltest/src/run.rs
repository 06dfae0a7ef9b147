//! Runs scripts.

use std::path::{Path, PathBuf};

use crate::backend::{Answer, Backend, Found, Outcome, Row};
use crate::compare::{check_annotations, check_error, check_outcome, check_sorted};
use crate::report::{Failure, FileReport};
use crate::script::{CommandKind, Eval, Expectation, Expected, Script, Times, Window};
use crate::variants::{Variant, same_in_range, variants};

/// The steps of the range query that stands for an instant one.
const STEP_MS: i64 = 60_000;

/// Runs all `*.test` files of a folder, each on a back end of its own, by name. A folder or script
/// that cannot be read is a failure like any other.
pub fn run_folder<B: Backend>(folder: &Path, mut make_backend: impl FnMut() -> B) -> Vec<FileReport> {
    match scripts(folder) {
        Ok(paths) => paths.iter().map(|path| run_file(path, &mut make_backend(), None)).collect(),
        Err(error) => vec![FileReport::unreadable(&folder.display().to_string(), error.to_string())],
    }
}

/// Runs a file: all of it, or only the eval on a line and what it needs before it.
pub fn run_file(path: &Path, backend: &mut impl Backend, only_line: Option<usize>) -> FileReport {
    match Script::read(path) {
        Ok(script) => run_script(&script, backend, only_line),
        Err(error) => FileReport::unreadable(&path.display().to_string(), error.to_string()),
    }
}

/// Runs a script as [`run_file`] runs a file. The back end is cleared first.
pub fn run_script(script: &Script, backend: &mut impl Backend, only_line: Option<usize>) -> FileReport {
    let mut report = FileReport::new(&script.file);
    report.fail_if(1, "clear", backend.clear());
    for command in &script.commands {
        let line = command.line;
        match &command.kind {
            CommandKind::Clear => report.fail_if(line, "clear", backend.clear()),
            CommandKind::Load(series) => report.fail_if(line, "load", backend.load(series)),
            CommandKind::Eval(eval) if only_line.is_none_or(|only| only == line) => {
                let mut run = Run { backend, executions: 0 };
                let result = run.eval(eval);
                report.executions += run.executions;
                match result {
                    Ok(()) => report.passed += 1,
                    Err(reason) => {
                        report.fail(Failure { line, query: eval.query.clone(), reason });
                    }
                }
            }
            CommandKind::Eval(_) => {}
        }
    }
    report
}

fn scripts(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "test") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

struct Run<'a, B> {
    backend: &'a mut B,
    executions: usize,
}

impl<B: Backend> Run<'_, B> {
    fn eval(&mut self, eval: &Eval) -> Result<(), String> {
        match eval.times {
            Times::Range(window) => {
                let answer = self.range(&eval.query, window);
                check_answer(&eval.expect, window, &answer).map(|_| ())
            }
            Times::Instant(time_ms) => {
                variants(&eval.query, time_ms).iter().enumerate().try_for_each(|(at, variant)| {
                    let label = |fault: String| match at {
                        0 => fault,
                        _ => format!("as {} at {} ms: {fault}", variant.query, variant.time_ms),
                    };
                    self.variant(&eval.expect, time_ms, variant).map_err(label)
                })
            }
        }
    }

    fn variant(&mut self, expect: &Expectation, eval_ms: i64, variant: &Variant) -> Result<(), String> {
        self.executions += 1;
        let answer = self.backend.instant(&variant.query, variant.time_ms);
        let once = Window { start_ms: eval_ms, end_ms: eval_ms, step_ms: 0 };
        let Some(outcome) = check_answer(expect, expect.window.unwrap_or(once), &answer)? else {
            return Ok(());
        };
        check_times(outcome, variant.time_ms)?;
        let no_vector = expect.window.is_some() || matches!(expect.result, Expected::Text(_));
        if no_vector || !same_in_range(&variant.query) {
            return Ok(());
        }
        let is_scalar = matches!(outcome, Outcome::Scalar(_));
        self.middle_step(expect, variant, is_scalar).map_err(|fault| format!("in a range query: {fault}"))
    }

    /// Runs the query once more as a range query of three steps, of which the middle one is compared.
    fn middle_step(&mut self, expect: &Expectation, variant: &Variant, scalar: bool) -> Result<(), String> {
        let time_ms = variant.time_ms;
        let (start_ms, end_ms) = (time_ms.saturating_sub(STEP_MS), time_ms.saturating_add(STEP_MS));
        let answer = self.range(&variant.query, Window { start_ms, end_ms, step_ms: STEP_MS });
        let rows = match answer.result.map_err(|error| format!("error: {error}"))? {
            Outcome::Matrix(rows) => rows,
            other => return Err(format!("no range vector: {other:?}")),
        };
        check_sorted(&rows)?;
        if expect.ordered {
            return Ok(());
        }
        let once = Window { start_ms: time_ms, end_ms: time_ms, step_ms: 0 };
        check_outcome(expect, once, &at_time(rows, time_ms, scalar)?)
    }

    fn range(&mut self, query: &str, window: Window) -> Answer {
        self.executions += 1;
        self.backend.range(query, window.start_ms, window.end_ms, window.step_ms)
    }
}

/// Checks an answer; the result, where there has to be one.
fn check_answer<'a>(
    expect: &Expectation,
    window: Window,
    answer: &'a Answer,
) -> Result<Option<&'a Outcome>, String> {
    match (&answer.result, &expect.fail) {
        (Err(error), Some(expected)) => check_error(expected, error).map(|()| None),
        (Err(error), None) => Err(format!("error: {error}")),
        (Ok(_), Some(expected)) => Err(format!("expected an error with {expected}, got a result")),
        (Ok(outcome), None) => {
            check_annotations(expect, answer)?;
            check_outcome(expect, window, outcome)?;
            Ok(Some(outcome))
        }
    }
}

/// The samples of an instant vector have the time of evaluation.
fn check_times(outcome: &Outcome, time_ms: i64) -> Result<(), String> {
    let Outcome::Vector(rows) = outcome else { return Ok(()) };
    let other = rows.iter().find_map(|row| {
        let (got_ms, _) = row.points.iter().find(|(got_ms, _)| *got_ms != time_ms)?;
        Some((row, got_ms))
    });
    match other {
        Some((row, got_ms)) => Err(format!("{} has the time {got_ms} ms, not {time_ms} ms", row.labels)),
        None => Ok(()),
    }
}

/// What an instant query would have given at one of the steps.
fn at_time(rows: Vec<Row>, time_ms: i64, scalar: bool) -> Result<Outcome, String> {
    let at_time = |mut row: Row| {
        row.points.retain(|(point_ms, _)| *point_ms == time_ms);
        (!row.points.is_empty()).then_some(row)
    };
    let rows: Vec<_> = rows.into_iter().filter_map(at_time).collect();
    if !scalar {
        return Ok(Outcome::Vector(rows));
    }
    match rows.first().map(|row| &row.points[0].1) {
        Some(Found::Float(value)) => Ok(Outcome::Scalar(*value)),
        other => Err(format!("no scalar in the middle step: {other:?}")),
    }
}

#[cfg(test)]
mod tests;
