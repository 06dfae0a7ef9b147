//! What a plugin logged last, for who looks after it.

use std::collections::VecDeque;

use parking_lot::Mutex;

/// Lines that are kept of a binding. Each has 300 characters at most.
const LINES_MAX: usize = 200;

/// A line that a plugin logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, milliseconds since 1970.
    pub unix_ms: i64,
    /// `trace`, `debug`, `info`, `warn` or `error`; `failure` = the host says that the plugin failed.
    pub level: &'static str,
    /// Whose batch it was shown; empty while it is loaded.
    pub tenant: String,
    /// What it says.
    pub message: String,
}

/// The last lines.
#[derive(Debug, Default)]
pub(crate) struct Lines(Mutex<VecDeque<LogLine>>);

impl Lines {
    pub(crate) fn push(&self, line: LogLine) {
        let mut lines = self.0.lock();
        if lines.len() >= LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The oldest first.
    pub(crate) fn all(&self) -> Vec<LogLine> {
        self.0.lock().iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_stay() {
        let lines = Lines::default();
        for unix_ms in 0..1_000 {
            lines.push(LogLine { unix_ms, level: "info", tenant: String::new(), message: String::new() });
        }
        let times: Vec<i64> = lines.all().iter().map(|line| line.unix_ms).collect();
        assert_eq!(times, (800..1_000).collect::<Vec<_>>());
    }
}
