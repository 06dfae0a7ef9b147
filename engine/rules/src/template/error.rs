//! What is wrong with a template, and where.

use std::ops::Range;

/// Why a template cannot be read or has no result. Printed as Go's `text/template` does, without
/// its name: see [`TemplateError::named`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {message}")]
pub struct TemplateError {
    /// Line, from 1.
    pub line: usize,
    /// Bytes before the place in its line; of errors of execution only.
    pub column: Option<usize>,
    /// The source of what was executed.
    pub context: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl TemplateError {
    pub(super) fn parse(text: &str, at: usize, message: impl Into<String>) -> Self {
        let before = &text.as_bytes()[..at.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { line, column: None, context: None, message: message.into() }
    }

    pub(super) fn execute(text: &str, span: &Range<usize>, message: impl Into<String>) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let column = before.len() - before.rfind('\n').map_or(0, |newline| newline + 1);
        let context = text.get(span.clone()).unwrap_or_default().to_owned();
        Self { column: Some(column), context: Some(context), ..Self::parse(text, span.start, message) }
    }

    /// As Go prints it: `template: name:1: …`, and for errors of execution
    /// `template: name:1:10: executing "name" at <.x>: …`.
    pub fn named(&self, name: &str) -> String {
        match (self.column, &self.context) {
            (Some(column), Some(context)) => format!(
                "template: {name}:{}:{column}: executing {} at <{context}>: {}",
                self.line,
                isinglass_lang::promql::quoted(name),
                self.message
            ),
            _ => format!("template: {name}:{}: {}", self.line, self.message),
        }
    }
}
