use arrow_buffer::NullBuffer;
use isinglass_model::Tenant;
use isinglass_model::batch::SeriesBatch;
use isinglass_model::columns::{Column, ColumnData, Shape};
use isinglass_model::labels::{LabelSet, Temporality};
use serde_json::{Value, json};

use super::*;
use crate::columns::Offered;
use crate::columns::tests::{Fake, text_buffers};

fn when(value: Value) -> When {
    serde_json::from_value(value).unwrap()
}

fn condition(value: Value) -> Condition {
    let when = when(value);
    when.check().unwrap();
    Condition::new(&when).unwrap()
}

#[test]
fn patterns() {
    let check = |pattern: &str, fits: &[&str], misses: &[&str]| {
        let made = Pattern::parse(pattern).unwrap();
        fits.iter().for_each(|text| assert!(made.fits(Some(text)), "{pattern} {text}"));
        misses.iter().for_each(|text| assert!(!made.fits(Some(text)), "{pattern} {text}"));
    };
    check("pay", &["pay"], &["", "pay-1", "Pay"]);
    check("pay-*", &["pay-", "pay-1", "pay-a*"], &["pay", "xpay-"]);
    check("*-eu", &["-eu", "a-eu", "a-eu-eu"], &["-eu-a"]);
    check("a*b*c", &["abc", "axbybzc", "abbcc"], &["ab", "acb", "aXc"]);
    check("*", &["", "ü"], &[]);
    check("**", &["", "x"], &[]);
    check("a*a", &["aa", "aba"], &["a"]);
    check(r"a\*", &["a*"], &["ab", r"a\*"]);
    check(r"\\*", &[r"\x"], &["x"]);
    check("ü*", &["üx"], &["ux"]);
    assert!(Pattern::parse(r"a\").unwrap_err().contains("ends with a backslash"));
    let absent = |pattern: &str| Pattern::parse(pattern).unwrap().fits(None);
    assert_eq!([absent(""), absent("*"), absent("a")], [true, false, false]);
}

#[test]
fn faults_name_field_value_and_limit() {
    let check = |value: Value, fault: &str| {
        let said = match serde_json::from_value::<When>(value) {
            Ok(when) => when.check(),
            Err(error) => Err(error.to_string()),
        };
        let said = said.unwrap_err();
        assert!(said.contains(fault), "{said}");
    };
    check(json!({ "services": ["a"] }), "unknown field `services`");
    check(json!({ "not": { "service_name": ["a"] } }), "unknown field `service_name`");
    check(json!({ "service": [] }), "when.service: a list without a pattern");
    check(json!({ "service": vec!["a"; 65] }), "when.service: 65 patterns, the limit is 64");
    check(json!({ "metric": ["x".repeat(257)] }), "has 257 bytes, the limit is 256");
    check(json!({ "not": { "scope": ["a\\"] } }), "when.not.scope: pattern \"a\\\\\" ends with a backslash");
    check(json!({ "resource": { "a.b": [] } }), "when.resource.a.b: a list without a pattern");
    check(json!({ "resource": { "": ["a"] } }), "when.resource: a key of 0 bytes, allowed are 1 to 255");
    let many: serde_json::Map<_, _> = (0..17).map(|n| (format!("k{n}"), json!(["a"]))).collect();
    check(json!({ "resource": many }), "when.resource has 17 attributes, the limit is 16");
    check(json!({ "not": { "not": {} } }), "when.not.not has no meaning");
}

#[test]
fn they_have_a_short_form() {
    let all = json!({
        "service": ["pay-*", "shop"], "resource": { "k8s.namespace.name": ["prod"] }, "not": { "metric": ["up"] },
    });
    assert_eq!(
        when(all.clone()).to_string(),
        "service=pay-*|shop, resource.k8s.namespace.name=prod, metric!=up"
    );
    assert_eq!(serde_json::to_value(when(all.clone())).unwrap(), all);
    assert!(when(json!({})).is_empty() && when(json!({ "not": {} })).is_empty());
    assert_eq!(condition(json!({ "not": {} })).text(), "");
}

/// Six rows: services a, b, b, c, c, c; team red, blue, -, red, red, blue; pid 1, 1, 2, -, 3, 3.
fn rows() -> Fake {
    let dictionary = |values: &[&str], keys: &[i32]| {
        let keys: Vec<i32> = keys.to_vec();
        Column::new(ColumnData::Dictionary { keys: keys.into(), values: text_buffers(values) })
    };
    let nulls = |absent: usize| Some(NullBuffer::from_iter((0..6).map(|row| row != absent)));
    let numbers = Column::new(ColumnData::I64(vec![1, 1, 2, 0, 3, 3].into()));
    Fake {
        shape: Shape::Logs,
        rows: 6,
        columns: vec![
            // More values than rows, most of them of no row.
            ("service", dictionary(&["x", "a", "b", "c", "y", "z", "u", "v"], &[1, 2, 2, 3, 3, 3])),
            ("scope_name", dictionary(&["io.sdk"], &[0; 6])),
            (
                "resource:team",
                Column { validity: nulls(2), ..dictionary(&["red", "blue"], &[0, 1, 0, 0, 0, 1]) },
            ),
            ("resource:process.pid", Column { validity: nulls(3), ..numbers }),
        ],
    }
}

#[test]
fn rows_are_picked_by_what_their_origin_says() {
    let check = |value: Value, wanted: &[usize]| {
        let batch = rows();
        let shown = condition(value.clone()).rows(&Tenant::default(), &mut Offered::new(&batch));
        assert_eq!(shown.iter().collect::<Vec<_>>(), wanted, "{value}");
    };
    let all = [0, 1, 2, 3, 4, 5];
    check(json!({}), &all);
    check(json!({ "service": ["b", "a"] }), &[0, 1, 2]);
    check(json!({ "service": ["*"] }), &all);
    check(json!({ "service": ["x", "y"] }), &[]);
    check(json!({ "not": { "service": ["x", "y"] } }), &all);
    check(json!({ "not": { "service": ["c"] } }), &[0, 1, 2]);
    check(json!({ "scope": ["io.*"], "service": ["c"] }), &[3, 4, 5]);
    check(json!({ "scope": ["org.*"], "service": ["c"] }), &[]);
    check(json!({ "resource": { "team": ["red"] } }), &[0, 3, 4]);
    check(json!({ "resource": { "team": ["*"] } }), &[0, 1, 3, 4, 5]);
    check(json!({ "resource": { "team": [""] } }), &[2]);
    check(json!({ "not": { "resource": { "team": ["red"] } } }), &[1, 2, 5]);
    check(json!({ "not": { "resource": { "team": ["red"] }, "service": ["b"] } }), &[5]);
    check(json!({ "resource": { "process.pid": ["1", "3"] } }), &[0, 1, 4, 5]);
    check(json!({ "resource": { "service.name": ["a"] } }), &[0]);
    check(json!({ "resource": { "absent": ["*"] } }), &[]);
    check(json!({ "not": { "resource": { "absent": ["*"] } } }), &all);
    check(json!({ "metric": ["*"] }), &[]);
    check(json!({ "not": { "metric": ["*"] } }), &all);
}

#[test]
fn series_are_picked_by_their_labels() {
    let sets: [&[(&str, &str)]; 5] = [
        &[("__name__", "http_total"), ("job", "prod/pay"), ("instance", "i-1")],
        &[("__name__", "up"), ("job", "node"), ("k8s_namespace_name", "prod")],
        &[("__name__", "http_total"), ("service_name", "shop"), ("job", "pay")],
        &[("__name__", "calls_total"), ("service", "pay"), ("otel_scope_name", "io.sdk")],
        &[("__name__", "orphan")],
    ];
    let set =
        |labels: &&[(&str, &str)]| LabelSet::new(&mut labels.to_vec(), Temporality::Unspecified).unwrap();
    let batch = SeriesBatch { labels: sets.iter().map(set).collect() };
    let check = |value: Value, wanted: &[usize]| {
        let shown = condition(value.clone()).rows(&Tenant::default(), &mut Offered::new(&batch));
        assert_eq!(shown.iter().collect::<Vec<_>>(), wanted, "{value}");
    };
    check(json!({ "metric": ["http_*", "up"] }), &[0, 1, 2]);
    check(json!({ "service": ["pay"] }), &[0, 3]);
    check(json!({ "service": ["prod/*"] }), &[0]);
    check(json!({ "service": [""] }), &[4]);
    check(json!({ "not": { "service": ["pay", "node"] } }), &[2, 4]);
    check(json!({ "resource": { "service.namespace": ["prod"] } }), &[0]);
    check(json!({ "resource": { "service.instance.id": ["i-*"] } }), &[0]);
    check(json!({ "resource": { "k8s.namespace.name": ["prod"] } }), &[1]);
    check(json!({ "scope": ["io.*"] }), &[3]);
    check(json!({ "metric": ["http_*"], "not": { "service": ["shop"] } }), &[0]);
}
