//! What the plugin `validate` costs a span, and what of it is the way into the sandbox.
//!
//! Spans of 10 attributes, all columns shared with the batch as decode makes it; `validate` is
//! a call as the server makes it, epochs on, `nothing` one of a plugin that is handed the same
//! columns and looks at none.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::clock::SystemClock;
use serde_json::{Value, json};

#[path = "common/spans.rs"]
mod spans;

use spans::{NOW, Spans};

const ROWS: [usize; 2] = [1_000, 10_000];

fn chain(binding: Value) -> Chain {
    let config = serde_json::from_value(json!({ "bindings": [binding] })).expect("a configuration");
    Chain::load(&config, Arc::new(SystemClock::new())).expect("it loads")
}

fn measure(bencher: Bencher<'_, '_>, rows: usize, binding: Value) {
    let (chain, spans, tenant) = (chain(binding), Spans::new(rows), Tenant::default());
    let verdicts = chain.validate(&tenant, &spans, NOW);
    assert!(verdicts.keeps_all() && verdicts.plugin_errors == 0);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| chain.validate(&tenant, black_box(&spans), NOW));
}

#[divan::bench(args = ROWS)]
fn validate(bencher: Bencher<'_, '_>, rows: usize) {
    measure(bencher, rows, json!({ "name": "validate", "source": "builtin:validate", "world": "validator" }));
}

#[divan::bench(args = ROWS)]
fn nothing(bencher: Bencher<'_, '_>, rows: usize) {
    let source = format!("file:{}/../../plugins/dist/noop.wasm", env!("CARGO_MANIFEST_DIR"));
    let columns = [
        "time values",
        "trace_id values",
        "span_id values",
        "name dictionary",
        "attr.offsets values",
        "attr.key dictionary",
        "attr.value lengths",
    ];
    let config = json!({ "columns": columns.map(|column| format!("spans {column}")) });
    let binding = json!({ "name": "noop", "source": source, "world": "validator", "config": config });
    measure(bencher, rows, binding);
}

/// One span, by an instance that is there and by one that is made for it: the difference is what
/// making one costs, `configure` included.
#[divan::bench(args = ["warm", "fresh"])]
fn one_span(bencher: Bencher<'_, '_>, isolation: &str) {
    let source = format!("file:{}/../../plugins/dist/noop.wasm", env!("CARGO_MANIFEST_DIR"));
    let binding = json!({
        "name": "noop", "source": source, "world": "validator", "isolation": isolation,
        "config": { "columns": ["spans time values"] },
    });
    measure(bencher, 1, binding);
}

fn main() {
    divan::main();
}
