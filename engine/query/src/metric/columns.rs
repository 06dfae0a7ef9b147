//! The columns of a metric: what every metric has, and one per label name.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use hashbrown::HashSet;
use isinglass_model::Kind;
use isinglass_store::Metric;

use crate::table::Layout;

/// A dictionary of text, as label columns are.
pub(crate) fn label_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// A column of a metric table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MetricColumn {
    /// A column of `samples` or `histograms`, by its position as shown.
    System(usize),
    /// A label of the series.
    Label(String),
}

/// The columns of one metric.
#[derive(Debug)]
pub(crate) struct MetricColumns {
    /// Where its rows lie.
    pub(crate) layout: &'static Layout,
    /// What each column is.
    pub(crate) columns: Vec<MetricColumn>,
    /// Their names and types.
    pub(crate) schema: SchemaRef,
}

/// Columns of the tables of record that a metric table shows, in order. The name
/// of the metric is that of the table, so its id is left out.
const SAMPLES: [&str; 4] = ["time", "value", "start_time", "series_id"];
const HISTOGRAMS: [&str; 17] = [
    "time",
    "count",
    "sum",
    "start_time",
    "schema",
    "zero_threshold",
    "zero_count",
    "positive_spans",
    "positive_buckets",
    "negative_spans",
    "negative_buckets",
    "custom_bounds",
    "reset_hint",
    "float",
    "min",
    "max",
    "series_id",
];

impl MetricColumns {
    /// Those of a metric whose series have labels of these names, sorted.
    pub(crate) fn new(metric: &Metric, labels: &[Arc<str>]) -> Self {
        let (layout, system): (_, &[&str]) = if is_native(metric) {
            (Layout::of(Kind::Histograms), &HISTOGRAMS)
        } else {
            (Layout::of(Kind::Samples), &SAMPLES)
        };
        let mut columns = Vec::with_capacity(system.len());
        let mut fields = Vec::with_capacity(system.len());
        for name in system {
            let Some((at, _)) = layout.shown.column_with_name(name) else { continue };
            columns.push(MetricColumn::System(at));
            fields.push(layout.shown.field(at).clone());
        }
        let mut taken: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
        for label in labels {
            let name = free_name(label, &taken);
            fields.push(Field::new(&name, label_type(), true));
            taken.insert(name);
            columns.push(MetricColumn::Label(label.to_string()));
        }
        Self { layout, columns, schema: Arc::new(Schema::new(fields)) }
    }

    /// The label that a column of this name shows.
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        match &self.columns[self.schema.column_with_name(name)?.0] {
            MetricColumn::Label(label) => Some(label),
            MetricColumn::System(_) => None,
        }
    }

    /// Whether a column of this name is a label.
    pub(crate) fn is_label(&self, name: &str) -> bool {
        self.label(name).is_some()
    }
}

/// Whether the rows of a metric are native histograms. The three series of a
/// classic histogram have its type too, and are samples.
fn is_native(metric: &Metric) -> bool {
    let histogram = matches!(metric.meta.metric_type.as_str(), "histogram" | "gaugehistogram");
    histogram && !["_bucket", "_sum", "_count"].iter().any(|suffix| metric.name.ends_with(suffix))
}

/// System columns win: a label `time` appears as `label_time`.
pub(crate) fn free_name(label: &str, taken: &HashSet<String>) -> String {
    let mut name = label.to_owned();
    while taken.contains(&name) {
        name.insert_str(0, "label_");
    }
    name
}

#[cfg(test)]
mod tests {
    use isinglass_model::series::MetricMeta;

    use super::*;

    fn columns(metric_type: &str, labels: &[&str]) -> Vec<String> {
        let meta = Arc::new(MetricMeta { metric_type: metric_type.into(), ..MetricMeta::default() });
        let metric = Metric { name: "m".into(), metric_id: 1, meta, series: 1 };
        let labels: Vec<Arc<str>> = labels.iter().map(|label| (*label).into()).collect();
        let columns = MetricColumns::new(&metric, &labels);
        columns.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    #[test]
    fn system_columns_win() {
        let got = columns("gauge", &["a", "b", "time"]);
        assert_eq!(got, ["time", "value", "start_time", "series_id", "a", "b", "label_time"]);
        let got = columns("gauge", &["label_time", "time"]);
        assert_eq!(got[4..], ["label_time".to_owned(), "label_label_time".to_owned()]);
    }

    #[test]
    fn native_histograms_have_their_own() {
        assert_eq!(columns("histogram", &["a"])[..3], ["time", "count", "sum"]);
    }
}
