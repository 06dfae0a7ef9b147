//! Merging rows of every kind but samples.
//!
//! Rows are picked slice by slice and copied column by column when enough of
//! them have come together.

use std::sync::Arc;

use ahash::RandomState;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array, new_null_array};
use arrow_data::ArrayData;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{DataType, SchemaRef};
use hashbrown::HashSet;
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use super::batch::{Batch, Prefix};
use super::budget::Budget;
use super::fingerprint::Fingerprints;
use super::kway::{Kway, Slice};
use super::output::{Output, union};
use super::passes::Kept;
use super::{Gone, MergeOptions, Merged};
use crate::files::delta::Extent;
use crate::files::parquet::CHUNK_ROWS;
use crate::files::{FilesError, Result};

/// Merges all rows of `kway` into `output`.
pub(super) async fn merge(
    table: &'static Table,
    mut kway: Kway,
    output: &mut Output<'_, '_>,
    options: &MergeOptions,
    counts: &mut Merged,
) -> Result<()> {
    let budget = Budget::of(options.memory_bytes);
    let mut kept = Kept::new(table, options);
    let mut same = Same::new(table.kind, budget);
    let mut chunk = Chunk::new(table);
    while let Some(slice) = kway.next().await? {
        // Where a group ends a file may end.
        let boundary = same.key.as_ref().is_none_or(|(prefix, _)| *prefix != slice.prefix);
        if chunk.is_full(budget) && (boundary || chunk.is_very_full(budget)) {
            write(&mut chunk, &mut same, output, boundary || !keeps_groups_whole(table.kind)).await?;
        }
        counts.rows_in += if slice.original { (slice.to - slice.from) as u64 } else { 0 };
        let from = kept.first(&slice);
        counts.expired += (from - slice.from) as u64;
        let slice = Slice { from, ..slice };
        for slice in without(slice, options.gone.as_deref(), counts) {
            same.sift(&slice, &mut chunk, counts)
                .map_err(|problem| FilesError::Rows { kind: table.kind, problem })?;
        }
    }
    write(&mut chunk, &mut same, output, true).await
}

/// What stays of a slice: what is before those that go, and what is after.
fn without(slice: Slice, gone: Option<&Gone>, counts: &mut Merged) -> impl Iterator<Item = Slice> + use<> {
    let times = &slice.batch.times()[slice.from..slice.to];
    let rows = gone.map_or(0..0, |gone| gone.rows(slice.prefix.as_series().0, times));
    counts.expired += rows.len() as u64;
    let (from, to) = (slice.from + rows.start, slice.from + rows.end);
    let after = (!rows.is_empty()).then(|| Slice {
        prefix: slice.prefix.clone(),
        batch: Arc::clone(&slice.batch),
        from: to,
        ..slice
    });
    let before = Slice { to: if rows.is_empty() { slice.to } else { from }, ..slice };
    [Some(before), after].into_iter().flatten().filter(|slice| slice.from < slice.to)
}

/// Whether it matters that a series or trace lies in one file.
fn keeps_groups_whole(kind: Kind) -> bool {
    !matches!(kind, Kind::Logs | Kind::Rejected | Kind::Shadow | Kind::Reingested)
}

async fn write(
    chunk: &mut Chunk,
    same: &mut Same,
    output: &mut Output<'_, '_>,
    boundary: bool,
) -> Result<()> {
    if chunk.rows() > 0 {
        same.carry(chunk);
        let (rows, extent) = chunk.take(output.schema())?;
        output.write(rows, extent, boundary).await?;
    }
    Ok(())
}

/// Finds rows that are there already.
struct Same {
    /// Of the last row that was kept.
    key: Option<(Prefix, i64)>,
    /// Whether no two rows may have one key.
    unique: bool,
    /// Of the rows with this key, once there is a second one.
    seen: HashSet<u128, RandomState>,
    seen_max: usize,
    fingerprints: Fingerprints,
    /// The last row that was kept, if it is written already.
    carried: Option<(Arc<Batch>, usize)>,
}

impl Same {
    fn new(kind: Kind, budget: Budget) -> Self {
        Self {
            key: None,
            unique: matches!(kind, Kind::Series | Kind::Histograms | Kind::Exemplars),
            seen: HashSet::default(),
            seen_max: budget.fingerprints(),
            fingerprints: Fingerprints::new(),
            carried: None,
        }
    }

    /// Picks the rows of a slice that are new.
    fn sift(&mut self, slice: &Slice, chunk: &mut Chunk, counts: &mut Merged) -> Result<(), String> {
        let times = slice.batch.times();
        let mut row = slice.from;
        while row < slice.to {
            let again = self
                .key
                .as_ref()
                .is_some_and(|(prefix, time)| *time == times[row] && *prefix == slice.prefix);
            if again {
                if self.is_new(slice, row, chunk, counts)? {
                    chunk.pick(slice, row, row + 1);
                }
                row += 1;
                continue;
            }
            let stretch = times[row..slice.to].windows(2).take_while(|pair| pair[0] != pair[1]).count() + 1;
            chunk.pick(slice, row, row + stretch);
            row += stretch;
            self.key = Some((slice.prefix.clone(), times[row - 1]));
            self.seen.clear();
        }
        Ok(())
    }

