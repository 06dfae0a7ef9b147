//! The attributes of rows, as plugins see them: keys and the lengths of values.

use anyhow::Context as _;
use arrow_buffer::Buffer;
use isinglass_model::batch::AttributeIndex;
use isinglass_model::columns::TextBuffers;
use toml::Value;

pub(super) fn index(rows: &[(usize, &toml::Table)]) -> anyhow::Result<AttributeIndex> {
    let (mut offsets, mut keys, mut lengths) = (vec![0_i32], Vec::new(), Vec::new());
    let mut distinct: Vec<&str> = Vec::new();
    for (at, row) in rows {
        let given = match row.get("attributes") {
            None => None,
            Some(given) => Some(
                given.as_table().with_context(|| format!("row {}: attributes must be a table", at + 1))?,
            ),
        };
        for (key, value) in given.into_iter().flatten() {
            let known = distinct.iter().position(|known| known == key).unwrap_or_else(|| {
                distinct.push(key);
                distinct.len() - 1
            });
            keys.push(i32::try_from(known)?);
            lengths.push(u32::try_from(bytes(value))?);
        }
        offsets.push(i32::try_from(keys.len())?);
    }
    Ok(AttributeIndex {
        offsets: offsets.into(),
        keys: keys.into(),
        key_values: texts(&distinct)?,
        value_lengths: lengths.into(),
    })
}

/// Bytes of a value: of text itself, of anything else as JSON.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        other => serde_json::to_string(other).map_or(0, |text| text.len()),
    }
}

fn texts(values: &[&str]) -> anyhow::Result<TextBuffers> {
    let mut offsets = vec![0_i32];
    let mut data = Vec::new();
    for value in values {
        data.extend_from_slice(value.as_bytes());
        offsets.push(i32::try_from(data.len())?);
    }
    Ok(TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) })
}
