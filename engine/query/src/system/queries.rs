//! `system.queries`: the queries of a tenant that run or ran lately. `system.slow_queries`: those
//! that were slow, and what they took.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use datafusion::common::Result;
use futures::stream::BoxStream;
use isinglass_model::Tenant;

use super::columns::{self, Named, count, double, optional_text, text, time};
use super::wanted::Wanted;
use super::{Source, once};
use crate::queries::{Queries, Shown};

/// The queries of one tenant.
#[derive(Debug)]
pub(super) struct QueryRows {
    queries: Arc<Queries>,
    tenant: Tenant,
    slow: bool,
}

impl QueryRows {
    pub(super) fn all(queries: &Arc<Queries>, tenant: &Tenant) -> Self {
        Self { queries: Arc::clone(queries), tenant: tenant.clone(), slow: false }
    }

    pub(super) fn slow(queries: &Arc<Queries>, tenant: &Tenant) -> Self {
        Self { slow: true, ..Self::all(queries, tenant) }
    }
}

impl Source for QueryRows {
    fn schema(&self) -> SchemaRef {
        columns::schema(&if self.slow { slow(&[]) } else { named(&[]) })
    }

    fn rows(&self, _: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        once(columns::batch(match self.slow {
            true => slow(&self.queries.slow_of(&self.tenant)),
            false => named(&self.queries.of(&self.tenant)),
        }))
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn slow(rows: &[Shown]) -> Vec<Named> {
    let of = || rows.iter();
    vec![
        count("id", of().map(|query| query.id)),
        text("language", of().map(|query| query.language.as_str())),
        text("text", of().map(|query| &query.text)),
        time("started", of().map(|query| Some(query.started_unix_nanos))),
        text("state", of().map(|query| query.state.as_str())),
        double("duration_ms", of().map(|query| millis(query.took))),
        double("wait_ms", of().map(|query| millis(query.waited))),
        double("plan_ms", of().map(|query| millis(query.planned))),
        double("cpu_ms", of().map(|query| millis(query.read.cpu))),
        count("series", of().map(|query| query.read.series)),
        count("samples", of().map(|query| query.read.samples)),
        count("read_files", of().map(|query| query.read.files)),
        count("read_row_groups", of().map(|query| query.read.row_groups)),
        count("read_bytes", of().map(|query| query.read.bytes)),
        count("rows", of().map(|query| query.rows)),
        count("bytes", of().map(|query| query.bytes)),
        count("memory_peak_bytes", of().map(|query| query.memory_peak)),
        optional_text("error", of().map(|query| query.error.clone())),
    ]
}

fn named(rows: &[Shown]) -> Vec<Named> {
    let of = || rows.iter();
    vec![
        count("id", of().map(|query| query.id)),
        text("language", of().map(|query| query.language.as_str())),
        text("text", of().map(|query| &query.text)),
        time("started", of().map(|query| Some(query.started_unix_nanos))),
        text("state", of().map(|query| query.state.as_str())),
        double("duration_ms", of().map(|query| millis(query.took))),
        double("wait_ms", of().map(|query| millis(query.waited))),
        double("plan_ms", of().map(|query| millis(query.planned))),
        count("rows", of().map(|query| query.rows)),
        count("bytes", of().map(|query| query.bytes)),
        count("memory_peak_bytes", of().map(|query| query.memory_peak)),
        count("read_bytes", of().map(|query| query.read.bytes)),
        count("read_files", of().map(|query| query.read.files)),
        optional_text("error", of().map(|query| query.error.clone())),
    ]
}
