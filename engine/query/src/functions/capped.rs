//! Functions that make much out of little: `repeat('x', 2000000000)` would take
//! all memory before any pool hears of it. What a call is going to make is
//! computed from its arguments first, and refused beyond a bound.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, IntervalMonthDayNanoType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use isinglass_model::ErrorKind;

use crate::error::QueryError;

/// Bytes that one call may make for one batch of rows.
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// Bytes that a call is going to make, from its arguments as arrays.
type Estimate = fn(&[ArrayRef]) -> Option<u64>;

/// The function with its cap, if it needs one.
pub(crate) fn wrap(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let estimate: Estimate = match function.name() {
        "repeat" => repeat,
        "lpad" | "rpad" => pad,
        "range" | "generate_series" => range,
        "array_repeat" => array_repeat,
        "array_resize" => array_resize,
        "replace" => replace,
        "regexp_replace" => regexp_replace,
        "concat" | "concat_ws" | "array_concat" | "make_array" | "array_to_string" => sum,
        _ => return function,
    };
    Arc::new(ScalarUDF::new_from_impl(Capped { inner: function, estimate }))
}

#[derive(Debug)]
struct Capped {
    inner: Arc<ScalarUDF>,
    estimate: Estimate,
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

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<arrow_schema::FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // Constants are computed once, not once a row.
        let rows = if args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_))) {
            1
        } else {
            args.number_rows
        };
        let arrays = args.args.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<_>>>()?;
        match (self.estimate)(&arrays) {
            Some(bytes) if bytes <= BYTES_MAX => self.inner.invoke_with_args(args),
            _ => Err(QueryError::new(
                ErrorKind::Rejected,
                format!("{} would make more than {} MiB for one batch of rows", self.name(), BYTES_MAX >> 20),
            )
            .into()),
        }
    }
}

/// Sums `bytes` over the rows; `None` beyond all bounds.
fn total(rows: usize, bytes: impl Fn(usize) -> Option<u64>) -> Option<u64> {
    (0..rows).try_fold(0_u64, |sum, row| sum.checked_add(bytes(row)?))
}

/// Bytes of each text of an array.
fn lengths(array: &ArrayRef) -> Option<Vec<u64>> {
    let lengths = arrow_cast::cast(array, &DataType::Utf8View).ok()?;
    let views = lengths.as_string_view();
    Some(
        (0..views.len())
            .map(|row| if views.is_null(row) { 0 } else { views.value(row).len() as u64 })
            .collect(),
    )
}

/// Integers of an array; null and negative ones count as none.
fn counts(array: &ArrayRef) -> Option<Vec<u64>> {
    let array = arrow_cast::cast(array, &DataType::Int64).ok()?;
    let array = array.as_primitive::<Int64Type>();
    Some(array.iter().map(|n| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default()).collect())
}

fn repeat(args: &[ArrayRef]) -> Option<u64> {
    let (lengths, counts) = (lengths(args.first()?)?, counts(args.get(1)?)?);
    total(lengths.len(), |row| lengths[row].checked_mul(counts[row]))
}

fn pad(args: &[ArrayRef]) -> Option<u64> {
    let counts = counts(args.get(1)?)?;
    // a character has up to four bytes
    total(counts.len(), |row| counts[row].checked_mul(4))
}

fn array_repeat(args: &[ArrayRef]) -> Option<u64> {
    let (element, counts) = (args.first()?, counts(args.get(1)?)?);
    let bytes = per_row(element);
    total(counts.len(), |row| counts[row].checked_mul(bytes))
}

fn array_resize(args: &[ArrayRef]) -> Option<u64> {
    let counts = counts(args.get(1)?)?;
    let bytes = args.get(2).map_or(16, per_row);
    total(counts.len(), |row| counts[row].checked_mul(bytes))
}

fn per_row(array: &ArrayRef) -> u64 {
    let bytes = array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size());
    (bytes / array.len().max(1)).max(8) as u64
}

fn sum(args: &[ArrayRef]) -> Option<u64> {
    args.iter().try_fold(0_u64, |sum, array| {
        let rows = per_row(array).checked_mul(array.len() as u64)?;
        sum.checked_add(rows)
    })
}

