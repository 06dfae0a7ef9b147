//! Columns that a file lacks.
//!
//! A table has columns for whatever some sender has, and a file those that have a value in it. In
//! place of the others comes a null. DataFusion does that, too, by looking for each of them with an
//! error that lists all columns there are, and by casting a null to its type: of a question that
//! reads a trace whole that was a twentieth.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr_adapter::{
    DefaultPhysicalExprAdapterFactory, PhysicalExprAdapter, PhysicalExprAdapterFactory,
};
use hashbrown::HashSet;

/// Turns expressions on the columns of a table into those on the columns of each file.
#[derive(Debug)]
pub(crate) struct Lacking;

impl PhysicalExprAdapterFactory for Lacking {
    fn create(&self, logical: SchemaRef, physical: SchemaRef) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let lacking = lacking(&logical, &physical);
        let others = DefaultPhysicalExprAdapterFactory.create(Arc::clone(&logical), physical)?;
        Ok(Arc::new(InFile { logical, lacking, others }))
    }
}

/// Of each column of a table whether a file lacks it and nulls may stand there.
fn lacking(logical: &Schema, physical: &Schema) -> Vec<bool> {
    let there: HashSet<&str> = physical.fields().iter().map(|field| field.name().as_str()).collect();
    let fields = logical.fields().iter();
    fields.map(|field| field.is_nullable() && !there.contains(field.name().as_str())).collect()
}

#[derive(Debug)]
struct InFile {
    logical: SchemaRef,
    lacking: Vec<bool>,
    /// What is to be done with all other columns.
    others: Arc<dyn PhysicalExprAdapter>,
}

impl PhysicalExprAdapter for InFile {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        match self.null(&expr)? {
            Some(null) => Ok(null),
            None => self.others.rewrite(expr),
        }
    }
}

impl InFile {
    /// What stands for a column that is not there.
    fn null(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(column) = expr.downcast_ref::<Column>() else { return Ok(None) };
        let field = match self.lacking.get(column.index()) {
            Some(true) => self.logical.field(column.index()),
            _ => return Ok(None),
        };
        if field.name() != column.name() {
            return Ok(None);
        }
        let null = ScalarValue::try_new_null(field.data_type())?;
        Ok(Some(Arc::new(Literal::new_with_metadata(null, Some(FieldMetadata::from(field))))))
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::BinaryExpr;
    use isinglass_model::Kind;

    use super::*;
    use crate::table::Layout;

    /// A file of `spans` with every third column of the table.
    fn schemas() -> (SchemaRef, SchemaRef) {
        let read = Arc::clone(&Layout::of(Kind::Spans).read);
        let some: Vec<usize> = (0..read.fields().len()).step_by(3).collect();
        let physical = Arc::new(read.project(&some).unwrap());
        (read, physical)
    }

    /// What DataFusion makes of an expression is made of it here.
    fn check(expr: &Arc<dyn PhysicalExpr>) {
        let (logical, physical) = schemas();
        let made = |factory: &dyn PhysicalExprAdapterFactory| {
            let adapter = factory.create(Arc::clone(&logical), Arc::clone(&physical)).unwrap();
            adapter.rewrite(Arc::clone(expr)).map_err(|error| error.to_string())
        };
        let (ours, theirs) = (made(&Lacking), made(&DefaultPhysicalExprAdapterFactory));
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{expr}");
        assert_eq!(ours, theirs);
        if let Ok(ours) = ours {
            let field = |expr: &Arc<dyn PhysicalExpr>| expr.return_field(&physical).unwrap();
            assert_eq!(field(&ours), field(&theirs.unwrap()), "{expr}");
        }
    }

    #[test]
    fn each_column_becomes_what_datafusion_makes_of_it() {
        for (at, field) in schemas().0.fields().iter().enumerate() {
            check(&(Arc::new(Column::new(field.name(), at)) as Arc<dyn PhysicalExpr>));
        }
    }

    #[test]
    fn columns_under_another_name_or_place_are_left_to_datafusion() {
        let (logical, _) = schemas();
        for (name, at) in
            [("no such column", 1), (logical.field(1).name(), 2), (logical.field(2).name(), 900)]
        {
            check(&(Arc::new(Column::new(name, at)) as Arc<dyn PhysicalExpr>));
        }
    }

    #[test]
    fn what_is_made_of_columns() {
        let (logical, _) = schemas();
        for at in 0..4 {
            let column = Arc::new(Column::new(logical.field(at).name(), at));
            let same = BinaryExpr::new(Arc::clone(&column) as _, Operator::Eq, column);
            check(&(Arc::new(same) as Arc<dyn PhysicalExpr>));
        }
    }

    #[test]
    fn what_may_not_be_null_is_an_error() {
        let logical = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, false)]));
        let adapter = Lacking.create(logical, Arc::new(Schema::empty())).unwrap();
        let error = adapter.rewrite(Arc::new(Column::new("a", 0))).unwrap_err().to_string();
        assert!(error.contains("Non-nullable column 'a' is missing"), "{error}");
    }
}
