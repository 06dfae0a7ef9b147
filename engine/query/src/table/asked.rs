//! What a scan asks of each of its files.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::Schema;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_expr::utils::collect_columns;

use super::scan::Scan;
use super::{compared, footers};

/// Columns by what is asked of them.
pub(super) struct Asked<'a> {
    read: &'a Schema,
    /// Columns of files that may turn out to be the same in all rows: those that filters ask for
    /// are left out, and those by which files are sorted.
    wanted: Vec<usize>,
    /// Columns of text that filters compare with constants.
    pub(super) compared: HashSet<&'a str>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(scan: &'a Scan<'_>) -> Result<Self> {
        let (read, sorted) = (scan.layout.read.as_ref(), scan.layout.table.sorted_by);
        let filters = scan.pruning.iter().chain(&scan.exactly);
        let filtered: HashSet<usize> =
            filters.flat_map(collect_columns).map(|column| column.index()).collect();
        let free = |at: &usize| !filtered.contains(at) && !sorted.contains(&read.field(*at).name().as_str());
        let wanted = scan.columns.iter().copied().filter(free).collect();
        Ok(Self { read, wanted, compared: compared::columns(&scan.pruning, read)? })
    }

    /// The file with what its footer says.
    pub(super) fn known(&self, mut part: PartitionedFile, footer: &ParquetMetaData) -> PartitionedFile {
        if let Some(statistics) = part.statistics.take() {
            let mut statistics = Arc::unwrap_or_clone(statistics);
            footers::add_constants(&mut statistics, footer, self.read, self.wanted.iter().copied());
            part.statistics = Some(Arc::new(statistics));
        }
        match footers::with_dictionaries(footer, &self.compared) {
            Some(schema) => part.with_arrow_schema(schema),
            None => part,
        }
    }
}
