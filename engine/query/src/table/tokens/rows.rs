//! Which rows of which files may have the identifiers that are looked for.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::common::stats::Precision;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_expr::PhysicalExpr;
use futures::future::ready;
use futures::stream::{self, StreamExt as _};
use hashbrown::HashMap;
use isinglass_model::Kind;
use isinglass_store::{DataFile, TokenIndex, View};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};

use super::cache::{Known, TokenCache};
use super::wanted::Wanted;
use crate::table::ids::{Rows, Search};
use crate::table::{Layout, prune};

/// Indexes read at a time.
const READS_MAX: usize = 16;

/// An index of this size is read whole at its first use; of a larger one header and stripes
/// are read as they are needed.
const WHOLE_BYTES_MAX: u64 = 1 << 20;

/// Rows of files, by the path of the file. Of files that are not in it all rows are wanted.
#[derive(Debug, Default)]
pub(crate) struct RowsWanted {
    of_files: HashMap<Path, Option<RowSelection>>,
    /// The filters of ids were asked, of all files.
    ids_are_known: bool,
}

impl RowsWanted {
    /// Rows that may fulfil the filters, as far as identifiers in them tell.
    pub(crate) async fn by_tokens(
        view: &View,
        layout: &Layout,
        filters: &[Arc<dyn PhysicalExpr>],
        cache: &TokenCache,
        objects: &Arc<dyn ObjectStore>,
    ) -> Result<Self> {
        let body = layout.read_position("body").filter(|_| layout.table.kind == Kind::Logs);
        let Some(wanted) = body.and_then(|body| Wanted::of(filters, body)) else {
            return Ok(Self::default());
        };
        let rows = indexed(view, layout, filters)?
            .into_iter()
            .map(|(file, path)| rows_of(file, path, &wanted, cache, objects));
        let of_files = stream::iter(rows).buffer_unordered(READS_MAX).filter_map(ready).collect();
        Ok(Self { of_files: of_files.await, ids_are_known: false })
    }

    /// Such rows of these files.
    pub(crate) fn of_files(of_files: HashMap<Path, Option<RowSelection>>) -> Self {
        Self { of_files, ids_are_known: false }
    }

    /// Of these the rows that may have the wanted ids, too.
    pub(crate) async fn with_ids(mut self, search: &Search<'_>) -> Result<Self> {
        let (found, all) = search.run().await?;
        self.ids_are_known = all;
        for (path, rows) in found {
            let before = self.of_files.remove(&path);
            let both = match (before, rows) {
                (before, Rows::All) => before,
                (Some(None), _) | (_, Rows::None) => Some(None),
                (None, Rows::Some(rows)) => Some(Some(rows)),
                (Some(Some(before)), Rows::Some(rows)) => {
                    Some(Some(before.intersection(&rows)).filter(RowSelection::selects_any))
                }
            };
            if let Some(both) = both {
                self.of_files.insert(path, both);
            }
        }
        Ok(self)
    }

    /// Whether nobody has to ask the filters of ids again.
    pub(crate) fn ids_are_known(&self) -> bool {
        self.ids_are_known
    }

    /// Whether any rows are left out.
    pub(crate) fn is_some(&self) -> bool {
        !self.of_files.is_empty()
    }

    /// Whether there may be a wanted row in a file.
    pub(crate) fn may_be_in(&self, file: &DataFile) -> bool {
        !matches!(self.of_files.get(&file.path), Some(None))
    }

    /// Rows of a file that are wanted, if not all.
    pub(crate) fn in_file(&self, file: &DataFile) -> Option<&RowSelection> {
        self.of_files.get(&file.path)?.as_ref()
    }

    /// Whether of each batch of so many rows of a file all rows are wanted or none, but for the last
    /// batch.
    pub(crate) fn are_whole(&self, batch_rows: usize) -> bool {
        let is_whole = |rows: &RowSelection| {
            let starts = rows.iter().scan(0, |at, run| Some(std::mem::replace(at, *at + run.row_count)));
            starts.into_iter().all(|start: usize| start.is_multiple_of(batch_rows))
        };
        self.of_files.values().flatten().all(is_whole)
    }

