//! Functions that plugins bring, in SQL.
//!
//! They are those of the tenant who asks, so they are added to each session. A name that SQL has
//! already stays what it is. What a plugin does wrong ends its query and nothing else. What a call
//! holds, in the guest and here, is charged to the memory of its query.

mod aggregate;
mod columns;
mod memory;
mod scalar;
mod states;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_schema::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::registry::FunctionRegistry as _;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, Signature, Volatility};
use isinglass_model::ErrorKind;
use isinglass_model::functions::{self as model, CallError, ColumnFunction, ValueType};

use memory::QueryMemory;

use super::{FunctionLimits, Room};
use crate::error::QueryError;
use crate::planning;

/// Adds functions to a session, those whose name is free.
pub(crate) fn register(
    state: &mut SessionState,
    functions: Vec<Arc<dyn ColumnFunction>>,
    memory: &Arc<dyn MemoryPool>,
    limits: FunctionLimits,
    room: &Room,
) -> Result<()> {
    if functions.is_empty() {
        return Ok(());
    }
    let memory = Arc::new(QueryMemory::new(memory));
    for function in functions {
        let name = &function.signature().name;
        let taken = state.scalar_functions().contains_key(name)
            || state.aggregate_functions().contains_key(name)
            || state.window_functions().contains_key(name);
        if taken {
            continue;
        }
        let function = function.charged_to(Arc::<QueryMemory>::clone(&memory));
        let called = Called { function, limits, room: room.clone(), memory: Arc::clone(&memory) };
        if called.function.signature().aggregate {
            state.register_udaf(Arc::new(AggregateUDF::new_from_impl(aggregate::Aggregate::new(called))))?;
        } else {
            state.register_udf(Arc::new(ScalarUDF::new_from_impl(scalar::Scalar::new(called))))?;
        }
    }
    Ok(())
}

/// A function, and what its calls may take.
#[derive(Debug, Clone)]
struct Called {
    function: Arc<dyn ColumnFunction>,
    limits: FunctionLimits,
    room: Room,
    memory: Arc<QueryMemory>,
}

impl PartialEq for Called {
    fn eq(&self, other: &Self) -> bool {
        self.function.identity() == other.function.identity()
            && self.function.signature() == other.function.signature()
    }
}

impl Eq for Called {}

impl Hash for Called {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.identity().hash(state);
        self.function.signature().hash(state);
    }
}

impl Called {
    fn name(&self) -> &str {
        &self.function.signature().name
    }

    fn returns(&self) -> DataType {
        data_type(self.function.signature().returns)
    }

    fn signature(&self) -> Signature {
        Signature::user_defined(match self.function.signature().volatility {
            model::Volatility::Immutable => Volatility::Immutable,
            model::Volatility::Stable => Volatility::Stable,
            model::Volatility::Volatile => Volatility::Volatile,
        })
    }

    /// The types that arguments are cast to: numbers to numbers, text to text.
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (name, wanted) = (self.name(), &self.function.signature().arguments);
        if types.len() != wanted.len() {
            return plan_err!("{name} has {} arguments, not {}", wanted.len(), types.len());
        }
        for (at, (ty, wanted)) in types.iter().zip(wanted).enumerate() {
            if !fits(ty, *wanted) {
                return plan_err!("argument {} of {name} is a {}, not {ty}", at + 1, wanted.as_str());
            }
        }
        Ok(wanted.iter().copied().map(data_type).collect())
    }

    /// Before a call over arguments of so many bytes, which the guest holds once more.
    fn check(&self, bytes: usize) -> Result<()> {
        planning::check()?;
        self.room.check(self.name(), u64::try_from(bytes).ok())
    }
}

fn fits(ty: &DataType, wanted: ValueType) -> bool {
    match (ty, wanted) {
        (DataType::Null, _) => true,
        (DataType::Dictionary(_, value), _) => fits(value, wanted),
        (ty, ValueType::Float64 | ValueType::Int64) => ty.is_numeric(),
        (ty, ValueType::Text) => ty.is_string(),
        (ty, ValueType::Boolean) => *ty == DataType::Boolean,
    }
}

fn data_type(of: ValueType) -> DataType {
    match of {
        ValueType::Float64 => DataType::Float64,
        ValueType::Int64 => DataType::Int64,
        ValueType::Text => DataType::Utf8,
        ValueType::Boolean => DataType::Boolean,
    }
}

/// A failed call ends the query; whose fault it is says the kind.
fn failed(error: &CallError) -> QueryError {
    let kind = match (error.of_memory, error.of_arguments) {
        (true, _) => ErrorKind::TooLarge,
        (_, true) => ErrorKind::Rejected,
        _ => ErrorKind::Internal,
    };
    QueryError::new(kind, error.to_string())
}
