//! Spans of 10 attributes, all columns shared with the batch as decode makes it.

use arrow_buffer::{Buffer, ScalarBuffer};
use isinglass_model::columns::{Column, ColumnData, Columns, Encoding, Shape, TextBuffers};

pub(crate) const NOW: i64 = 1_767_225_600_000_000_000;
const ATTRIBUTES: usize = 10;

/// The columns that a validator of spans may want.
pub(crate) struct Spans {
    rows: usize,
    columns: Vec<(&'static str, ColumnData)>,
}

impl Spans {
    pub(crate) fn new(rows: usize) -> Self {
        let ids = |width: usize| {
            let id = |row: usize| (0..width).map(move |byte| (row >> (byte % 8)) as u8 | 1);
            ColumnData::Fixed {
                width: u32::try_from(width).unwrap_or_default(),
                data: Buffer::from_vec((0..rows).flat_map(id).collect::<Vec<u8>>()),
            }
        };
        let entries = rows * ATTRIBUTES;
        // Each span has ten of thirty keys, beginning anywhere.
        let key = |entry: usize| ((entry / ATTRIBUTES * 7 + entry % ATTRIBUTES) % (3 * ATTRIBUTES)) as i32;
        let names = dictionary(rows, |row| row as i32 % 10, 10, "GET /api");
        let columns = vec![
            ("time", ColumnData::I64((0..rows).map(|row| NOW + row as i64).collect())),
            ("trace_id", ids(16)),
            ("span_id", ids(8)),
            ("name", names),
            ("attr.offsets", ColumnData::Offsets((0..=rows).map(|row| (row * ATTRIBUTES) as i32).collect())),
            ("attr.key", dictionary(entries, key, 3 * ATTRIBUTES, "http.attribute.")),
            ("attr.value", ColumnData::U32((0..entries).map(|entry| 10 + entry as u32 % 20).collect())),
        ];
        Self { rows, columns }
    }
}

fn dictionary(rows: usize, key: impl Fn(usize) -> i32, distinct: usize, prefix: &str) -> ColumnData {
    let (mut offsets, mut data) = (vec![0], Vec::new());
    for at in 0..distinct {
        data.extend_from_slice(format!("{prefix}{at}").as_bytes());
        offsets.push(data.len() as i32);
    }
    let values = TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) };
    ColumnData::Dictionary { keys: (0..rows).map(key).collect::<ScalarBuffer<i32>>(), values }
}

impl Columns for Spans {
    fn shape(&self) -> Shape {
        Shape::Spans
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        let column = self.columns.iter().find(|(known, _)| *known == name)?;
        Some(Column::new(column.1.clone()))
    }

    fn bytes(&self) -> usize {
        0
    }
}
