use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array};
use arrow_schema::{Field, SortOptions};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::EmitTo;
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use proptest::prelude::*;

use super::*;

/// Rows of one batch: group, value, and whether the filter lets it pass.
type Rows = Vec<(usize, Option<f64>, bool)>;

fn theirs(name: &str) -> Arc<AggregateUDF> {
    let all = SessionStateDefaults::default_aggregate_functions();
    all.into_iter().find(|function| function.name() == name).unwrap()
}

/// Calls `with` with the arguments of a call on a column of a type.
fn call<R>(
    constants: &[ScalarValue],
    ty: &DataType,
    descending: bool,
    with: impl FnOnce(AccumulatorArgs<'_>) -> R,
) -> R {
    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new("value", 0));
    let schema = Schema::new(vec![Field::new("value", ty.clone(), true)]);
    let constants = || constants.iter().cloned();
    let mut exprs = vec![Arc::clone(&column)];
    exprs.extend(constants().map(|value| Arc::new(Literal::new(value)) as Arc<dyn PhysicalExpr>));
    let mut fields: Vec<FieldRef> = vec![Arc::new(Field::new("value", ty.clone(), true))];
    fields.extend(constants().map(|value| Arc::new(Field::new("", value.data_type(), true))));
    with(AccumulatorArgs {
        return_field: Arc::new(Field::new("", ty.clone(), true)),
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[PhysicalSortExpr::new(column, SortOptions { descending, nulls_first: false })],
        is_reversed: false,
        name: "",
        is_distinct: false,
        exprs: &exprs,
        expr_fields: &fields,
    })
}

fn ours(share: f64) -> Box<dyn GroupsAccumulator> {
    let ours = wrap(theirs("approx_percentile_cont"));
    call(&[ScalarValue::from(share)], &DataType::Float64, false, |args| {
        ours.create_groups_accumulator(args).unwrap()
    })
}

fn columns(rows: &Rows) -> (ArrayRef, Vec<usize>, BooleanArray) {
    let values: Float64Array = rows.iter().map(|row| row.1).collect();
    (Arc::new(values), rows.iter().map(|row| row.0).collect(), rows.iter().map(|row| Some(row.2)).collect())
}

fn update(accumulator: &mut dyn GroupsAccumulator, rows: &Rows, total: usize) {
    let (values, groups, filter) = columns(rows);
    accumulator.update_batch(&[values], &groups, Some(&filter), total).unwrap();
}

/// By partial accumulators, one for each part, whose states go to a final one in two pieces.
fn in_two_stages(share: f64, parts: &[Vec<Rows>], total: usize) -> ArrayRef {
    let all: Vec<usize> = (0..total).collect();
    let mut last = ours(share);
    for part in parts {
        let mut first = ours(share);
        part.iter().for_each(|rows| update(first.as_mut(), rows, total));
        let head = first.state(EmitTo::First(total / 2)).unwrap();
        last.merge_batch(&head, &all[..total / 2], total).unwrap();
        let tail = first.state(EmitTo::All).unwrap();
        last.merge_batch(&tail, &all[total / 2..], total).unwrap();
    }
    last.evaluate(EmitTo::All).unwrap()
}

/// Each row as a state of its own, as DataFusion does where groups hardly repeat.
fn row_by_row(share: f64, parts: &[Vec<Rows>], total: usize) -> ArrayRef {
    let (first, mut last) = (ours(share), ours(share));
    for rows in parts.iter().flatten() {
        let (values, groups, filter) = columns(rows);
        let states = first.convert_to_state(&[values], Some(&filter)).unwrap();
        last.merge_batch(&states, &groups, total).unwrap();
    }
    last.evaluate(EmitTo::All).unwrap()
}

/// DataFusion's accumulator, fed with the values of one group batch by batch.
fn upstream(share: f64, parts: &[Vec<Rows>], group: usize) -> Option<f64> {
    let theirs = theirs("approx_percentile_cont");
    let mut accumulator = call(&[ScalarValue::from(share)], &DataType::Float64, false, |args| {
        theirs.accumulator(args).unwrap()
    });
    for rows in parts.iter().flatten() {
        let values: Float64Array = values_of(rows, group).into_iter().map(Some).collect();
        accumulator.update_batch(&[Arc::new(values)]).unwrap();
    }
    match accumulator.evaluate().unwrap() {
        ScalarValue::Float64(value) => value,
        other => panic!("{other:?}"),
    }
}

