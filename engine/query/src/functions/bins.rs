//! `date_bin` and `date_trunc` for bins of a fixed width, in one pass over integers.
//!
//! DataFusion's divide every time with checks, which was a third of "lines by service and
//! minute". Neighbouring rows mostly lie in one bin, so here a row costs two comparisons and a
//! division only where a bin ends. Everything else (months, weeks, other origins, zones that
//! are not UTC) is left to DataFusion's.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowTimestampType, IntervalMonthDayNano, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_schema::{DataType, FieldRef, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

const SECOND_NS: i64 = 1_000_000_000;

/// The function with a short way for fixed widths, if it is one of the two.
pub(crate) fn wrap(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let width: Width = match function.name() {
        "date_bin" => interval,
        "date_trunc" => granularity,
        _ => return function,
    };
    Arc::new(ScalarUDF::new_from_impl(Binned { inner: function, width }))
}

/// The width of a bin in nanoseconds by the first argument; `None` if it is not fixed.
type Width = fn(&ScalarValue) -> Option<i64>;

fn interval(width: &ScalarValue) -> Option<i64> {
    let ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months: 0, days, nanoseconds })) =
        width
    else {
        return None;
    };
    let days = i64::from(*days).checked_mul(86_400 * SECOND_NS)?;
    days.checked_add(*nanoseconds).filter(|width| *width > 0)
}

fn granularity(name: &ScalarValue) -> Option<i64> {
    let seconds = match name.try_as_str()??.to_ascii_lowercase().as_str() {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    Some(seconds * SECOND_NS)
}

/// Bins of an array of times; `None` if it has no times in UTC, if the width is no multiple
/// of their unit, or if a bin would begin before all times.
fn binned(times: &ArrayRef, width_ns: i64) -> Option<ArrayRef> {
    let DataType::Timestamp(unit, zone) = times.data_type() else { return None };
    if zone.as_deref().is_some_and(|zone| !matches!(zone, "UTC" | "+00:00" | "Z")) {
        return None;
    }
    match unit {
        TimeUnit::Nanosecond => of_unit::<TimestampNanosecondType>(times, width_ns, 1),
        TimeUnit::Microsecond => of_unit::<TimestampMicrosecondType>(times, width_ns, 1_000),
        TimeUnit::Millisecond => of_unit::<TimestampMillisecondType>(times, width_ns, 1_000_000),
        TimeUnit::Second => of_unit::<TimestampSecondType>(times, width_ns, SECOND_NS),
    }
}

fn of_unit<T: ArrowTimestampType>(times: &ArrayRef, width_ns: i64, unit_ns: i64) -> Option<ArrayRef> {
    if width_ns % unit_ns != 0 {
        return None;
    }
    let times = times.as_primitive::<T>();
    let starts = starts(times.values(), width_ns / unit_ns)?;
    let bins = PrimitiveArray::<T>::new(starts.into(), times.nulls().cloned());
    Some(Arc::new(bins.with_timezone_opt(zone(times))))
}

fn zone<T: ArrowTimestampType>(times: &PrimitiveArray<T>) -> Option<Arc<str>> {
    match times.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    }
}

/// Where the bin of each time begins, counted from 1970.
fn starts(times: &[i64], width: i64) -> Option<Vec<i64>> {
    let (mut start, mut end) = (0, 0);
    let mut starts = Vec::with_capacity(times.len());
    for time in times {
        if !(start <= *time && *time < end) {
            start = time.checked_sub(time.rem_euclid(width))?;
            end = start.saturating_add(width);
        }
        starts.push(start);
    }
    Some(starts)
}

#[derive(Debug)]
struct Binned {
    inner: Arc<ScalarUDF>,
    width: Width,
}

