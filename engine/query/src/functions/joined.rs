//! `a || b` under a cap.
//!
//! The operator is as strong as `repeat`: a query that joins a text with itself,
//! and the result with itself, doubles it a level. DataFusion has it as a kernel
//! without a bound, so the planner puts this function in its place.

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use datafusion::common::{DFSchema, DataFusionError, Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use isinglass_model::ErrorKind;

use super::capped::BYTES_MAX;
use crate::error::QueryError;

/// Plans `||` of texts as a call of [`Joined`].
#[derive(Debug)]
pub(crate) struct JoinedPlanner {
    function: Arc<ScalarUDF>,
}

impl JoinedPlanner {
    pub(crate) fn new() -> Self {
        let signature = Signature::any(2, Volatility::Immutable);
        Self { function: Arc::new(ScalarUDF::new_from_impl(Joined { signature })) }
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

/// Both texts, one after the other; null if one of them is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
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
        let (left, right) = (left.to_array(args.number_rows)?, right.to_array(args.number_rows)?);
        let left = arrow_cast::cast(&left, &DataType::Utf8View)?;
        let right = arrow_cast::cast(&right, &DataType::Utf8View)?;
        let (left, right) = (left.as_string_view(), right.as_string_view());
        let pairs = || left.iter().zip(right).map(|(left, right)| left.zip(right));
        let bytes: u64 = pairs().flatten().map(|(left, right)| (left.len() + right.len()) as u64).sum();
        if bytes > BYTES_MAX {
            let message = format!("|| would make more than {} MiB for one batch of rows", BYTES_MAX >> 20);
            return Err(QueryError::new(ErrorKind::Rejected, message).into());
        }
        let mut joined = StringViewBuilder::with_capacity(args.number_rows);
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
