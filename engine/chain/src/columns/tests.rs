use arrow_buffer::BooleanBuffer;
use isinglass_model::columns::{Column, ColumnData};

use super::*;

/// A batch of any columns.
pub(crate) struct Fake {
    pub(crate) shape: Shape,
    pub(crate) rows: usize,
    pub(crate) columns: Vec<(&'static str, Column)>,
}

impl Columns for Fake {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        self.columns.iter().find(|(known, _)| *known == name).map(|(_, column)| column.clone())
    }

    fn bytes(&self) -> usize {
        0
    }
}

pub(crate) fn text_buffers(values: &[&str]) -> TextBuffers {
    let mut offsets = vec![0];
    let mut data = Vec::new();
    for value in values {
        data.extend_from_slice(value.as_bytes());
        offsets.push(data.len() as i32);
    }
    TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) }
}

pub(crate) fn request(slot: u16, name: &str) -> Request {
    Request { slot, name: name.to_owned(), encoding: Encoding::Values, optional: false }
}

/// One column, read back as a guest would read it.
fn read(column: &Prepared) -> Vec<String> {
    let lowered = column.lower(0);
    let valid = |row: usize| lowered.validity.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1);
    let text = |offsets: &[i32], data: &[u8], at: usize| {
        String::from_utf8(data[offsets[at] as usize..offsets[at + 1] as usize].to_vec()).unwrap()
    };
    let value = |row: usize| match lowered.data {
        DataIn::Bytes(values) => values[row].to_string(),
        DataIn::U32(values) => values[row].to_string(),
        DataIn::I64(values) => values[row].to_string(),
        DataIn::F64(values) => values[row].to_string(),
        DataIn::Fixed(fixed) => {
            format!("{:?}", &fixed.data[row * fixed.width as usize..(row + 1) * fixed.width as usize])
        }
        DataIn::Text(t) => text(t.offsets, t.data, row),
        DataIn::Dictionary(d) => text(d.offsets, d.data, d.keys[row] as usize),
        DataIn::Offsets(offsets) => format!("{}..{}", offsets[row], offsets[row + 1]),
    };
    (0..column.len()).map(|row| if valid(row) { value(row) } else { "-".to_owned() }).collect()
}

fn prepare(data: ColumnData, validity: Option<NullBuffer>) -> Prepared {
    Prepared::new(Column { data, validity }, None)
}

#[test]
fn text_of_a_slice_starts_at_0() {
    let whole = text_buffers(&["aa", "b", "", "cccc"]);
    let slice = TextBuffers { offsets: whole.offsets.slice(1, 3), data: whole.data };
    let column = prepare(ColumnData::Text(slice), None);
    assert_eq!(read(&column), ["b", ""]);
    let Data::Text(text) = &column.data else { panic!("text stays text") };
    assert_eq!((text.offsets[0], text.data.len()), (0, 1));
}

#[test]
fn keys_of_null_rows_are_0() {
    let validity = NullBuffer::from(vec![true, false, true]);
    let data = ColumnData::Dictionary { keys: vec![1, -77, 0].into(), values: text_buffers(&["x", "y"]) };
    let column = prepare(data, Some(validity));
    let Data::Dictionary { keys, .. } = &column.data else { panic!("stays a dictionary") };
    assert_eq!(&keys[..], [1, 0, 0]);
    assert_eq!(read(&column), ["y", "-", "x"]);
}

#[test]
fn an_all_null_dictionary_without_values_is_no_fault() {
    let data = ColumnData::Dictionary { keys: vec![5, 5].into(), values: text_buffers(&[]) };
    let column = prepare(data, Some(NullBuffer::new_null(2)));
    assert_eq!(read(&column), ["-", "-"]);
    assert_eq!(read(&column.slice(&(1..2))), ["-"]);
}

#[test]
fn validity_is_moved_to_bit_0() {
    let bits = BooleanBuffer::from(vec![true, true, true, false, true, false, true, true, true, false, true]);
    let validity = NullBuffer::new(bits.slice(3, 8));
    let column = prepare(ColumnData::I64(vec![0, 1, 2, 3, 4, 5, 6, 7].into()), Some(validity));
    assert_eq!(read(&column), ["-", "1", "-", "3", "4", "5", "-", "7"]);
    assert_eq!(column.lower(0).validity.unwrap().len(), 1);
    assert_eq!(read(&column.slice(&(2..5))), ["-", "3", "4"]);
}

fn rows_with_attributes() -> Fake {
    let column = |data| Column::new(data);
    Fake {
        shape: Shape::Spans,
        rows: 3,
        columns: vec![
            ("time", column(ColumnData::I64(vec![10, 20, 30].into()))),
            ("id", column(ColumnData::Fixed { width: 2, data: Buffer::from_vec(vec![1_u8, 2, 3, 4, 5, 6]) })),
            ("attr.offsets", column(ColumnData::Offsets(vec![0, 2, 2, 5].into()))),
            (
                "attr.key",
                column(ColumnData::Dictionary {
                    keys: vec![0, 1, 1, 0, 2].into(),
                    values: text_buffers(&["a", "b", "c"]),
                }),
            ),
            ("attr.value", column(ColumnData::U32(vec![1, 2, 3, 4, 5].into()))),
            ("stream.labels", column(ColumnData::U32(vec![7, 8, 9].into()))),
        ],
    }
}

#[test]
fn cuts_take_the_entries_of_their_rows() {
    let batch = rows_with_attributes();
    let mut offered = Offered::new(&batch);
    let names = ["time", "id", "attr.offsets", "attr.key", "attr.value", "stream.labels"];
    let requests: Vec<_> = names.iter().zip(0..).map(|(name, slot)| request(slot, name)).collect();
    let columns = offered.project(&requests).unwrap();
    let cut = |rows| columns.iter().map(|(_, column)| read(&column.slice(&rows))).collect::<Vec<_>>();
    let last = cut(1..3);
    assert_eq!(last[0], ["20", "30"]);
    assert_eq!(last[1], ["[3, 4]", "[5, 6]"]);
    assert_eq!(last[2], ["0..0", "0..3"]);
    assert_eq!(last[3], ["b", "a", "c"]);
    assert_eq!(last[4], ["3", "4", "5"]);
    assert_eq!(last[5], ["8", "9"]);
}

#[test]
fn a_missing_column_hides_the_batch_unless_it_is_optional() {
    let batch = rows_with_attributes();
    let mut offered = Offered::new(&batch);
    assert!(offered.project(&[request(0, "time"), request(1, "nope")]).is_none());
    let optional = Request { optional: true, ..request(1, "nope") };
    let columns = offered.project(&[request(0, "time"), optional]).unwrap();
    assert_eq!(columns.len(), 1);
}

#[test]
fn large_dictionaries_are_compacted_in_cuts() {
    let values: Vec<String> = (0..20_000).map(|n| format!("value-{n}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let keys: Vec<i32> = vec![19_999, 3, 3, 0, 19_999];
    let column = prepare(ColumnData::Dictionary { keys: keys.into(), values: text_buffers(&values) }, None);
    let cut = column.slice(&(1..5));
    assert_eq!(read(&cut), ["value-3", "value-3", "value-0", "value-19999"]);
    let Data::Dictionary { values, .. } = &cut.data else { panic!("stays a dictionary") };
    assert_eq!(values.len(), 3);
}
