//! Reading a table of a view: files and unflushed rows, each row once.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::config::TableParquetOptions;
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetFileReaderFactory, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::prelude::SessionConfig;
use isinglass_model::tables::Type;
use isinglass_store::{DataFile, HeadFilter, TableView, View};
use object_store::ObjectMeta;

use super::asked::Asked;
use super::cheap::CheapFirst;
use super::compared::ByKeys;
use super::layout::Layout;
use super::shares::{Shared, shares};
use super::tokens::{RowsWanted, WithPageIndex};
use super::{footers, prune};
use crate::attributes::{InFiles, Wanted};
use crate::lacking::Lacking;
use crate::objects::TABLES_URL;
use crate::shown::convert::as_read;

/// What a session lends to its scans.
#[derive(Debug, Clone)]
pub(crate) struct Means {
    pub(crate) runtime: Arc<RuntimeEnv>,
    config: SessionConfig,
    parquet: TableParquetOptions,
}

impl Means {
    pub(crate) fn of(session: &dyn Session) -> Self {
        Self {
            runtime: Arc::clone(session.runtime_env()),
            config: session.config().clone(),
            parquet: session.default_table_options().parquet,
        }
    }
}

/// What is wanted of a table.
pub(crate) struct Scan<'a> {
    /// How it is laid out.
    pub(crate) layout: &'static Layout,
    /// Columns of the read schema, ascending.
    pub(crate) columns: Vec<usize>,
    /// What rows must fulfil, on the read schema: files and unflushed batches in
    /// which no row does are left out. Rows themselves are not filtered by it.
    pub(crate) pruning: Vec<Arc<dyn PhysicalExpr>>,
    /// What every row that comes out fulfils, on the read schema; reads its
    /// columns even if they are not wanted.
    pub(crate) exactly: Option<Arc<dyn PhysicalExpr>>,
    /// The metric wanted, if it is one.
    pub(crate) metric_id: Option<i64>,
    /// The series wanted, if not all.
    pub(crate) series_ids: Option<&'a HashSet<i64>>,
    /// Rows that are enough.
    pub(crate) limit: Option<usize>,
    /// Rows of files that may be wanted.
    pub(crate) rows: &'a RowsWanted,
    /// Attributes that come as columns after the others.
    pub(crate) attributes: Arc<[Wanted]>,
}

