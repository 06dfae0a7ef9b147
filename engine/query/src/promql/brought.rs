//! Functions of plugins, as PromQL calls them: of the value of each sample, and scalars.

use std::sync::Arc;

use isinglass_lang::promql::functions;
use isinglass_model::columns::{Column, ColumnData};
use isinglass_model::functions::{ColumnFunction, ValueType};
use isinglass_promql::source::SampleFunction;
use isinglass_promql::{ErrorKind, EvalError};

/// The functions of a tenant that PromQL can call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Brought(Arc<[Arc<dyn ColumnFunction>]>);

impl Brought {
    /// Those of `all` that go from floats to a float; their names are made known to the parser.
    pub(crate) fn new(all: Vec<Arc<dyn ColumnFunction>>) -> Self {
        let of_samples = |function: &Arc<dyn ColumnFunction>| {
            let signature = function.signature();
            let floats = signature.arguments.iter().all(|argument| *argument == ValueType::Float64);
            floats
                && !signature.aggregate
                && signature.returns == ValueType::Float64
                && !signature.arguments.is_empty()
                && functions::bring(&signature.name, signature.arguments.len() - 1)
        };
        Self(all.into_iter().filter(of_samples).collect())
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<dyn SampleFunction>> {
        let function = self.0.iter().find(|function| function.signature().name == name)?;
        Some(Arc::new(OfSamples(Arc::clone(function))))
    }
}

struct OfSamples(Arc<dyn ColumnFunction>);

impl SampleFunction for OfSamples {
    fn scalars(&self) -> usize {
        self.0.signature().arguments.len().saturating_sub(1)
    }

    fn call(&self, columns: Vec<Vec<f64>>) -> Result<Vec<Option<f64>>, EvalError> {
        let rows = columns.first().map_or(0, Vec::len);
        let columns: Vec<Column> =
            columns.into_iter().map(|values| Column::new(ColumnData::F64(values.into()))).collect();
        let Column { data, validity } = self.0.call(rows, &columns).map_err(|error| {
            let kind = if error.of_arguments { ErrorKind::Execution } else { ErrorKind::Internal };
            EvalError::of(kind, error)
        })?;
        let ColumnData::F64(values) = data else {
            return Err(EvalError::internal("a function gave a column of another type"));
        };
        let valid = |row: usize| validity.as_ref().is_none_or(|validity| validity.is_valid(row));
        Ok(values.iter().enumerate().map(|(row, value)| valid(row).then_some(*value)).collect())
    }
}
