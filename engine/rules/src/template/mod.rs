//! Templates of labels and annotations: the language of Go's `text/template` with Prometheus'
//! functions.
//!
//! ```text
//! text ─▶ tokens ─▶ tree ─▶ run ─▶ text
//!                            │ ▲
//!                     query  ▼ │ its result: the template is run again
//! ```
//!
//! A run is pure. Where it needs the result of a query that is not known it ends, the query is
//! made, and it starts again: [`Template::expand`] is the only part that waits.
//!
//! | module | holds |
//! |---|---|
//! | `lexer`, `parser`, `ast` | text to tree |
//! | `exec`, `fields` | tree to text |
//! | `value` | what parts of templates stand for |
//! | `functions`, `builtin`, `compare`, `printf`, `humanize`, `links`, `escape` | what can be called |
//! | `number`, `time` | floats, times and durations as text |

mod ast;
mod builtin;
mod compare;
mod error;
mod escape;
mod exec;
mod fields;
mod functions;
mod humanize;
mod lexer;
mod links;
mod number;
mod parser;
mod printf;
pub(crate) mod time;
mod value;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;

pub(crate) use links::table as table_link;
pub(crate) use number::exponential;

pub use error::TemplateError;
pub use value::{Data, TemplateSeries, Value};

use exec::{Queries, Stop};
use functions::Surroundings;

/// Bytes of a template, at most.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// Bytes of what a template writes, and of every text in between, at most.
pub const RESULT_BYTES_MAX: usize = 64 << 10;

/// Different queries that one template makes, at most.
pub const QUERIES_MAX: usize = 16;

/// Stands before the templates of alerts, as in Prometheus: places in errors count it.
const ALERT_VARIABLES: &str = "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}\
                               {{$externalURL := .ExternalURL}}{{$value := .Value}}";

/// A template that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    name: Arc<str>,
    source: Arc<str>,
    /// Nothing where the template is a plain text, which most are.
    parsed: Option<Arc<Parsed>>,
}

#[derive(Debug, PartialEq)]
struct Parsed {
    text: String,
    tree: ast::Tree,
}

impl Template {
    /// Reads a template of the alert `alert`. It knows `$labels`, `$externalLabels`,
    /// `$externalURL` and `$value`.
    ///
    /// # Errors
    /// The first mistake, or a template beyond [`TEXT_BYTES_MAX`].
    pub fn of_alert(alert: &str, source: &str) -> Result<Self, TemplateError> {
        if source.len() > TEXT_BYTES_MAX {
            let message = format!("template has {} bytes, the limit is {TEXT_BYTES_MAX}", source.len());
            return Err(TemplateError::parse("", 0, message));
        }
        let parsed = if source.contains("{{") {
            let text = format!("{ALERT_VARIABLES}{source}");
            let tree = parser::parse(&text)?;
            Some(Arc::new(Parsed { text, tree }))
        } else {
            None
        };
        Ok(Self { name: format!("__alert_{alert}").into(), source: source.into(), parsed })
    }

    /// Its text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its name: `__alert_` and that of the alert.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it writes about `data` at `now`, nanoseconds since the epoch. `query` makes queries.
    ///
    /// # Errors
    /// What went wrong, as Prometheus says it; also more than [`QUERIES_MAX`] queries, and results
    /// beyond [`RESULT_BYTES_MAX`].
    pub async fn expand<Q, F>(&self, data: &Arc<Data>, now: i64, query: Q) -> Result<String, String>
    where
        Q: Fn(String) -> F,
        F: Future<Output = Result<Value, String>>,
    {
        let Some(parsed) = &self.parsed else { return Ok(self.source.to_string()) };
        let around =
            Surroundings { external_url: Arc::clone(&data.external_url), now, bytes_max: RESULT_BYTES_MAX };
        let data = Value::Data(Arc::clone(data));
        let mut queries = Queries::new();
        while queries.len() <= QUERIES_MAX {
            match exec::run(&parsed.text, &parsed.tree, &data, &around, &queries) {
                Ok(written) => return Ok(written),
                Err(Stop::Query(expr)) => {
                    let result = query(expr.clone()).await;
                    queries.insert(expr, result);
                }
                Err(Stop::Fault(fault)) => return Err(self.failed(&fault.named(&self.name))),
                // The parser lets neither stand outside of a loop.
                Err(Stop::Break | Stop::Continue) => return Err(self.failed("break outside of range")),
            }
        }
        Err(self.failed(&format!("more than {QUERIES_MAX} queries")))
    }

    fn failed(&self, message: &str) -> String {
        format!("error executing template {}: {message}", self.name)
    }
}