impl Scan<'_> {
    /// The plan: batches of `columns` and `attributes`, typed as they are read.
    pub(crate) fn plan(&self, view: &View, means: &Means) -> Result<Arc<dyn ExecutionPlan>> {
        let table = view.table(self.layout.table.kind);
        let columns = self.columns.iter().map(|at| Arc::clone(&self.layout.read.fields()[*at]));
        let schema = Arc::new(Schema::new(columns.chain(self.attribute_fields()).collect::<Vec<_>>()));
        let mut inputs: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(2);
        let files = self.files_of(table)?;
        if !files.is_empty() {
            inputs.push(self.files(&files, means)?);
        }
        let batches = self.unflushed(table, &schema)?;
        if !batches.is_empty() {
            let memory = MemorySourceConfig::try_new(&[batches], Arc::clone(&schema), None)?;
            let scan = DataSourceExec::new(Arc::new(memory.with_limit(self.limit)));
            let options = means.config.options();
            let split = scan.repartitioned(means.config.target_partitions(), options)?;
            inputs.push(split.unwrap_or_else(|| Arc::new(scan)));
        }
        match inputs.len() {
            0 => Ok(Arc::new(EmptyExec::new(schema))),
            1 => Ok(inputs.remove(0)),
            _ => UnionExec::try_new(inputs),
        }
    }

    /// The files in which there may be a wanted row.
    pub(crate) fn files_of<'v>(&self, table: &'v TableView) -> Result<Vec<&'v DataFile>> {
        let mut files = prune::files(&table.files, self.layout, &self.pruning)?;
        files.retain(|file| self.rows.may_be_in(file));
        Ok(files)
    }

    fn attribute_fields(&self) -> impl Iterator<Item = FieldRef> + '_ {
        self.attributes.iter().map(|wanted| Arc::clone(&wanted.field))
    }

    pub(crate) fn files(&self, files: &[&DataFile], means: &Means) -> Result<Arc<dyn ExecutionPlan>> {
        let objects = means.runtime.object_store(&*TABLES_URL)?;
        let footers = means.runtime.cache_manager.get_file_metadata_cache();
        let mut reader: Arc<dyn ParquetFileReaderFactory> =
            Arc::new(CachedParquetFileReaderFactory::new(objects, Arc::clone(&footers)));
        let mut options = means.parquet.clone();
        // Without an id there is no filter of Bloom's, but DataFusion would ask for one.
        options.global.bloom_filter_on_read &= self.reads_ids() && !self.rows.ids_are_known();
        if self.is_selective() {
            reader = Arc::new(WithPageIndex(reader));
        }
        if self.rows.is_some() && !self.rows.are_whole(means.config.batch_size()) {
            // What filters have decoded is kept in whole batches, for which all of their pages
            // are read, those of rows that are not wanted, too.
            options.global.max_predicate_cache_size = Some(0);
        }
        let schema = match self.attributes.is_empty() {
            true => Arc::clone(&self.layout.read),
            false => {
                let columns = self.layout.read.fields().iter().map(Arc::clone);
                Arc::new(Schema::new(columns.chain(self.attribute_fields()).collect::<Vec<_>>()))
            }
        };
        let mut projection = self.columns.clone();
        projection.extend(self.layout.read.fields().len()..schema.fields().len());
        let mut source = ParquetSource::new(Arc::clone(&schema))
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(reader);
        if let Some(predicate) = &self.exactly {
            source = source.with_predicate(Arc::clone(predicate));
        }
        let rows = files.iter().map(|file| usize::try_from(file.rows).unwrap_or(usize::MAX)).sum();
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.num_rows =
            if self.rows.is_some() { Precision::Inexact(rows) } else { Precision::Exact(rows) };
        statistics.total_byte_size =
            Precision::Inexact(files.iter().map(|file| file.size_bytes as usize).sum());
        let asked = Asked::of(self)?;
        let shared = files.iter().map(|file| self.file(file, &asked, footers.as_ref())).collect();
        let split_bytes_min = means.config.options().optimizer.repartition_file_min_size as u64;
        let config = FileScanConfigBuilder::new(TABLES_URL.clone(), Arc::new(source))
            .with_file_groups(shares(shared, means.config.target_partitions(), split_bytes_min))
            .with_statistics(statistics)
            .with_projection_indices(Some(projection))?
            .with_output_ordering(self.order().into_iter().collect())
            .with_limit(self.limit)
            .with_expr_adapter(Some(self.adapter(&asked)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// Whether filters, also those that come while the query runs, may be about ids.
    fn reads_ids(&self) -> bool {
        let filtered = self.exactly.iter().flat_map(collect_columns);
        let mut columns = self.columns.iter().copied().chain(filtered.map(|column| column.index()));
        columns.any(|at| self.layout.is_id(at))
    }

    /// Whether pages can be left out.
    fn is_selective(&self) -> bool {
        self.rows.is_some() || self.exactly.is_some() || !self.pruning.is_empty()
    }

    fn adapter(&self, asked: &Asked<'_>) -> Arc<dyn PhysicalExprAdapterFactory> {
        let below: Arc<dyn PhysicalExprAdapterFactory> = match self.attributes.is_empty() {
            true => Arc::new(Lacking),
            false => Arc::new(InFiles(Arc::clone(&self.attributes))),
        };
        let below = if asked.compared.is_empty() { below } else { Arc::new(ByKeys(below)) };
        Arc::new(CheapFirst(below))
    }

    fn file(&self, file: &DataFile, asked: &Asked<'_>, footers: &FileMetadataCache) -> Shared {
        // Not by its name: that would be encoded once more.
        let part = PartitionedFile::new_from_meta(object_meta(file));
        let mut statistics = prune::statistics(file, self.layout);
        statistics.column_statistics.extend(self.attributes.iter().map(|_| ColumnStatistics::new_unknown()));
        let part = self.rows.of(file, part.with_statistics(Arc::new(statistics)));
        match footers::cached(footers, &part) {
            Some(footer) => {
                let wanted = self.rows.in_file(file);
                Shared::new(asked.known(part, &footer), file.rows, Some(&footer), wanted)
            }
            None => Shared::new(part, file.rows, None, None),
        }
    }

    /// Rows of one file lie in this order. Across files nothing is promised:
    /// DataFusion compares the ranges of a group before it believes it.
    fn order(&self) -> Option<LexOrdering> {
        let ascending = arrow_schema::SortOptions { descending: false, nulls_first: true };
        LexOrdering::new(self.layout.table.sorted_by.iter().filter_map(|name| {
            let column = Column::new(name, self.layout.read_position(name)?);
            Some(PhysicalSortExpr::new(Arc::new(column), ascending))
        }))
    }

    /// Unflushed rows in the types of `schema`.
    fn unflushed(&self, table: &TableView, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let filter = HeadFilter {
            time: prune::time_range(self.layout, &self.pruning),
            series_ids: self.series_ids,
            metric_id: self.metric_id,
        };
        let batches =
            table.head_batches(&filter).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let mut read = Vec::with_capacity(batches.len());
        for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
            let batch = self.with_attributes(self.only_exactly(batch)?)?;
            read.push(typed(&batch, schema)?);
        }
        Ok(read)
    }

    /// A batch with the wanted attributes, made of its maps.
    fn with_attributes(&self, batch: RecordBatch) -> Result<RecordBatch> {
        if self.attributes.is_empty() {
            return Ok(batch);
        }
        let whole = typed(&batch, &self.layout.read)?;
        let (mut fields, mut columns) = (batch.schema_ref().fields().to_vec(), batch.columns().to_vec());
        for wanted in self.attributes.iter() {
            fields.push(Arc::clone(&wanted.field));
            columns.push(wanted.of_map.evaluate(&whole)?.into_array(whole.num_rows())?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
    }

    fn only_exactly(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let Some(predicate) = &self.exactly else { return Ok(batch.clone()) };
        let whole = typed(batch, &self.layout.read)?;
        let keep = predicate.evaluate(&whole)?.into_array(whole.num_rows())?;
        Ok(arrow_select::filter::filter_record_batch(batch, keep.as_boolean())?)
    }
}

/// A file as an object.
pub(super) fn object_meta(file: &DataFile) -> ObjectMeta {
    ObjectMeta {
        location: file.path.clone(),
        last_modified: Default::default(),
        size: file.size_bytes,
        e_tag: None,
        version: None,
    }
}

/// A batch with the columns of `schema`; what it lacks is null.
fn typed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => as_read(column, field),
        None => Ok(new_null_array(field.data_type(), rows)),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_>>()?, &options)?)
}

