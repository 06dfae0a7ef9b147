//! What a query wants of a system table, as far as it can be known before rows are made.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;

use crate::table::unqualified;

/// Columns and filters of one scan.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    columns: Vec<String>,
    sieves: Vec<Sieve>,
}

/// A filter on one text column alone.
#[derive(Debug, Clone)]
struct Sieve {
    column: String,
    holds: Arc<dyn PhysicalExpr>,
}

impl Wanted {
    pub(super) fn new(
        schema: &SchemaRef,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        session: &dyn Session,
    ) -> Result<Self> {
        let all: Vec<usize> = (0..schema.fields().len()).collect();
        let columns = projection.unwrap_or(&all).iter().map(|at| schema.field(*at).name().clone());
        let sieves = filters.iter().filter_map(|filter| sieve(schema, filter, session).transpose());
        Ok(Self { columns: columns.collect(), sieves: sieves.collect::<Result<_>>()? })
    }

    /// Whether the query looks at a column at all.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|wanted| wanted == column)
    }

    /// For each value of a text column: whether rows with it can be of use.
    pub(super) fn keeps(&self, column: &str, values: &[&str]) -> Result<Vec<bool>> {
        let mut kept = vec![true; values.len()];
        for sieve in self.sieves.iter().filter(|sieve| sieve.column == column) {
            let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
            let batch = RecordBatch::try_new(one_text(column), vec![array])?;
            let passed = sieve.holds.evaluate(&batch)?.into_array(values.len())?;
            for (kept, passed) in kept.iter_mut().zip(passed.as_boolean()) {
                *kept &= passed == Some(true);
            }
        }
        Ok(kept)
    }
}

fn one_text(column: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(column, DataType::Utf8, false)]))
}

fn sieve(schema: &SchemaRef, filter: &Expr, session: &dyn Session) -> Result<Option<Sieve>> {
    let mut columns = filter.column_refs().into_iter();
    let (Some(column), None) = (columns.next(), columns.next()) else { return Ok(None) };
    let text = schema.field_with_name(&column.name)?.data_type() == &DataType::Utf8;
    if !text || filter.is_volatile() {
        return Ok(None);
    }
    let alone = DFSchema::try_from(one_text(&column.name))?;
    let holds = session.create_physical_expr(unqualified(filter)?, &alone)?;
    Ok(Some(Sieve { column: column.name.clone(), holds }))
}
