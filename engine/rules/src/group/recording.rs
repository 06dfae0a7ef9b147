//! Recording rules: a result under a name.

use std::collections::BTreeSet;

use isinglass_promql::labels::METRIC_NAME;

use super::evaluate::Row;
use super::{Environment, Group};
use crate::file::RuleSpec;
use crate::ports::{RuleError, UnixNanos};

impl Group {
    pub(super) async fn recording(
        &self,
        at: usize,
        now: UnixNanos,
        env: &Environment,
    ) -> Result<Vec<Row>, RuleError> {
        let spec = &self.rules[at].spec;
        let rows = self.result(spec, self.sample_time_ms(now), env).await?;
        let named = named(spec, rows)?;
        if self.limit > 0 && named.len() > self.limit {
            return Err(RuleError::Limit { limit: self.limit, got: named.len(), what: "series" });
        }
        Ok(named)
    }
}

/// Series with the name and the labels of the rule.
fn named(spec: &RuleSpec, rows: Vec<Row>) -> Result<Vec<Row>, RuleError> {
    let mut seen = BTreeSet::new();
    let mut named = Vec::with_capacity(rows.len());
    for (labels, sample) in rows {
        let mut builder = labels.builder();
        builder.set(METRIC_NAME, &spec.name);
        for (name, value) in &spec.labels {
            builder.set(name, value);
        }
        let labels = builder.build();
        if !seen.insert(labels.clone()) {
            return Err(RuleError::SameSeries);
        }
        named.push((labels, sample));
    }
    Ok(named)
}