fn values_of(rows: &Rows, group: usize) -> Vec<f64> {
    let of = rows.iter().filter(|row| row.0 == group && row.2);
    of.filter_map(|row| row.1).collect()
}

/// How far the share of values below an answer is from the one asked for.
fn rank_error(sorted: &[f64], answer: f64, share: f64) -> f64 {
    let below = sorted.partition_point(|value| *value < answer) as f64;
    let not_above = sorted.partition_point(|value| *value <= answer) as f64;
    let rank = share * sorted.len() as f64;
    (below - rank).max(rank - not_above).max(0.0) / sorted.len() as f64
}

fn get(array: &ArrayRef, row: usize) -> Option<f64> {
    let array = array.as_primitive::<Float64Type>();
    array.is_valid(row).then(|| array.value(row))
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1000.0_f64,
        2 => (0.0..20.0_f64).prop_map(f64::exp),
        1 => (0_i32..10).prop_map(f64::from),
        1 => -5.0..5.0_f64,
    ]
}

fn parts(rows_max: usize) -> impl Strategy<Value = Vec<Vec<Rows>>> {
    let row = (0_usize..3, proptest::option::weighted(0.95, value()), prop::bool::weighted(0.95));
    let rows = proptest::collection::vec(row, 0..rows_max);
    proptest::collection::vec(proptest::collection::vec(rows, 1..8), 1..4)
}

fn share() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.5), Just(0.99), Just(0.0), Just(1.0), Just(0.001), 0.0..=1.0_f64]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Off by a hundredth of the values at most, or by less than DataFusion; a group without
    /// values is null. Group 3 never has any.
    #[test]
    fn answers_are_as_exact_as_before(parts in parts(400), share in share()) {
        for found in [in_two_stages(share, &parts, 4), row_by_row(share, &parts, 4)] {
            prop_assert_eq!(found.len(), 4);
            for group in 0..4 {
                let mut values: Vec<f64> =
                    parts.iter().flatten().flat_map(|rows| values_of(rows, group)).collect();
                values.sort_by(f64::total_cmp);
                let (ours, theirs) = (get(&found, group), upstream(share, &parts, group));
                prop_assert_eq!(ours.is_none(), values.is_empty());
                prop_assert_eq!(theirs.is_none(), values.is_empty());
                let (Some(ours), Some(theirs)) = (ours, theirs) else { continue };
                let bound = 0.01_f64.max(1.0 / values.len() as f64);
                let (error, before) = (rank_error(&values, ours, share), rank_error(&values, theirs, share));
                prop_assert!(error <= bound.max(before), "{} of {}: {} before {}", share, values.len(), error, before);
            }
        }
    }

    /// Few values are never put together, by DataFusion neither: the same answer, also of numbers
    /// that are none.
    #[test]
    fn small_groups_answer_as_before(
        values in proptest::collection::vec(prop_oneof![
            6 => value(),
            1 => Just(f64::INFINITY), 1 => Just(f64::NEG_INFINITY), 1 => Just(f64::NAN), 1 => Just(-0.0), 1 => Just(0.0),
        ], 0..40),
        share in share(),
    ) {
        let rows: Rows = values.iter().map(|value| (0, Some(*value), true)).collect();
        let parts = [vec![rows]];
        let theirs = upstream(share, &parts, 0);
        for found in [in_two_stages(share, &parts, 2), row_by_row(share, &parts, 2)] {
            let ours = get(&found, 0);
            let same = ours == theirs || ours.zip(theirs).is_some_and(|(a, b)| a.is_nan() && b.is_nan());
            prop_assert!(same, "{:?} before {:?}", ours, theirs);
        }
    }

    /// Groups that come in order leave early; what is left goes on.
    #[test]
    fn groups_can_leave_one_by_one(parts in parts(60), share in share()) {
        let batches: Vec<Rows> = parts.into_iter().flatten().collect();
        let mut whole = ours(share);
        batches.iter().for_each(|rows| update(whole.as_mut(), rows, 3));
        let whole = whole.evaluate(EmitTo::All).unwrap();
        let mut left = ours(share);
        for group in 0..3 {
            for rows in &batches {
                let rows: Rows =
                    rows.iter().filter(|row| row.0 == group).map(|row| (0, row.1, row.2)).collect();
                update(left.as_mut(), &rows, 1);
            }
            let one = left.evaluate(EmitTo::First(1)).unwrap();
            prop_assert_eq!(one.len(), 1);
            prop_assert_eq!(get(&one, 0), get(&whole, group));
        }
    }
}

