//! Columns as values of TOML and back.

use anyhow::{Context as _, bail};
use arrow_buffer::{Buffer, NullBuffer};
use isinglass_model::columns::{Column, ColumnData, TextBuffers};
use isinglass_model::functions::ValueType;
use toml::Value;

/// A value of a row; `None` = null.
pub(in crate::plugin) type Cell = Option<Value>;

/// A column of a type.
pub(in crate::plugin) fn column(ty: ValueType, cells: &[&Cell]) -> anyhow::Result<Column> {
    let wrong = |value: &Value| format!("{value} is no {}", ty.as_str());
    let values = cells.iter().map(|cell| cell.as_ref());
    let data = match ty {
        ValueType::Float64 => {
            let value = |value: Option<&Value>| match value {
                Some(value) => float(value).with_context(|| wrong(value)),
                None => Ok(0.0),
            };
            ColumnData::F64(values.map(value).collect::<anyhow::Result<Vec<_>>>()?.into())
        }
        ValueType::Int64 => {
            let value = |value: Option<&Value>| match value {
                Some(value) => value.as_integer().with_context(|| wrong(value)),
                None => Ok(0),
            };
            ColumnData::I64(values.map(value).collect::<anyhow::Result<Vec<_>>>()?.into())
        }
        ValueType::Boolean => {
            let value = |value: Option<&Value>| match value {
                Some(value) => value.as_bool().map(u8::from).with_context(|| wrong(value)),
                None => Ok(0),
            };
            ColumnData::U8(values.map(value).collect::<anyhow::Result<Vec<_>>>()?.into())
        }
        ValueType::Text => {
            let value = |value: Option<&'_ Value>| match value {
                Some(value) => value.as_str().map(str::to_owned).with_context(|| wrong(value)),
                None => Ok(String::new()),
            };
            ColumnData::Text(texts(&values.map(value).collect::<anyhow::Result<Vec<_>>>()?)?)
        }
    };
    let validity: NullBuffer = cells.iter().map(|cell| cell.is_some()).collect();
    Ok(Column { data, validity: (validity.null_count() > 0).then_some(validity) })
}

/// A float, or a whole number.
pub(super) fn float(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|value| value as f64))
}

/// Texts, one after the other.
pub(super) fn texts<T: AsRef<str>>(values: &[T]) -> anyhow::Result<TextBuffers> {
    let mut offsets = vec![0_i32];
    let mut data = Vec::new();
    for value in values {
        data.extend_from_slice(value.as_ref().as_bytes());
        offsets.push(i32::try_from(data.len())?);
    }
    Ok(TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) })
}

/// The values of a column; ids are hexadecimal text.
pub(super) fn read(column: &Column) -> anyhow::Result<Vec<Cell>> {
    let values: Vec<Value> = match &column.data {
        ColumnData::F64(values) => values.iter().map(|value| Value::Float(*value)).collect(),
        ColumnData::I64(values) => values.iter().map(|value| Value::Integer(*value)).collect(),
        ColumnData::U8(values) => values.iter().map(|value| Value::Boolean(*value != 0)).collect(),
        ColumnData::Fixed { width, data } => {
            let hex = |id: &[u8]| id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            data.chunks_exact((*width).max(1) as usize).map(|id| Value::String(hex(id))).collect()
        }
        ColumnData::Text(texts) => {
            let text = |ends: &[i32]| {
                let bytes = texts.data.get(ends[0] as usize..ends[1] as usize).unwrap_or_default();
                Value::String(String::from_utf8_lossy(bytes).into_owned())
            };
            texts.offsets.windows(2).map(text).collect()
        }
        _ => bail!("a column of another layout"),
    };
    let valid = |row| column.validity.as_ref().is_none_or(|validity| validity.is_valid(row));
    Ok(values.into_iter().enumerate().map(|(row, value)| valid(row).then_some(value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let check = |ty: ValueType, values: &[Cell]| {
            let cells: Vec<_> = values.iter().collect();
            assert_eq!(read(&column(ty, &cells).unwrap()).unwrap(), values);
        };
        check(ValueType::Float64, &[Some(Value::Float(1.5)), None]);
        check(ValueType::Int64, &[None, Some(Value::Integer(-1))]);
        check(ValueType::Boolean, &[Some(Value::Boolean(true)), Some(Value::Boolean(false))]);
        check(ValueType::Text, &[Some(Value::String("ü".into())), None, Some(Value::String(String::new()))]);
        check(ValueType::Text, &[]);
        let error = column(ValueType::Int64, &[&Some(Value::Float(1.5))]).unwrap_err();
        assert_eq!(error.to_string(), "1.5 is no int64");
    }
}
