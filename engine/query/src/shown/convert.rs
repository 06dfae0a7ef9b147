//! From the columns of files to the columns that people see.

use std::sync::{Arc, LazyLock};

use arrow_array::builder::Float64Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float64Type, Int16Type, Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{
    Array, ArrayRef, Int64Array, ListArray, MapArray, StringArray, StructArray, TimestampNanosecondArray,
};
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{Result, exec_err};
use isinglass_model::tables::{Shown, Type, file_type};

/// The zone of every time that is shown.
pub(crate) static UTC: LazyLock<Arc<str>> = LazyLock::new(|| "UTC".into());

/// Every time is shown in nanoseconds, UTC. Times of metrics are whole
/// milliseconds, but DataFusion cuts constants to the unit of the column they are
/// compared with, and `time < '….0005'` would lose the last half millisecond.
pub(crate) fn nanos_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some(Arc::clone(&UTC)))
}

/// The type of a column as it is read from a file: as it stands there, but text
/// as views, which is what DataFusion compares and groups fastest.
pub(crate) fn read_type(ty: &Type) -> DataType {
    match ty {
        Type::Text | Type::Dictionary => DataType::Utf8View,
        other => file_type(other),
    }
}

/// The type of a column as it is shown.
pub(crate) fn shown_type(ty: &Type, shown: Shown) -> DataType {
    match (ty, shown) {
        (Type::Id(_), Shown::Hex) => DataType::Utf8,
        (Type::Bigint, Shown::Nanos) => nanos_type(),
        (Type::Timestamp, _) => nanos_type(),
        (Type::List(_) | Type::Struct(_), _) => nested_type(ty, shown),
        (other, _) => read_type(other),
    }
}

/// Inside lists and structs text stays as it is in files.
fn nested_type(ty: &Type, shown: Shown) -> DataType {
    match (ty, shown) {
        (Type::List(element), _) => {
            DataType::List(Arc::new(Field::new("element", nested_type(element, Shown::Plain), false)))
        }
        (Type::Struct(columns), _) => {
            let fields = columns.iter().map(|c| Field::new(c.name, nested_type(&c.ty, c.shown), c.nullable));
            DataType::Struct(fields.collect())
        }
        (Type::Id(_), Shown::Hex) => DataType::Utf8,
        (Type::Bigint, Shown::Nanos) => nanos_type(),
        (other, _) => file_type(other),
    }
}

/// Binary as lower-case hex text.
pub(crate) fn hex(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(array) = array.as_binary_opt::<i32>() else {
        return exec_err!("hex wants binary, not {}", array.data_type());
    };
    let offsets = array.value_offsets();
    let (first, last) = (offsets[0], offsets[array.len()]);
    let bytes = &array.value_data()[first as usize..last as usize];
    let Some(length) = i32::try_from(bytes.len()).ok().and_then(|length| length.checked_mul(2)) else {
        return exec_err!("a batch of ids is larger than 1 GiB");
    };
    let mut text = vec![0_u8; length as usize];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&HEX_PAIRS[usize::from(*byte)]);
    }
    let offsets: Vec<i32> = offsets.iter().map(|at| (at - first) * 2).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(text), array.nulls().cloned())?))
}

const HEX_PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// The bytes of lower-case hex text with an even number of digits.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if lower { hex::decode(text).ok() } else { None }
}

/// 64-bit nanoseconds as a timestamp, without a copy.
pub(crate) fn nanos(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(array) = array.as_primitive_opt::<Int64Type>() else {
        return exec_err!("a time in nanoseconds is a BIGINT, not {}", array.data_type());
    };
    let times = TimestampNanosecondArray::new(array.values().clone(), array.nulls().cloned());
    Ok(Arc::new(times.with_timezone(Arc::clone(&UTC))))
}

/// Microseconds of a file as nanoseconds; beyond the years 1677 to 2262 the
/// nearest time that there is.
pub(crate) fn micros(array: &ArrayRef) -> Result<ArrayRef> {
    let Some(array) = array.as_primitive_opt::<TimestampMicrosecondType>() else {
        return exec_err!("a metric's time is a TIMESTAMP, not {}", array.data_type());
    };
    let times = array.unary::<_, TimestampNanosecondType>(|micros| micros.saturating_mul(1_000));
    Ok(Arc::new(times.with_timezone(Arc::clone(&UTC))))
}

/// `coalesce(value_int / pow(10, value_scale), value)`, bit for bit as any
/// outside reader of the files computes it.
pub(crate) fn value(float: &ArrayRef, int: &ArrayRef, scale: &ArrayRef) -> Result<ArrayRef> {
    if int.null_count() == int.len() {
        return Ok(Arc::clone(float));
    }
    let parts = (
        float.as_primitive_opt::<Float64Type>(),
        int.as_primitive_opt::<Int64Type>(),
        scale.as_primitive_opt::<Int16Type>(),
    );
    let (Some(float), Some(int), Some(scale)) = parts else {
        return exec_err!("the three columns of a value have unexpected types");
    };
    let mut values = Float64Builder::with_capacity(float.len());
    for row in 0..float.len() {
        if int.is_valid(row) && scale.is_valid(row) {
            values.append_value(scaled(int.value(row), scale.value(row)));
        } else {
            values.append_option(float.is_valid(row).then(|| float.value(row)));
        }
    }
    Ok(Arc::new(values.finish()))
}

