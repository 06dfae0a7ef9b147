//! What a plan has read from files.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;

/// Read by one query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Bytes asked of the files, footers that were in memory left out.
    pub(crate) bytes: u64,
    /// Files that the plan names once those are left out that cannot have a row.
    pub(crate) files: u64,
}

impl Read {
    /// What a plan has read so far.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let (mut paths, mut bytes) = (HashSet::new(), 0);
        let mut nodes = vec![plan];
        while let Some(node) = nodes.pop() {
            nodes.extend(node.children());
            let Some(scan) = node.downcast_ref::<DataSourceExec>() else { continue };
            let metrics = node.metrics();
            let scanned = metrics.and_then(|metrics| metrics.sum_by_name("bytes_scanned"));
            bytes += scanned.map_or(0, |scanned| scanned.as_usize() as u64);
            if let Some(files) = scan.data_source().downcast_ref::<FileScanConfig>() {
                let parts = files.file_groups.iter().flat_map(|group| group.iter());
                paths.extend(parts.map(|part| &part.object_meta.location));
            }
        }
        Self { bytes, files: paths.len() as u64 }
    }
}
