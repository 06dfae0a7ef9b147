use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, BooleanArray, DictionaryArray, RecordBatch};
use arrow_schema::Field;
use datafusion::physical_expr::expressions::{IsNullExpr, LikeExpr, binary, col, lit};
use datafusion::physical_expr_adapter::DefaultPhysicalExprAdapterFactory;

use super::*;

fn read() -> Schema {
    let fields = ["a", "b", "c"].map(|name| Field::new(name, DataType::Utf8View, true));
    Schema::new(fields.into_iter().chain([Field::new("n", DataType::Int64, true)]).collect::<Vec<_>>())
}

fn text(text: &str) -> Arc<dyn PhysicalExpr> {
    lit(ScalarValue::Utf8View(Some(text.to_owned())))
}

fn compare(name: &str, op: Operator, value: Arc<dyn PhysicalExpr>) -> Arc<dyn PhysicalExpr> {
    binary(col(name, &read()).unwrap(), op, value, &read()).unwrap()
}

#[test]
fn columns_that_are_only_compared() {
    let read = read();
    let check = |filters: &[Arc<dyn PhysicalExpr>], want: &[&str]| {
        let mut found: Vec<_> = columns(filters, &read).unwrap().into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, want, "{filters:?}");
    };
    let equal = |name| compare(name, Operator::Eq, text("x"));
    let like: Arc<dyn PhysicalExpr> =
        Arc::new(LikeExpr::new(false, false, col("a", &read).unwrap(), text("x%")));
    check(&[], &[]);
    check(&[equal("a"), compare("b", Operator::NotEq, text("y"))], &["a", "b"]);
    check(&[binary(equal("a"), Operator::Or, equal("c"), &read).unwrap()], &["a", "c"]);
    check(&[compare("n", Operator::Eq, lit(1_i64)), compare("a", Operator::Lt, text("x"))], &[]);
    // Also asked for otherwise: it would be made text again for each row.
    check(&[equal("a"), like], &[]);
    check(&[equal("a"), Arc::new(IsNullExpr::new(col("a", &read).unwrap()))], &[]);
    check(&[compare("a", Operator::Eq, col("b", &read).unwrap())], &[]);
}

#[test]
fn keys_are_compared_as_text_would_be() {
    let keys: DictionaryArray<Int32Type> = [Some("x"), None, Some("y"), Some("x")].into_iter().collect();
    let file = RecordBatch::try_from_iter_with_nullable([("a", Arc::new(keys) as ArrayRef, true)]).unwrap();
    let adapter = ByKeys(Arc::new(DefaultPhysicalExprAdapterFactory));
    let adapter = adapter.create(Arc::new(read()), file.schema()).unwrap();
    let check = |filter: Arc<dyn PhysicalExpr>, shown: &str, want: [Option<bool>; 4]| {
        let adapted = adapter.rewrite(filter).unwrap();
        assert_eq!(adapted.to_string(), shown);
        let found = adapted.evaluate(&file).unwrap().into_array(4).unwrap();
        assert_eq!(found.as_ref(), &BooleanArray::from(want.to_vec()));
    };
    check(compare("a", Operator::Eq, text("x")), "a@0 = x", [Some(true), None, Some(false), Some(true)]);
    check(compare("a", Operator::NotEq, text("x")), "a@0 != x", [Some(false), None, Some(true), Some(false)]);
    check(compare("a", Operator::Eq, text("")), "a@0 = ", [Some(false), None, Some(false), Some(false)]);
    let less = compare("a", Operator::Lt, text("y"));
    check(less, "CAST(a@0 AS Utf8View) < y", [Some(true), None, Some(false), Some(true)]);
}