pub(crate) fn scaled(int: i64, scale: i16) -> f64 {
    int as f64 / power_of_ten(scale)
}

pub(crate) fn power_of_ten(scale: i16) -> f64 {
    // Powers of ten are exact up to 22; `powi` multiplies and would not be.
    const EXACT: [f64; 23] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
        1e18, 1e19, 1e20, 1e21, 1e22,
    ];
    let exact = usize::try_from(scale).ok().and_then(|at| EXACT.get(at).copied());
    exact.unwrap_or_else(|| 10_f64.powf(f64::from(scale)))
}

/// A list or struct with everything inside as it is shown.
pub(crate) fn nested(array: &ArrayRef, ty: &Type, shown: Shown) -> Result<ArrayRef> {
    match (ty, shown) {
        (Type::Id(_), Shown::Hex) => hex(array),
        (Type::Bigint, Shown::Nanos) => nanos(array),
        (Type::List(element), _) => {
            let Some(list) = array.as_list_opt::<i32>() else {
                return exec_err!("expected a list, got {}", array.data_type());
            };
            let values = nested(list.values(), element, Shown::Plain)?;
            let DataType::List(field) = nested_type(ty, shown) else {
                return exec_err!("a list has no element");
            };
            Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?))
        }
        (Type::Struct(columns), _) => {
            let Some(parts) = array.as_struct_opt() else {
                return exec_err!("expected a struct, got {}", array.data_type());
            };
            let DataType::Struct(fields) = nested_type(ty, shown) else {
                return exec_err!("a struct has no fields");
            };
            let arrays = columns.iter().map(|column| match parts.column_by_name(column.name) {
                Some(part) => nested(part, &column.ty, column.shown),
                None => exec_err!("a struct has no field {}", column.name),
            });
            let arrays = arrays.collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(
                fields,
                arrays,
                parts.nulls().cloned(),
                parts.len(),
            )?))
        }
        (Type::TextMap, _) => text_map(array),
        _ => Ok(Arc::clone(array)),
    }
}

/// A map under the field names that the schema states; readers differ in them.
fn text_map(array: &ArrayRef) -> Result<ArrayRef> {
    let (Some(map), DataType::Map(entries, sorted)) = (array.as_map_opt(), file_type(&Type::TextMap)) else {
        return exec_err!("expected a map, got {}", array.data_type());
    };
    let fields = match entries.data_type() {
        DataType::Struct(fields) => fields.clone(),
        other => return exec_err!("a map of {other}"),
    };
    let pairs = StructArray::try_new(fields, map.entries().columns().to_vec(), None)?;
    Ok(Arc::new(MapArray::try_new(entries, map.offsets().clone(), pairs, map.nulls().cloned(), sorted)?))
}

/// A batch column in the type in which files are read, for rows that are not
/// yet in a file.
pub(crate) fn as_read(array: &ArrayRef, field: &FieldRef) -> Result<ArrayRef> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    Ok(arrow_cast::cast(array, field.data_type())?)
}

/// Raw integers of a time or id column, for comparisons.
pub(crate) fn bigints(array: &ArrayRef) -> Result<&Int64Array> {
    match array.as_primitive_opt::<Int64Type>() {
        Some(array) => Ok(array),
        None => exec_err!("expected BIGINT, got {}", array.data_type()),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryArray, Float64Array, Int16Array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hex_of_a_slice_with_nulls() {
        let array =
            BinaryArray::from_opt_vec(vec![Some(b"\x00\xff".as_slice()), None, Some(b"\x0a"), Some(b"")]);
        let shown = hex(&(Arc::new(array.slice(1, 3)) as ArrayRef)).unwrap();
        let shown: Vec<_> = shown.as_string::<i32>().iter().collect();
        assert_eq!(shown, [None, Some("0a"), Some("")]);
    }

    #[test]
    fn values_of_all_three_forms() {
        let float: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), None, None, Some(f64::NAN)]));
        let int: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(12345), None, None]));
        let scale: ArrayRef = Arc::new(Int16Array::from(vec![None, Some(2), None, None]));
        let shown = value(&float, &int, &scale).unwrap();
        let shown = shown.as_primitive::<Float64Type>();
        assert_eq!((shown.value(0), shown.value(1), shown.is_null(2)), (1.5, 123.45, true));
        assert!(shown.value(3).is_nan());
    }

    #[test]
    fn times_of_metrics() {
        let micros =
            arrow_array::TimestampMicrosecondArray::from(vec![-1, 1_999, i64::MAX]).with_timezone("UTC");
        let shown = super::micros(&(Arc::new(micros) as ArrayRef)).unwrap();
        assert_eq!(shown.as_primitive::<TimestampNanosecondType>().values(), &[-1_000, 1_999_000, i64::MAX]);
    }

    proptest! {
        #[test]
        fn hex_keeps_the_order_of_bytes(a: Vec<u8>, b: Vec<u8>) {
            let shown = hex(&(Arc::new(BinaryArray::from(vec![a.as_slice(), b.as_slice()])) as ArrayRef)).unwrap();
            let shown = shown.as_string::<i32>();
            prop_assert_eq!(shown.value(0).cmp(shown.value(1)), a.cmp(&b));
            prop_assert_eq!(unhex(shown.value(0)), Some(a));
        }
    }
}