    /// The file with only the wanted rows.
    pub(crate) fn of(&self, file: &DataFile, part: PartitionedFile) -> PartitionedFile {
        let Some(Some(rows)) = self.of_files.get(&file.path) else { return part };
        let mut part = part.with_extension(ParquetRowSelection::new(rows.clone()));
        if let Some(statistics) = part.statistics.take() {
            let mut statistics = Arc::unwrap_or_clone(statistics).to_inexact();
            statistics.num_rows = Precision::Inexact(rows.row_count());
            part.statistics = Some(Arc::new(statistics));
        }
        part
    }
}

/// Files in which a row may fulfil the filters and that have an index, and where it lies.
fn indexed(view: &View, layout: &Layout, filters: &[Arc<dyn PhysicalExpr>]) -> Result<Vec<(DataFile, Path)>> {
    let files = prune::files(&view.table(layout.table.kind).files, layout, filters)?;
    Ok(files.into_iter().filter_map(|file| Some((file.clone(), TokenIndex::path_of(file)?))).collect())
}

/// The file, and those of its rows that may have what is wanted; `None` if all may.
async fn rows_of(
    file: DataFile,
    path: Path,
    wanted: &Wanted,
    cache: &TokenCache,
    objects: &Arc<dyn ObjectStore>,
) -> Option<(Path, Option<RowSelection>)> {
    let read = Read { file: &file, path: &path, cache, objects };
    let (index, stripes) = read.stripes_of(&wanted.hashes()).await?;
    let rows = selection(&index, &stripes, wanted)?;
    Some((file.path, rows))
}

/// The rows of the blocks that may have what is wanted: nothing if no block does, `None` if
/// all do.
fn selection(
    index: &TokenIndex,
    stripes: &HashMap<usize, Bytes>,
    wanted: &Wanted,
) -> Option<Option<RowSelection>> {
    let has: HashMap<u64, Vec<bool>> = wanted
        .hashes()
        .into_iter()
        .filter_map(|hash| Some((hash, TokenIndex::blocks_with(stripes.get(&index.stripe_of(hash))?, hash))))
        .collect();
    let may_have = |block: usize| {
        let has = |hash: u64| has.get(&hash).and_then(|blocks| blocks.get(block)).copied().unwrap_or(true);
        wanted.is_in(&has)
    };
    let blocks: Vec<bool> = (0..index.rows().len()).map(may_have).collect();
    if blocks.iter().all(|may_have| *may_have) && !blocks.is_empty() {
        return None;
    }
    let selectors = index.rows().iter().zip(&blocks).map(|(rows, may_have)| match may_have {
        true => RowSelector::select(*rows as usize),
        false => RowSelector::skip(*rows as usize),
    });
    Some(blocks.contains(&true).then(|| RowSelection::from_iter(selectors)))
}

/// Reading the index of one file.
struct Read<'a> {
    file: &'a DataFile,
    path: &'a Path,
    cache: &'a TokenCache,
    objects: &'a Arc<dyn ObjectStore>,
}

