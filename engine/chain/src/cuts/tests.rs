use isinglass_model::columns::{Column, ColumnData, Shape};
use proptest::prelude::*;

use super::*;
use crate::columns::Offered;
use crate::columns::tests::{Fake, request, text_buffers};

fn check(batch: &Fake, size: CallSize, verify: impl FnOnce(&[(u16, &Prepared)], &[Range<usize>])) {
    let mut offered = Offered::new(batch);
    let requests: Vec<_> =
        batch.columns.iter().zip(0..).map(|((name, _), slot)| request(slot, name)).collect();
    let columns = offered.project(&requests).unwrap();
    let cuts = cuts(batch.rows, &columns, size);
    let mut next = 0;
    for cut in &cuts {
        assert_eq!(cut.start, next, "without a gap");
        assert!(!cut.is_empty() && cut.len() <= size.rows_max.max(1));
        next = cut.end;
    }
    assert_eq!(next, batch.rows, "to the end");
    verify(&columns, &cuts);
}

fn numbers(rows: usize) -> Fake {
    Fake {
        shape: Shape::Spans,
        rows,
        columns: vec![("time", Column::new(ColumnData::I64(vec![1; rows].into())))],
    }
}

#[test]
fn small_batches_are_one_call() {
    let size = CallSize { rows_max: 100, bytes_max: 8_000 };
    check(&numbers(100), size, |_, cuts| assert_eq!(cuts, [0..100]));
    check(&numbers(101), size, |_, cuts| assert_eq!(cuts, [0..100, 100..101]));
    let narrow = CallSize { rows_max: 100, bytes_max: 400 };
    check(&numbers(100), narrow, |_, cuts| assert_eq!(cuts, [0..50, 50..100]));
}

#[test]
fn a_row_over_the_size_is_a_call_of_its_own() {
    let long = "x".repeat(1_000);
    let column = Column::new(ColumnData::Text(text_buffers(&["a", &long, "b", "c"])));
    let batch = Fake { shape: Shape::Logs, rows: 4, columns: vec![("body", column)] };
    check(&batch, CallSize { rows_max: 10, bytes_max: 100 }, |_, cuts| assert_eq!(cuts, [0..1, 1..2, 2..4]));
}

proptest! {
    #[test]
    fn cuts_stay_within_their_size(
        lengths in prop::collection::vec(0_usize..3_000, 1..200),
        keys in prop::collection::vec(0_i32..100, 200),
        rows_max in 1_usize..64,
    ) {
        let values: Vec<String> = lengths.iter().map(|length| "y".repeat(*length)).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let wide: Vec<String> = (0..100).map(|n| format!("{n}-{}", "z".repeat(1_500))).collect();
        let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
        let rows = values.len();
        let batch = Fake {
            shape: Shape::Logs,
            rows,
            columns: vec![
                ("body", Column::new(ColumnData::Text(text_buffers(&values)))),
                ("name", Column::new(ColumnData::Dictionary {
                    keys: keys[..rows].to_vec().into(),
                    values: text_buffers(&wide),
                })),
            ],
        };
        let size = CallSize { rows_max, bytes_max: 20_000 };
        check(&batch, size, |columns, cuts| {
            for cut in cuts.iter().filter(|cut| cut.len() > 1) {
                let whole = *cut == (0..rows);
                let bytes: usize = columns.iter().map(|(_, column)| {
                    let slice = column.slice(cut);
                    let values = slice.large_dictionary().map_or(0, |(_, values)| values.data.len());
                    slice.bytes_of(&(0..cut.len())) + values
                }).sum();
                // Values of a large dictionary are counted row by row: one row more may be in.
                assert!(whole || bytes <= size.bytes_max + 3_200, "{cut:?} has {bytes}");
            }
        });
    }
}
