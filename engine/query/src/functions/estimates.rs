//! What a call of a function is going to make, or how long it is going to take, from its
//! arguments.
//!
//! An argument is an array with a value a row, or with one value for all of them.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, IntervalMonthDayNanoType};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};

/// From the arguments and the number of rows; `None` beyond all bounds.
type Estimator = fn(&[ArrayRef], usize) -> Option<u64>;

/// What is estimated of a function.
#[derive(Debug, Clone, Copy)]
pub(super) enum Estimate {
    /// Bytes of what it makes.
    Bytes(Estimator),
    /// Steps that it takes.
    Steps(Estimator),
}

/// The estimate of a function that needs one.
pub(super) fn of(name: &str) -> Option<Estimate> {
    let bytes: Estimator = match name {
        "repeat" => repeat,
        "lpad" | "rpad" => pad,
        "range" | "generate_series" => range,
        "array_repeat" => array_repeat,
        "array_resize" => array_resize,
        "array_to_string" => array_to_string,
        "array_replace_all" => array_replace_all,
        "string_to_array" => string_to_array,
        "replace" => replace,
        "regexp_replace" => regexp_replace,
        "to_char" => to_char,
        "encode" => encode,
        "concat_ws" => concat_ws,
        "concat" | "array_append" | "array_concat" | "array_prepend" | "array_union" | "make_array"
        | "overlay" | "struct" => sum,
        "array_except" | "array_intersect" | "array_distinct" => sets,
        "strpos" => return Some(Estimate::Steps(search)),
        "array_has_all" | "array_has_any" => return Some(Estimate::Steps(element_pairs)),
        "levenshtein" => return Some(Estimate::Steps(character_pairs)),
        _ => return None,
    };
    Some(Estimate::Bytes(bytes))
}

/// A number of each row.
struct PerRow(Vec<u64>);

impl PerRow {
    /// One value stands for all rows.
    fn at(&self, row: usize) -> u64 {
        let only = (self.0.len() == 1).then_some(0);
        self.0.get(only.unwrap_or(row)).copied().unwrap_or_default()
    }
}

/// Sums `each` over the rows; `None` beyond all bounds.
fn total(rows: usize, each: impl Fn(usize) -> Option<u64>) -> Option<u64> {
    (0..rows).try_fold(0_u64, |sum, row| sum.checked_add(each(row)?))
}

/// Bytes of each text of an array.
fn lengths(array: &ArrayRef) -> Option<PerRow> {
    let texts = arrow_cast::cast(array, &DataType::Utf8View).ok()?;
    let views = texts.as_string_view();
    let length = |row| if views.is_null(row) { 0 } else { views.value(row).len() as u64 };
    Some(PerRow((0..views.len()).map(length).collect()))
}

/// Integers of an array; null and negative ones count as none.
fn counts(array: &ArrayRef) -> Option<PerRow> {
    let array = arrow_cast::cast(array, &DataType::Int64).ok()?;
    let array = array.as_primitive::<Int64Type>();
    Some(PerRow(array.iter().map(|n| n.and_then(|n| u64::try_from(n).ok()).unwrap_or_default()).collect()))
}

/// Elements of each list of an array.
fn elements(array: &ArrayRef) -> Option<PerRow> {
    let length = |row: usize| -> Option<u64> {
        let length = match array.data_type() {
            DataType::List(_) => array.as_list::<i32>().value_length(row) as u64,
            DataType::LargeList(_) => array.as_list::<i64>().value_length(row) as u64,
            DataType::ListView(_) => array.as_list_view::<i32>().value_size(row) as u64,
            DataType::LargeListView(_) => array.as_list_view::<i64>().value_size(row) as u64,
            DataType::FixedSizeList(_, size) => u64::try_from(*size).ok()?,
            DataType::Null => 0,
            _ => return None,
        };
        Some(length)
    };
    (0..array.len()).map(length).collect::<Option<Vec<u64>>>().map(PerRow)
}

/// Bytes of one value of an array, on average.
fn per_value(array: &ArrayRef) -> u64 {
    let bytes = array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size());
    (bytes / array.len().max(1)).max(8) as u64
}

fn repeat(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (lengths, counts) = (lengths(args.first()?)?, counts(args.get(1)?)?);
    total(rows, |row| lengths.at(row).checked_mul(counts.at(row)))
}

fn pad(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let counts = counts(args.get(1)?)?;
    // a character has up to four bytes
    total(rows, |row| counts.at(row).checked_mul(4))
}

fn array_repeat(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (bytes, counts) = (per_value(args.first()?), counts(args.get(1)?)?);
    total(rows, |row| counts.at(row).checked_mul(bytes))
}

fn array_resize(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (counts, bytes) = (counts(args.get(1)?)?, args.get(2).map_or(16, per_value));
    total(rows, |row| counts.at(row).checked_mul(bytes))
}

