//! Rows with an id, found by what footers and Bloom filters say of their row groups.
//!
//! DataFusion asks the same of files when it opens them: it reads the filters of a file each time,
//! and makes readers for what then turns out to have no row. Here filters are kept from question to
//! question, and a file without the id is not opened.
//!
//! Only footers in memory are asked: the first reader of a file does without.

mod cache;
mod wanted;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_expr::PhysicalExpr;
use futures::stream::{self, StreamExt as _};
use isinglass_model::tables::Type;
use isinglass_store::{DataFile, View};
use object_store::ObjectStore;
use object_store::path::Path;

use super::layout::Layout;
use super::scan::object_meta;
use super::{footers, prune};
pub(crate) use cache::FilterCache;
use cache::Filters;
use wanted::Wanted;

/// Files whose filters are read at a time.
const READS_MAX: usize = 16;

/// What has to be there to look for ids.
pub(crate) struct Search<'a> {
    pub(super) view: &'a View,
    pub(super) layout: &'static Layout,
    pub(super) filters: &'a [Arc<dyn PhysicalExpr>],
    pub(super) footers: &'a FileMetadataCache,
    pub(super) cache: &'a FilterCache,
    pub(super) objects: &'a Arc<dyn ObjectStore>,
}

/// Rows of a file that may have the wanted ids.
pub(crate) enum Rows {
    All,
    None,
    Some(RowSelection),
}

impl Search<'_> {
    /// Files of which something is known, and whether that is all files.
    pub(super) async fn run(&self) -> Result<(Vec<(Path, Rows)>, bool)> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return Ok((Vec::new(), false));
        }
        let table = self.view.table(self.layout.table.kind);
        let files = prune::files(&table.files, self.layout, self.filters)?;
        let all = files.len();
        let files: Vec<DataFile> = files.into_iter().cloned().collect();
        let found = files.into_iter().map(|file| self.rows_of(file, &wanted));
        let found: Vec<Option<(Path, Rows)>> =
            stream::iter(found).buffer_unordered(READS_MAX).collect().await;
        let found: Vec<(Path, Rows)> = found.into_iter().flatten().collect();
        let are_all = found.len() == all;
        Ok((found, are_all))
    }

    /// The ids that rows must have, by column.
    fn wanted(&self) -> Vec<Wanted> {
        let columns = self.layout.table.columns.iter().enumerate();
        let ids = columns.filter(|(_, column)| matches!(column.ty, Type::Id(_)));
        ids.filter_map(|(at, column)| Wanted::of(self.filters, at, column.name)).collect()
    }

    /// `None` where nothing is known.
    async fn rows_of(&self, file: DataFile, wanted: &[Wanted]) -> Option<(Path, Rows)> {
        let part = PartitionedFile::new_from_meta(object_meta(&file));
        let footer = footers::cached(self.footers, &part)?;
        let mut may_have = vec![true; footer.num_row_groups()];
        for one in wanted {
            let leaf = one.leaf(&footer)?;
            for (group, may_have) in may_have.iter_mut().enumerate() {
                *may_have &= one.is_in_range(footer.row_group(group).column(leaf));
            }
            if !may_have.contains(&true) {
                break;
            }
            let filters = self.filters_of(&file.path, &footer, leaf).await?;
            for (group, may_have) in may_have.iter_mut().enumerate().filter(|(_, may_have)| **may_have) {
                *may_have = filters.get(group).is_none_or(|filter| one.may_be_in(filter));
            }
        }
        Some((file.path, rows(&footer, &may_have)))
    }

    /// The filters of a column, from the cache or the file; without those that cannot be read its
    /// rows are.
    async fn filters_of(
        &self,
        path: &Path,
        footer: &Arc<ParquetMetaData>,
        leaf: usize,
    ) -> Option<Arc<Filters>> {
        if let Some(filters) = self.cache.get(path, leaf) {
            return Some(filters);
        }
        match Filters::read(path, footer, leaf, self.objects.as_ref()).await {
            Ok(filters) => {
                let filters = Arc::new(filters);
                self.cache.put(path, leaf, &filters);
                Some(filters)
            }
            Err(error) => {
                tracing::warn!(%path, %error, "the filters of ids cannot be read, their file is read without them");
                None
            }
        }
    }
}

/// The rows of some row groups.
fn rows(footer: &ParquetMetaData, may_have: &[bool]) -> Rows {
    if !may_have.contains(&true) {
        return Rows::None;
    }
    if !may_have.contains(&false) {
        return Rows::All;
    }
    let selectors = footer.row_groups().iter().zip(may_have).map(|(group, may_have)| {
        let rows = usize::try_from(group.num_rows()).unwrap_or_default();
        if *may_have { RowSelector::select(rows) } else { RowSelector::skip(rows) }
    });
    Rows::Some(selectors.collect())
}
