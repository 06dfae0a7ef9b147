//! Joined columns have what the columns of the parts have, one behind the other.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

/// A batch of columns by name.
#[derive(Debug, Clone, Default)]
struct Table {
    rows: usize,
    columns: Vec<(&'static str, Column)>,
}

impl Columns for Table {
    fn shape(&self) -> Shape {
        Shape::Spans
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        self.columns.iter().find(|(of, _)| *of == name).map(|(_, column)| column.clone())
    }

    fn bytes(&self) -> usize {
        self.rows
    }
}

fn texts_of(values: &[&str]) -> TextBuffers {
    let mut offsets = vec![0];
    let mut data = Vec::new();
    for value in values {
        data.extend_from_slice(value.as_bytes());
        offsets.push(data.len() as i32);
    }
    TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) }
}

/// Entries as text; `None` where they are null.
fn shown(column: &Column) -> Vec<Option<String>> {
    let text = |texts: &TextBuffers, at: usize| {
        let (from, to) = (texts.offsets[at] as usize, texts.offsets[at + 1] as usize);
        String::from_utf8(texts.data[from..to].to_vec()).unwrap()
    };
    let value = |at: usize| match &column.data {
        ColumnData::U8(values) => values[at].to_string(),
        ColumnData::U32(values) => values[at].to_string(),
        ColumnData::I64(values) => values[at].to_string(),
        ColumnData::F64(values) => values[at].to_string(),
        ColumnData::Fixed { width, data } => {
            format!("{:?}", &data[at * *width as usize..(at + 1) * *width as usize])
        }
        ColumnData::Text(texts) => text(texts, at),
        ColumnData::Dictionary { keys, values } => text(values, keys[at] as usize),
        ColumnData::Offsets(offsets) => (offsets[at + 1] - offsets[at]).to_string(),
    };
    let valid = |at: &usize| column.validity.as_ref().is_none_or(|valid| valid.is_valid(*at));
    (0..len(&column.data)).map(|at| valid(&at).then(|| value(at))).collect()
}

const NAMES: [&str; 4] = ["a", "bb", "", "c"];

/// A batch of rows of a number and of which text each has, and of attributes; columns may be missing.
fn table() -> impl Strategy<Value = Table> {
    let row = (option::of(any::<i64>()), option::of(0_usize..4), vec(0_usize..4, 0..3));
    (vec(row, 0..20), any::<[bool; 3]>()).prop_map(|(rows, there)| {
        let mut columns = Vec::new();
        if there[0] {
            let values: ScalarBuffer<i64> = rows.iter().map(|row| row.0.unwrap_or(7)).collect();
            let validity: NullBuffer = rows.iter().map(|row| row.0.is_some()).collect();
            let validity = (validity.null_count() > 0).then_some(validity);
            columns.push(("number", Column { data: ColumnData::I64(values), validity }));
        }
        if there[1] {
            // A null row points to where there is nothing.
            let keys: ScalarBuffer<i32> = rows.iter().map(|row| row.1.map_or(99, |at| at as i32)).collect();
            let validity: NullBuffer = rows.iter().map(|row| row.1.is_some()).collect();
            let data = ColumnData::Dictionary { keys, values: texts_of(&NAMES) };
            columns.push(("text", Column { data, validity: Some(validity) }));
        }
        if there[2] {
            let mut ends = vec![3_i32];
            ends.extend(rows.iter().scan(3, |end, row| {
                *end += row.2.len() as i32;
                Some(*end)
            }));
            let values: Vec<&str> = rows.iter().flat_map(|row| &row.2).map(|at| NAMES[*at]).collect();
            columns.push(("attr.offsets", Column::new(ColumnData::Offsets(ends.into()))));
            columns.push(("attr.value", Column::new(ColumnData::Text(texts_of(&values)))));
        }
        Table { rows: rows.len(), columns }
    })
}

/// What a column of the parts comes to if each part that lacks it has nothing in it.
fn wanted(parts: &[Table], name: &str) -> Option<Vec<Option<String>>> {
    let found: Vec<_> = parts.iter().map(|part| part.column(name, Encoding::Values)).collect();
    found.iter().any(Option::is_some).then_some(())?;
    let of = |(part, column): (&Table, &Option<Column>)| match (column, name) {
        (Some(column), _) => shown(column),
        (None, "attr.offsets") => vec![Some("0".to_owned()); part.rows],
        (None, "attr.value") => Vec::new(),
        (None, _) => vec![None; part.rows],
    };
    Some(parts.iter().zip(&found).flat_map(of).collect())
}

proptest! {
    #[test]
    fn joined_columns_are_those_of_the_parts(parts in vec(table(), 1..6)) {
        let boxed = parts.iter().map(|part| Box::new(part.clone()) as Box<dyn Columns>).collect();
        let joined = Joined::new(boxed).unwrap();
        prop_assert_eq!(joined.rows(), parts.iter().map(|part| part.rows).sum::<usize>());
        for name in ["number", "text", "attr.offsets", "attr.value", "none"] {
            let found = joined.column(name, Encoding::Values);
            prop_assert_eq!(found.as_ref().map(shown), wanted(&parts, name), "{}", name);
            if let Some(Column { data: ColumnData::Dictionary { values, .. }, .. }) = found {
                prop_assert!(values.offsets.len() <= NAMES.len() + 1, "values that come again are there once");
            }
        }
    }
}

#[test]
fn all_kinds_of_columns() {
    let part = |values: &[u8]| {
        let column = |data| Column::new(data);
        let columns = vec![
            ("u8", column(ColumnData::U8(values.to_vec().into()))),
            ("u32", column(ColumnData::U32(values.iter().map(|v| u32::from(*v)).collect()))),
            ("f64", column(ColumnData::F64(values.iter().map(|v| f64::from(*v)).collect()))),
            ("fixed", column(ColumnData::Fixed { width: 1, data: Buffer::from_vec(values.to_vec()) })),
        ];
        Table { rows: values.len(), columns }
    };
    let none = Table { rows: 2, columns: Vec::new() };
    let parts: Vec<Table> = vec![part(&[1, 2]), none, part(&[3])];
    let joined = Joined::new(parts.iter().map(|part| Box::new(part.clone()) as _).collect()).unwrap();
    for name in ["u8", "u32", "f64", "fixed"] {
        let found = joined.column(name, Encoding::Values).unwrap();
        assert_eq!(Some(shown(&found)), wanted(&parts, name), "{name}");
        assert_eq!(shown(&found).iter().filter(|value| value.is_none()).count(), 2);
    }
    assert_eq!(joined.bytes(), 5);
}

#[test]
fn nothing_and_two_kinds_are_not_joined() {
    assert!(Joined::new(Vec::new()).is_none());
    let one = |data| Table { rows: 1, columns: vec![("a", Column::new(data))] };
    let parts: [Table; 2] = [one(ColumnData::U8(vec![1].into())), one(ColumnData::I64(vec![1].into()))];
    let joined = Joined::new(parts.map(|part| Box::new(part) as _).into()).unwrap();
    assert!(joined.column("a", Encoding::Values).is_none());
}