/// A raw value of a time column as the scalar that files hold.
pub(crate) fn raw_time(ty: &Type, raw: i64) -> Option<ScalarValue> {
    match ty {
        Type::Bigint => Some(ScalarValue::Int64(Some(raw))),
        Type::Timestamp => {
            Some(ScalarValue::TimestampMicrosecond(Some(raw), Some(Arc::clone(&crate::shown::convert::UTC))))
        }
        Type::Date => Some(ScalarValue::Date32(Some(i32::try_from(raw).ok()?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::types::Float64Type;
    use arrow_array::{ArrayRef, Float64Array, Int64Array, TimestampMicrosecondArray};
    use datafusion::execution::SessionStateBuilder;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::physical_plan::collect;
    use isinglass_model::Kind;
    use object_store::memory::InMemory;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;
    use crate::objects::OnlyTables;
    use crate::shown::ShownExec;

    /// A file of `samples` from before there were `value_int`, `value_scale` and
    /// `start_time`.
    fn old_file() -> Vec<u8> {
        let times = TimestampMicrosecondArray::from(vec![1_000, 2_000]).with_timezone("UTC");
        let columns: [(&str, ArrayRef); 4] = [
            ("metric_id", Arc::new(Int64Array::from(vec![1, 1]))),
            ("series_id", Arc::new(Int64Array::from(vec![7, 8]))),
            ("time", Arc::new(times)),
            ("value", Arc::new(Float64Array::from(vec![1.5, 2.5]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[tokio::test]
    async fn columns_that_a_file_lacks_are_null() {
        let objects = InMemory::new();
        let bytes = old_file();
        let size_bytes = bytes.len() as u64;
        objects.put(&"default/samples/old.parquet".into(), bytes.into()).await.unwrap();
        let objects: Arc<dyn ObjectStore> = Arc::new(objects);
        let runtime = RuntimeEnvBuilder::new().with_object_store_registry(Arc::new(OnlyTables(objects)));
        let session = SessionStateBuilder::new().with_runtime_env(runtime.build_arc().unwrap()).build();
        let layout = Layout::of(Kind::Samples);
        let shown: Vec<usize> = (0..layout.shown.fields().len()).collect();
        let scan = Scan {
            layout,
            columns: layout.columns_of(&shown),
            pruning: Vec::new(),
            exactly: None,
            metric_id: None,
            series_ids: None,
            limit: None,
            rows: &RowsWanted::default(),
            attributes: Arc::default(),
        };
        let file = DataFile {
            path: "default/samples/old.parquet".into(),
            size_bytes,
            rows: 2,
            time: Some((1_000, 2_000)),
            metric_id: Some((1, 1)),
            level: 0,
            accepted: 0,
            kept: None,
            crc32c: None,
            token_index_bytes: None,
            attribute_columns: Arc::default(),
        };
        let input = scan.files(&[&file], &Means::of(&session)).unwrap();
        let columns = shown.iter().map(|at| layout.column(*at, &input.schema()).unwrap()).collect();
        let plan = ShownExec::try_new(input, columns, Arc::clone(&layout.shown)).unwrap();
        let batches = collect(Arc::new(plan), session.task_ctx()).await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
        let value = batches[0].column_by_name("value").unwrap();
        assert_eq!(value.as_primitive::<Float64Type>().values(), &[1.5, 2.5]);
        assert_eq!(batches[0].column_by_name("start_time").unwrap().null_count(), 2);
    }
}