impl Read<'_> {
    /// The stripes that tell of these tokens; `None` if the index cannot be used.
    async fn stripes_of(&self, hashes: &[u64]) -> Option<(Arc<TokenIndex>, HashMap<usize, Bytes>)> {
        match self.try_stripes_of(hashes).await {
            Ok(found) => found,
            Err(error) => {
                self.cache.count_unusable();
                tracing::warn!(path = %self.path, error, "a token index cannot be used, its file is read without it");
                None
            }
        }
    }

    async fn try_stripes_of(
        &self,
        hashes: &[u64],
    ) -> Result<Option<(Arc<TokenIndex>, HashMap<usize, Bytes>)>, String> {
        let index = match self.cache.get(&self.file.path, &[]) {
            Some((Known::Index(index), _)) => index,
            Some((Known::Unusable, _)) => {
                self.cache.count_unusable();
                return Ok(None);
            }
            None => self.index().await?,
        };
        let mut missing: Vec<usize> = hashes.iter().map(|hash| index.stripe_of(*hash)).collect();
        missing.sort_unstable();
        missing.dedup();
        let here = self.cache.get(&self.file.path, &missing).map(|(_, stripes)| stripes);
        let mut stripes: HashMap<usize, Bytes> = here.into_iter().flatten().collect();
        missing.retain(|stripe| !stripes.contains_key(stripe));
        if !missing.is_empty() {
            stripes.extend(self.read_stripes(&index, &missing).await?);
        }
        Ok(Some((index, stripes)))
    }

    /// The header; of a small index all of it comes with it.
    async fn index(&self) -> Result<Arc<TokenIndex>, String> {
        let size = self.file.token_index_bytes.unwrap_or_default();
        let whole = size <= WHOLE_BYTES_MAX;
        let end = if whole { size } else { TokenIndex::HEADER_BYTES_USUAL };
        let mut start = self.get(0..end).await?;
        let header = TokenIndex::header_bytes_of(&start, size).map_err(|error| self.unusable(&error))?;
        if header > end {
            start = self.get(0..header).await?;
        }
        let index = TokenIndex::parse(&start, self.file).map_err(|error| self.unusable(&error))?;
        let stripes = if whole { self.stripes_in(&index, &start)? } else { Vec::new() };
        let index = Arc::new(index);
        self.cache.put(&self.file.path, Known::Index(Arc::clone(&index)), stripes);
        Ok(index)
    }

    /// All stripes of an index that is here whole.
    fn stripes_in(&self, index: &TokenIndex, content: &Bytes) -> Result<Vec<(usize, Bytes)>, String> {
        let stripes = (0..index.stripes()).map(|stripe| {
            let range = index.range_of(stripe);
            let content = content.slice(range.start as usize..range.end as usize);
            index.check(stripe, &content).map_err(|error| self.unusable(&error))?;
            Ok((stripe, content))
        });
        stripes.collect()
    }

    async fn read_stripes(
        &self,
        index: &Arc<TokenIndex>,
        wanted: &[usize],
    ) -> Result<Vec<(usize, Bytes)>, String> {
        let ranges: Vec<_> = wanted.iter().map(|stripe| index.range_of(*stripe)).collect();
        let read = self.objects.get_ranges(self.path, &ranges).await.map_err(|error| error.to_string())?;
        let mut stripes = Vec::with_capacity(wanted.len());
        for (stripe, content) in wanted.iter().zip(read) {
            index.check(*stripe, &content).map_err(|error| self.unusable(&error))?;
            // Not a part of the larger read that it may have come with.
            stripes.push((*stripe, Bytes::copy_from_slice(&content)));
        }
        self.cache.put(&self.file.path, Known::Index(Arc::clone(index)), stripes.clone());
        Ok(stripes)
    }

    async fn get(&self, range: std::ops::Range<u64>) -> Result<Bytes, String> {
        self.objects.get_range(self.path, range).await.map_err(|error| match error {
            object_store::Error::NotFound { .. } => self.unusable(&error),
            _ => error.to_string(),
        })
    }

    /// What is wrong now is wrong the next time: it is not read again.
    fn unusable(&self, error: &dyn std::error::Error) -> String {
        self.cache.put(&self.file.path, Known::Unusable, Vec::new());
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;

    /// Of a file of 20,000 rows, in batches of 8,192.
    fn check(wanted: &[Range<usize>], is_whole: bool) {
        let rows = RowSelection::from_consecutive_ranges(wanted.iter().cloned(), 20_000);
        let whole = RowSelection::from_consecutive_ranges(std::iter::once(0..8_192), 20_000);
        let files = [("a", Some(whole)), ("b", Some(rows)), ("c", None)];
        let of_files = files.into_iter().map(|(path, rows)| (Path::from(path), rows)).collect();
        assert_eq!(RowsWanted::of_files(of_files).are_whole(8_192), is_whole, "{wanted:?}");
    }

    #[test]
    fn batches_that_are_wanted_whole() {
        check(&[0..8_192], true);
        check(&[8_192..16_384], true);
        check(&[16_384..20_000], true);
        check(&[0..8_192, 16_384..20_000], true);
        check(&[0..8_191], false);
        check(&[1..8_192], false);
        check(&[0..8_192, 16_384..19_999], false);
    }
}
