//! A system table as DataFusion sees it: rows made while the query runs, with a cap.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::StreamExt;
use isinglass_model::ErrorKind;

use super::Source;
use super::wanted::Wanted;
use crate::error::QueryError;

/// A system table.
#[derive(Debug)]
pub(super) struct SystemProvider {
    pub(super) name: String,
    pub(super) source: Arc<dyn Source>,
    pub(super) rows_max: u64,
}

#[async_trait]
impl TableProvider for SystemProvider {
    fn schema(&self) -> SchemaRef {
        self.source.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// All filters come in, so that rows nobody wants need not be made. They are asked of
    /// rows again above.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.source.schema();
        let rows = SystemRows {
            cap: Cap { name: self.name.clone(), rows_max: self.rows_max },
            source: Arc::clone(&self.source),
            wanted: Wanted::new(&schema, projection, filters, session)?,
            schema: Arc::clone(&schema),
        };
        let limit = limit.filter(|_| filters.is_empty());
        Ok(Arc::new(StreamingTableExec::try_new(
            schema,
            vec![Arc::new(rows)],
            projection,
            None,
            false,
            limit,
        )?))
    }
}

/// The rows of one scan.
#[derive(Debug)]
struct SystemRows {
    cap: Cap,
    source: Arc<dyn Source>,
    wanted: Wanted,
    schema: SchemaRef,
}

impl PartitionStream for SystemRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (cap, mut seen) = (self.cap.clone(), 0);
        let rows = self.source.rows(&self.wanted).map(move |batch| cap.check(batch?, &mut seen));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows))
    }
}

/// How many rows a system table may have in one query.
#[derive(Debug, Clone)]
struct Cap {
    name: String,
    rows_max: u64,
}

impl Cap {
    fn check(&self, batch: RecordBatch, seen: &mut u64) -> Result<RecordBatch> {
        *seen += batch.num_rows() as u64;
        if *seen <= self.rows_max {
            return Ok(batch);
        }
        let (name, max) = (&self.name, self.rows_max);
        let message = format!("system.{name} has more than {max} rows, the limit of query.system_rows_max");
        let help = "ask for less of it, such as one metric".to_owned();
        Err(QueryError::new(ErrorKind::TooLarge, message).with_help(Some(help)).into())
    }
}
