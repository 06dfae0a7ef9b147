//! What is wrong with an expression, and where.

use super::ast::Span;
use crate::position::Position;

/// Why a text is no expression. Printed as Prometheus does: `1:5: parse error: unexpected …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: parse error: {message}", position.line, position.column)]
pub struct ParseError {
    /// What is wrong, in the words of Prometheus where it knows the mistake.
    pub message: String,
    /// The bytes it is about.
    pub span: Span,
    /// Where they start. Of an error that was found without the text at hand the
    /// position is that of a text of one line, see [`ParseError::located`].
    pub position: Position,
}

impl ParseError {
    pub(super) fn new(text: &str, span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, position: Position::of(text, span.start) }
    }

    /// An error of a tree whose text is not at hand.
    pub(super) fn without_text(span: Span, message: impl Into<String>) -> Self {
        let column = u32::try_from(span.start + 1).unwrap_or(u32::MAX);
        Self { message: message.into(), span, position: Position { line: 1, column, offset: span.start } }
    }

    /// The same error with its line and column in the text that it is about.
    #[must_use]
    pub fn located(self, text: &str) -> Self {
        Self { position: Position::of(text, self.span.start), ..self }
    }

    /// The line of the text and a caret under the place.
    pub fn caret(&self, text: &str) -> String {
        self.position.caret(text)
    }
}
