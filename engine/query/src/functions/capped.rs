//! Functions that make much out of little: `repeat('x', 2000000000)` would take
//! all memory before any pool hears of it. What a call is going to make is
//! computed from its arguments first ([`super::estimates`]), and refused beyond a bound.
//!
//! A call whose arguments are all constant makes one value, and whoever uses it may write it out
//! once a row. So it counts once a row; and a planner, which does not know how many rows there
//! are going to be, computes small ones only. The others stay calls until the query runs.

use std::sync::Arc;

use arrow_schema::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use isinglass_model::{ErrorKind, MemoryLimit};

use super::estimates::{self, Estimate};
use crate::error::QueryError;
use crate::planning;

/// What functions may take for one batch of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FunctionLimits {
    /// Bytes that a call may make.
    pub(crate) bytes_max: u64,
    /// Steps that a call may take whose time grows with the product of its arguments.
    pub(crate) steps_max: u64,
}

impl Default for FunctionLimits {
    fn default() -> Self {
        Self { bytes_max: 64 << 20, steps_max: 1 << 28 }
    }
}

/// Bytes of a value that a planner computes: as one in each of the 8,192 rows of a batch they are
/// 64 MiB.
const PLANNED_BYTES_MAX: u64 = 8 << 10;

impl FunctionLimits {
    /// Fails if `name` would make so many bytes.
    pub(super) fn check_bytes(self, name: &str, bytes: Option<u64>) -> Result<()> {
        let (limit, when) = match planning::is_planning() {
            true => (self.bytes_max.min(PLANNED_BYTES_MAX), "while the query is planned"),
            false => (self.bytes_max, "for one batch of rows"),
        };
        if bytes.is_some_and(|bytes| bytes <= limit) {
            return Ok(());
        }
        let limit =
            if limit < 1 << 20 { format!("{} KiB", limit >> 10) } else { format!("{} MiB", limit >> 20) };
        Err(QueryError::new(ErrorKind::Rejected, format!("{name} would make more than {limit} {when}"))
            .into())
    }

    fn check_steps(self, name: &str, steps: Option<u64>) -> Result<()> {
        let limit = self.steps_max;
        if steps.is_some_and(|steps| steps <= limit) {
            return Ok(());
        }
        let message = format!("{name} would take more than {limit} steps for one batch of rows");
        Err(QueryError::new(ErrorKind::Rejected, message).into())
    }
}

/// A call that makes less does not ask for room.
const LARGE_BYTES: u64 = 1 << 20;

/// What the process may still take. Each call of an expression makes less than its cap, but the
/// arguments of a function with a thousand of them are there at one time, and no pool hears of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room(pub(crate) MemoryLimit);

impl Room {
    /// Fails if the process would hold too much once `name` has made so many bytes.
    pub(super) fn check(&self, name: &str, bytes: Option<u64>) -> Result<()> {
        let bytes = bytes.unwrap_or(0);
        if bytes < LARGE_BYTES || self.0.has_room_for(bytes) {
            return Ok(());
        }
        let (mib, limit) = (bytes >> 20, &self.0);
        let message =
            format!("{name} would make more than is left of the memory of {limit} of the server: {mib} MiB");
        Err(QueryError::new(ErrorKind::TooLarge, message).into())
    }
}

/// Functions are the same whatever room there is.
impl PartialEq for Room {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Room {}

impl std::hash::Hash for Room {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

/// The function with its cap, if it needs one.
pub(crate) fn wrap(function: Arc<ScalarUDF>, limits: FunctionLimits, room: &Room) -> Arc<ScalarUDF> {
    match estimates::of(function.name()) {
        Some(estimate) => {
            let room = room.clone();
            Arc::new(ScalarUDF::new_from_impl(Capped { inner: function, estimate, limits, room }))
        }
        None => function,
    }
}

#[derive(Debug)]
struct Capped {
    inner: Arc<ScalarUDF>,
    estimate: Estimate,
    limits: FunctionLimits,
    room: Room,
}

impl PartialEq for Capped {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Capped {}

impl std::hash::Hash for Capped {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Capped {
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

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        planning::check()?;
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        planning::check()?;
        // A constant stays one value, however many rows there are.
        let array = |argument: &ColumnarValue| match argument {
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
            ColumnarValue::Scalar(value) => value.to_array(),
        };
        let arrays = args.args.iter().map(array).collect::<Result<Vec<_>>>()?;
        match self.estimate {
            Estimate::Bytes(estimate) => {
                let bytes = estimate(&arrays, args.number_rows);
                self.limits.check_bytes(self.name(), bytes)?;
                self.room.check(self.name(), bytes)?;
            }
            Estimate::Steps(estimate) => {
                self.limits.check_steps(self.name(), estimate(&arrays, args.number_rows))?;
            }
        }
        self.inner.invoke_with_args(args)
    }
}
