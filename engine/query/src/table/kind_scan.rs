//! A scan of a table of record, made once and perhaps again with other columns.

use std::sync::Arc;

use arrow_schema::Schema;
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use isinglass_store::{AttributeValues, View};

use super::layout::Layout;
use super::scan::{Means, Scan};
use super::tokens::RowsWanted;
use crate::attributes::{Available, Wanted};
use crate::functions::{MapValue, Part};
use crate::shown::{Scanned, ShownColumn, ShownExec};

/// Name of the maps of which files may have single values in columns.
const MAP: &str = "attributes";

/// All that a scan was asked for.
#[derive(Debug)]
pub(super) struct KindScan {
    pub(super) view: Arc<View>,
    pub(super) layout: &'static Layout,
    pub(super) means: Means,
    /// Shown columns that are wanted.
    pub(super) shown: Vec<usize>,
    /// What rows must fulfil, on the read schema.
    pub(super) pruning: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) limit: Option<usize>,
    pub(super) rows: RowsWanted,
}

impl KindScan {
    /// Some of its columns, and attributes after them.
    pub(super) fn plan(&self, columns: &[usize], wanted: Arc<[Wanted]>) -> Result<ShownExec> {
        let shown: Vec<usize> = columns.iter().map(|at| self.shown[*at]).collect();
        let scan = self.scan(&shown, &wanted);
        let input = scan.plan(&self.view, &self.means)?;
        let schema = input.schema();
        let mut made = shown.iter().map(|at| self.layout.column(*at, &schema)).collect::<Result<Vec<_>>>()?;
        for (at, wanted) in wanted.iter().enumerate() {
            made.push(self.attribute_column(&scan, wanted, scan.columns.len() + at)?);
        }
        let fields = shown.iter().map(|at| Arc::clone(&self.layout.shown.fields()[*at]));
        let fields = fields.chain(wanted.iter().map(|wanted| Arc::clone(&wanted.field)));
        ShownExec::try_new(input, made, Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    fn scan<'a>(&'a self, shown: &[usize], wanted: &Arc<[Wanted]>) -> Scan<'a> {
        Scan {
            layout: self.layout,
            columns: self.layout.columns_of(shown),
            pruning: self.pruning.clone(),
            exactly: None,
            metric_id: None,
            series_ids: None,
            limit: self.limit,
            rows: &self.rows,
            attributes: Arc::clone(wanted),
        }
    }

    fn attribute_column(&self, scan: &Scan<'_>, wanted: &Wanted, at: usize) -> Result<ShownColumn> {
        let table = self.view.table(self.layout.table.kind);
        let available = Available::in_files(scan.files_of(table)?, &wanted.key);
        let all_numbers =
            available == Available::Everywhere(AttributeValues::Number) && table.head_rows() == 0;
        let expr = match wanted.part {
            Part::NoNumber if all_numbers => wanted.nowhere()?,
            _ => Arc::new(Column::new(wanted.field.name(), at)) as Arc<dyn PhysicalExpr>,
        };
        Ok(ShownColumn { expr, in_files: available.filters(wanted.part) })
    }
}

impl Scanned for KindScan {
    fn attribute(&self, expr: &Arc<dyn PhysicalExpr>) -> Result<Option<Wanted>> {
        let Some((_, map, key)) = MapValue::called(expr.as_ref()) else { return Ok(None) };
        let column = map.downcast_ref::<Column>().and_then(|column| self.shown.get(column.index()));
        let Some(position) = self.layout.read_position(MAP) else { return Ok(None) };
        if column.is_none_or(|at| self.layout.shown.field(*at).name() != MAP) {
            return Ok(None);
        }
        let files = self.scan(&[], &Arc::default()).files_of(self.view.table(self.layout.table.kind))?;
        if Available::in_files(files, key) == Available::Nowhere {
            return Ok(None);
        }
        Wanted::of(expr, Arc::new(Column::new(MAP, position)), &self.layout.read)
    }

    fn again(&self, columns: &[usize], wanted: Arc<[Wanted]>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.plan(columns, wanted)?))
    }
}
