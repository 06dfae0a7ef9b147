//! Samples of replicas, sorted in again under the series that they become.

use std::sync::Arc;

use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, Int32Array, PrimitiveArray, RecordBatch};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use isinglass_model::Kind;
use isinglass_model::tables::Table;

use super::{HaDedup, Presence};
use crate::files::delta::{Extent, NewFile};
use crate::files::merge::budget::Budget;
use crate::files::merge::groups::Ahead;
use crate::files::merge::input::{Opened, Source};
use crate::files::merge::output::{Folder, Layout, Output};
use crate::files::merge::samples::{Columns, Sample};
use crate::files::parquet::{self, CHUNK_ROWS, ids_and_values};
use crate::files::{FilesError, Result};
use crate::tables::SeriesRun;

/// The column of files made on the way that says which replica wrote a row.
pub(in crate::files::merge) const REPLICA_COLUMN: &str = "replica";

/// What a collected sample takes, with the columns that are made of it.
const SAMPLE_BYTES: usize = 192;

/// The columns of samples, and the replica.
pub(in crate::files::merge) fn schema_with_replicas() -> SchemaRef {
    let samples = Table::of(Kind::Samples).file_schema().fields().iter().cloned();
    let replica = Arc::new(Field::new(REPLICA_COLUMN, DataType::Int32, false));
    Arc::new(Schema::new(samples.chain([replica]).collect::<Vec<_>>()))
}

/// Collects the samples of replicas from `sources` into sorted files, one for
/// each time that so many of them fill the memory, and when each replica was
/// heard of.
pub(in crate::files::merge) async fn spill(
    folder: &mut Folder<'_>,
    sources: &[Source],
    ha: &HaDedup,
    budget: Budget,
    made: &mut Vec<String>,
) -> Result<(Vec<Source>, Presence)> {
    let table = Table::of(Kind::Samples);
    let mut collected =
        Collected { samples: Vec::new(), max: (budget.waiting() / SAMPLE_BYTES).max(1 << 10) };
    let mut presence = Presence::new(ha);
    let mut spilled = Vec::new();
    for source in sources {
        let opened = Opened::open(folder.objects, source.clone(), table).await?;
        let mut input = opened.read(folder.objects, &folder.worker, budget.inputs());
        while let Some(batch) = input.next_batch().await? {
            let columns = Columns::of(&batch)
                .map_err(|problem| FilesError::Damaged { path: source.path.to_string(), problem })?;
            let mut from = 0;
            for run in batch.runs() {
                let rows = std::mem::replace(&mut from, run.end)..run.end;
                let (metric_id, series_id) = run.prefix.as_series();
                let Some(replica) = ha.replicas.get(&series_id) else { continue };
                presence.add(replica.cluster, replica.replica, rows.clone().map(|row| batch.times()[row]));
                let of = |row| Sample { replica: replica.replica, ..columns.sample(row) };
                collected.samples.extend(rows.map(|row| (metric_id, replica.series_id, of(row))));
            }
            if collected.is_full() {
                collected.put(folder, budget, &mut spilled, made).await?;
            }
        }
    }
    collected.put(folder, budget, &mut spilled, made).await?;
    Ok((spilled, presence))
}

struct Collected {
    /// With metric and series.
    samples: Vec<(i64, i64, Sample)>,
    max: usize,
}

impl Collected {
    fn is_full(&self) -> bool {
        self.samples.len() >= self.max
    }

    /// Puts what is collected as a file.
    async fn put(
        &mut self,
        folder: &mut Folder<'_>,
        budget: Budget,
        spilled: &mut Vec<Source>,
        made: &mut Vec<String>,
    ) -> Result<()> {
        if self.samples.is_empty() {
            return Ok(());
        }
        // Stable: what was accepted first stays first.
        self.samples.sort_by_key(|(metric_id, series_id, sample)| (*metric_id, *series_id, sample.time));
        let properties = parquet::of_samples(parquet::FLUSH_ZSTD_LEVEL)?.as_ref().clone();
        let layout = Layout {
            schema: schema_with_replicas(),
            properties,
            file_bytes: u64::MAX,
            part_bytes: budget.part(),
            indexed: None,
            marked: false,
            attributes: Vec::new(),
            sizes: parquet::sizes(Kind::Samples),
            ahead: Ahead::of_rows(self.samples.len()),
            distinct_max: 0,
        };
        let mut output = Output::new(folder, layout);
        let mut written = Ok(());
        for samples in self.samples.chunks(CHUNK_ROWS) {
            written = match columns(samples, output.schema()) {
                Ok(rows) => {
                    output.write(rows, Extent { rows: samples.len() as u64, ..Extent::default() }, true).await
                }
                Err(error) => Err(error),
            };
            if written.is_err() {
                break;
            }
        }
        let files = match written {
            Ok(()) => output.finish().await,
            Err(error) => Err(error),
        };
        let files = match files {
            Ok(files) => files,
            Err(error) => {
                output.abandon().await;
                return Err(error);
            }
        };
        made.extend(files.iter().map(|file| file.name.clone()));
        for NewFile { name, size_bytes, .. } in files {
            spilled.push(Source { path: folder.path(&name)?, size_bytes, original: false });
        }
        self.samples.clear();
        Ok(())
    }
}

fn columns(samples: &[(i64, i64, Sample)], schema: &SchemaRef) -> Result<RecordBatch> {
    let runs: Vec<SeriesRun> = samples
        .chunk_by(|a, b| (a.0, a.1) == (b.0, b.1))
        .map(|run| SeriesRun { metric_id: run[0].0, series_id: run[0].1, rows: run.len() as u32 })
        .collect();
    let values: Vec<f64> = samples.iter().map(|(.., sample)| sample.value).collect();
    let [metric_id, series_id, value, value_int, value_scale] = ids_and_values(&runs, &values);
    let times = |times: Vec<i64>, known: Option<NullBuffer>| -> ArrayRef {
        let array = PrimitiveArray::<TimestampMicrosecondType>::new(times.into(), known);
        Arc::new(array.with_timezone("UTC"))
    };
    let known = BooleanBuffer::collect_bool(samples.len(), |row| samples[row].2.start.is_some());
    let starts = samples.iter().map(|(.., sample)| sample.start.unwrap_or_default()).collect();
    let replicas = samples.iter().map(|(.., sample)| sample.replica.cast_signed());
    let columns = vec![
        metric_id,
        series_id,
        times(samples.iter().map(|(.., sample)| sample.time).collect(), None),
        value,
        value_int,
        value_scale,
        times(starts, Some(known.into())),
        Arc::new(Int32Array::from_iter_values(replicas)),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
