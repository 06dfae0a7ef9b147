//! Bindings with conditions: what they say is what they would say of the rows for which the
//! conditions hold, and of the others they say nothing.

use std::collections::BTreeMap;

use arrow_array::builder::{MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array as _, ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int32Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow_schema::Schema;
use isinglass_model::Kind;
use isinglass_model::batch::{LogBatch, SeriesBatch, SpanBatch};
use isinglass_model::deltas::Deltas;
use isinglass_model::edits::Rows;
use isinglass_model::labels::{LabelSet, METRIC_NAME, Temporality};
use isinglass_model::tables::Table;
use isinglass_model::verdict::Verdicts;
use proptest::prelude::*;

use super::*;

const SERVICES: [&str; 4] = ["pay-1", "pay-2", "shop", "bots"];
const TEAMS: [Option<&str>; 3] = [None, Some("red"), Some("blue")];

/// Where an item comes from, and a number that tells it from others.
#[derive(Debug, Clone, Copy)]
struct Item {
    service: usize,
    team: usize,
    number: usize,
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let item = (0..SERVICES.len(), 0..TEAMS.len());
    prop::collection::vec(item, 1..60).prop_map(|all| {
        let item = |(number, (service, team))| Item { service, team, number };
        all.into_iter().enumerate().map(item).collect()
    })
}

/// Conditions, and the same in Rust.
type Holds = (Value, fn(&Item) -> bool);

fn is_pay(item: &Item) -> bool {
    SERVICES[item.service].starts_with("pay-")
}

const CONDITIONS: usize = 5;

fn conditions() -> [Holds; CONDITIONS] {
    [
        (json!({ "service": ["pay-*"] }), is_pay),
        (json!({ "not": { "service": ["pay-*"] } }), |item| !is_pay(item)),
        (json!({ "resource": { "team": ["red"] } }), |item| item.team == 1),
        (json!({ "service": ["*"], "not": { "resource": { "team": ["red", ""] } } }), |item| item.team == 2),
        (json!({ "metric": ["*"] }), |_| false),
    ]
}

fn maps(rows: impl Iterator<Item = Vec<(&'static str, String)>>) -> ArrayRef {
    let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in &row {
            builder.keys().append_value(key);
            builder.values().append_value(format!("{value:?}"));
        }
        builder.append(!row.is_empty()).unwrap();
    }
    Arc::new(builder.finish())
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<DictionaryArray<Int32Type>>())
}

fn table(kind: Kind, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let table = Table::of(kind);
    let field = |(name, _): &(&str, ArrayRef)| Arc::clone(table.batch_field(table.position(name).unwrap()));
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    RecordBatch::try_new(Arc::new(schema), columns.into_iter().map(|(_, array)| array).collect()).unwrap()
}

/// What both tables have.
fn origin(items: &[Item]) -> Vec<(&'static str, ArrayRef)> {
    let team = |item: &Item| TEAMS[item.team].map(|team| ("team", team.to_owned())).into_iter().collect();
    let user = |item: &Item| match item.number % 3 {
        0 => Vec::new(),
        n => vec![("n", item.number.to_string()), ("user", format!("u{n}"))],
    };
    vec![
        ("time", Arc::new(Int64Array::from_iter_values(items.iter().map(|_| NOW)))),
        ("service", texts(items.iter().map(|item| SERVICES[item.service]))),
        ("resource", maps(items.iter().map(team))),
        ("attributes", maps(items.iter().map(user))),
    ]
}

fn logs(items: &[Item]) -> LogBatch {
    let bodies: Vec<String> =
        items.iter().map(|item| format!("{} to a{}@b.org", item.number, item.number)).collect();
    let mut columns = origin(items);
    columns.push(("stream", texts(items.iter().map(|_| "{a=\"b\"}"))));
    columns.push(("body", Arc::new(StringArray::from_iter_values(bodies))));
    LogBatch { table: table(Kind::Logs, columns), attributes: None, stream_labels: vec![1], bytes: 0 }
}

