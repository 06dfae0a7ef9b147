//! Rows that are shown again and again, to measure.

use isinglass_model::columns::{Columns, Shape};
use isinglass_model::edits::Editable;
use serde_json::Value;

use super::case::{self, NOW, Wanted};
use super::cells::Cell;
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
        self.layout.batch(&self.cycled(rows))
    }

    /// The same as transformers are shown it.
    pub(in crate::plugin) fn editable(&self, rows: usize) -> anyhow::Result<Box<dyn Editable>> {
        self.layout.editable(&self.cycled(rows))
    }

    fn cycled(&self, rows: usize) -> Vec<(usize, &toml::Table)> {
        self.rows.iter().cycle().take(rows).enumerate().collect()
    }
}

/// What the cases of a folder show to a plugin.
#[derive(Default)]
pub(in crate::plugin) struct Samples {
    /// Of the first case that shows anything.
    pub(in crate::plugin) config: Option<Value>,
    /// Rows of the first case of each shape.
    pub(in crate::plugin) rows: Vec<Sample>,
    /// Arguments of the first call of each function that gives values.
    pub(in crate::plugin) calls: Vec<(String, Vec<Vec<Cell>>)>,
}

/// Reads the cases of a folder.
pub(in crate::plugin) fn samples(project: &Project) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for case in case::all(&project.folder.join("cases"), project.manifest.world.world())? {
        let calls: &[_] = if let Wanted::Calls(calls) = &case.wanted { calls } else { &[] };
        if case.rows.is_empty() && calls.is_empty() {
            continue;
        }
        samples.config.get_or_insert(case.config);
        for call in calls.iter().filter(|call| call.gives_values()) {
            if samples.calls.iter().all(|(known, _)| *known != call.function) {
                samples.calls.push((call.function.clone(), call.columns()));
            }
        }
        if !case.rows.is_empty() && samples.rows.iter().all(|sample| sample.shape != case.shape) {
            samples.rows.push(Sample::new(case.shape, case.rows)?);
        }
    }
    Ok(samples)
}
