//! Float samples: columns, series by id, no labels.

use arrow_buffer::ToByteSlice as _;

use crate::StoreError;
use crate::head::{Column, SampleRun};
use crate::series::SeriesTable;
use crate::wal::wire::{Reader, put_len32, put_varint, unzigzag, zigzag};

const CONSTANT: u8 = 0;
const DELTAS: u8 = 1;

/// Writes a run: rows, times, start times, series ids, values.
pub(crate) fn put_samples(out: &mut Vec<u8>, run: &SampleRun, table: &SeriesTable) {
    out.reserve(16 + run.len() * 18);
    put_len32(out, run.len());
    put_column(out, &run.time_ms);
    put_column(out, &run.start_ms);
    for series in &run.series {
        out.extend_from_slice(&table.ids(*series).1.to_le_bytes());
    }
    put_doubles(out, &run.value);
}

fn put_column(out: &mut Vec<u8>, column: &Column) {
    match column {
        Column::Constant(value) => {
            out.push(CONSTANT);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Column::Each(values) => {
            out.push(DELTAS);
            let mut last = 0_i64;
            for value in values {
                put_varint(out, zigzag(value.wrapping_sub(last)));
                last = *value;
            }
        }
    }
}

/// Bits as they are: NaNs are kept.
fn put_doubles(out: &mut Vec<u8>, values: &[f64]) {
    if cfg!(target_endian = "little") {
        out.extend_from_slice(values.to_byte_slice());
    } else {
        values.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    }
}

/// Reads a run back; series unknown to the table are an error.
pub(crate) fn read_samples(bytes: &[u8], table: &SeriesTable) -> Result<SampleRun, StoreError> {
    let mut reader = Reader::new(bytes);
    let rows = reader.len32()?;
    if rows > bytes.len() / 16 {
        return Err(StoreError::damaged("samples section", format!("{rows} rows in {} bytes", bytes.len())));
    }
    let time_ms = read_column(&mut reader, rows)?;
    let start_ms = read_column(&mut reader, rows)?;
    let mut ids = Vec::with_capacity(rows);
    for _ in 0..rows {
        ids.push(reader.i64()?);
    }
    let mut value = Vec::with_capacity(rows);
    for _ in 0..rows {
        value.push(f64::from_bits(reader.u64()?));
    }
    let unknown = |id: i64| StoreError::damaged("samples section", format!("series {id} is not known"));
    let series = table.refs(&ids).into_iter().zip(&ids);
    let series = series.map(|(series, id)| series.ok_or_else(|| unknown(*id))).collect::<Result<_, _>>()?;
    Ok(SampleRun::new(series, time_ms, value, start_ms))
}

fn read_column(reader: &mut Reader<'_>, rows: usize) -> Result<Column, StoreError> {
    match reader.u8()? {
        CONSTANT => Ok(Column::Constant(reader.i64()?)),
        DELTAS => {
            let mut values = Vec::with_capacity(rows);
            let mut last = 0_i64;
            for _ in 0..rows {
                last = last.wrapping_add(unzigzag(reader.varint()?));
                values.push(last);
            }
            Ok(Column::Each(values))
        }
        other => Err(StoreError::damaged("samples section", format!("unknown column encoding {other}"))),
    }
}
