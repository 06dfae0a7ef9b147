//! Lines that are JSON objects, with `logs.parse_json`.

use proptest::prelude::*;
use serde_json::Value;

use super::proto::{Proto, export, message, service};
use super::resolver::Series;
use super::rows::{column, columns};
use super::{read_with, rejected};
use crate::{Format, LogsConfig, Protocol};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn config() -> LogsConfig {
    LogsConfig { parse_json: true, parse_json_fields_max: 6, parse_json_bytes_max: 200 }
}

/// The columns but for those that every record has.
fn told(protocol: Protocol, body: &[u8]) -> Vec<String> {
    let decoded = read_with(&config(), protocol, Format::Protobuf, body, &mut Series::default()).unwrap();
    assert_eq!(rejected(&decoded), []);
    let all = columns(&decoded.logs.unwrap().table);
    let common = ["time", "service", "stream", "scope_name", "scope_version"];
    all.into_iter().filter(|column| common.iter().all(|name| !column.starts_with(name))).collect()
}

/// A Loki entry.
fn entry(line: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    let entry = message().nested(1, message().varint(1, 1)).bytes(2, line);
    let pair = |entry: Proto, (name, value): &(&str, &str)| {
        entry.nested(3, message().bytes(1, name).bytes(2, value))
    };
    let entry = metadata.iter().fold(entry, pair);
    message().nested(1, message().bytes(1, r#"{app="a"}"#).nested(2, entry)).build()
}

fn check(line: &str, want: &[&str]) {
    check_beside(line, &[], want);
}

fn check_beside(line: &str, metadata: &[(&str, &str)], want: &[&str]) {
    assert_eq!(told(Protocol::LokiPush, &entry(line, metadata)), want, "{line}");
}

/// The line is kept as it came, and nothing else is known.
fn check_kept(line: &str) {
    check(line, &[&format!("body: {line}")]);
}

#[test]
fn fields_go_to_their_columns() {
    let line = format!(
        r#" {{"level":"WARN","msg":"a \"b\"","trace_id":"{TRACE}","spanID":"{SPAN}","user_id":"u1","n":-5}} "#
    );
    check(
        &line,
        &[
            "severity: warn",
            "severity_text: WARN",
            r#"body: a "b""#,
            &format!("trace_id: {TRACE}"),
            &format!("span_id: {SPAN}"),
            "user_id: u1",
            "attributes: {n=-5}",
        ],
    );
}

#[test]
fn values_keep_their_types_and_digits() {
    check(
        r#"{"msg":"m","a":12.30,"b":1e400,"c":[1, "x"],"d":null,"e":"200"}"#,
        &["body: m", r#"attributes: {a=12.30, b=1e400, c=[1, "x"], d=null, e="200"}"#],
    );
    check(
        r#"{"msg":"m","a":true,"b":-0,"c":9223372036854775808,"d":"\u0041\n","e":"\ud800"}"#,
        &["body: m", r#"attributes: {a=true, b=-0, c=9223372036854775808, d="A\n", e="\ud800"}"#],
    );
}

#[test]
fn nested_objects_have_dots_in_their_names() {
    check(
        r#"{"message":"m","http":{"route":"/x","response":{"status_code":200}},"e":{},"a":{"b":{"c":1}}}"#,
        &["body: m", "http_response_status_code: 200", "http_route: /x", "attributes: {e={}, a.b.c=1}"],
    );
    // Below the eighth level it stays text.
    let deep = format!(r#"{{"msg":"m","x":{}1{}}}"#, r#"{"a":"#.repeat(10), "}".repeat(10));
    check(&deep, &["body: m", r#"attributes: {x.a.a.a.a.a.a.a.a={"a":{"a":1}}}"#]);
}

#[test]
fn what_the_record_states_is_not_overruled() {
    let line = format!(r#"{{"level":"error","msg":"m","trace_id":"{TRACE}"}}"#);
    let own = "00000000000000000000000000000001";
    check_beside(
        &line,
        &[("trace_id", own), ("severity", "info")],
        &[
            "severity: info",
            "body: m",
            &format!("trace_id: {own}"),
            &format!(r#"attributes: {{severity="info", level="error", trace_id="{TRACE}"}}"#),
        ],
    );
    // An attribute of the same name leaves no place for the field.
    check_beside(
        r#"{"msg":"m","x":1}"#,
        &[("x", "2")],
        &[r#"body: {"msg":"m","x":1}"#, r#"attributes: {x="2"}"#],
    );
}

#[test]
fn the_message_is_the_first_that_is_text() {
    check(r#"{"log":"c","msg":"b","message":"a"}"#, &["body: a", r#"attributes: {log="c", msg="b"}"#]);
    check(r#"{"message":1,"msg":"b"}"#, &["body: b", "attributes: {message=1}"]);
    // Without one the text stays, and the fields are columns all the same.
    let line = r#"{"level":"info","status":200}"#;
    check(line, &["severity: info", &format!("body: {line}"), "attributes: {status=200}"]);
}

#[test]
fn ids_and_levels_that_are_none_stay_attributes() {
    check(
        r#"{"msg":"m","trace_id":"abc","span_id":"0000000000000000","level":30}"#,
        &["body: m", r#"attributes: {trace_id="abc", span_id="0000000000000000", level=30}"#],
    );
}

#[test]
fn a_line_that_cannot_be_taken_apart_is_kept() {
    check_kept("plain text");
    check_kept("{");
    check_kept("{}");
    check_kept(r#"["msg"]"#);
    check_kept(r#"{"msg":"m"} tail"#);
    check_kept(r#"{"msg":"m",}"#);
    check_kept(r#"{"msg":"m","msg":"n"}"#);
    check_kept(r#"{"a":{"b":1},"a.b":2,"msg":"m"}"#);
    check_kept(r#"{"":1,"msg":"m"}"#);
    check_kept(r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"msg":"m"}"#);
    check_kept(&format!(r#"{{"msg":"{}"}}"#, "x".repeat(200)));
    check_kept(&r#"{"a":"#.repeat(30));
}

#[test]
fn otlp_bodies_are_taken_apart_too() {
    let text = r#"{"msg":"m","level":"warn","x":{"y":1.5}}"#;
    let record = |body: Proto| message().fixed64(1, 1_000).nested(5, body);
    let pair = |key: &str, any: Proto| message().bytes(1, key).nested(2, any);
    let list = message()
        .nested(1, pair("msg", message().bytes(1, "m")))
        .nested(1, pair("level", message().bytes(1, "warn")))
        .nested(1, pair("n", message().varint(3, 2)));
    for (record, want) in [
        (record(message().bytes(1, text)), &["severity: warn", "body: m", "attributes: {x.y=1.5}"][..]),
        (record(message().nested(6, list)), &["severity: warn", "body: m", "attributes: {n=2}"]),
        (
            record(message().bytes(1, text)).varint(2, 9),
            &["severity: info", "severity_number: 9", "body: m", r#"attributes: {level="warn", x.y=1.5}"#],
        ),
    ] {
        assert_eq!(told(Protocol::OtlpLogs, &export(service("shop"), [record])), want);
    }
}

#[test]
fn by_default_lines_stay_as_they_came() {
    let body = entry(r#"{"msg":"m","x":1}"#, &[]);
    let decoded = super::protobuf(Protocol::LokiPush, &body);
    let table = decoded.logs.unwrap().table;
    assert_eq!(column(&table, "body"), [r#"{"msg":"m","x":1}"#]);
    assert_eq!(column(&table, "attributes"), ["-"]);
}

/// Objects of leaves and of objects of leaves.
fn objects() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_000..1_000_000_i64).prop_map(|n| Value::from(n as f64 / 8.0)),
        ".{0,12}".prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..3).prop_map(Value::from),
    ];
    let name = "[a-zé\"\\\\]{1,6}";
    let object = |value: BoxedStrategy<Value>| {
        proptest::collection::hash_map(name, value, 1..5)
            .prop_map(|fields| Value::Object(fields.into_iter().collect()))
    };
    let inner = prop_oneof![4 => leaf.clone(), 1 => object(leaf.boxed())];
    object(inner.boxed())
}

/// Leaves by their names with dots.
fn leaves(prefix: &str, value: &Value, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                leaves(&name, value, out);
            }
        }
        leaf => out.push((prefix.to_owned(), leaf.clone())),
    }
}

proptest! {
    /// Nothing of an object is lost: each leaf is an attribute of the same value.
    #[test]
    fn every_leaf_is_an_attribute(object in objects()) {
        let config = LogsConfig { parse_json: true, ..LogsConfig::default() };
        let body = entry(&object.to_string(), &[]);
        let decoded = read_with(&config, Protocol::LokiPush, Format::Protobuf, &body, &mut Series::default());
        let table = decoded.unwrap().logs.unwrap().table;
        let map = arrow_array::cast::AsArray::as_map(&table["attributes"]).value(0);
        let texts = |column: usize| -> Vec<String> {
            let texts = arrow_array::cast::AsArray::as_string::<i32>(map.column(column));
            texts.iter().map(|text| text.unwrap().to_owned()).collect()
        };
        let values = texts(1).into_iter().map(|text| serde_json::from_str(&text).unwrap());
        let mut got: Vec<(String, Value)> = texts(0).into_iter().zip(values).collect();
        let mut want = Vec::new();
        leaves("", &object, &mut want);
        // A level or a message may have its own column: names here are too short for others.
        want.retain(|(name, value)| !(value.is_string() && ["lvl", "msg", "log", "level"].contains(&&**name)));
        got.sort_by(|a, b| a.0.cmp(&b.0));
        want.sort_by(|a, b| a.0.cmp(&b.0));
        prop_assert_eq!(got, want);
    }

    /// Whatever the line, it is kept and nothing panics.
    #[test]
    fn any_line_is_a_row(line in "[ {}\\[\\]\":,a-c0-9.e\\\\-]{0,60}") {
        let config = LogsConfig { parse_json: true, ..LogsConfig::default() };
        let body = entry(&line, &[]);
        let decoded = read_with(&config, Protocol::LokiPush, Format::Protobuf, &body, &mut Series::default());
        prop_assert_eq!(decoded.unwrap().kept(), 1);
    }
}
