//! Rows that are shown again and again, to measure.

use isinglass_model::columns::{Columns, Shape};
use serde_json::Value;

use super::case::{self, NOW};
use super::rows::Layout;
use crate::plugin::manifest::Project;

/// Rows of one shape.
pub(in crate::plugin) struct Sample {
    shape: Shape,
    rows: Vec<toml::Table>,
    layout: Layout,
}

impl Sample {
    pub(in crate::plugin) fn new(shape: Shape, rows: Vec<toml::Table>) -> anyhow::Result<Self> {
        let layout = Layout::of(shape, &rows, NOW)?;
        Ok(Self { shape, rows, layout })
    }

    pub(in crate::plugin) fn shape(&self) -> Shape {
        self.shape
    }

    /// A batch of so many rows, which are these over and over.
    pub(in crate::plugin) fn repeated(&self, rows: usize) -> anyhow::Result<Box<dyn Columns>> {
        let rows: Vec<_> = self.rows.iter().cycle().take(rows).enumerate().collect();
        self.layout.batch(&rows)
    }
}

/// The configuration of the first case that has rows, and the rows of the first case of each shape.
pub(in crate::plugin) fn samples(project: &Project) -> anyhow::Result<(Value, Vec<Sample>)> {
    let cases = case::all(&project.folder.join("cases"), project.manifest.world)?;
    let mut config = None;
    let mut samples: Vec<Sample> = Vec::new();
    for case in cases.into_iter().filter(|case| !case.rows.is_empty()) {
        config.get_or_insert(case.config);
        if samples.iter().all(|sample| sample.shape != case.shape) {
            samples.push(Sample::new(case.shape, case.rows)?);
        }
    }
    Ok((config.unwrap_or_default(), samples))
}