/// As if every element were replaced.
fn array_replace_all(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (list, elements, to) = (per_value(args.first()?), elements(args.first()?)?, per_value(args.get(2)?));
    total(rows, |row| elements.at(row).checked_mul(to)?.checked_add(list))
}

/// A number is written with 24 characters at most.
fn array_to_string(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let list = args.first()?;
    let (bytes, elements, between) = (per_value(list), elements(list)?, lengths(args.get(1)?)?);
    let null = args.get(2).map_or(Some(PerRow(vec![0])), lengths)?;
    total(rows, |row| {
        let each = between.at(row).checked_add(null.at(row))?.checked_add(24)?;
        elements.at(row).checked_mul(each)?.checked_add(bytes)
    })
}

/// As if what separates stood everywhere; an element has its bytes and an offset.
fn string_to_array(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (text, between) = (lengths(args.first()?)?, lengths(args.get(1)?)?);
    total(rows, |row| {
        let places = text.at(row) / between.at(row).max(1) + 1;
        places.checked_mul(8)?.checked_add(text.at(row))
    })
}

fn sum(args: &[ArrayRef], rows: usize) -> Option<u64> {
    args.iter().try_fold(0_u64, |sum, array| sum.checked_add(per_value(array).checked_mul(rows as u64)?))
}

/// What stands between the texts stands there each time.
fn concat_ws(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let between = lengths(args.first()?)?;
    let times = args.len() as u64;
    total(rows, |row| between.at(row).checked_mul(times))?.checked_add(sum(args, rows)?)
}

/// As if every part of the text were replaced.
fn replace(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (text, from, to) = (lengths(args.first()?)?, lengths(args.get(1)?)?, lengths(args.get(2)?)?);
    total(rows, |row| {
        let places = text.at(row).checked_div(from.at(row)).unwrap_or(text.at(row) + 1);
        places.checked_mul(to.at(row))?.checked_add(text.at(row))
    })
}

/// As if every place of the text matched, and all of it were put in again for each reference in
/// what it is replaced with.
fn regexp_replace(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (text, to, references) = (lengths(args.first()?)?, lengths(args.get(2)?)?, references(args.get(2)?)?);
    total(rows, |row| {
        let replaced = (text.at(row) + 1).checked_mul(to.at(row))?;
        let again = text.at(row).checked_mul(references.at(row))?;
        replaced.checked_add(again)?.checked_add(text.at(row))
    })
}

/// `\1` and `$1` of each text.
fn references(array: &ArrayRef) -> Option<PerRow> {
    let texts = arrow_cast::cast(array, &DataType::Utf8View).ok()?;
    let count = |text: &str| text.bytes().filter(|byte| matches!(byte, b'\\' | b'$')).count() as u64;
    Some(PerRow(texts.as_string_view().iter().map(|text| text.map_or(0, count)).collect()))
}

/// A letter of a format, such as the `c` of `%c`, is written with 40 characters at most.
fn to_char(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let format = lengths(args.get(1)?)?;
    total(rows, |row| format.at(row).checked_mul(20))
}

/// A byte is written with two characters at most.
fn encode(args: &[ArrayRef], rows: usize) -> Option<u64> {
    sum(args.get(..1)?, rows)?.checked_mul(2)
}

fn character_pairs(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (left, right) = (lengths(args.first()?)?, lengths(args.get(1)?)?);
    total(rows, |row| left.at(row).checked_mul(right.at(row)))
}

fn element_pairs(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (left, right) = (elements(args.first()?)?, elements(args.get(1)?)?);
    total(rows, |row| left.at(row).checked_mul(right.at(row)))
}

/// All elements are written down to be compared, and those of one row are in a table at a time.
fn sets(args: &[ArrayRef], rows: usize) -> Option<u64> {
    const WRITTEN: u64 = 16;
    const IN_TABLE: u64 = 64;
    let lists = args.iter().map(elements).collect::<Option<Vec<_>>>()?;
    let of = |row: usize| lists.iter().try_fold(0_u64, |sum, list| sum.checked_add(list.at(row)));
    let most = (0..rows).map(of).max()??;
    total(rows, |row| of(row)?.checked_mul(WRITTEN))?.checked_add(most.checked_mul(IN_TABLE)?)
}

/// A long text that is searched for is compared again at each place of the other one, as far as
/// it agrees.
fn search(args: &[ArrayRef], rows: usize) -> Option<u64> {
    const SHORT: u64 = 1_024;
    let (text, wanted) = (lengths(args.first()?)?, lengths(args.get(1)?)?);
    total(rows, |row| match wanted.at(row) {
        0..=SHORT => Some(text.at(row)),
        long => text.at(row).checked_mul(long),
    })
}

