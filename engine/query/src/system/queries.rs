//! `system.queries`: the queries of a tenant that run or ran lately.

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
}

impl QueryRows {
    pub(super) fn new(queries: &Arc<Queries>, tenant: &Tenant) -> Self {
        Self { queries: Arc::clone(queries), tenant: tenant.clone() }
    }
}

impl Source for QueryRows {
    fn schema(&self) -> SchemaRef {
        columns::schema(&named(&[]))
    }

    fn rows(&self, _: &Wanted) -> BoxStream<'static, Result<RecordBatch>> {
        once(columns::batch(named(&self.queries.of(&self.tenant))))
    }
}

fn named(rows: &[Shown]) -> Vec<Named> {
    let of = || rows.iter();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    vec![
        count("id", of().map(|query| query.id)),
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
