//! `query.promql.views`: statements of SQL whose rows are samples.
//!
//! ```text
//! matchers ─▶ views with such a name ─▶ SELECT, times and labels as filters ─▶ rows ─▶ series
//! ```
//!
//! A view sees the same [`View`] of the store as the query that reads it. It cannot call `promql`,
//! so none can read itself.

mod read;
mod rows;

use std::collections::BTreeSet;

use hashbrown::HashMap;
use isinglass_lang::promql::ast::Matcher;
use isinglass_model::{ErrorKind, Tenant};
use isinglass_promql::labels::METRIC_NAME;
use isinglass_promql::{EvalError, Labels, selectors};
use parking_lot::RwLock;

use super::series;
use crate::config::{PromqlView, QueryConfig};
use crate::engine::QueryEngine;
use crate::error::QueryError;
pub(super) use read::ViewReader;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Views {
    all: Vec<(String, PromqlView)>,
    /// The labels that the rows of a view have, once it was planned.
    labels: RwLock<HashMap<String, BTreeSet<String>>>,
}

impl Views {
    pub(crate) fn new(config: &QueryConfig) -> Self {
        let all = config.promql.views.iter().map(|(name, view)| (name.clone(), view.clone()));
        Self { all: all.collect(), labels: RwLock::default() }
    }

    fn of<'a>(&'a self, tenant: &'a Tenant) -> impl Iterator<Item = &'a (String, PromqlView)> {
        self.all.iter().filter(|(_, view)| view.is_of(tenant))
    }

    /// The views that matchers find by name. A selector that says nothing of the name finds none:
    /// it would run all of them.
    pub(super) fn matching<'a>(
        &'a self,
        tenant: &'a Tenant,
        matchers: &[Matcher],
    ) -> Result<Vec<&'a (String, PromqlView)>, EvalError> {
        if self.all.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<Matcher> = matchers.iter().filter(|one| one.label == METRIC_NAME).cloned().collect();
        if series::matches(&names, &Labels::empty())? {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for view in self.of(tenant) {
            if series::matches(&names, &Labels::new([(METRIC_NAME, &view.0)]))? {
                found.push(view);
            }
        }
        Ok(found)
    }

    /// Whether an expression reads any view.
    pub(super) fn are_read(&self, tenant: &Tenant, text: &str) -> Result<bool, EvalError> {
        if self.all.is_empty() {
            return Ok(false);
        }
        for matchers in selectors(text)? {
            if !self.matching(tenant, &matchers)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of the labels of views that matchers find; `None` if one of them is not known.
    pub(super) fn label_names(&self, tenant: &Tenant, matchers: &[Matcher]) -> Option<BTreeSet<String>> {
        let known = self.labels.read();
        let mut names = BTreeSet::new();
        for (name, _) in self.matching(tenant, matchers).ok()? {
            names.extend(known.get(name)?.iter().cloned());
            names.insert(METRIC_NAME.to_owned());
        }
        Some(names)
    }

    /// Notes the labels of a view that was planned.
    fn planned(&self, name: &str, labels: impl IntoIterator<Item = String>) {
        self.labels.write().insert(name.to_owned(), labels.into_iter().collect());
    }
}

impl QueryEngine {
    /// Whether the views of `query.promql.views` can be read. What a view reads of `metrics` is not
    /// known before its samples come.
    pub async fn check_views(&self) -> Result<(), QueryError> {
        let views = &self.inner.sessions.views;
        for (name, view) in &views.all {
            let refused = |error: QueryError| {
                let message = format!("query.promql.views.{name}: {error}");
                QueryError::new(ErrorKind::Malformed, message)
            };
            check_name(name).map_err(refused)?;
            let tenant = match view.tenants.first() {
                Some(name) => Tenant::new(name)
                    .map_err(|error| refused(QueryError::new(ErrorKind::Malformed, error.to_string())))?,
                None => Tenant::default(),
            };
            let (seen, _) = self.inner.view(&tenant).await?;
            match read::labels(&self.inner, &seen, view).await {
                Ok(labels) => views.planned(name, labels),
                Err(error) if lacks_a_metric(&error) => {}
                Err(error) => return Err(refused(error)),
            }
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), QueryError> {
    let first =
        name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':'));
    if first && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')) {
        return Ok(());
    }
    let message = "the name of a metric has letters, digits, `_` and `:`, and does not begin with a digit";
    Err(QueryError::new(ErrorKind::Malformed, message))
}

fn lacks_a_metric(error: &QueryError) -> bool {
    error.message().contains("table 'isinglass.metrics.")
}
