//! What it costs to hand a column of floats to a function of a plugin and to take one back.
//!
//! `border` calls a function that looks at nothing; `native` copies the same bytes as often.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::clock::SystemClock;
use isinglass_model::columns::{Column, ColumnData};
use isinglass_model::functions::ColumnFunction;
use serde_json::json;

fn function(file: &str, name: &str) -> Arc<dyn ColumnFunction> {
    let path = format!("{}/../../plugins/dist/{file}.wasm", env!("CARGO_MANIFEST_DIR"));
    let binding = json!({ "name": "bench", "source": format!("file:{path}"), "world": "function" });
    let config = serde_json::from_value(json!({ "bindings": [binding] })).expect("a configuration");
    let chain = Arc::new(Chain::load(&config, Arc::new(SystemClock::new())).expect("it loads"));
    let all = chain.functions(&Tenant::default());
    all.into_iter().find(|function| function.signature().name == name).expect("it is there")
}

fn column(rows: usize) -> Column {
    Column::new(ColumnData::F64((0..rows).map(|row| row as f64 / 100.0).collect::<Vec<_>>().into()))
}

const ROWS: [usize; 2] = [1_024, 8_192];

#[divan::bench(args = ROWS)]
fn border(bencher: Bencher<'_, '_>, rows: usize) {
    let (function, column) = (function("test/hostile-function", "hostile"), [column(rows)]);
    bencher.counter(ItemsCount::new(rows)).bench_local(|| function.call(rows, black_box(&column)));
}

#[divan::bench(args = ROWS)]
fn haversine(bencher: Bencher<'_, '_>, rows: usize) {
    let function = function("examples/geo", "haversine");
    let columns: [Column; 4] = std::array::from_fn(|_| column(rows));
    bencher.counter(ItemsCount::new(rows)).bench_local(|| function.call(rows, black_box(&columns)));
}

#[divan::bench(args = ROWS)]
fn native(bencher: Bencher<'_, '_>, rows: usize) {
    let values: Vec<f64> = (0..rows).map(|row| row as f64).collect();
    bencher.counter(ItemsCount::new(rows)).bench_local(|| {
        let into = black_box(values.clone());
        black_box(into.clone())
    });
}

fn main() {
    divan::main();
}
