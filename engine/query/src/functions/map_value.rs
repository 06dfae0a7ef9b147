//! `attributes['name']`: the value of a name in a map of texts.
//!
//! DataFusion's compares the name with all names of all rows and copies values through a general
//! builder. This one ends at the first name of a row that is the one, and appends its value.
//!
//! `attributes['name']::double` is three functions ([`crate::rules`] makes them of it), because the
//! first two never fail and can so be answered next to the files, some of which have the numbers
//! in a column of their own ([`crate::attributes`]):
//!
//! ```text
//! strict_number(map_number(attributes, 'name'), map_no_number(attributes, 'name'))
//! ```

use std::sync::Arc;

use arrow_array::builder::StringViewBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, MapArray, StringArray};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, internal_err};
use datafusion::functions::core::get_field;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawFieldAccessExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ExpressionPlacement, GetFieldAccess, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// Plans `map['name']` as a call of [`MapValue`].
#[derive(Debug)]
pub(crate) struct MapValuePlanner {
    function: Arc<ScalarUDF>,
}

impl MapValuePlanner {
    pub(crate) fn new() -> Self {
        Self { function: MapValue::function(Part::Text) }
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
        if !is_map_of_texts(&access.expr.get_type(schema)?) {
            return Ok(PlannerResult::Original(access));
        }
        let name = Expr::Literal(name.clone(), None);
        let call = ScalarFunction::new_udf(Arc::clone(&self.function), vec![access.expr, name]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

fn is_map_of_texts(ty: &DataType) -> bool {
    let DataType::Map(entries, _) = ty else { return false };
    let DataType::Struct(fields) = entries.data_type() else { return false };
    fields.len() == 2 && fields.iter().all(|field| field.data_type() == &DataType::Utf8)
}

/// What is wanted of the value of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// All of it.
    Text,
    /// The number that it is as text; null if it is none.
    Number,
    /// The text, if it is no number.
    NoNumber,
}

/// The value of a name in a map, or in a column that has the values of this name alone.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MapValue {
    pub(crate) part: Part,
    inner: Arc<ScalarUDF>,
}

impl MapValue {
    pub(crate) fn function(part: Part) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self { part, inner: get_field() }))
    }

    /// Of a physical expression that is a call of it: the part, the map and the name.
    pub(crate) fn called(expr: &dyn PhysicalExpr) -> Option<(Part, &Arc<dyn PhysicalExpr>, &str)> {
        let call = ScalarFunctionExpr::try_downcast_func::<Self>(expr)?;
        let [map, name] = call.args() else { return None };
        let name = name.downcast_ref::<Literal>()?.value().try_as_str()??;
        Some((call.fun().inner().downcast_ref::<Self>()?.part, map, name))
    }
}

impl ScalarUDFImpl for MapValue {
    fn name(&self) -> &str {
        match self.part {
            Part::Text => self.inner.name(),
            Part::Number => "map_number",
            Part::NoNumber => "map_no_number",
        }
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let value = self.inner.schema_name(args)?;
        Ok(if self.part == Part::Text { value } else { format!("{}({value})", self.name()) })
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.part.data_type())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new("value", self.part.data_type(), true)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.placement(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [from, ColumnarValue::Scalar(name)] = args.args.as_slice() else {
            return internal_err!("{} wants a map and a name", self.name());
        };
        let from = from.to_array(args.number_rows)?;
        let texts = match from.data_type() {
            DataType::Map(..) => values(&from, name)?,
            _ => cast(&from, &DataType::Utf8View)?,
        };
        self.part.of(texts).map(ColumnarValue::Array)
    }
}

impl Part {
    /// The type of what is wanted.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Text | Self::NoNumber => DataType::Utf8View,
            Self::Number => DataType::Float64,
        }
    }

    fn of(self, texts: ArrayRef) -> Result<ArrayRef> {
        if self == Self::Text {
            return Ok(texts);
        }
        // Of what is no number it makes null.
        let numbers = cast(&texts, &DataType::Float64)?;
        if self == Self::Number {
            return Ok(numbers);
        }
        let is_number = arrow_array::BooleanArray::new(
            numbers.logical_nulls().map_or_else(
                || arrow_buffer::BooleanBuffer::new_set(numbers.len()),
                |nulls| nulls.inner().clone(),
            ),
            None,
        );
        Ok(arrow_select::nullif::nullif(&texts, &is_number)?)
    }
}

/// The value of a name in each row; null where there is none.
fn values(map: &ArrayRef, name: &ScalarValue) -> Result<ArrayRef> {
    let texts = |map: &MapArray| {
        Some((map.keys().as_string_opt::<i32>()?.clone(), map.values().as_string_opt::<i32>()?.clone()))
    };
    let (Some(Some(name)), Some(map)) = (name.try_as_str(), map.as_map_opt()) else {
        return exec_err!("the name of a value in a map is text, not {name}");
    };
    let Some((names, values)) = texts(map) else {
        return exec_err!("a map of {} has no texts", map.data_type());
    };
    let mut found = StringViewBuilder::with_capacity(map.len());
    for row in 0..map.len() {
        match entry(map, &names, row, name) {
            Some(at) if values.is_valid(at) => found.append_value(values.value(at)),
            _ => found.append_null(),
        }
    }
    Ok(Arc::new(found.finish()))
}

/// The first entry of a row with this name.
fn entry(map: &MapArray, names: &StringArray, row: usize, name: &str) -> Option<usize> {
    if map.is_null(row) {
        return None;
    }
    let offsets = map.value_offsets();
    (offsets[row] as usize..offsets[row + 1] as usize).find(|at| names.value(*at) == name)
}

/// Its first argument, if its second, a text that is no number, is null; else the error of a
/// cast of that text.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StrictNumber {
    signature: Signature,
}

impl StrictNumber {
    pub(crate) fn function() -> Arc<ScalarUDF> {
        let types = vec![DataType::Float64, DataType::Utf8View];
        Arc::new(ScalarUDF::new_from_impl(Self { signature: Signature::exact(types, Volatility::Immutable) }))
    }

    /// The number, if the physical expression is a call of it with no other text than null.
    pub(crate) fn always(expr: &dyn PhysicalExpr) -> Option<&Arc<dyn PhysicalExpr>> {
        let call = ScalarFunctionExpr::try_downcast_func::<Self>(expr)?;
        let [number, text] = call.args() else { return None };
        text.downcast_ref::<Literal>().filter(|text| text.value().is_null()).map(|_| number)
    }
}

impl ScalarUDFImpl for StrictNumber {
    fn name(&self) -> &str {
        "strict_number"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number, text] = args.args.as_slice() else {
            return internal_err!("strict_number wants a number and a text");
        };
        let text = text.to_array(args.number_rows)?;
        if text.null_count() < text.len() {
            cast_with_options(
                &text,
                &DataType::Float64,
                &CastOptions { safe: false, ..CastOptions::default() },
            )?;
        }
        Ok(number.clone())
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{MapBuilder, StringBuilder};
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
            let theirs = cast(&theirs, &DataType::Utf8View).unwrap();
            // Where the map itself is null theirs looks at entries that are not there.
            for row in (0..part.len()).filter(|row| part.is_valid(*row)) {
                let text = |array: &ArrayRef| {
                    let array = array.as_string_view();
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
