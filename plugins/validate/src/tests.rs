use isinglass_plugin::testing::Table;
use proptest::prelude::*;

use super::*;
use crate::logs::Logs;
use crate::samples::Samples;
use crate::series::Series;
use crate::spans::Spans;

const NOW: i64 = 1_700_000_000_000_000_000;
const MS: i64 = 1_000_000;
/// Of a time one nanosecond beyond the grace.
const FUTURE: &str =
    "time 1700000600000000001 lies 600000 ms in the future, the limit is 600000 (future_grace_ms)";

fn verdicts(config: &str, batch: &Batch) -> Verdicts {
    host::set_now_unix_nanos(NOW);
    let plugin = Validate::configure(Config::parse(config).unwrap()).unwrap();
    let mut verdicts = Verdicts::of(batch.rows);
    plugin.validate(batch, &mut verdicts);
    verdicts
}

/// `below`, `at` and `over` are one row each: only the last is refused.
fn check(config: &str, code: &str, message: &str, batch: &Batch) {
    let verdicts = verdicts(config, batch);
    let codes: Vec<Option<&str>> =
        (0..batch.rows).map(|row| verdicts.reason_of(row).map(|r| r.code)).collect();
    assert_eq!(codes, [None, None, Some(code)], "{config}");
    assert_eq!(verdicts.reasons()[0].message, message);
}

fn text(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Three texts around a limit.
fn around(limit: usize) -> [String; 3] {
    [text(limit - 1), text(limit), text(limit + 1)]
}

fn samples(times: [i64; 3]) -> Batch {
    Table::new(Samples::REQUESTS, Shape::Samples, 3).integers("time", times.to_vec()).batch()
}

/// Label sets: `__name__` is made the metric.
fn series(sets: &[Vec<(&str, &str)>]) -> Batch {
    let metrics: Vec<Option<&str>> = sets
        .iter()
        .map(|set| set.iter().find(|(name, _)| *name == "__name__").map(|(_, value)| *value))
        .collect();
    let lengths: Vec<usize> = sets.iter().map(Vec::len).collect();
    let (names, values): (Vec<&str>, Vec<&str>) = sets.iter().flatten().copied().unzip();
    Table::new(Series::REQUESTS, Shape::Series, sets.len())
        .nullable_text("metric", &metrics)
        .offsets("label.offsets", &lengths)
        .text("label.name", &names)
        .text("label.value", &values)
        .batch()
}

struct Log<'a> {
    time: i64,
    body: &'a str,
    stream: &'a str,
    stream_labels: u32,
    attributes: Vec<(&'a str, &'a str)>,
}

impl Default for Log<'_> {
    fn default() -> Self {
        Self { time: NOW, body: "", stream: r#"{app="shop"}"#, stream_labels: 1, attributes: Vec::new() }
    }
}

fn logs(rows: &[Log<'_>]) -> Batch {
    let lengths: Vec<usize> = rows.iter().map(|log| log.attributes.len()).collect();
    let (keys, values): (Vec<&str>, Vec<&str>) =
        rows.iter().flat_map(|log| log.attributes.iter().copied()).unzip();
    Table::new(Logs::REQUESTS, Shape::Logs, rows.len())
        .integers("time", rows.iter().map(|log| log.time).collect())
        .text("body", &rows.iter().map(|log| log.body).collect::<Vec<_>>())
        .text("stream", &rows.iter().map(|log| log.stream).collect::<Vec<_>>())
        .counts("stream.labels", rows.iter().map(|log| log.stream_labels).collect())
        .offsets("attr.offsets", &lengths)
        .text("attr.key", &keys)
        .text("attr.value", &values)
        .batch()
}

#[derive(Clone)]
struct Span<'a> {
    time: i64,
    trace_id: [u8; 16],
    span_id: [u8; 8],
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl Default for Span<'_> {
    fn default() -> Self {
        Self { time: NOW, trace_id: [1; 16], span_id: [1; 8], name: "GET /", attributes: Vec::new() }
    }
}

