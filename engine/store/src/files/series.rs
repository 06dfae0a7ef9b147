//! Reading the table `series` back, to rebuild the index over it.

use std::sync::Arc;

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type};
use arrow_array::{Array, ArrayRef, MapArray, RecordBatch, StringArray};
use isinglass_model::labels::Temporality;
use object_store::{Error, ObjectStore, ObjectStoreExt as _};

use super::objects::damage_of;
use super::{FilesError, Result};
use crate::tables::{DataFile, SeriesRow};

const ROWS_PER_BATCH: usize = 8_192;

/// Calls `f` with every row of a file, in the order of the file. The file is
/// held whole: it is as large as a flush was. One that is gone or is not as it was written is
/// [`FilesError::Damaged`]; whatever else fails may pass.
pub(super) async fn read_file(
    objects: &Arc<dyn ObjectStore>,
    file: &DataFile,
    f: &mut (dyn for<'r> FnMut(SeriesRow<'r>) + Send),
) -> Result<()> {
    let Err(error) = read_rows(objects, file, f).await else { return Ok(()) };
    Err(match problem_with(objects, file, &error).await {
        Some(problem) => FilesError::Damaged { path: file.path.to_string(), problem },
        None => error,
    })
}

/// What is wrong with the file itself, which no waiting mends. A store that is away says
/// nothing of the file, not even its size.
async fn problem_with(objects: &Arc<dyn ObjectStore>, file: &DataFile, error: &FilesError) -> Option<String> {
    match error {
        FilesError::Parquet(_) | FilesError::Arrow(_) => Some(error.chain()),
        FilesError::Objects(error) => match damage_of(error) {
            Some(problem) => Some(problem.to_owned()),
            None => gone_or_cut(objects, file).await,
        },
        _ => None,
    }
}

async fn gone_or_cut(objects: &Arc<dyn ObjectStore>, file: &DataFile) -> Option<String> {
    match objects.head(&file.path).await {
        Err(Error::NotFound { .. }) => Some("the table names it and it is not there".to_owned()),
        Ok(found) if found.size != file.size_bytes => {
            Some(format!("it has {} bytes, the table says {}", found.size, file.size_bytes))
        }
        _ => None,
    }
}

async fn read_rows(
    objects: &Arc<dyn ObjectStore>,
    file: &DataFile,
    f: &mut (dyn for<'r> FnMut(SeriesRow<'r>) + Send),
) -> Result<()> {
    let bytes = objects.get(&file.path).await?.bytes().await?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(ROWS_PER_BATCH);
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    for batch in builder.with_projection(mask).build()? {
        rows(&batch?, f).map_err(|problem| FilesError::Damaged { path: file.path.to_string(), problem })?;
        // Decoding is work; others on this thread have their turn in between.
        tokio::task::yield_now().await;
    }
    Ok(())
}

const COLUMNS: [&str; 8] = ["series_id", "day", "metric", "labels", "temporality", "type", "unit", "help"];

fn rows(batch: &RecordBatch, f: &mut (dyn for<'r> FnMut(SeriesRow<'r>) + Send)) -> Result<(), String> {
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| format!("no column {name}"));
    let series_id =
        column("series_id")?.as_primitive_opt::<Int64Type>().ok_or("column series_id is not BIGINT")?;
    let day = column("day")?.as_primitive_opt::<Date32Type>().ok_or("column day is not DATE")?;
    let metric = strings(column("metric")?, "metric")?;
    let labels = Labels::of(column("labels")?)?;
    let temporality = strings(column("temporality")?, "temporality")?;
    let metric_type = strings(column("type")?, "type")?;
    let unit = strings(column("unit")?, "unit")?;
    let help = strings(column("help")?, "help")?;

    let mut row_labels = Vec::new();
    for row in 0..batch.num_rows() {
        labels.of_row(row, &mut row_labels);
        f(SeriesRow {
            series_id: series_id.value(row),
            day: day.value(row),
            metric: text(metric, row),
            labels: &row_labels,
            temporality: read_temporality(text(temporality, row))?,
            metric_type: text(metric_type, row),
            unit: text(unit, row),
            help: text(help, row),
        });
    }
    Ok(())
}

fn strings<'a>(array: &'a ArrayRef, name: &str) -> Result<&'a StringArray, String> {
    array.as_string_opt::<i32>().ok_or_else(|| format!("column {name} is not STRING"))
}

fn text(array: &StringArray, row: usize) -> &str {
    if array.is_null(row) { "" } else { array.value(row) }
}

fn read_temporality(text: &str) -> Result<Temporality, String> {
    [Temporality::Unspecified, Temporality::Delta, Temporality::Cumulative]
        .into_iter()
        .find(|temporality| temporality.as_str().unwrap_or_default() == text)
        .ok_or_else(|| format!("unknown temporality {text:?}"))
}

struct Labels<'a> {
    map: &'a MapArray,
    names: &'a StringArray,
    values: &'a StringArray,
}

impl<'a> Labels<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self, String> {
        let map = array.as_map_opt().ok_or("column labels is not a map")?;
        Ok(Self {
            map,
            names: strings(map.keys(), "labels.key")?,
            values: strings(map.values(), "labels.value")?,
        })
    }

    fn of_row(&self, row: usize, into: &mut Vec<(&'a str, &'a str)>) {
        into.clear();
        let offsets = self.map.value_offsets();
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        into.extend(entries.map(|entry| (text(self.names, entry), text(self.values, entry))));
    }
}
