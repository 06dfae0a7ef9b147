//! Writing batches column by column.
//!
//! A row's place in its batch has nothing to do with its place in the file, so
//! every value is fetched from somewhere else in memory. One column of a flush
//! fits into the processor's caches; all of them together do not.

use std::sync::Arc;

use ::parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use ::parquet::file::writer::SerializedFileWriter;
use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{AnyDictionaryArray, Array, RecordBatch};
use arrow_schema::Field;
use hashbrown::HashSet;
use isinglass_model::Kind;
use isinglass_model::tables::{Column, Table};

use super::gather::Source;
use super::layout::Values;
use super::order::{Order, Pick};
use super::sink::Sink;
use super::{CHUNK_ROWS, layout};
use crate::files::delta::Extent;
use crate::files::tokens::{self, Builder};
use crate::files::{FilesError, Result};

/// Writes all rows of these batches, in the order of the table, and takes their tokens down
/// where the kind has an index of them.
pub(super) fn write(kind: Kind, batches: &[RecordBatch]) -> Result<(Sink, Extent, Option<Builder>)> {
    let table = Table::of(kind);
    let bad = |problem| FilesError::Rows { kind, problem };
    if let Some(name) = unknown_column(table, batches) {
        return Err(bad(format!("there is no column {name}")));
    }
    let order = Order::of(table, batches)?;
    let values: Vec<Values> = table.columns.iter().map(|column| values_of(column, batches)).collect();
    let (schema, properties) = layout::of(table, layout::FLUSH_ZSTD_LEVEL, &values)?;
    let root = layout::parquet_schema(&schema)?;
    let mut file = SerializedFileWriter::new(Sink::default(), root, properties)?;
    let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
    let mut groups = order
        .rows()
        .chunks(layout::row_group_rows(kind))
        .enumerate()
        .map(|(number, rows)| RowGroup::new(rows, factory.create_column_writers(number)?))
        .collect::<Result<Vec<_>>>()?;
    let rows_of_batches: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
    let indexed = tokens::column(kind);
    let mut builder = indexed.map(|_| Builder::new());
    for field in schema.fields() {
        let Some(at) = table.position(field.name()) else { continue };
        let column = &table.columns[at];
        let arrays = batches.iter().map(|batch| batch.column_by_name(column.name)).collect();
        let source = Source::of(column, arrays, &rows_of_batches).map_err(bad)?;
        for group in &mut groups {
            let builder = builder.as_mut().filter(|_| indexed == Some(column.name));
            group.write(kind, column, field, &source, builder)?;
        }
    }
    for group in groups {
        let mut writer = file.next_row_group()?;
        for chunk in group.done {
            chunk.append_to_row_group(&mut writer)?;
        }
        writer.close()?;
    }
    Ok((file.into_inner()?, order.extent(), builder))
}

fn values_of(column: &Column, batches: &[RecordBatch]) -> Values {
    let arrays = || batches.iter().filter_map(|batch| batch.column_by_name(column.name));
    let there = arrays().map(|array| array.len() - array.null_count()).sum::<usize>();
    if there == 0 {
        return Values::None;
    }
    if !layout::is_of_items(column) {
        return Values::Repeated;
    }
    let dictionaries = || {
        arrays().filter_map(|array| array.as_dictionary_opt::<Int32Type>()).map(AnyDictionaryArray::values)
    };
    // Requests of few rows repeat little each, and much together: only what may
    // be distinct is counted.
    if 2 * dictionaries().map(|values| values.len()).sum::<usize>() <= there {
        return Values::Repeated;
    }
    let texts = dictionaries().filter_map(|values| values.as_string_opt::<i32>());
    let distinct: HashSet<&str, RandomState> = texts.flat_map(|texts| texts.iter().flatten()).collect();
    if 2 * distinct.len() > there { Values::Distinct } else { Values::Repeated }
}

fn unknown_column<'a>(table: &Table, batches: &'a [RecordBatch]) -> Option<&'a str> {
    let fields = batches.iter().flat_map(|batch| batch.schema_ref().fields().iter());
    fields.map(|field| field.name().as_str()).find(|name| table.position(name).is_none())
}

struct RowGroup<'a> {
    rows: &'a [Pick],
    /// Of the leaves that are still to be written.
    writers: std::vec::IntoIter<ArrowColumnWriter>,
    done: Vec<ArrowColumnChunk>,
}

impl<'a> RowGroup<'a> {
    fn new(rows: &'a [Pick], writers: Vec<ArrowColumnWriter>) -> Result<Self> {
        Ok(Self { rows, done: Vec::with_capacity(writers.len()), writers: writers.into_iter() })
    }

    /// Writes the next column.
    fn write(
        &mut self,
        kind: Kind,
        column: &Column,
        field: &Field,
        source: &Source<'_>,
        mut tokens: Option<&mut Builder>,
    ) -> Result<()> {
        let bad = |problem| FilesError::Rows { kind, problem };
        let mut writers: Vec<ArrowColumnWriter> = Vec::new();
        for rows in self.rows.chunks(CHUNK_ROWS) {
            let array = source.pick(rows).map_err(bad)?;
            if !column.nullable && array.null_count() > 0 {
                return Err(bad(format!("column {} has nulls", column.name)));
            }
            if let Some(tokens) = &mut tokens {
                tokens.push(&array).map_err(bad)?;
            }
            let leaves = compute_leaves(field, &array)?;
            if writers.is_empty() {
                writers.extend(self.writers.by_ref().take(leaves.len()));
            }
            for (writer, leaf) in writers.iter_mut().zip(&leaves) {
                writer.write(leaf)?;
            }
        }
        for writer in writers {
            self.done.push(writer.close()?);
        }
        Ok(())
    }
}