/// Elements of `start, stop, step`, eight bytes each.
fn range(args: &[ArrayRef], rows: usize) -> Option<u64> {
    let (start, stop) = match args {
        [stop] => (vec![0], numbers(stop)?),
        [start, stop, ..] => (numbers(start)?, numbers(stop)?),
        [] => return None,
    };
    let step = args.get(2).map_or_else(|| Some(vec![1]), numbers)?;
    let at = |of: &[i128], row: usize| {
        if of.len() == 1 { of[0] } else { of.get(row).copied().unwrap_or_default() }
    };
    total(rows, |row| {
        let distance = (at(&stop, row) - at(&start, row)).unsigned_abs();
        let elements = distance.checked_div(at(&step, row).unsigned_abs()).unwrap_or_default();
        u64::try_from(elements).ok()?.checked_add(1)?.checked_mul(8)
    })
}

/// Numbers, or times and intervals in nanoseconds.
fn numbers(array: &ArrayRef) -> Option<Vec<i128>> {
    let array = match array.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => {
            let nanos = arrow_cast::cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None)).ok()?;
            arrow_cast::cast(&nanos, &DataType::Int64).ok()?
        }
        DataType::Interval(_) => return intervals(array),
        _ => arrow_cast::cast(array, &DataType::Int64).ok()?,
    };
    Some(array.as_primitive::<Int64Type>().iter().map(|n| i128::from(n.unwrap_or_default())).collect())
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
    use std::sync::Arc;

    use arrow_array::{Int64Array, ListArray, StringArray, TimestampNanosecondArray};

    use super::*;

    fn texts(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn numbers(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn list(values: std::ops::Range<i64>) -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([Some(values.map(Some))]))
    }

    #[test]
    fn estimates() {
        assert_eq!(repeat(&[texts(&["ab", "c"]), numbers(&[10, -1])], 2), Some(20));
        assert_eq!(repeat(&[texts(&["abc"]), numbers(&[i64::MAX])], 1), None);
        assert_eq!(pad(&[texts(&[""]), numbers(&[1_000])], 1), Some(4_000));
        assert_eq!(range(&[numbers(&[10])], 1), Some(88));
        assert_eq!(range(&[numbers(&[1]), numbers(&[200_000_000])], 1), Some(1_600_000_000));
        assert_eq!(range(&[numbers(&[i64::MIN]), numbers(&[i64::MAX])], 1), None);
        assert_eq!(replace(&[texts(&["aaaa"]), texts(&["a"]), texts(&["xyz"])], 1), Some(16));
        assert_eq!(replace(&[texts(&["aaaa"]), texts(&[""]), texts(&["xyz"])], 1), Some(19));
        assert_eq!(regexp_replace(&[texts(&["ab"]), texts(&["x"]), texts(&["yy"])], 1), Some(8));
        assert_eq!(regexp_replace(&[texts(&["ab"]), texts(&["x"]), texts(&[r"\1\1"])], 1), Some(18));
        assert_eq!(character_pairs(&[texts(&["abc"]), texts(&["de"])], 1), Some(6));
        assert_eq!(element_pairs(&[list(0..10), list(0..7)], 1), Some(70));
        assert_eq!(sets(&[list(0..10), list(0..7)], 1), Some(17 * 80));
        assert_eq!(search(&[texts(&["abc"]), texts(&["de"])], 1), Some(3));
        assert_eq!(search(&[texts(&["abc"]), texts(&[&"x".repeat(2_000)])], 1), Some(6_000));
        assert_eq!(string_to_array(&[texts(&["a,b"]), texts(&[","])], 1), Some(35));
        assert!(array_to_string(&[list(0..10), texts(&["0123456789"])], 1).unwrap() >= 10 * 34);
    }

    #[test]
    fn one_value_counts_in_every_row() {
        let three = numbers(&[1, 2, 3]);
        assert_eq!(repeat(&[texts(&["ab"]), Arc::clone(&three)], 3), Some(12));
        assert_eq!(repeat(&[texts(&["ab"]), numbers(&[10])], 1_000), Some(20_000));
        assert_eq!(range(&[three], 3), Some((2 + 3 + 4) * 8));
        let long = "x".repeat(1_000);
        assert!(sum(&[texts(&[&long]), texts(&["a", "b"])], 2).unwrap() >= 2_000);
        assert!(concat_ws(&[texts(&[&long]), texts(&["a"]), texts(&["b"])], 1).unwrap() >= 3_000);
    }

    #[test]
    fn times_count_their_steps() {
        let time = |nanos| Arc::new(TimestampNanosecondArray::from(vec![nanos])) as ArrayRef;
        let day = arrow_array::IntervalDayTimeArray::from(vec![arrow_buffer::IntervalDayTime::new(1, 0)]);
        let day = Arc::new(day) as ArrayRef;
        assert_eq!(range(&[time(0), time(10 * 86_400_000_000_000), day], 1), Some(88));
    }
}
