//! What can go wrong with a query, and where in its text.

use std::fmt;

use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use isinglass_lang::{Position, gate};
use isinglass_model::ErrorKind;
use isinglass_store::StoreError;

use crate::config::QueryConfig;
use crate::turns::NoTurn;

/// An error of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
    position: Option<Position>,
}

impl QueryError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), help: None, position: None }
    }

    /// A statement or function that is not for queries.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Forbidden, message)
    }

    pub(crate) fn timeout(deadline: std::time::Duration) -> Self {
        Self::new(ErrorKind::Timeout, format!("the query took longer than its deadline of {deadline:?}"))
    }

    pub(crate) fn planning(limit: std::time::Duration) -> Self {
        Self::new(
            ErrorKind::Timeout,
            format!("planning the query took longer than the {limit:?} that it may"),
        )
    }

    pub(crate) fn reads_too_much(limit: u64) -> Self {
        let message = format!("the query reads more than query.read_bytes_max = {limit} bytes of data files");
        Self::new(ErrorKind::TooLarge, message)
    }

    /// A query that has no turn.
    pub(crate) fn no_turn(why: NoTurn, config: &QueryConfig) -> Self {
        let own = config.turns();
        match why {
            NoTurn::QueueFull { waiting } => {
                let message = format!(
                    "{waiting} queries of the tenant wait for a turn, query.tenant_queue_max = {}",
                    own.queue_max
                );
                Self::new(ErrorKind::RateLimited, message)
            }
            NoTurn::TooLate { running, of_tenant } => {
                let message = format!(
                    "no turn came free within query.queue_wait_ms = {}: {running} queries are running \
                     (query.concurrent_max = {}), {of_tenant} of them of the tenant \
                     (query.tenant_concurrent_max = {})",
                    config.queue_wait_ms, config.concurrent_max, own.concurrent_max
                );
                Self::new(ErrorKind::Unavailable, message)
            }
        }
    }

    /// An error of the store.
    pub(crate) fn of_store(error: StoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }

    pub(crate) fn at(mut self, position: Option<Position>) -> Self {
        self.position = self.position.or(position);
        self
    }

    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = self.help.or(help);
        self
    }

    /// What it means to the one who asked.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error in one or two sentences, without position and help.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the text, if it has a place there.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// What to try instead, such as a name that is nearly the same.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// An error of planning or running `text`.
    pub(crate) fn of(error: &DataFusionError, text: &str) -> Self {
        let mut found = Self::from(error);
        if let Some(diagnostic) = error.diagnostic() {
            let span = diagnostic.span.map(|span| Position::at(text, span.start.line, span.start.column));
            let help = diagnostic.helps.first().map(|help| help.message.clone());
            found = found.at(span).with_help(help);
        }
        if found.position.is_none() {
            found.position = parser_position(&found.message, text);
        }
        if let Some(at) = found.message.find(" at Line: ") {
            found.message.truncate(at);
        }
        found
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(position) = self.position {
            write!(f, " ({position})")?;
        }
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for QueryError {}

/// Lets an error of ours travel through DataFusion.
impl From<QueryError> for DataFusionError {
    fn from(error: QueryError) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        Self::from(&error)
    }
}

impl From<&DataFusionError> for QueryError {
    fn from(error: &DataFusionError) -> Self {
        let root = innermost(error);
        if let DataFusionError::External(inner) = root
            && let Some(ours) = inner.downcast_ref::<Self>()
        {
            return ours.clone();
        }
        let kind = kind_of(root);
        Self::new(kind, message_of(root, kind))
    }
}

impl From<gate::Fault> for QueryError {
    fn from(fault: gate::Fault) -> Self {
        Self::new(ErrorKind::Rejected, fault.to_string())
    }
}

/// The error below contexts, diagnostics and sharing; of several the first.
fn innermost(error: &DataFusionError) -> &DataFusionError {
    let mut error = error;
    loop {
        error = match error {
            DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => inner,
            DataFusionError::Shared(inner) => inner,
            DataFusionError::Collection(errors) => match errors.first() {
                Some(first) => first,
                None => return error,
            },
            DataFusionError::ArrowError(inner, _) => match inner.as_ref() {
                ArrowError::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
                    Some(inner) => inner,
                    None => return error,
                },
                _ => return error,
            },
            DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
                Some(inner) => inner,
                None => return error,
            },
            _ => return error,
        };
    }
}

fn kind_of(error: &DataFusionError) -> ErrorKind {
    match error {
        // a fault of whoever wrote the expression, whatever DataFusion calls it
        DataFusionError::Internal(message) if message.contains(REGEX_FAULT) => ErrorKind::Rejected,
        DataFusionError::SQL(..) | DataFusionError::Plan(_) | DataFusionError::SchemaError(..) => {
            ErrorKind::Malformed
        }
        DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Execution(_)
        | DataFusionError::ArrowError(..) => ErrorKind::Rejected,
        DataFusionError::ResourcesExhausted(_) => ErrorKind::TooLarge,
        _ => ErrorKind::Internal,
    }
}

/// How DataFusion says that a regular expression is broken or too large.
const REGEX_FAULT: &str = "Regular expression did not compile";

/// Without DataFusion's own prefix and backtrace: what helps the one who asked.
fn message_of(error: &DataFusionError, kind: ErrorKind) -> String {
    let message = match error {
        DataFusionError::SQL(parser, _) => {
            let text = parser.to_string();
            let text = text.strip_prefix("sql parser error: ").unwrap_or(&text);
            return format!("syntax error: {text}");
        }
        DataFusionError::ArrowError(inner, _) => inner.to_string(),
        DataFusionError::SchemaError(inner, _) => inner.to_string(),
        other if kind == ErrorKind::Internal => other.strip_backtrace(),
        other => other.message().into_owned(),
    };
    let message = message.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or_default();
    let message = message.split("\nThis issue was likely caused by").next().unwrap_or_default();
    let message = message.find(REGEX_FAULT).map_or(message, |at| &message[at..]);
    message.trim_end_matches('.').to_owned()
}

/// The parser writes its place into the message, ` at Line: 1, Column: 15`,
/// except where the text ends too early.
fn parser_position(message: &str, text: &str) -> Option<Position> {
    if message.ends_with("found: EOF") {
        return Some(Position::of(text, text.trim_end().len()));
    }
    let place = &message[message.rfind("Line: ")? + "Line: ".len()..];
    let (line, rest) = place.split_once(", Column: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some(Position::at(text, line.parse().ok()?, rest[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_come_back_from_the_depth() {
        let ours = QueryError::forbidden("no");
        let wrapped = DataFusionError::from(ours.clone()).context("while planning");
        let wrapped =
            DataFusionError::ArrowError(Box::new(ArrowError::ExternalError(Box::new(wrapped))), None);
        assert_eq!(QueryError::from(wrapped), ours);
    }

    #[test]
    fn the_parser_says_where() {
        let text = "SELECT\n  1 1";
        let place = parser_position("Expected: end of statement, found: 1 at Line: 2, Column: 5", text);
        assert_eq!(place, Some(Position { line: 2, column: 5, offset: 11 }));
        assert_eq!(parser_position("something else", text), None);
    }
}
