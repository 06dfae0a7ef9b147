use arrow_array::cast::AsArray;
use arrow_array::{BooleanArray, TimestampMicrosecondArray};
use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, binary, in_list, lit};
use proptest::prelude::*;

use super::*;

fn columns() -> Vec<Option<Arc<dyn PhysicalExpr>>> {
    let of = |conversion, name, index| {
        Some(Arc::new(ShownExpr::of(conversion, Arc::new(Column::new(name, index)))) as Arc<dyn PhysicalExpr>)
    };
    vec![
        of(Conversion::Hex, "trace_id", 7),
        of(Conversion::Nanos, "time", 0),
        of(Conversion::Micros, "sampled", 2),
        None,
    ]
}

fn shown_schema() -> Schema {
    Schema::new(vec![
        Field::new("trace_id", DataType::Utf8, true),
        Field::new("time", super::super::convert::nanos_type(), false),
        Field::new("sampled", super::super::convert::nanos_type(), false),
        Field::new("label", DataType::Utf8, true),
    ])
}

fn column(index: usize) -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new(shown_schema().field(index).name(), index))
}

fn compare(index: usize, op: Operator, constant: ScalarValue) -> Arc<dyn PhysicalExpr> {
    binary(column(index), op, lit(constant), &shown_schema()).unwrap()
}

fn check(filter: Arc<dyn PhysicalExpr>, wanted: Option<&str>) {
    let got = to_files(&filter, &columns()).unwrap().map(|filter| filter.to_string());
    assert_eq!(got.as_deref(), wanted, "{filter}");
}

fn text(text: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(text.to_owned()))
}

fn at_nanos(nanos: i64) -> ScalarValue {
    ScalarValue::TimestampNanosecond(Some(nanos), Some(Arc::clone(&UTC)))
}

#[test]
fn hex() {
    check(compare(0, Operator::Eq, text("0aff")), Some("trace_id@7 = 0AFF"));
    check(compare(0, Operator::GtEq, text("0a")), Some("trace_id@7 >= 0A"));
    check(compare(0, Operator::Eq, text("0AFF")), Some("hex(trace_id@7) = 0AFF"));
    check(compare(0, Operator::Eq, text("0af")), Some("hex(trace_id@7) = 0af"));
    let list = |entries: &[&str]| {
        let entries = entries.iter().map(|entry| lit(text(entry))).collect();
        in_list(column(0), entries, &false, &shown_schema()).unwrap()
    };
    check(list(&["0a", "ff"]), Some("trace_id@7 IN (SET) ([0A, FF])"));
    check(list(&["0a", "x"]), Some("hex(trace_id@7) IN (SET) ([0a, x])"));
    check(Arc::new(IsNullExpr::new(column(0))), Some("trace_id@7 IS NULL"));
}

#[test]
fn times() {
    check(compare(1, Operator::Lt, at_nanos(5)), Some("time@0 < 5"));
    check(compare(2, Operator::Eq, at_nanos(5_000)), Some("sampled@2 = 5"));
    check(compare(2, Operator::Eq, at_nanos(5_001)), Some("micros(sampled@2) = 5001"));
}

#[test]
fn unknown_columns_stay_above() {
    check(compare(3, Operator::Eq, text("x")), None);
    let both = binary(
        compare(0, Operator::Eq, text("0a")),
        Operator::And,
        compare(3, Operator::Eq, text("x")),
        &shown_schema(),
    );
    check(both.unwrap(), None);
}

#[test]
fn dynamic_filters_follow_their_changes() {
    let dynamic = Arc::new(DynamicFilterPhysicalExpr::new(vec![column(0)], lit(true)));
    let filter = to_files(&(Arc::clone(&dynamic) as _), &columns()).unwrap().unwrap();
    assert!(DynamicFilterTracking::classify(&filter).contains_dynamic_filter());
    let now = || snapshot_physical_expr(Arc::clone(&filter)).unwrap().to_string();
    assert_eq!(now(), "true");
    dynamic.update(compare(0, Operator::GtEq, text("0aff"))).unwrap();
    assert_eq!(now(), "trace_id@7 >= 0AFF");
    dynamic.update(compare(0, Operator::Eq, text("ff"))).unwrap();
    assert_eq!(now(), "trace_id@7 = FF");
}

proptest! {
    /// The same microseconds pass.
    #[test]
    fn bounds_between_microseconds(micros in -3_i64..3, nanos in -3_500_i64..3_500, at in 0_usize..4) {
        let op = [Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq][at];
        let filter = to_files(&compare(2, op, at_nanos(nanos)), &columns()).unwrap().unwrap();
        prop_assert!(filter.to_string().starts_with("sampled@2 "), "{}", filter);
        let times = Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC")) as _;
        let columns = [("a", Arc::clone(&times)), ("b", Arc::clone(&times)), ("sampled", times)];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let passed = filter.evaluate(&batch).unwrap().into_array(1).unwrap();
        let passed: &BooleanArray = passed.as_boolean();
        let wanted = match op {
            Operator::Lt => micros * 1_000 < nanos,
            Operator::LtEq => micros * 1_000 <= nanos,
            Operator::Gt => micros * 1_000 > nanos,
            _ => micros * 1_000 >= nanos,
        };
        prop_assert_eq!(passed.value(0), wanted);
    }
}