/// As if every part of the text were replaced.
fn replace(args: &[ArrayRef]) -> Option<u64> {
    let (text, from, to) = (lengths(args.first()?)?, lengths(args.get(1)?)?, lengths(args.get(2)?)?);
    total(text.len(), |row| {
        let places = text[row].checked_div(from[row]).unwrap_or(text[row] + 1);
        places.checked_mul(to[row])?.checked_add(text[row])
    })
}

/// As if every place of the text matched.
fn regexp_replace(args: &[ArrayRef]) -> Option<u64> {
    let (text, to) = (lengths(args.first()?)?, lengths(args.get(2)?)?);
    total(text.len(), |row| (text[row] + 1).checked_mul(to[row])?.checked_add(text[row]))
}

/// Elements of `start, stop, step`, eight bytes each.
fn range(args: &[ArrayRef]) -> Option<u64> {
    let numbers = |array: &ArrayRef| -> Option<Vec<i128>> {
        let array = match array.data_type() {
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => {
                let nanos = arrow_cast::cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None)).ok()?;
                arrow_cast::cast(&nanos, &DataType::Int64).ok()?
            }
            DataType::Interval(_) => return intervals(array),
            _ => arrow_cast::cast(array, &DataType::Int64).ok()?,
        };
        Some(array.as_primitive::<Int64Type>().iter().map(|n| i128::from(n.unwrap_or_default())).collect())
    };
    let (start, stop) = match args {
        [stop] => (vec![0; stop.len()], numbers(stop)?),
        [start, stop, ..] => (numbers(start)?, numbers(stop)?),
        [] => return None,
    };
    let step = args.get(2).map(numbers).unwrap_or_else(|| Some(vec![1; stop.len()]))?;
    total(stop.len(), |row| {
        let distance = (stop[row] - start[row]).unsigned_abs();
        let elements = distance.checked_div(step[row].unsigned_abs()).unwrap_or_default();
        u64::try_from(elements).ok()?.checked_add(1)?.checked_mul(8)
    })
}

/// The shortest that an interval can be, in nanoseconds.
fn intervals(array: &ArrayRef) -> Option<Vec<i128>> {
    const DAY: i128 = 86_400_000_000_000;
    let array =
        arrow_cast::cast(array, &DataType::Interval(arrow_schema::IntervalUnit::MonthDayNano)).ok()?;
    let array = array.as_primitive::<IntervalMonthDayNanoType>();
    let nanos = array.iter().map(|interval| {
        let interval = interval.unwrap_or_default();
        i128::from(interval.months) * 28 * DAY
            + i128::from(interval.days) * DAY
            + i128::from(interval.nanoseconds)
    });
    Some(nanos.collect())
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int64Array, StringArray, TimestampNanosecondArray};

    use super::*;

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn numbers(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    #[test]
    fn estimates() {
        assert_eq!(repeat(&[texts(&["ab", "c"]), numbers(&[10, -1])]), Some(20));
        assert_eq!(repeat(&[texts(&["abc"]), numbers(&[i64::MAX])]), None);
        assert_eq!(pad(&[texts(&[""]), numbers(&[1_000])]), Some(4_000));
        assert_eq!(range(&[numbers(&[10])]), Some(88));
        assert_eq!(range(&[numbers(&[1]), numbers(&[200_000_000])]), Some(1_600_000_000));
        assert_eq!(range(&[numbers(&[i64::MIN]), numbers(&[i64::MAX])]), None);
        assert_eq!(replace(&[texts(&["aaaa"]), texts(&["a"]), texts(&["xyz"])]), Some(16));
        assert_eq!(replace(&[texts(&["aaaa"]), texts(&[""]), texts(&["xyz"])]), Some(19));
        assert_eq!(regexp_replace(&[texts(&["ab"]), texts(&["x"]), texts(&["yy"])]), Some(8));
    }

    #[test]
    fn times_count_their_steps() {
        let time = |nanos| Arc::new(TimestampNanosecondArray::from(vec![nanos])) as ArrayRef;
        let day = arrow_array::IntervalDayTimeArray::from(vec![arrow_buffer::IntervalDayTime::new(1, 0)]);
        let day = Arc::new(day) as ArrayRef;
        assert_eq!(range(&[time(0), time(10 * 86_400_000_000_000), day]), Some(88));
    }
}
