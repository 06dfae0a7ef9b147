//! `approx_percentile_cont` and `approx_median` by group, without an object per group.
//!
//! DataFusion has one accumulator for both, a t-digest of up to 100 centroids in memory of its
//! own, and keeps one for each group: every batch of rows was taken apart by group, and each
//! digest merged and allocated again for the few rows of its group, which was a third of "p99 by
//! service and minute". Here all groups lie in flat buffers ([`groups`]) and are sorted once in a
//! while. Answers are at least as exact: a group of up to three times the centroids keeps all
//! of its values. Where there are no groups, and in windows, DataFusion's accumulator answers, as it does
//! for `approx_percentile_cont_with_weight`; the exact ones, `median` and `percentile_cont`, have
//! group accumulators there.

mod accumulator;
mod digest;
mod groups;
mod state;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Documentation, GroupsAccumulator, Signature,
};
use datafusion::physical_expr::PhysicalExpr;
use isinglass_model::ErrorKind;

use self::accumulator::Percentiles;
use crate::error::QueryError;

/// Centroids where a query does not say, as DataFusion's.
const CENTROIDS: usize = 100;

/// Centroids that a query may ask for. DataFusion's digest takes memory for all of them at once,
/// whatever that comes to.
const CENTROIDS_MAX: usize = 10_000;

/// The function with flat groups and a bound, if it is one of the three.
pub(crate) fn wrap(function: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    let arguments = match function.name() {
        "approx_percentile_cont" => Arguments { percentile: Some(1), centroids: 2, flat: true },
        "approx_median" => Arguments { percentile: None, centroids: 1, flat: true },
        "approx_percentile_cont_with_weight" => Arguments { percentile: Some(2), centroids: 3, flat: false },
        _ => return function,
    };
    Arc::new(AggregateUDF::new_from_impl(Percentile { inner: function, arguments }))
}

/// Where the constants stand.
#[derive(Debug)]
struct Arguments {
    /// The half if there is none.
    percentile: Option<usize>,
    /// Last, and may be missing.
    centroids: usize,
    /// Whether groups can be flat.
    flat: bool,
}

#[derive(Debug)]
struct Percentile {
    inner: Arc<AggregateUDF>,
    arguments: Arguments,
}

impl Percentile {
    /// The share asked for, counted from the least value; `None` if it is no number.
    fn share(&self, args: &AccumulatorArgs<'_>) -> Option<f64> {
        let Some(at) = self.arguments.percentile else { return Some(0.5) };
        let share = match constant(args.exprs.get(at)?)? {
            ScalarValue::Float64(share) => share?,
            ScalarValue::Float32(share) => f64::from(share?),
            _ => return None,
        };
        let descending = args.order_bys.first().is_some_and(|order| order.options.descending);
        Some(if descending { 1.0 - share } else { share })
    }

    /// Centroids asked for; `None` if that is no number above zero.
    fn centroids(&self, args: &AccumulatorArgs<'_>) -> Option<usize> {
        let Some(given) = args.exprs.get(self.arguments.centroids) else { return Some(CENTROIDS) };
        let given = constant(given)?.cast_to(&DataType::UInt64).ok()?;
        let ScalarValue::UInt64(Some(given)) = given else { return None };
        usize::try_from(given).ok().filter(|given| *given > 0)
    }

    fn bounded(&self, args: &AccumulatorArgs<'_>) -> Result<()> {
        match self.centroids(args) {
            Some(asked) if asked > CENTROIDS_MAX => Err(QueryError::new(
                ErrorKind::Rejected,
                format!("{} with {asked} centroids, of at most {CENTROIDS_MAX}", self.inner.name()),
            )
            .into()),
            _ => Ok(()),
        }
    }
}

/// The value of an argument that is the same for all rows.
fn constant(expr: &Arc<dyn PhysicalExpr>) -> Option<ScalarValue> {
    let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
    match expr.evaluate(&nothing).ok()? {
        ColumnarValue::Scalar(value) => Some(value),
        ColumnarValue::Array(_) => None,
    }
}

impl PartialEq for Percentile {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Percentile {}

impl Hash for Percentile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.bounded(&args)?;
        self.inner.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        let value = args.expr_fields.first().map(|field| field.data_type());
        self.arguments.flat && !args.is_distinct && value.is_some_and(DataType::is_floating)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.bounded(&args)?;
        let (share, centroids) = (self.share(&args), self.centroids(&args));
        let ty = args.expr_fields.first().map(|field| field.data_type().clone());
        // Theirs knows what is wrong with its arguments, and how to say it.
        self.inner.accumulator(args)?;
        match (share, centroids, ty) {
            (Some(share), Some(centroids), Some(ty)) => Ok(Box::new(Percentiles::new(share, centroids, ty))),
            _ => internal_err!("{} has arguments that only DataFusion takes", self.inner.name()),
        }
    }
}

#[cfg(test)]
mod tests;