fn spans(rows: &[Span<'_>]) -> Batch {
    let lengths: Vec<usize> = rows.iter().map(|span| span.attributes.len()).collect();
    let (keys, values): (Vec<&str>, Vec<&str>) =
        rows.iter().flat_map(|span| span.attributes.iter().copied()).unzip();
    Table::new(Spans::REQUESTS, Shape::Spans, rows.len())
        .integers("time", rows.iter().map(|span| span.time).collect())
        .fixed("trace_id", &rows.iter().map(|span| span.trace_id).collect::<Vec<_>>())
        .fixed("span_id", &rows.iter().map(|span| span.span_id).collect::<Vec<_>>())
        .text("name", &rows.iter().map(|span| span.name).collect::<Vec<_>>())
        .offsets("attr.offsets", &lengths)
        .text("attr.key", &keys)
        .text("attr.value", &values)
        .batch()
}

#[test]
fn sample_times() {
    check(
        "",
        "too_far_in_future",
        "time 1700000600000000001 lies 600000 ms in the future, the limit is 600000 (future_grace_ms)",
        &samples([600_000 * MS - 1, 600_000 * MS, 600_000 * MS + 1].map(|after| NOW + after)),
    );
    let past = samples([100 * MS - 1, 100 * MS, 100 * MS + 1].map(|before| NOW - before));
    let message = "time 1699999999899999999 lies 100 ms in the past, the limit is 100 (past_grace_ms)";
    check(r#"{"past_grace_ms": 100}"#, "too_far_in_past", message, &past);
    assert!(verdicts("", &samples([i64::MIN, 0, NOW])).rows().is_empty(), "no limit on the past by default");
    assert_eq!(verdicts("", &samples([i64::MAX, 0, NOW])).rows(), [1, 0, 0]);
}

#[test]
fn metric_names() {
    let verdicts =
        verdicts("", &series(&[vec![("__name__", "up")], vec![("__name__", "")], vec![("a", "b")]]));
    let codes: Vec<_> = (0..3).map(|row| verdicts.reason_of(row).map(|reason| reason.code)).collect();
    assert_eq!(codes, [None, Some("metric_name_invalid"), Some("missing_metric_name")]);
}

#[test]
fn label_counts() {
    let names: Vec<String> = (0..30).map(|number| format!("l{number}")).collect();
    let set = |labels: usize| {
        let labels = names[..labels - 1].iter().map(|name| (name.as_str(), "v"));
        labels.chain([("__name__", "up")]).collect::<Vec<_>>()
    };
    let message = "there are 31 labels, the limit is 30 (labels_per_series_max)";
    check("", "max_label_names_per_series", message, &series(&[set(29), set(30), set(31)]));
}

#[test]
fn label_names() {
    let names = around(1_024);
    let set = |name| vec![("__name__", "up"), (name, "v")];
    let message =
        format!("label name \"{}…\" has 1025 bytes, the limit is 1024 (label_name_bytes_max)", text(64));
    check("", "label_name_too_long", &message, &series(&names.each_ref().map(|name| set(name))));
    check("", "label_invalid", "a label name is empty", &series(&[set("a"), set("b"), set("")]));
    let repeated = vec![("__name__", "up"), ("a", "1"), ("b", "2"), ("a", "3")];
    let message = "label name \"a\" occurs twice";
    check("", "duplicate_label_names", message, &series(&[set("a"), set("b"), repeated]));
}

#[test]
fn label_values() {
    let values = around(2_048);
    let set = |value| vec![("__name__", "up"), ("path", value)];
    let message = "the value of label \"path\" has 2049 bytes, the limit is 2048 (label_value_bytes_max)";
    check("", "label_value_too_long", message, &series(&values.each_ref().map(|value| set(value))));
}

#[test]
fn log_times() {
    const WEEK: i64 = 7 * 86_400_000 * MS;
    let at = |time| Log { time, ..Log::default() };
    let past = logs(&[at(NOW - WEEK + 1), at(NOW - WEEK), at(NOW - WEEK - 1)]);
    let message =
        "time 1699395199999999999 lies 604800000 ms in the past, the limit is 604800000 (log_age_max_ms)";
    check("", "greater_than_max_sample_age", message, &past);
    let grace = 600_000 * MS;
    let future = logs(&[at(NOW + grace - 1), at(NOW + grace), at(NOW + grace + 1)]);
    check("", "too_far_in_future", FUTURE, &future);
    assert!(verdicts(r#"{"log_age_max_ms": 0}"#, &logs(&[at(0)])).rows().is_empty());
}

#[test]
fn log_lines() {
    let bodies = around(256 << 10);
    let rows = bodies.each_ref().map(|body| Log { body, ..Log::default() });
    check(
        "",
        "line_too_long",
        "the line has 262145 bytes, the limit is 262144 (line_bytes_max)",
        &logs(&rows),
    );
}

#[test]
fn streams() {
    let rows = [14, 15, 16].map(|stream_labels| Log { stream_labels, ..Log::default() });
    let message = "the stream has 16 labels, the limit is 15 (labels_per_stream_max)";
    check("", "max_label_names_per_series", message, &logs(&rows));
}

#[test]
fn stream_labels() {
    let row = |stream| Log { stream, ..Log::default() };
    let names = around(1_024).map(|name| format!("{{{name}=\"v\"}}"));
    let message =
        format!("label name \"{}…\" has 1025 bytes, the limit is 1024 (label_name_bytes_max)", text(64));
    check("", "label_name_too_long", &message, &logs(&names.each_ref().map(|stream| row(stream))));
    let values = around(2_048).map(|value| format!("{{app=\"shop\", path=\"{value}\"}}"));
    let message = "the value of label \"path\" has 2049 bytes, the limit is 2048 (label_value_bytes_max)";
    check("", "label_value_too_long", message, &logs(&values.each_ref().map(|stream| row(stream))));
    let both = r#"{app="shop", team="a"}"#;
    let streams = [both, r#"{app="", team=""}"#, r#"{app="shop", service_name="shop"}"#];
    let message = "the stream has no label \"team\" (stream_labels_required)";
    let config = r#"{"stream_labels_required": ["app", "team"]}"#;
    check(config, "missing_enforced_labels", message, &logs(&streams.map(row)));
}

#[test]
fn structured_metadata() {
    let keys: Vec<String> = (0..129).map(|number| format!("k{number}")).collect();
    let rows = [127, 128, 129].map(|count| Log {
        attributes: keys[..count].iter().map(|key| (key.as_str(), "")).collect(),
        ..Log::default()
    });
    let message = "there are 129 attributes, the limit is 128 (log_attributes_max)";
    check("", "structured_metadata_too_many", message, &logs(&rows));

    // "ab" and "c" and the value of "ab" make the rest.
    let values = around((64 << 10) - 3);
    let rows =
        values.each_ref().map(|value| Log { attributes: vec![("ab", value), ("c", "")], ..Log::default() });
    let message = "the attributes have 65537 bytes, the limit is 65536 (log_attributes_bytes_max)";
    check("", "structured_metadata_too_large", message, &logs(&rows));

    let with = |attributes| Log { attributes, ..Log::default() };
    let message = "there are 1 attributes, and none is allowed (log_attributes_allowed)";
    let config = r#"{"log_attributes_allowed": false}"#;
    let rows = logs(&[with(vec![]), with(vec![]), with(vec![("a", "b")])]);
    check(config, "disallowed_structured_metadata", message, &rows);

    let keys = around(1_024);
    let rows = keys.each_ref().map(|key| Log { attributes: vec![(key, "")], ..Log::default() });
    let message = format!(
        "attribute key \"{}…\" has 1025 bytes, the limit is 1024 (attribute_key_bytes_max)",
        text(64)
    );
    check("", "attribute_key_too_long", &message, &logs(&rows));
}

#[test]
fn span_times() {
    let at = |time| Span { time, ..Span::default() };
    let grace = 600_000 * MS;
    let future = spans(&[at(NOW + grace - 1), at(NOW + grace), at(NOW + grace + 1)]);
    check("", "too_far_in_future", FUTURE, &future);
    let past = spans(&[at(NOW - MS + 1), at(NOW - MS), at(NOW - MS - 1)]);
    let message = "time 1699999999998999999 lies 1 ms in the past, the limit is 1 (span_age_max_ms)";
    check(r#"{"span_age_max_ms": 1}"#, "too_far_in_past", message, &past);
}

#[test]
fn span_ids() {
    let good = Span::default;
    let least = |mut span: Span<'static>| {
        (span.trace_id, span.span_id) = ([0; 16], [0; 8]);
        (span.trace_id[15], span.span_id[7]) = (1, 1);
        span
    };
    let trace = Span { trace_id: [0; 16], ..good() };
    check("", "invalid_trace_id", "trace_id is all zero", &spans(&[good(), least(good()), trace]));
    let span = Span { span_id: [0; 8], ..good() };
    check("", "invalid_span_id", "span_id is all zero", &spans(&[good(), least(good()), span]));
}

#[test]
fn span_names() {
    let names = around(1_024);
    let rows = names.each_ref().map(|name| Span { name, ..Span::default() });
    let message =
        format!("span name \"{}…\" has 1025 bytes, the limit is 1024 (span_name_bytes_max)", text(64));
    check("", "span_name_too_long", &message, &spans(&rows));
}

#[test]
fn span_attributes() {
    let keys: Vec<String> = (0..129).map(|number| format!("k{number}")).collect();
    let with = |attributes| Span { attributes, ..Span::default() };
    let rows =
        [127, 128, 129].map(|count| with(keys[..count].iter().map(|key| (key.as_str(), "")).collect()));
    check(
        "",
        "too_many_attributes",
        "there are 129 attributes, the limit is 128 (span_attributes_max)",
        &spans(&rows),
    );

    let keys = around(1_024);
    let rows = keys.each_ref().map(|key| with(vec![(key, "")]));
    let message = format!(
        "attribute key \"{}…\" has 1025 bytes, the limit is 1024 (attribute_key_bytes_max)",
        text(64)
    );
    check("", "attribute_key_too_long", &message, &spans(&rows));

    let values = around(64 << 10);
    let rows = values.each_ref().map(|value| with(vec![("k", value)]));
    let message =
        "the value of attribute \"k\" has 65537 bytes, the limit is 65536 (attribute_value_bytes_max)";
    check("", "attribute_value_too_long", message, &spans(&rows));

    let rows = [
        with(vec![("a", "")]),
        with(vec![("a", ""), ("b", "")]),
        with(vec![("a", ""), ("b", ""), ("a", "")]),
    ];
    check("", "duplicate_attribute_keys", "attribute \"a\" occurs twice", &spans(&rows));
}

#[test]
fn a_batch_without_attributes_is_judged_too() {
    let mut batch = spans(&[Span { trace_id: [0; 16], ..Span::default() }]);
    batch.columns.truncate(4);
    assert_eq!(verdicts("", &batch).rows(), [1]);
}

#[test]
fn names_are_cut_between_characters() {
    assert_eq!(messages::quoted(&"é".repeat(40)), format!("\"{}…\"", "é".repeat(32)));
    assert_eq!(messages::quoted(&format!("x{}", "é".repeat(40))), format!("\"x{}…\"", "é".repeat(31)));
}

#[test]
fn faults_of_the_configuration_name_the_key() {
    for (config, fault) in [
        (r#"{"line_bytes_max": -1}"#, "line_bytes_max is not between 0 and 4294967295"),
        (r#"{"past_grace_ms": -1}"#, "past_grace_ms is negative"),
        (r#"{"past_grace_ms": "1h"}"#, "past_grace_ms is not an integer"),
    ] {
        assert_eq!(Validate::configure(Config::parse(config).unwrap()), Err(fault.to_owned()));
    }
    let error = Validate::configure(Config::parse(r#"{"line_byte_max": 1}"#).unwrap()).unwrap_err();
    assert!(error.starts_with("unknown key \"line_byte_max\"; known are label_name_bytes_max, "), "{error}");
}

/// The engine hands its limits over as they are, so keys and defaults agree.
#[test]
fn limits_are_those_of_the_engine() {
    let engine = include_str!("../../../engine/model/src/limits.rs");
    let fields = engine.split("impl Default for Limits").next().unwrap();
    let names = fields
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": ").map(|(name, _)| name));
    let defaults = names.map(|name| {
        let (_, rest) = engine.split_once(&format!("            {name}: ")).unwrap();
        format!("{name}: {}", rest.split(",\n").next().unwrap())
    });
    let ours = include_str!("limits.rs").lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("    ")?.split_once(": ")?;
        let (_, default) = rest.split_once(" = ")?;
        Some(format!("{name}: {}", default.strip_suffix(',')?))
    });
    assert_eq!(defaults.collect::<Vec<_>>(), ours.collect::<Vec<_>>());
}

/// What a reader of the rules would write down, one span after the other.
fn naive(span: &Span<'_>) -> Option<&'static str> {
    let over = |max: usize| move |(text, _): &(&str, &str)| text.len() > max;
    let attributes = &span.attributes;
    if span.trace_id == [0; 16] {
        Some("invalid_trace_id")
    } else if span.span_id == [0; 8] {
        Some("invalid_span_id")
    } else if span.time > NOW + 5 * MS {
        Some("too_far_in_future")
    } else if span.time < NOW - 5 * MS {
        Some("too_far_in_past")
    } else if span.name.len() > 3 {
        Some("span_name_too_long")
    } else if attributes.len() > 4 {
        Some("too_many_attributes")
    } else if attributes.iter().any(over(3)) {
        Some("attribute_key_too_long")
    } else if attributes.iter().any(|(_, value)| value.len() > 3) {
        Some("attribute_value_too_long")
    } else if (1..attributes.len()).any(|at| attributes[..at].iter().any(|(key, _)| *key == attributes[at].0))
    {
        Some("duplicate_attribute_keys")
    } else {
        None
    }
}

prop_compose! {
    fn any_span()(
        time in -6_i64..=6,
        ids in 0_u8..20,
        name in "[a-c]{0,4}",
        attributes in proptest::collection::vec(("[a-d]{1,4}", "[a-z]{0,4}"), 0..6),
    ) -> (i64, u8, String, Vec<(String, String)>) {
        (NOW + time * MS, ids, name, attributes)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn columns_give_what_single_spans_give(rows in proptest::collection::vec(any_span(), 1..80)) {
        let rows: Vec<Span<'_>> = rows.iter().map(|(time, ids, name, attributes)| Span {
            time: *time,
            trace_id: [u8::from(*ids != 0); 16],
            span_id: [u8::from(*ids != 1); 8],
            name,
            attributes: attributes.iter().map(|(key, value)| (&**key, &**value)).collect(),
        }).collect();
        let config = r#"{"future_grace_ms": 5, "span_age_max_ms": 5, "span_name_bytes_max": 3, "span_attributes_max": 4,
            "attribute_key_bytes_max": 3, "attribute_value_bytes_max": 3}"#;
        let verdicts = verdicts(config, &spans(&rows));
        for (row, span) in rows.iter().enumerate() {
            prop_assert_eq!(verdicts.reason_of(row).map(|reason| reason.code), naive(span));
        }
    }

    /// Both ways of finding keys that occur twice: few and many distinct ones.
    #[test]
    fn repeats(lists in proptest::collection::vec(proptest::collection::vec(0_u8..90, 0..12), 1..40)) {
        let names: Vec<String> = (0..90).map(|number| format!("k{number}")).collect();
        let span = |list: &Vec<u8>| Span {
            attributes: list.iter().map(|key| (&*names[usize::from(*key)], "")).collect(),
            ..Span::default()
        };
        let rows: Vec<Span<'_>> = lists.iter().map(span).collect();
        let verdicts = verdicts("", &spans(&rows));
        for (row, list) in lists.iter().enumerate() {
            let mut distinct = list.clone();
            distinct.sort_unstable();
            distinct.dedup();
            prop_assert_eq!(verdicts.is_refused(row), distinct.len() < list.len());
        }
    }
}
