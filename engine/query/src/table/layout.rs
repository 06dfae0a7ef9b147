//! The columns of a table of record in SQL, and what each is made of.

use std::sync::{Arc, LazyLock};

use arrow_schema::{Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use isinglass_model::Kind;
use isinglass_model::tables::{Shown, Table, Type};

use crate::shown::ShownColumn;
use crate::shown::convert::{read_type, shown_type};
use crate::shown::expr::{Conversion, ShownExpr};

/// How one table is read and shown.
#[derive(Debug)]
pub(crate) struct Layout {
    /// The table.
    pub(crate) table: &'static Table,
    /// Its columns as they are read from files.
    pub(crate) read: SchemaRef,
    /// Its columns as they are shown.
    pub(crate) shown: SchemaRef,
    sources: Vec<Source>,
}

/// What a shown column is made of: positions in the read schema.
#[derive(Debug)]
struct Source {
    columns: Vec<usize>,
    conversion: Option<Conversion>,
}

impl Layout {
    /// The layout of a kind.
    pub(crate) fn of(kind: Kind) -> &'static Self {
        static LAYOUTS: LazyLock<Vec<Layout>> =
            LazyLock::new(|| Kind::ALL.into_iter().map(|kind| Layout::new(Table::of(kind))).collect());
        let at = Kind::ALL.iter().position(|candidate| *candidate == kind).unwrap_or_default();
        &LAYOUTS[at]
    }

    fn new(table: &'static Table) -> Self {
        let read = table.columns.iter().map(|c| Field::new(c.name, read_type(&c.ty), c.nullable));
        let read = Arc::new(Schema::new(read.collect::<Vec<_>>()));
        let visible = || table.columns.iter().enumerate().filter(|(_, c)| c.shown != Shown::Hidden);
        let shown = visible().map(|(_, c)| Field::new(c.name, shown_type(&c.ty, c.shown), c.nullable));
        let shown = Arc::new(Schema::new(shown.collect::<Vec<_>>()));
        let sources = visible().map(|(at, _)| Source::of(table, at)).collect();
        Self { table, read, shown, sources }
    }

    /// Position of a column in the read schema.
    pub(crate) fn read_position(&self, name: &str) -> Option<usize> {
        self.table.position(name)
    }

    /// Whether a column of the read schema has ids, of which files may have Bloom filters.
    pub(crate) fn is_id(&self, at: usize) -> bool {
        self.table.columns.get(at).is_some_and(|column| matches!(column.ty, Type::Id(_)))
    }

    /// Columns that have to be read to show `shown`, ascending.
    pub(crate) fn columns_of(&self, shown: &[usize]) -> Vec<usize> {
        let mut columns: Vec<usize> =
            shown.iter().flat_map(|at| self.sources[*at].columns.iter().copied()).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Makes a shown column out of batches with the given schema.
    pub(crate) fn column(&self, shown: usize, input: &Schema) -> Result<ShownColumn> {
        let source = &self.sources[shown];
        let arguments = source.columns.iter().map(|at| {
            let name = self.read.field(*at).name();
            Ok(Arc::new(Column::new(name, input.index_of(name)?)) as Arc<dyn PhysicalExpr>)
        });
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let expr = match (source.conversion, arguments.as_slice()) {
            (None, [column]) => Arc::clone(column),
            (Some(conversion), _) => Arc::new(ShownExpr { conversion, arguments }),
            (None, _) => {
                return datafusion::common::internal_err!("a column without conversion has one source");
            }
        };
        Ok(ShownColumn { expr, in_files: true })
    }
}

impl Source {
    fn of(table: &'static Table, at: usize) -> Self {
        let column = &table.columns[at];
        let hidden = |name| table.position(name).filter(|at| table.columns[*at].shown == Shown::Hidden);
        if column.name == "value"
            && let (Some(int), Some(scale)) = (hidden("value_int"), hidden("value_scale"))
        {
            return Self { columns: vec![at, int, scale], conversion: Some(Conversion::Value) };
        }
        let conversion = match (&column.ty, column.shown) {
            (Type::Id(_), Shown::Hex) => Some(Conversion::Hex),
            (Type::Bigint, Shown::Nanos) => Some(Conversion::Nanos),
            (Type::Timestamp, _) => Some(Conversion::Micros),
            (ty @ (Type::List(_) | Type::Struct(_)), _) => Some(Conversion::Nested(ty)),
            _ => None,
        };
        Self { columns: vec![at], conversion }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_show_one_value() {
        let layout = Layout::of(Kind::Samples);
        let names: Vec<_> = layout.shown.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["metric_id", "series_id", "time", "value", "start_time"]);
        assert_eq!(layout.columns_of(&[3]), [3, 4, 5]);
        assert_eq!(
            layout.column(3, &layout.read).unwrap().expr.to_string(),
            "value(value@3, value_int@4, value_scale@5)"
        );
    }

    #[test]
    fn shown_types_are_those_of_the_expressions() {
        for kind in Kind::ALL {
            let layout = Layout::of(kind);
            for (at, field) in layout.shown.fields().iter().enumerate() {
                let column = layout.column(at, &layout.read).unwrap();
                assert_eq!(
                    &column.expr.data_type(&layout.read).unwrap(),
                    field.data_type(),
                    "{kind}.{}",
                    field.name()
                );
            }
        }
    }
}
