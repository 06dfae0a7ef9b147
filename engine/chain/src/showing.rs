//! Showing a batch to a plugin: the rows for which its conditions hold, cut into calls.

use std::ops::Range;

use isinglass_model::Tenant;
use isinglass_model::columns::{Columns, Shape};

use crate::abi::{BatchIn, ColumnIn, ShapeName};
use crate::columns::{Offered, Prepared};
use crate::config::World;
use crate::cuts::cuts;
use crate::failure::Failure;
use crate::plugin::Plugin;
use crate::shown::Shown;
use crate::stats::Meter;

/// A call's part of a batch.
pub(crate) struct Cut<'a> {
    pub(crate) rows: Shown,
    pub(crate) columns: &'a [(u16, &'a Prepared)],
    pub(crate) batch: BatchIn<'a>,
}

impl Cut<'_> {
    /// The row of the batch that the guest counts as this one.
    pub(crate) fn row_of(&self, row: u32) -> u32 {
        u32::try_from(self.rows.row(row as usize)).unwrap_or(u32::MAX)
    }

    /// The rows of the batch that the guest counts as these.
    pub(crate) fn rows_of(&self, rows: Vec<u32>) -> Vec<u32> {
        match self.rows.rows() {
            Ok(Range { start: 0, .. }) => rows,
            _ => rows.into_iter().map(|row| self.row_of(row)).collect(),
        }
    }

    /// The column that was pushed into `slot`.
    pub(crate) fn column(&self, slot: u16) -> Option<&Prepared> {
        self.columns.iter().find(|(of, _)| *of == slot).map(|(_, column)| *column)
    }
}

impl Plugin {
    /// The rows of a tenant's batch that it is shown.
    pub(crate) fn shown(&self, tenant: &Tenant, batch: &dyn Columns) -> Shown {
        self.condition.rows(tenant, &mut Offered::new(batch))
    }

    /// The part of a request's bytes that is of the rows that it is shown, all rows being alike;
    /// `None` if there is no such row.
    pub(crate) fn share<'b>(
        &self,
        tenant: &Tenant,
        batches: impl Iterator<Item = &'b dyn Columns>,
        wire_bytes: u64,
    ) -> Option<u64> {
        let (mut shown, mut rows) = (0_u128, 0_u128);
        for batch in batches {
            shown += self.shown(tenant, batch).len() as u128;
            rows += batch.rows() as u128;
        }
        // Not above `wire_bytes`.
        (shown > 0).then(|| (u128::from(wire_bytes) * shown).div_ceil(rows) as u64)
    }

    /// Shows a batch to the plugin, cut into calls where it is large.
    ///
    /// `false` = the plugin is not shown this batch: its conditions hold of no row,
    /// it wants no column of this shape, or the batch lacks one that it cannot do
    /// without. A limiter is shown every batch, if only its number of rows.
    pub(crate) fn each_cut(
        &self,
        tenant: &Tenant,
        offered: &mut Offered<'_>,
        mut call: impl FnMut(&Cut<'_>) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let shape = offered.shape();
        let rows = offered.rows();
        let requests = &self.variants[self.variant_of(tenant)].requests[shape as usize];
        if rows == 0 || (requests.is_empty() && self.world != World::Limiter) {
            return Ok(false);
        }
        let shown = self.condition.rows(tenant, offered);
        if shown.is_empty() {
            return Ok(false);
        }
        let Some(columns) = offered.project(requests) else { return Ok(false) };
        match shown.rows() {
            Ok(_) => self.call_cuts(shape, &shown, &columns, &mut call)?,
            Err(picked) => {
                let taken: Vec<_> = columns.iter().map(|(slot, c)| (*slot, c.take(picked))).collect();
                self.call_cuts(shape, &shown, &borrowed(&taken), &mut call)?;
            }
        }
        self.meter.costs.rows(tenant, shown.len() as u64);
        Ok(true)
    }

    /// `columns` are of the rows that are shown.
    fn call_cuts(
        &self,
        shape: Shape,
        shown: &Shown,
        columns: &[(u16, &Prepared)],
        call: &mut impl FnMut(&Cut<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        for cut in cuts(shown.len(), columns, self.call_size) {
            if cut == (0..shown.len()) {
                self.call_cut(shape, shown.clone(), columns, call)?;
            } else {
                let slices: Vec<_> = columns.iter().map(|(slot, c)| (*slot, c.slice(&cut))).collect();
                self.call_cut(shape, shown.part(&cut), &borrowed(&slices), call)?;
            }
        }
        Ok(())
    }

    fn call_cut(
        &self,
        shape: Shape,
        rows: Shown,
        columns: &[(u16, &Prepared)],
        call: &mut impl FnMut(&Cut<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let lowered: Vec<ColumnIn<'_>> = columns.iter().map(|(slot, column)| column.lower(*slot)).collect();
        let count = rows.len();
        let batch = BatchIn {
            shape: ShapeName::from(shape),
            rows: u32::try_from(count).unwrap_or(u32::MAX),
            columns: &lowered,
        };
        call(&Cut { rows, columns, batch })?;
        Meter::add(&self.meter.rows, count as u64);
        Ok(())
    }
}

fn borrowed(columns: &[(u16, Prepared)]) -> Vec<(u16, &Prepared)> {
    columns.iter().map(|(slot, column)| (*slot, column)).collect()
}
