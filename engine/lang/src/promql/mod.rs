//! PromQL: tree, parser, printer. The language is that of Prometheus 3.14 with all that is
//! experimental there.
//!
//! ```
//! use isinglass_lang::promql;
//!
//! let expr = promql::parse(r#"sum(rate(http_requests_total{code=~"5.."}[5m])) by (job)"#)?;
//! assert_eq!(expr.to_string(), r#"sum by (job) (rate(http_requests_total{code=~"5.."}[5m]))"#);
//!
//! let fault = promql::parse("rate(up)").unwrap_err();
//! let wanted = "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector";
//! assert_eq!(fault.to_string(), wanted);
//! # Ok::<(), promql::ParseError>(())
//! ```

pub mod ast;
mod check;
mod duration;
mod error;
pub mod functions;
mod lexer;
mod limits;
mod number;
mod parser;
mod pretty;
mod printer;
mod regex;
mod resolve;
mod token;
mod unquote;
mod walk;

pub use check::has_non_empty_matcher;
pub use duration::{format_duration, parse_duration};
pub use error::ParseError;
pub use limits::Limits;
pub use pretty::pretty;
pub use resolve::resolve_durations;
pub use walk::{children, children_mut, walk, walk_mut};

/// Reads an expression and checks its types, within the limits that are usual.
///
/// # Errors
/// The first mistake, in the words of Prometheus.
pub fn parse(text: &str) -> Result<ast::Expr, ParseError> {
    parse_within(text, &Limits::default())
}

/// As [`parse`], within given limits.
///
/// # Errors
/// As [`parse`].
pub fn parse_within(text: &str, limits: &Limits) -> Result<ast::Expr, ParseError> {
    let mut expr = parser::expression(text, limits)?;
    check::check(text, &mut expr)?;
    Ok(expr)
}

/// Reads an instant selector without modifiers, as in `match[]`. It may match everything:
/// see [`has_non_empty_matcher`].
///
/// # Errors
/// The first mistake.
pub fn parse_selector(text: &str) -> Result<ast::Selector, ParseError> {
    parser::selector(text, &Limits::default()).map(|(selector, _)| selector)
}

/// Reads the name and labels of one series, `up{job="x"}`: all labels by name, the metric's
/// name as `__name__`.
///
/// # Errors
/// The first mistake.
pub fn parse_metric(text: &str) -> Result<Vec<(String, String)>, ParseError> {
    parser::metric(text, &Limits::default())
}

/// Whether a label name can stand without quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_plain_label_name(name: &str) -> bool {
    let mut chars = name.bytes();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && chars.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A text in double quotes, escaped as Go's `strconv.Quote` does.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\u{b}' => quoted.push_str("\\v"),
            char if (char as u32) < 0x20 || char as u32 == 0x7f => {
                quoted.push_str(&format!("\\x{:02x}", char as u32));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}