fn spans_of(items: &[Item]) -> SpanBatch {
    let ids = |width: usize| -> ArrayRef {
        let id = |item: &Item| {
            let mut id = vec![0; width];
            id[0] = item.number as u8 + 1;
            id
        };
        Arc::new(FixedSizeBinaryArray::try_from_iter(items.iter().map(id)).unwrap())
    };
    let numbers = |value: &dyn Fn(&Item) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(items.iter().map(value)))
    };
    let mut columns = origin(items);
    columns.extend([
        ("trace_id", ids(16)),
        ("span_id", ids(8)),
        ("duration", numbers(&|item| item.number as i64 * 1_000_000)),
        ("size_bytes", Arc::new(Int32Array::from_iter_values(items.iter().map(|_| 100))) as ArrayRef),
        ("name", texts(items.iter().map(|item| ["GET /", "POST /"][item.number % 2]))),
        ("kind", texts(items.iter().map(|item| ["server", "client"][item.number / 2 % 2]))),
        ("status", texts(items.iter().map(|_| "unset"))),
    ]);
    SpanBatch { table: table(Kind::Spans, columns), attributes: None }
}

fn series(items: &[Item]) -> SeriesBatch {
    let set = |item: &Item| {
        let number = item.number.to_string();
        let team = TEAMS[item.team].unwrap_or_default();
        let metric = if item.number % 2 == 0 { "requests" } else { "errors" };
        let mut labels =
            vec![(METRIC_NAME, metric), ("job", SERVICES[item.service]), ("team", team), ("user", &number)];
        LabelSet::new(&mut labels, Temporality::Unspecified).unwrap()
    };
    SeriesBatch { labels: items.iter().map(set).collect() }
}

fn file(file: &str) -> String {
    format!("file:{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"))
}

/// A chain for each of the conditions, and one without any. Calls are small, so that the rows that
/// are picked are cut, too.
fn chains(binding: &Value) -> (Vec<Chain>, Chain) {
    let chain = |binding: Value| load(json!({ "bindings": [binding], "call_rows_max": 7 }));
    let under = |(when, _): Holds| chain(with(binding.clone(), "when", when));
    (conditions().into_iter().map(under).collect(), chain(binding.clone()))
}

fn redact() -> Value {
    json!({
        "name": "redact", "source": file("examples/redact"), "world": "transformer",
        "config": { "emails": true, "keys": ["user"], "remove": ["n"], "rename": ["team=group"] },
        "budget": { "cpu_hard_ms": 2_000 },
    })
}

fn deny() -> Value {
    json!({
        "name": "deny", "source": file("examples/deny-service"), "world": "validator",
        "config": { "services": ["pay-1", "bots"] }, "budget": { "cpu_hard_ms": 2_000 },
    })
}

fn span_metrics() -> Value {
    json!({
        "name": "span-metrics", "source": "builtin:span-metrics", "world": "deriver",
        "config": { "service_graph": { "enabled": true } }, "budget": { "cpu_hard_ms": 2_000 },
    })
}

/// The items for which a condition holds, and where they are among all.
fn picked(items: &[Item], holds: fn(&Item) -> bool) -> (Vec<Item>, Vec<usize>) {
    items.iter().enumerate().filter(|(_, item)| holds(item)).map(|(at, item)| (*item, at)).unzip()
}

/// Everything that a batch holds, by column and a text per row. A column that a batch lacks says
/// the same as one that is null.
fn shown(rows: &RecordBatch) -> Vec<BTreeMap<String, String>> {
    let columns = |row: usize| {
        let schema = rows.schema();
        let cell = |(at, column): (usize, &ArrayRef)| {
            Some((schema.field(at).name().clone(), text(&column.slice(row, 1))?))
        };
        rows.columns().iter().enumerate().filter_map(cell).collect()
    };
    (0..rows.num_rows()).map(columns).collect()
}

/// Of one cell. What a dictionary holds beside it is nobody's business.
fn text(cell: &ArrayRef) -> Option<String> {
    if cell.is_null(0) {
        return None;
    }
    if let Some(words) = cell.as_dictionary_opt::<Int32Type>() {
        let key = words.keys().value(0) as usize;
        return Some(words.values().as_string::<i32>().value(key).to_owned());
    }
    match cell.as_map_opt() {
        Some(map) => Some(format!("{:?}", map.value(0))).filter(|_| map.value_length(0) > 0),
        None => Some(format!("{cell:?}")),
    }
}

