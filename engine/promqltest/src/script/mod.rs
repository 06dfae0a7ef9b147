//! Scripts and their commands.
//!
//! A script is a list of commands. A command ends at an empty line; a line that starts with `#` is a
//! comment and counts as empty.

mod eval;
mod expect;
mod load;

use std::path::Path;

pub use eval::{Eval, Times};
pub use expect::{Annotations, Expectation, Expected, ExpectedSeries, TextMatch};

use crate::backend::LoadedSeries;

/// A script.
#[derive(Debug, Clone)]
pub struct Script {
    /// Name of its file, for messages.
    pub file: String,
    /// Its commands in order.
    pub commands: Vec<Command>,
}

/// A command and where it stands.
#[derive(Debug, Clone)]
pub struct Command {
    /// Its first line, counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: CommandKind,
}

/// What a command can be.
#[derive(Debug, Clone)]
pub enum CommandKind {
    /// Forgets all data.
    Clear,
    /// Adds series; one label set comes once.
    Load(Vec<LoadedSeries>),
    /// Evaluates and compares.
    Eval(Box<Eval>),
}

/// Times from `start_ms` to `end_ms`, both included. A single time has the step 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First, in milliseconds since the epoch.
    pub start_ms: i64,
    /// Last.
    pub end_ms: i64,
    /// From one to the next.
    pub step_ms: i64,
}

/// Why a text is no script.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Path of the file.
        file: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is wrong.
    #[error("{file}:{line}: {reason}")]
    Line {
        /// Name of the file.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
}

/// A line at fault: its number and what is wrong.
type Fault = (usize, String);

impl Script {
    /// Reads a script from a file.
    ///
    /// # Errors
    ///
    /// [`ScriptError`].
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| ScriptError::Read { file, source })?;
        Self::parse(&path.file_name().unwrap_or_default().to_string_lossy(), &text)
    }

    /// Parses a script; `file` is for messages.
    ///
    /// # Errors
    ///
    /// The first line that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScriptError> {
        let commands = commands(text).map_err(|(line, reason)| {
            let file = file.to_owned();
            ScriptError::Line { file, line, reason }
        })?;
        Ok(Self { file: file.to_owned(), commands })
    }

    /// Its evals and the lines on which they stand.
    pub fn evals(&self) -> impl Iterator<Item = (usize, &Eval)> {
        self.commands.iter().filter_map(|command| match &command.kind {
            CommandKind::Eval(eval) => Some((command.line, &**eval)),
            CommandKind::Clear | CommandKind::Load(_) => None,
        })
    }
}

fn commands(text: &str) -> Result<Vec<Command>, Fault> {
    let mut lines = Lines::new(text);
    let mut commands = Vec::new();
    while let Some((line, head)) = lines.next_command() {
        let word = head.split([' ', '\t']).next().unwrap_or_default().to_ascii_lowercase();
        let kind = match word.as_str() {
            "clear" => CommandKind::Clear,
            _ if word.starts_with("load") => CommandKind::Load(load::parse(line, head, &mut lines)?),
            _ if word.starts_with("eval") => {
                CommandKind::Eval(Box::new(eval::parse(line, head, &mut lines)?))
            }
            _ => return Err((line, format!("unknown command {head:?}"))),
        };
        commands.push(Command { line, kind });
    }
    Ok(commands)
}

/// Lines without the white space around them and without comments.
struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let bare = |line: &'a str| {
            let line = line.trim();
            if line.starts_with('#') { "" } else { line }
        };
        Self { lines: text.lines().map(bare).collect(), next: 0 }
    }

    /// The next line that is not empty, and its number.
    fn next_command(&mut self) -> Option<(usize, &'a str)> {
        while let Some(line) = self.lines.get(self.next) {
            self.next += 1;
            if !line.is_empty() {
                return Some((self.next, line));
            }
        }
        None
    }

    /// The next line of the command, and its number.
    fn next_of_command(&mut self) -> Option<(usize, &'a str)> {
        let line = self.lines.get(self.next).filter(|line| !line.is_empty())?;
        self.next += 1;
        Some((self.next, line))
    }
}

#[cfg(test)]
mod tests;
