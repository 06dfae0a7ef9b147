//! What became of files.

use std::fmt;

/// What became of a file.
#[derive(Debug, Clone, Default)]
pub struct FileReport {
    /// Its name.
    pub file: String,
    /// Evals of which every execution gave what it must.
    pub passed: usize,
    /// Evals and other commands that failed.
    pub failed: usize,
    /// The first of them, with its line, query and what differs.
    pub first_failure: Option<String>,
    /// All of them.
    pub failures: Vec<Failure>,
    /// Queries that were run.
    pub executions: usize,
}

/// A command that failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its line.
    pub line: usize,
    /// The query, or the command.
    pub query: String,
    /// What went wrong or differs.
    pub reason: String,
}

/// Reports as a table: a line for each file, and the total.
#[derive(Debug)]
pub struct Summary<'a>(pub &'a [FileReport]);

/// All failures, a line for each.
#[derive(Debug)]
pub struct Failures<'a>(pub &'a [FileReport]);

impl FileReport {
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), ..Self::default() }
    }

    pub(crate) fn unreadable(file: &str, reason: String) -> Self {
        let mut report = Self::new(file);
        report.fail(Failure { line: 0, query: "read".to_owned(), reason });
        report
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| failure.to_string());
        self.failures.push(failure);
    }

    pub(crate) fn fail_if(&mut self, line: usize, command: &str, result: Result<(), String>) {
        if let Err(reason) = result {
            self.fail(Failure { line, query: command.to_owned(), reason });
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.query, self.reason)
    }
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<28} {:>5} passed {:>5} failed", self.file, self.passed, self.failed)?;
        match &self.first_failure {
            Some(failure) => write!(f, "   {}", shortened(failure)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for report in self.0 {
            writeln!(f, "{report}")?;
        }
        let sum = |field: fn(&FileReport) -> usize| self.0.iter().map(field).sum::<usize>();
        let (passed, failed) = (sum(|report| report.passed), sum(|report| report.failed));
        write!(f, "{:<28} {passed:>5} passed {failed:>5} failed", "total")?;
        write!(f, "   {} queries", sum(|report| report.executions))
    }
}

impl fmt::Display for Failures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for report in self.0 {
            for failure in &report.failures {
                writeln!(f, "{}: {failure}", report.file)?;
            }
        }
        Ok(())
    }
}

/// A text for a table: the beginning of a long one.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_file_and_the_total() {
        let mut bad = FileReport { passed: 3, executions: 30, ..FileReport::new("bad.test") };
        bad.fail_if(1, "clear", Ok(()));
        bad.fail_if(7, "load", Err("no room".to_owned()));
        bad.fail(Failure { line: 9, query: "up".to_owned(), reason: "x".repeat(400) });
        let good = FileReport { passed: 4, executions: 12, ..FileReport::new("good.test") };
        let reports = [bad, good];
        assert_eq!(
            Summary(&reports).to_string(),
            "bad.test                         3 passed     2 failed   line 7: load: no room\n\
             good.test                        4 passed     0 failed\n\
             total                            7 passed     2 failed   42 queries"
        );
        let failures = Failures(&reports).to_string();
        assert_eq!(failures.lines().count(), 2);
        assert!(failures.starts_with("bad.test: line 7: load: no room\nbad.test: line 9: up: xxx"));
    }
}
