//! Lists and texts of all rows of a window, under a cap.
//!
//! `array_agg` over a window of a million rows makes a list of a million values at each row of it:
//! a batch of 8,192 rows would have eight billion, in one step that no pool hears of and nobody
//! can end. An aggregate of a group is evaluated once; one that is evaluated again stands in a
//! window, and what it makes at all of its rows together is bounded.

use std::hash::{Hash, Hasher};
use std::mem::size_of_val;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_schema::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, Signature,
};
use isinglass_model::ErrorKind;

use super::capped::FunctionLimits;
use crate::error::QueryError;

/// The function with its cap, if it collects values.
pub(super) fn wrap(function: Arc<AggregateUDF>, limits: FunctionLimits) -> Arc<AggregateUDF> {
    match function.name() {
        "array_agg" | "string_agg" => {
            Arc::new(AggregateUDF::new_from_impl(Collected { inner: function, limits }))
        }
        _ => function,
    }
}

#[derive(Debug)]
struct Collected {
    inner: Arc<AggregateUDF>,
    limits: FunctionLimits,
}

impl PartialEq for Collected {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Collected {}

impl Hash for Collected {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl AggregateUDFImpl for Collected {
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

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone().with_beneficial_ordering(beneficial)?;
        Ok(inner.map(|inner| Arc::new(Self { inner: Arc::new(inner), limits: self.limits }) as _))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(inner) => ReversedUDAF::Reversed(wrap(inner, self.limits)),
            other => other,
        }
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let inner = self.inner.accumulator(args)?;
        let (name, limits) = (self.inner.name().to_owned(), self.limits);
        Ok(Box::new(Counted { inner, name, limits, evaluated: 0, bytes: 0 }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }
}

/// An accumulator, and what it has made so far.
#[derive(Debug)]
struct Counted {
    inner: Box<dyn Accumulator>,
    name: String,
    limits: FunctionLimits,
    evaluated: u64,
    bytes: u64,
}

impl Counted {
    fn check(&self) -> Result<()> {
        let limit = self.limits.bytes_max;
        if self.evaluated < 2 || self.bytes <= limit {
            return Ok(());
        }
        let message =
            format!("{} would make more than {} MiB for the rows of a window", self.name, limit >> 20);
        Err(QueryError::new(ErrorKind::Rejected, message).into())
    }
}

impl Accumulator for Counted {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.inner.evaluate()?;
        self.evaluated += 1;
        self.bytes = self.bytes.saturating_add(value.size() as u64);
        self.check()?;
        Ok(value)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }
}