#[test]
fn large_groups_take_bounded_memory() {
    let mut accumulator = ours(0.9);
    for batch in 0..200 {
        let rows: Rows =
            (0..1_000).map(|row| (row % 2, Some(f64::from((row * batch) as u32)), true)).collect();
        update(accumulator.as_mut(), &rows, 2);
        assert!(accumulator.size() < 120_000, "{} bytes after {batch} batches", accumulator.size());
    }
    drop(accumulator.evaluate(EmitTo::All).unwrap());
    assert!(accumulator.size() < 1_000);
}

#[test]
fn the_order_of_rows_decides_the_answer_and_nothing_else() {
    let rows: Rows =
        (0..20_000).map(|row| (row % 7, Some(f64::from((row as u32 * 7919) % 10_007)), true)).collect();
    let parts = [rows.chunks(777).map(<[_]>::to_vec).collect::<Vec<Rows>>()];
    assert_eq!(&in_two_stages(0.9, &parts, 7), &in_two_stages(0.9, &parts, 7));
}

#[test]
fn types_and_order_are_theirs() {
    for ty in [DataType::Float16, DataType::Float32, DataType::Float64] {
        for (descending, expected) in [(false, 9.0), (true, 2.0)] {
            let ours = wrap(theirs("approx_percentile_cont"));
            let mut accumulator = call(&[ScalarValue::from(0.85)], &ty, descending, |args| {
                ours.create_groups_accumulator(args).unwrap()
            });
            let values: Float64Array = (1..=10).map(|value| Some(f64::from(value))).collect();
            let values = arrow_cast::cast(&values, &ty).unwrap();
            accumulator.update_batch(&[values], &[0; 10], None, 1).unwrap();
            let found = accumulator.evaluate(EmitTo::All).unwrap();
            assert_eq!(found.data_type(), &ty);
            let found = arrow_cast::cast(&found, &DataType::Float64).unwrap();
            assert_eq!(get(&found, 0), Some(expected), "{ty} {descending}");
        }
    }
}

/// A call that DataFusion refuses is refused in the same words.
#[test]
fn refusals_are_theirs() {
    let calls: [&[ScalarValue]; 5] = [
        &[ScalarValue::from(1.5)],
        &[ScalarValue::Float64(None)],
        &[ScalarValue::from("half")],
        &[ScalarValue::from(0.5), ScalarValue::from(0_i64)],
        &[ScalarValue::from(0.5), ScalarValue::Int64(None)],
    ];
    let theirs = theirs("approx_percentile_cont");
    let ours = wrap(Arc::clone(&theirs));
    for constants in calls {
        let text = |error: datafusion::common::DataFusionError| error.strip_backtrace();
        let ty = DataType::Float64;
        let before = call(constants, &ty, false, |args| theirs.accumulator(args).map(drop)).map_err(text);
        let now = call(constants, &ty, false, |args| ours.create_groups_accumulator(args).map(drop));
        assert!(before.is_err(), "{constants:?}");
        assert_eq!(now.map_err(text), before);
    }
}

#[test]
fn centroids_are_bounded() {
    for (name, constants) in [
        ("approx_percentile_cont", vec![ScalarValue::from(0.5), ScalarValue::from(1_i64 << 50)]),
        (
            "approx_percentile_cont_with_weight",
            vec![ScalarValue::from(1.0), ScalarValue::from(0.5), ScalarValue::from(10_001_i64)],
        ),
    ] {
        let ours = wrap(theirs(name));
        let refused = call(&constants, &DataType::Float64, false, |args| ours.accumulator(args).map(drop));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("of at most 10000"), "{text}");
    }
}
