//! What functions answer: checked, and put together where a call was cut.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use isinglass_model::columns::{Column, ColumnData, TextBuffers};
use isinglass_model::functions::{States, ValueType};

use crate::abi::{ColumnOut, DataOut, TextOut};

pub(super) fn value(out: ColumnOut, wanted: ValueType, rows: usize) -> Result<Column, String> {
    let validity = match out.validity {
        None => None,
        Some(bits) if bits.len() == rows.div_ceil(8) => {
            Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows)))
        }
        Some(bits) => return Err(format!("{} bytes of validity for {rows} rows", bits.len())),
    };
    let sized = |len: usize| match len == rows {
        true => Ok(()),
        false => Err(format!("{len} values for {rows} rows")),
    };
    let data = match (out.data, wanted) {
        (DataOut::F64(values), ValueType::Float64) => {
            sized(values.len())?;
            ColumnData::F64(values.into())
        }
        (DataOut::I64(values), ValueType::Int64) => {
            sized(values.len())?;
            ColumnData::I64(values.into())
        }
        (DataOut::Bytes(values), ValueType::Boolean) => {
            sized(values.len())?;
            if let Some(value) = values.iter().find(|value| **value > 1) {
                return Err(format!("a boolean of {value}"));
            }
            ColumnData::U8(values.into())
        }
        (DataOut::Text(text), ValueType::Text) => {
            let text = texts(text, rows)?;
            let data = std::str::from_utf8(&text.data).map_err(|_| "a text is not UTF-8".to_owned())?;
            if text.offsets.iter().any(|at| !data.is_char_boundary(*at as usize)) {
                return Err("a text is not UTF-8".to_owned());
            }
            ColumnData::Text(text)
        }
        _ => return Err(format!("its column is not of the type {}", wanted.as_str())),
    };
    Ok(Column { data, validity: validity.filter(|validity| validity.null_count() > 0) })
}

pub(super) fn texts(out: TextOut, count: usize) -> Result<TextBuffers, String> {
    let TextOut { mut offsets, data } = out;
    if offsets.is_empty() && count == 0 && data.is_empty() {
        offsets.push(0);
    }
    if offsets.len() != count + 1 {
        return Err(format!("{} offsets for {count} texts", offsets.len()));
    }
    let whole = offsets[0] == 0 && usize::try_from(offsets[count]).ok() == Some(data.len());
    if !whole || !offsets.is_sorted() {
        return Err("the offsets of its texts do not fit their data".to_owned());
    }
    Ok(TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) })
}

pub(super) fn empty_text() -> TextBuffers {
    TextBuffers { offsets: vec![0].into(), data: Buffer::from(&[]) }
}

pub(super) fn concat_states(one: &States, other: &States) -> States {
    let mut groups = one.groups.clone();
    groups.extend(&other.groups);
    States { groups, bytes: concat_texts([&one.bytes, &other.bytes].into_iter()) }
}

fn concat_texts<'a>(parts: impl Iterator<Item = &'a TextBuffers>) -> TextBuffers {
    let (mut offsets, mut data) = (vec![0_i32], Vec::new());
    for part in parts {
        let base = data.len() as i32;
        data.extend_from_slice(&part.data);
        offsets.extend(part.offsets.iter().skip(1).map(|at| base + at));
    }
    TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) }
}

/// The values of several calls as one column.
pub(super) fn concat(parts: Vec<Column>, of: ValueType) -> Column {
    macro_rules! numbers {
        ($variant:ident) => {
            ColumnData::$variant(
                parts
                    .iter()
                    .flat_map(|part| match &part.data {
                        ColumnData::$variant(values) => values.to_vec(),
                        _ => Vec::new(),
                    })
                    .collect::<Vec<_>>()
                    .into(),
            )
        };
    }
    let len = |part: &Column| match &part.data {
        ColumnData::F64(values) => values.len(),
        ColumnData::I64(values) => values.len(),
        ColumnData::U8(values) => values.len(),
        ColumnData::Text(text) => text.offsets.len() - 1,
        _ => 0,
    };
    let valid = parts.iter().any(|part| part.validity.is_some()).then(|| {
        parts
            .iter()
            .flat_map(|part| {
                let validity = part.validity.clone();
                (0..len(part)).map(move |row| validity.as_ref().is_none_or(|validity| validity.is_valid(row)))
            })
            .collect()
    });
    let data = match of {
        ValueType::Float64 => numbers!(F64),
        ValueType::Int64 => numbers!(I64),
        ValueType::Boolean => numbers!(U8),
        ValueType::Text => ColumnData::Text(concat_texts(parts.iter().filter_map(|part| match &part.data {
            ColumnData::Text(text) => Some(text),
            _ => None,
        }))),
    };
    Column { data, validity: valid }
}
