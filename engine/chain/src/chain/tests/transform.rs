//! Transformers with real batches: what they change, and what becomes of a batch when one fails.

use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::Schema;
use isinglass_model::Kind;
use isinglass_model::batch::{LogBatch, SeriesBatch};
use isinglass_model::edits::Rows;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::tables::Table;
use isinglass_model::verdict::Verdicts;

use super::*;
use crate::transform::Untransformed;

/// A binding of a component in `plugins/dist`.
fn binding(file: &str, config: Value) -> Value {
    let path = format!("{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"));
    json!({
        "name": "first",
        "source": format!("file:{path}"),
        "world": "transformer",
        "config": config,
        "budget": { "cpu_soft_ms": 5, "cpu_hard_ms": 2_000 },
    })
}

fn logs(bodies: &[&str]) -> Rows {
    let dictionary = |text: &str| -> ArrayRef {
        Arc::new(bodies.iter().map(|_| Some(text)).collect::<DictionaryArray<Int32Type>>())
    };
    let table = Table::of(Kind::Logs);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("time", Arc::new(Int64Array::from_iter_values(bodies.iter().map(|_| NOW)))),
        ("service", dictionary("shop")),
        ("stream", dictionary("{user=\"ann\"}")),
        ("body", Arc::new(StringArray::from_iter_values(bodies))),
        ("user_id", dictionary("ann")),
    ];
    let field = |(name, _): &(&str, ArrayRef)| Arc::clone(table.batch_field(table.position(name).unwrap()));
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let table = RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect())
        .unwrap();
    LogBatch { table, attributes: None, stream_labels: vec![1], bytes: 0 }.into()
}

fn bodies(rows: Rows) -> Vec<String> {
    let logs = rows.into_logs();
    let bodies = logs.table.column_by_name("body").unwrap().as_string::<i32>();
    bodies.iter().flatten().map(str::to_owned).collect()
}

fn series(sets: &[&[(&str, &str)]]) -> SeriesBatch {
    let set = |labels: &&[(&str, &str)]| {
        let mut labels: Vec<_> = labels.iter().copied().chain([(METRIC_NAME, "up")]).collect();
        LabelSet::new(&mut labels, Temporality::Unspecified).unwrap()
    };
    SeriesBatch { labels: sets.iter().map(set).collect() }
}

#[test]
fn log_records_are_changed_and_the_next_transformer_sees_them_so() {
    let first = binding("examples/redact", json!({ "emails": true, "mask": "x@masked.org" }));
    let second = with(
        binding("examples/redact", json!({ "emails": true, "keys": ["user", "user.id"] })),
        "name",
        json!("second"),
    );
    let chain = load(json!({ "bindings": [second, first] }));
    assert!(
        chain.transforms(&Tenant::default(), Signal::Logs)
            && chain.transforms(&Tenant::default(), Signal::Metrics)
    );
    let mut rows = logs(&["to ann@example.org", "fine"]);
    assert_eq!(chain.transform(&tenant("acme"), &mut rows, NOW), Ok(Verdicts::default()));
    let logs = rows.into_logs();
    let text = |column: &str| {
        logs.table.column_by_name(column).unwrap().as_dictionary::<Int32Type>().values().clone()
    };
    assert_eq!(text("stream").as_string::<i32>().value(0), "{user=\"***\"}");
    assert_eq!(text("user_id").as_string::<i32>().value(0), "***");
    assert_eq!(logs.table.column_by_name("body").unwrap().as_string::<i32>().value(0), "to ***");
    assert_eq!(logs.attributes.unwrap().value_lengths[..], [3, 3]);
}