    /// Looks at a row that has the key of the last one.
    fn is_new(
        &mut self,
        slice: &Slice,
        row: usize,
        chunk: &Chunk,
        counts: &mut Merged,
    ) -> Result<bool, String> {
        if self.seen.is_empty() {
            let first = chunk.last().or(self.carried.as_ref().map(|(batch, row)| (batch, *row)));
            if let Some((batch, row)) = first {
                let first = self.fingerprints.of(batch, row)?;
                self.seen.insert(first);
            }
        }
        let row = self.fingerprints.of(&slice.batch, row)?;
        if self.seen.contains(&row) {
            counts.duplicates += 1;
        } else if self.unique {
            counts.conflicts += 1;
        } else {
            if self.seen.len() >= self.seen_max {
                // So many rows of one stream at one nanosecond: from here on
                // those are found again that come from here on.
                self.seen.clear();
            }
            self.seen.insert(row);
            return Ok(true);
        }
        Ok(false)
    }

    /// Remembers the last row of a chunk that goes.
    fn carry(&mut self, chunk: &Chunk) {
        self.carried = chunk.last().map(|(batch, row)| (Arc::clone(batch), row));
    }
}

/// Rows of a batch that are written together.
#[derive(Debug, Clone, Copy)]
struct Pick {
    batch: usize,
    from: usize,
    to: usize,
}

/// Rows that are to be written, in order.
struct Chunk {
    table: &'static Table,
    batches: Vec<Arc<Batch>>,
    picks: Vec<Pick>,
    extent: Extent,
    /// Of the batches that inputs are done with; the others are theirs.
    bytes: usize,
}

impl Chunk {
    fn new(table: &'static Table) -> Self {
        Self { table, batches: Vec::new(), picks: Vec::new(), extent: Extent::default(), bytes: 0 }
    }

    fn rows(&self) -> usize {
        self.extent.rows as usize
    }

    fn is_full(&self, budget: Budget) -> bool {
        self.rows() >= CHUNK_ROWS || self.bytes >= budget.waiting() / 4 * 3
    }

    fn is_very_full(&self, budget: Budget) -> bool {
        self.rows() >= 4 * CHUNK_ROWS || self.bytes >= budget.waiting()
    }

    fn last(&self) -> Option<(&Arc<Batch>, usize)> {
        self.picks.last().map(|pick| (&self.batches[pick.batch], pick.to - 1))
    }

    fn pick(&mut self, slice: &Slice, from: usize, to: usize) {
        self.extent = union(self.extent, self.extent_of(slice, from, to));
        let known = self.batches.iter().rposition(|batch| Arc::ptr_eq(batch, &slice.batch));
        let batch = known.unwrap_or_else(|| {
            let done = self.batches.iter().filter(|batch| Arc::strong_count(batch) == 1);
            self.bytes = done.map(|batch| batch.bytes()).sum();
            self.batches.push(Arc::clone(&slice.batch));
            self.batches.len() - 1
        });
        match self.picks.last_mut() {
            Some(last) if last.batch == batch && last.to == from => last.to = to,
            _ => self.picks.push(Pick { batch, from, to }),
        }
    }

    fn extent_of(&self, slice: &Slice, from: usize, to: usize) -> Extent {
        let times = slice.batch.times();
        let (metric_id, series_id) = slice.prefix.as_series();
        let has_ids = self.table.sorted_by.starts_with(&["metric_id"]);
        Extent {
            rows: (to - from) as u64,
            time: Some((times[from], times[to - 1])),
            metric_id: has_ids.then_some((metric_id, metric_id)),
            series_id: has_ids.then_some((series_id, series_id)),
        }
    }

    /// Copies the rows, and is empty after.
    fn take(&mut self, schema: &SchemaRef) -> Result<(RecordBatch, Extent)> {
        let rows = self.rows();
        let columns = schema.fields().iter();
        let columns = columns.map(|field| match self.table.position(field.name()) {
            Some(at) => self.column(at, field.data_type(), rows),
            None => Ok(new_null_array(field.data_type(), rows)),
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
        self.batches.clear();
        self.picks.clear();
        self.bytes = 0;
        Ok((batch, std::mem::take(&mut self.extent)))
    }

    fn column(&self, at: usize, ty: &DataType, rows: usize) -> Result<ArrayRef> {
        let arrays: Vec<Option<&ArrayRef>> = self.batches.iter().map(|batch| batch.column(at)).collect();
        if arrays.iter().all(Option::is_none) {
            return Ok(new_null_array(ty, rows));
        }
        if let ([pick], [Some(array)]) = (self.picks.as_slice(), arrays.as_slice()) {
            return Ok(array.slice(pick.from, pick.to - pick.from));
        }
        let data: Vec<Option<ArrayData>> =
            arrays.iter().map(|array| array.map(|array| array.to_data())).collect();
        let known: Vec<&ArrayData> = data.iter().flatten().collect();
        // Of each batch, where its array stands among those that are there.
        let mut next = 0;
        let places: Vec<Option<usize>> = data
            .iter()
            .map(|data| {
                next += usize::from(data.is_some());
                data.is_some().then(|| next - 1)
            })
            .collect();
        let absent = places.iter().any(Option::is_none);
        let mut copied = MutableArrayData::new(known, absent, rows);
        for pick in &self.picks {
            match places[pick.batch] {
                Some(place) => copied.try_extend(place, pick.from, pick.to)?,
                None => copied.try_extend_nulls(pick.to - pick.from)?,
            }
        }
        Ok(make_array(copied.freeze()))
    }
}