impl PartialEq for Binned {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Binned {}

impl Hash for Binned {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl ScalarUDFImpl for Binned {
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
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [ColumnarValue::Scalar(width), ColumnarValue::Array(times)] = args.args.as_slice()
            && let Some(width) = (self.width)(width)
            && let Some(bins) = binned(times, width)
        {
            return Ok(ColumnarValue::Array(bins));
        }
        self.inner.invoke_with_args(args)
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::Field;
    use datafusion::common::config::ConfigOptions;
    use datafusion::execution::SessionStateDefaults;
    use proptest::prelude::*;

    use super::*;

    fn both(name: &str) -> (Arc<ScalarUDF>, Arc<ScalarUDF>) {
        let theirs = SessionStateDefaults::default_scalar_functions();
        let theirs = theirs.into_iter().find(|function| function.name() == name).unwrap();
        (wrap(Arc::clone(&theirs)), theirs)
    }

    fn call(function: &ScalarUDF, width: &ScalarValue, times: &ArrayRef) -> Option<ArrayRef> {
        let fields = [width.data_type(), times.data_type().clone()];
        let arg_fields = fields.into_iter().map(|ty| Arc::new(Field::new("", ty, true))).collect();
        let args = ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(width.clone()), ColumnarValue::Array(Arc::clone(times))],
            arg_fields,
            number_rows: times.len(),
            return_field: Arc::new(Field::new("", times.data_type().clone(), true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        function.invoke_with_args(args).ok().map(|value| value.into_array(times.len()).unwrap())
    }

    fn arrays(raw: &[Option<i64>]) -> Vec<ArrayRef> {
        let zones = [None, Some("UTC"), Some("+00:00"), Some("Europe/Berlin")];
        let of = |zone: Option<&str>| -> [ArrayRef; 4] {
            let raw = || raw.iter().copied();
            [
                Arc::new(raw().collect::<PrimitiveArray<TimestampNanosecondType>>().with_timezone_opt(zone)),
                Arc::new(raw().collect::<PrimitiveArray<TimestampMicrosecondType>>().with_timezone_opt(zone)),
                Arc::new(raw().collect::<PrimitiveArray<TimestampMillisecondType>>().with_timezone_opt(zone)),
                Arc::new(raw().collect::<PrimitiveArray<TimestampSecondType>>().with_timezone_opt(zone)),
            ]
        };
        zones.into_iter().flat_map(of).collect()
    }

    proptest! {
        /// Ours and DataFusion's answer the same, or both refuse.
        #[test]
        fn they_answer_as_before(
            start in -4_000_000_000_i64..4_000_000_000,
            steps in proptest::collection::vec(proptest::option::of(-100_000_i64..5_000_000), 0..40),
            (days, nanoseconds) in prop_oneof![
                Just((0, 60 * SECOND_NS)), Just((0, 1_500)), Just((0, 7)), Just((1, 0)), Just((2, 3_600 * SECOND_NS)),
                Just((0, 500_000_000)), Just((0, 0)), Just((0, -5)),
            ],
            months in prop_oneof![4 => Just(0), 1 => Just(1)],
            unit in prop_oneof!["second", "Minute", "hour", "day", "week", "month", "year", "nonsense"],
        ) {
            let mut at = start;
            let raw: Vec<Option<i64>> =
                steps.into_iter().map(|step| step.map(|step| { at += step; at })).collect();
            let (ours, theirs) = both("date_bin");
            let width = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano { months, days, nanoseconds }));
            for times in arrays(&raw) {
                prop_assert_eq!(call(&ours, &width, &times), call(&theirs, &width, &times), "{} {:?}", width, times);
            }
            let (ours, theirs) = both("date_trunc");
            let width = ScalarValue::from(unit.as_str());
            for times in arrays(&raw) {
                prop_assert_eq!(call(&ours, &width, &times), call(&theirs, &width, &times), "{} {:?}", width, times);
            }
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        assert_eq!(starts(&[i64::MIN, 0], 60), None);
        assert_eq!(starts(&[i64::MAX, i64::MAX - 1], 60).unwrap().len(), 2);
        assert_eq!(starts(&[-1, 0, 59, 60], 60).unwrap(), [-60, 0, 0, 60]);
    }
}