#[test]
fn cuts_change_no_answer() {
    let lines: Vec<String> = (0..1_000).map(|n| format!("{n} a{n}@example.org")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let answer = |rows_max: u32| {
        let redact = binding("examples/redact", json!({ "emails": true, "keys": ["user.id"] }));
        let chain = load(json!({ "bindings": [redact], "call_rows_max": rows_max }));
        let mut rows = logs(&lines);
        assert_eq!(chain.transform(&tenant("acme"), &mut rows, NOW), Ok(Verdicts::default()));
        bodies(rows)
    };
    let whole = answer(16_384);
    assert_eq!(whole[999], "999 ***");
    assert_eq!(answer(7), whole);
}

#[test]
fn a_batch_that_is_left_alone_is_the_same() {
    let chain = load(json!({ "bindings": [binding("examples/redact", json!({ "emails": true }))] }));
    let (mut rows, before) = (logs(&["fine"]), logs(&["fine"]).into_logs());
    assert_eq!(chain.transform(&tenant("acme"), &mut rows, NOW), Ok(Verdicts::default()));
    let after = rows.into_logs();
    assert_eq!(after.table, before.table);
    assert!(after.attributes.is_none(), "not even the index was made again");
}

#[test]
fn label_sets_are_changed_or_refused_one_by_one() {
    let config = json!({ "remove": ["pod"], "rename": ["env=environment"], "keys": ["user"] });
    let chain = load(json!({ "bindings": [binding("examples/redact", config)] }));
    let mut batch = series(&[
        &[("pod", "a"), ("env", "x")],
        &[("env", "x"), ("environment", "y")],
        &[("user", "ann"), ("zone", "1")],
    ]);
    let verdicts = chain.transform(&tenant("acme"), &mut batch, NOW).unwrap();
    assert_eq!(batch.labels[0].to_string(), "up{environment=\"x\"}");
    assert_eq!(batch.labels[2].to_string(), "up{user=\"***\", zone=\"1\"}");
    assert_eq!(verdicts.rows, [0, 1, 0]);
    let refusal = verdicts.refusal(1).unwrap();
    assert_eq!((&*refusal.reason, &*refusal.plugin), ("duplicate_label_names", "redact@0.1.0"));
}

/// What each of them does, and the kind of failure that it is.
const FAULTS: [(&str, &str); 16] = [
    ("trap", "trap"),
    ("grow", "memory"),
    ("recurse", "trap"),
    ("odd_code", "contract"),
    ("bad_row", "contract"),
    ("no_column", "contract"),
    ("ids", "contract"),
    ("time", "contract"),
    ("null_required", "contract"),
    ("bad_entry", "contract"),
    ("bad_row_added", "contract"),
    ("empty_key", "contract"),
    ("not_json", "contract"),
    ("bad_utf8", "contract"),
    ("written_out", "contract"),
    ("huge_output", "output"),
];

fn chain_of(policy: &str) -> Chain {
    let tenants: serde_json::Map<_, _> =
        FAULTS.iter().map(|(does, _)| ((*does).to_owned(), json!({ "first": { "does": does } }))).collect();
    let hostile = with(binding("test/hostile-transformer", json!({})), "on_error", json!(policy));
    load(json!({ "bindings": [hostile], "tenants": tenants }))
}

#[test]
fn a_failed_transformer_lets_nothing_through() {
    let chain = chain_of("quarantine");
    for (does, kind) in FAULTS {
        let mut rows = logs(&["a"; 20]);
        let answer = chain.transform(&tenant(does), &mut rows, NOW);
        assert_eq!(answer, Err(Untransformed { binding: "first".to_owned(), kind }), "{does}");
    }
    let mut rows = logs(&["a"; 20]);
    assert_eq!(chain.transform(&tenant("other"), &mut rows, NOW), Ok(Verdicts::default()));
}

#[test]
fn it_refuses_or_passes_where_told_so_and_changes_nothing() {
    let (rejects, passes) = (chain_of("reject"), chain_of("pass"));
    for (does, kind) in FAULTS {
        let mut rows = logs(&["a"; 20]);
        let verdicts = rejects.transform(&tenant(does), &mut rows, NOW).unwrap();
        assert_eq!(verdicts.rows, [1; 20], "{does}");
        let message = format!("plugin hostile-transformer@0.1.0 failed ({kind})");
        assert_eq!(verdicts.refusal(0).unwrap().message, message, "{does}");
        let verdicts = passes.transform(&tenant(does), &mut rows, NOW).unwrap();
        assert_eq!((verdicts.plugin_errors, verdicts.keeps_all()), (1, true), "{does}");
        assert_eq!(bodies(rows), ["a"; 20], "{does}");
    }
}

#[test]
fn an_open_breaker_lets_nothing_through_either() {
    let clock = clock();
    let hostile = binding("test/hostile-transformer", json!({ "does": "trap" }));
    let chain = load_at(json!({ "bindings": [hostile] }), Arc::clone(&clock));
    let kind = || chain.transform(&tenant("acme"), &mut logs(&["a"]), NOW).unwrap_err().kind;
    assert_eq!(std::array::from_fn::<_, 6, _>(|_| kind()), ["trap", "trap", "trap", "trap", "trap", "open"]);
    clock.advance(Duration::from_secs(1));
    assert_eq!([kind(), kind()], ["trap", "open"]);
}

#[test]
fn dropped_rows_are_told_apart_from_refused_ones() {
    let chain =
        load(json!({ "bindings": [binding("test/hostile-transformer", json!({ "does": "drop_all" }))] }));
    let mut rows = logs(&["a", "b"]);
    let verdicts = chain.transform(&tenant("acme"), &mut rows, NOW).unwrap();
    assert_eq!(verdicts.rows, [1, 1]);
    assert_eq!(verdicts.refusal(0).unwrap().reason, "dropped:hostile");
    assert_eq!(stats_of(&chain, "first").rejects["dropped:hostile"], 2);
    rows.retain(|row| verdicts.refusal(row).is_none()).unwrap();
    assert_eq!(bodies(rows), [""; 0]);
}

/// Built for `isinglass:plugin@0.1.1`, whose derivers knew no pairs.
#[test]
fn a_deriver_of_the_second_version_works_as_it_did() {
    let path = format!("{}/../../tests/data/plugins/0.1.1/span-metrics.wasm", env!("CARGO_MANIFEST_DIR"));
    let old = json!({ "name": "old", "source": format!("file:{path}"), "world": "deriver" });
    let chain = load(json!({ "bindings": [old] }));
    let names: Vec<_> = chain.derivers()[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        names,
        ["traces_spanmetrics_calls_total", "traces_spanmetrics_latency", "traces_spanmetrics_size_total"]
    );
    assert_eq!(chain.derivers()[0].pairing, None);
    let deltas = chain.derive(&tenant("acme"), &spans(3), NOW);
    let calls: f64 = deltas.iter().flat_map(|deltas| &deltas.increments[0].values).sum();
    assert_eq!(calls, 3.0);
    assert!(deltas.iter().all(|deltas| deltas.halves.is_none()));
}

/// Built for `isinglass:plugin@0.1.0`, which had neither transformers nor functions.
#[test]
fn a_plugin_of_the_first_version_works_as_it_did() {
    let path = format!("{}/../../tests/data/plugins/0.1.0/deny-service.wasm", env!("CARGO_MANIFEST_DIR"));
    let old = json!({
        "name": "old",
        "source": format!("file:{path}"),
        "world": "validator",
        "config": { "services": ["service-1"] },
    });
    let chain = load(json!({ "bindings": [old] }));
    let verdicts = chain.validate(&tenant("acme"), &spans(3), NOW);
    assert_eq!(verdicts.rows, [0, 1, 0]);
    assert_eq!(verdicts.refusal(1).unwrap().reason, "service_denied");
    assert_eq!(verdicts.refusal(1).unwrap().plugin, "deny-service@0.1.0");
}