/// With the rows of the whole batch instead of those that were picked.
fn at_home(all: Vec<Deltas>, at: &[usize]) -> Vec<Deltas> {
    let home = |row: &mut u32| *row = at[*row as usize] as u32;
    let placed = all.into_iter().map(|mut deltas| {
        deltas.exemplars.iter_mut().for_each(|exemplar| home(&mut exemplar.row));
        deltas.halves.iter_mut().for_each(|halves| halves.rows.iter_mut().for_each(home));
        deltas
    });
    placed.collect()
}

fn check(mut property: impl FnMut(&[Item], usize, fn(&Item) -> bool)) {
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let property = std::cell::RefCell::new(&mut property);
    let result = runner.run(&items(), |items| {
        for (at, (_, holds)) in conditions().into_iter().enumerate() {
            (property.borrow_mut())(&items, at, holds);
        }
        Ok(())
    });
    result.unwrap();
}

#[test]
fn a_transformer_changes_the_rows_for_which_they_hold() {
    let (chains, whole) = chains(&redact());
    let of = tenant("acme");
    check(|items, at, holds| {
        let mut rows = Rows::from(logs(items));
        let said = chains[at].transform(&of, &mut rows, NOW).unwrap();
        assert!(said.keeps_all());
        let got = shown(&rows.into_logs().table);
        let (part, places) = picked(items, holds);
        let mut filtered = Rows::from(logs(&part));
        if !part.is_empty() {
            whole.transform(&of, &mut filtered, NOW).unwrap();
        }
        let filtered = shown(&filtered.into_logs().table);
        let untouched = shown(&logs(items).table);
        for (row, text) in got.iter().enumerate() {
            let wanted = match places.iter().position(|place| *place == row) {
                Some(at) => &filtered[at],
                None => &untouched[row],
            };
            assert_eq!(text, wanted, "row {row}");
        }
    });
    check(|items, at, holds| {
        let mut batch = series(items);
        let said = chains[at].transform(&of, &mut batch, NOW).unwrap();
        assert!(said.keeps_all());
        // Series are the only items with a metric.
        let of_metrics = conditions()[at].0.get("metric").is_some();
        let wanted = items.iter().map(|item| {
            let mut one = series(&[*item]);
            if of_metrics || holds(item) {
                whole.transform(&of, &mut one, NOW).unwrap();
            }
            one.labels.remove(0)
        });
        assert_eq!(batch.labels, wanted.collect::<Vec<_>>());
    });
}

#[test]
fn a_validator_judges_the_rows_for_which_they_hold() {
    let (chains, whole) = chains(&deny());
    let of = tenant("acme");
    check(|items, at, holds| {
        let said = chains[at].validate(&of, &spans_of(items), NOW);
        let (part, places) = picked(items, holds);
        let filtered =
            if part.is_empty() { Verdicts::default() } else { whole.validate(&of, &spans_of(&part), NOW) };
        for row in 0..items.len() {
            let wanted = places.iter().position(|place| *place == row);
            assert_eq!(said.refusal(row), wanted.and_then(|at| filtered.refusal(at)), "row {row}");
        }
    });
}

#[test]
fn a_deriver_is_given_the_rows_for_which_they_hold() {
    let (chains, whole) = chains(&span_metrics());
    let of = tenant("acme");
    let mut halves = 0;
    check(|items, at, holds| {
        let got = chains[at].derive(&of, &spans_of(items), NOW);
        let (part, places) = picked(items, holds);
        let wanted = if part.is_empty() { Vec::new() } else { whole.derive(&of, &spans_of(&part), NOW) };
        halves += got.iter().filter(|deltas| deltas.halves.is_some()).count();
        assert_eq!(got, at_home(wanted, &places));
    });
    assert!(halves > 0, "pairs were made, too");
}

