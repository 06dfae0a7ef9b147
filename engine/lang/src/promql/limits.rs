//! How large an expression may be.

use super::ast::Span;
use super::error::ParseError;

/// Limits of a text and of the tree that it becomes.
///
/// Parser, checker, printer, `Drop` and the engine all recurse over the tree, so its depth
/// is bounded while it is built: no text can overflow a stack of 2 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub text_bytes_max: usize,
    /// Tokens, white space and comments not counted.
    pub tokens_max: usize,
    /// Brackets, calls, signs and right sides inside each other: how deep the parser recurses.
    pub nesting_max: usize,
    /// Depth of the tree. A chain like `a + b + c` counts one level an operator.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes_max: 64 << 10, tokens_max: 20_000, nesting_max: 96, depth_max: 256 }
    }
}

impl Limits {
    /// Refuses a text that is too long, before anything is read from it.
    pub(super) fn check_text(&self, text: &str) -> Result<(), ParseError> {
        let limit = self.text_bytes_max;
        if text.len() <= limit {
            return Ok(());
        }
        let message = format!("the query has {} bytes, the limit is {limit}", text.len());
        Err(ParseError::new(text, Span { start: limit, end: text.len() }, message))
    }
}
