//! What a plan has read from files.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::{Metric, MetricValue, MetricsSet};

use crate::promql::{PromqlExec, ScanFacts};

/// Read by one query.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Read {
    /// Bytes asked of the files, footers that were in memory left out.
    pub(crate) bytes: u64,
    /// Files that the plan names once those are left out that cannot have a row.
    pub(crate) files: u64,
    /// Row groups that their statistics did not rule out.
    pub(crate) row_groups: u64,
    /// Series and samples that PromQL read.
    pub(crate) series: u64,
    pub(crate) samples: u64,
    /// Time of the processor, as far as it is counted.
    pub(crate) cpu: Duration,
}

impl Read {
    /// What a plan has read so far.
    pub(crate) fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        let (mut paths, mut read) = (HashSet::new(), Self::default());
        let mut nodes = vec![plan];
        while let Some(node) = nodes.pop() {
            nodes.extend(node.children());
            let Some(metrics) = node.metrics() else { continue };
            read.cpu += Duration::from_nanos(metrics.elapsed_compute().unwrap_or_default() as u64);
            if node.is::<PromqlExec>() {
                read.add_promql(&metrics);
            }
            let Some(scan) = node.downcast_ref::<DataSourceExec>() else { continue };
            read.bytes += sum(&metrics, "bytes_scanned");
            read.row_groups += matched_row_groups(&metrics);
            if let Some(files) = scan.data_source().downcast_ref::<FileScanConfig>() {
                let parts = files.file_groups.iter().flat_map(|group| group.iter());
                paths.extend(parts.map(|part| &part.object_meta.location));
            }
        }
        read.files += paths.len() as u64;
        read
    }

    /// Of a query of PromQL by itself.
    pub(crate) fn of_promql(facts: &ScanFacts) -> Self {
        Self {
            bytes: facts.bytes_read,
            files: facts.files,
            row_groups: facts.row_groups,
            series: facts.series,
            samples: facts.samples,
            cpu: Duration::from_nanos(facts.cpu_nanos),
        }
    }

    fn add_promql(&mut self, metrics: &MetricsSet) {
        self.bytes += sum(metrics, "bytes_scanned");
        self.files += sum(metrics, "files");
        self.row_groups += sum(metrics, "row_groups");
        self.series += sum(metrics, "series");
        self.samples += sum(metrics, "samples");
        self.cpu += Duration::from_nanos(sum(metrics, "cpu_nanos"));
    }
}

fn sum(metrics: &MetricsSet, name: &str) -> u64 {
    metrics.sum_by_name(name).map_or(0, |sum| sum.as_usize() as u64)
}

fn matched_row_groups(metrics: &MetricsSet) -> u64 {
    let of = |metric: &Arc<Metric>| match metric.value() {
        MetricValue::PruningMetrics { name, pruning_metrics } if name == "row_groups_pruned_statistics" => {
            pruning_metrics.matched() as u64
        }
        _ => 0,
    };
    metrics.iter().map(of).sum()
}