/// What a limiter takes is for the rows for which they hold, bytes included.
#[test]
fn a_limiter_counts_the_rows_for_which_they_hold() {
    let rates =
        json!({ "items_per_second": 10, "items_burst": 10, "bytes_per_second": 100, "bytes_burst": 1000 });
    let limiter = json!({
        "name": "limit", "source": "builtin:rate-limit", "world": "limiter", "config": rates,
        "when": { "service": ["pay-*"] },
    });
    let item = |service: usize, number: usize| Item { service, team: 0, number };
    let of = tenant("acme");
    let check = |policy: &Value, does: &[(&[usize], u64, bool)]| {
        let mut binding = limiter.clone();
        binding["on_error"] = policy.clone();
        let chain = load(json!({ "bindings": [binding] }));
        for (services, bytes, allowed) in does {
            let items: Vec<_> = services.iter().enumerate().map(|(n, service)| item(*service, n)).collect();
            assert_eq!(
                chain.admit(&of, Signal::Logs, 1 << 40),
                Decision::Allow,
                "nobody knows yet whose it is"
            );
            let decision = chain.limit_sent(&of, &[&logs(&items)], *bytes, NOW);
            assert_eq!(decision == Decision::Allow, *allowed, "{services:?} {decision:?}");
        }
    };
    let policy = json!("native");
    check(&policy, &[(&[2; 50], 1 << 40, true), (&[0; 10], 1, true), (&[1], 1, false), (&[3; 50], 1, true)]);
    // A tenth of the bytes is theirs.
    let mixed = [0, 2, 2, 2, 2, 2, 2, 2, 2, 2];
    check(&policy, &[(&mixed, 9_990, true), (&mixed, 9_990, false)]);
}

/// What becomes of rows when a plugin fails that is not for all of them.
#[test]
fn a_failure_concerns_the_rows_for_which_they_hold() {
    let items: Vec<Item> = (0..8).map(|number| Item { service: number % 4, team: 0, number }).collect();
    let of = tenant("acme");
    let under = |mut binding: Value, policy: &str| {
        binding["when"] = json!({ "service": ["pay-*"] });
        with(binding, "on_error", json!(policy))
    };
    let refused = [1, 1, 0, 0, 1, 1, 0, 0];
    let second = with(deny(), "name", json!("second"));
    let chain = load(json!({ "bindings": [under(hostile(World::Validator, "trap"), "reject"), second] }));
    let said = chain.validate(&of, &spans_of(&items), NOW);
    assert_eq!(said.rows, [1, 1, 0, 2, 1, 1, 0, 2], "the next one is still asked");
    let chain = load(json!({ "bindings": [under(hostile(World::Transformer, "trap"), "reject")] }));
    let said = chain.transform(&of, &mut Rows::from(logs(&items)), NOW).unwrap();
    assert_eq!(said.rows, refused);
    let nothing: Vec<Item> = items.iter().copied().filter(|item| !is_pay(item)).collect();
    let said = chain.transform(&of, &mut Rows::from(logs(&nothing)), NOW).unwrap();
    assert!(said.keeps_all(), "it is not even called");
    assert_eq!(stats_of(&chain, "hostile").failures.values().sum::<u64>(), 1);
}

/// What a guest invents of rows that it was not shown is a breach of contract.
#[test]
fn edits_beyond_the_rows_that_were_shown_are_refused() {
    let items: Vec<Item> = (0..40).map(|number| Item { service: number % 4, team: 1, number }).collect();
    for does in ["bad_row", "bad_entry", "bad_row_added", "ids", "no_column"] {
        let binding = with(hostile(World::Transformer, does), "when", json!({ "service": ["shop"] }));
        let chain = load(json!({ "bindings": [binding] }));
        let mut rows = Rows::from(logs(&items));
        let failed = chain.transform(&tenant("acme"), &mut rows, NOW).unwrap_err();
        assert_eq!(failed.kind, "contract", "{does}");
        assert_eq!(rows.into_logs().table, logs(&items).table, "{does}");
    }
}

#[test]
fn they_are_part_of_what_verdicts_hold_under() {
    let digest = |when: Value| {
        load(json!({ "bindings": [with(deny(), "when", when)] })).validators_digest().to_owned()
    };
    let (none, pay) = (digest(json!({})), digest(json!({ "service": ["pay-*"] })));
    assert_eq!(none, load(json!({ "bindings": [deny()] })).validators_digest());
    assert!(none != pay && pay != digest(json!({ "not": { "service": ["pay-*"] } })));
}

#[test]
fn faults_are_told_when_the_chain_loads() {
    let fault =
        |binding: Value| try_load(json!({ "bindings": [binding] }), clock()).err().unwrap().to_string();
    let wrong = fault(with(deny(), "when", json!({ "service": [] })));
    assert!(wrong.contains("plugin binding \"deny\": when.service: a list without a pattern"), "{wrong}");
    let geo = json!({
        "name": "geo", "source": file("examples/geo"), "world": "function", "when": { "service": ["a"] },
    });
    assert!(fault(geo).contains("when has no meaning for functions"));
}
