//! The columns of a call.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use hashbrown::HashSet;
use isinglass_lang::promql::ast::ValueType;
use isinglass_model::tables::TEXT_MAP_ENTRIES;

use crate::metric::{free_name, label_type};
use crate::shown::convert::nanos_type;

/// What a column shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    Time,
    /// A float; null where there is a histogram.
    Value,
    /// A native histogram as JSON.
    Histogram,
    /// All labels.
    Labels,
    /// One label.
    Label(String),
    /// The value of an expression that is a text.
    Text,
}

/// Columns and their types.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) all: Vec<Column>,
    pub(super) schema: SchemaRef,
}

impl Columns {
    /// Those of an expression whose series can have these labels.
    pub(super) fn new(value_type: ValueType, labels: &[String]) -> Self {
        let field = |name: &str, ty, nullable| Field::new(name, ty, nullable);
        let time = field("time", nanos_type(), false);
        if value_type == ValueType::Text {
            let fields = vec![time, field("text", DataType::Utf8, false)];
            return Self { all: vec![Column::Time, Column::Text], schema: Arc::new(Schema::new(fields)) };
        }
        let mut all = vec![Column::Time, Column::Value, Column::Histogram, Column::Labels];
        let map = DataType::Map(Arc::clone(&TEXT_MAP_ENTRIES), false);
        let mut fields = vec![
            time,
            field("value", DataType::Float64, true),
            field("histogram", DataType::Utf8, true),
            field("labels", map, false),
        ];
        let mut taken: HashSet<String> = fields.iter().map(|field| field.name().clone()).collect();
        for label in labels {
            let name = free_name(label, &taken);
            fields.push(field(&name, label_type(), true));
            taken.insert(name);
            all.push(Column::Label(label.clone()));
        }
        Self { all, schema: Arc::new(Schema::new(fields)) }
    }

    pub(super) fn project(&self, wanted: &[usize]) -> Result<Self> {
        let all = wanted.iter().map(|at| self.all[*at].clone()).collect();
        Ok(Self { all, schema: Arc::new(self.schema.project(wanted)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_hide_a_column() {
        let labels = ["__name__", "job", "time"].map(str::to_owned);
        let columns = Columns::new(ValueType::Vector, &labels);
        let names: Vec<_> = columns.schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["time", "value", "histogram", "labels", "__name__", "job", "label_time"]);
        let two = columns.project(&[6, 1]).unwrap();
        assert_eq!(two.all, [Column::Label("time".into()), Column::Value]);
    }
}
