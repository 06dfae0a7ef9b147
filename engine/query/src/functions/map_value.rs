//! `attributes['name']`: the value of a name in a map of texts.
//!
//! DataFusion's compares the name with all names of all rows and copies values through a general
//! builder. Maps of attributes are alike from row to row: the name mostly stands where it stood in
//! the row before, so that one comparison a row is enough.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, MapArray, StringArray};
use arrow_schema::{DataType, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::functions::core::get_field;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ExpressionPlacement, GetFieldAccess, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Plans `map['name']` as a call of [`MapValue`].
#[derive(Debug)]
pub(crate) struct MapValuePlanner {
    function: Arc<ScalarUDF>,
}

impl MapValuePlanner {
    pub(crate) fn new() -> Self {
        Self { function: Arc::new(ScalarUDF::new_from_impl(MapValue { inner: get_field() })) }
    }
}

impl ExprPlanner for MapValuePlanner {
    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let GetFieldAccess::NamedStructField { name } = &access.field_access else {
            return Ok(PlannerResult::Original(access));
        };
        if !matches!(access.expr.get_type(schema)?, DataType::Map(..)) {
            return Ok(PlannerResult::Original(access));
        }
        let name = Expr::Literal(name.clone(), None);
        let call = ScalarFunction::new_udf(Arc::clone(&self.function), vec![access.expr, name]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// `get_field`, with a short way for maps of texts.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MapValue {
    inner: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for MapValue {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [ColumnarValue::Array(map), ColumnarValue::Scalar(name)] = args.args.as_slice()
            && let Some(values) = values(map, name)
        {
            return Ok(ColumnarValue::Array(values));
        }
        self.inner.invoke_with_args(args)
    }
}

/// The value of a name in each row, if the map is one of texts; null where there is none.
fn values(map: &ArrayRef, name: &ScalarValue) -> Option<ArrayRef> {
    let name = name.try_as_str()??;
    let map = map.as_map_opt()?;
    let (names, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
    let mut found = StringBuilder::with_capacity(map.len(), 8 * map.len());
    for row in 0..map.len() {
        match entry(map, names, row, name) {
            Some(at) if values.is_valid(at) => found.append_value(values.value(at)),
            _ => found.append_null(),
        }
    }
    Some(Arc::new(found.finish()))
}

/// The first entry of a row with this name.
fn entry(map: &MapArray, names: &StringArray, row: usize, name: &str) -> Option<usize> {
    if map.is_null(row) {
        return None;
    }
    let offsets = map.value_offsets();
    (offsets[row] as usize..offsets[row + 1] as usize).find(|at| names.value(*at) == name)
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::MapBuilder;
    use arrow_schema::Field;
    use datafusion::common::config::ConfigOptions;
    use proptest::prelude::*;

    use super::*;

    fn map(rows: &[Option<Vec<(u8, Option<String>)>>]) -> ArrayRef {
        let mut builder = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for row in rows {
            for (name, value) in row.iter().flatten() {
                builder.keys().append_value(format!("name{name}"));
                builder.values().append_option(value.as_deref());
            }
            builder.append(row.is_some()).unwrap();
        }
        Arc::new(builder.finish())
    }

    proptest! {
        /// Ours finds what DataFusion's does, also in a part of an array.
        #[test]
        fn it_answers_as_before(
            rows in proptest::collection::vec(
                proptest::option::weighted(0.8, proptest::collection::vec((0_u8..5, proptest::option::of(".{0,4}")), 0..5)),
                1..30,
            ),
            from in 0_usize..5,
        ) {
            let whole = map(&rows);
            let part = whole.slice(from.min(whole.len()), whole.len().saturating_sub(from));
            let name = ScalarValue::from("name1");
            let theirs = get_field().invoke_with_args(ScalarFunctionArgs {
                args: vec![ColumnarValue::Array(Arc::clone(&part)), ColumnarValue::Scalar(name.clone())],
                arg_fields: vec![
                    Arc::new(Field::new("", part.data_type().clone(), true)),
                    Arc::new(Field::new("", DataType::Utf8, false)),
                ],
                number_rows: part.len(),
                return_field: Arc::new(Field::new("", DataType::Utf8, true)),
                config_options: Arc::new(ConfigOptions::default()),
            });
            let theirs = theirs.unwrap().into_array(part.len()).unwrap();
            let ours = values(&part, &name).unwrap();
            // Where the map itself is null theirs looks at entries that are not there.
            for row in (0..part.len()).filter(|row| part.is_valid(*row)) {
                let text = |array: &ArrayRef| {
                    let array = array.as_string::<i32>();
                    array.is_valid(row).then(|| array.value(row).to_owned())
                };
                prop_assert_eq!(text(&ours), text(&theirs));
            }
            for row in (0..part.len()).filter(|row| part.is_null(*row)) {
                prop_assert!(ours.is_null(row));
            }
        }
    }
}
