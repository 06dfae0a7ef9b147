//! `a || b` under a cap.
//!
//! The operator is as strong as `repeat`: a query that joins a text with itself,
//! and the result with itself, doubles it a level. DataFusion has it as a kernel
//! without a bound, so the planner puts this function in its place.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::capped::{FunctionLimits, Room};
use crate::planning;

/// Plans `||` of texts as a call of [`Joined`].
#[derive(Debug)]
pub(crate) struct JoinedPlanner {
    function: Arc<ScalarUDF>,
}

impl JoinedPlanner {
    pub(crate) fn new(limits: FunctionLimits, room: &Room) -> Self {
        let room = room.clone();
        let signature = Signature::any(2, Volatility::Immutable);
        Self { function: Arc::new(ScalarUDF::new_from_impl(Joined { signature, limits, room })) }
    }
}

impl ExprPlanner for JoinedPlanner {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        // Lists have a function of their own.
        let nested = |side: &Expr| Ok::<_, DataFusionError>(side.get_type(schema)?.is_nested());
        if nested(&expr.left)? || nested(&expr.right)? {
            return Ok(PlannerResult::Original(expr));
        }
        let call = ScalarFunction::new_udf(Arc::clone(&self.function), vec![expr.left, expr.right]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// The texts of one side.
struct Side {
    texts: ArrayRef,
    /// One text stands for all rows.
    constant: bool,
}

impl Side {
    fn of(value: &ColumnarValue) -> Result<Self> {
        let (array, constant) = match value {
            ColumnarValue::Array(array) => (Arc::clone(array), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        Ok(Self { texts: arrow_cast::cast(&array, &DataType::Utf8View)?, constant })
    }

    fn at(&self, row: usize) -> Option<&str> {
        let texts = self.texts.as_string_view();
        let row = if self.constant { 0 } else { row };
        texts.is_valid(row).then(|| texts.value(row))
    }
}

/// Both texts, one after the other; null if one of them is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
    limits: FunctionLimits,
    room: Room,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let names: Vec<String> = args.iter().map(|argument| argument.schema_name().to_string()).collect();
        Ok(names.join(" || "))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return exec_err!("|| has two sides") };
        planning::check()?;
        let (left, right) = (Side::of(left)?, Side::of(right)?);
        let rows = args.number_rows;
        let pairs = || (0..rows).map(|row| left.at(row).zip(right.at(row)));
        let bytes: u64 = pairs().flatten().map(|(left, right)| (left.len() + right.len()) as u64).sum();
        self.limits.check_bytes(self.name(), Some(bytes))?;
        self.room.check(self.name(), Some(bytes))?;
        let mut joined = StringViewBuilder::with_capacity(rows);
        let mut text = String::new();
        for pair in pairs() {
            match pair {
                Some((left, right)) => {
                    text.clear();
                    text.push_str(left);
                    text.push_str(right);
                    joined.append_value(&text);
                }
                None => joined.append_null(),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(joined.finish())))
    }
}
