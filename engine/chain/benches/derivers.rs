//! What `span-metrics` costs a span in its sandbox: by default, without the service graph, and as it
//! was when the interface knew no pairs.

use std::hint::black_box;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::clock::SystemClock;
use isinglass_model::columns::{Column, ColumnData, Columns, Encoding, Shape, TextBuffers};
use serde_json::{Value, json};

const ROWS: usize = 10_000;

/// Spans of 20 services and 10 names; a third each are of servers, clients and neither.
struct Spans(Vec<(&'static str, Column)>);

impl Columns for Spans {
    fn shape(&self) -> Shape {
        Shape::Spans
    }

    fn rows(&self) -> usize {
        ROWS
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, column)| column.clone())
    }

    fn bytes(&self) -> usize {
        ROWS * 481
    }
}

/// Numbers that look random.
fn number(row: usize, salt: u64) -> u64 {
    let mixed =
        (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt.wrapping_mul(0xd134_2543_de82_ef95);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn texts(salt: u64, values: &[String]) -> Column {
    let keys: Vec<i32> = (0..ROWS).map(|row| (number(row, salt) % values.len() as u64) as i32).collect();
    let mut offsets = vec![0];
    for value in values {
        offsets.push(offsets[offsets.len() - 1] + value.len() as i32);
    }
    let values = TextBuffers { offsets: offsets.into(), data: values.concat().into_bytes().into() };
    Column::new(ColumnData::Dictionary { keys: keys.into(), values })
}

fn integers(value: impl Fn(usize) -> i64) -> Column {
    Column::new(ColumnData::I64((0..ROWS).map(value).collect::<Vec<_>>().into()))
}

fn ids(width: u32, first: usize) -> Column {
    let id = |row: usize| (row as u128).to_be_bytes()[16 - width as usize..].to_vec();
    let data: Vec<u8> = (first..first + ROWS).flat_map(id).collect();
    Column::new(ColumnData::Fixed { width, data: data.into() })
}

fn spans() -> Spans {
    let named = |count: usize, name: &str| (0..count).map(|at| format!("{name}-{at}")).collect::<Vec<_>>();
    let of = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    Spans(vec![
        ("service", texts(1, &named(20, "service"))),
        ("name", texts(2, &named(10, "GET /api"))),
        ("kind", texts(3, &of(&["server", "client", "internal"]))),
        ("status", texts(4, &of(&["unset", "unset", "unset", "unset", "ok", "error"]))),
        ("duration", integers(|row| (number(row, 5) % 500_000_000) as i64)),
        ("size_bytes", integers(|row| 400 + (number(row, 6) % 200) as i64)),
        ("time", integers(|row| 1_700_000_000_000_000_000 + row as i64)),
        ("trace_id", ids(16, 1)),
        ("span_id", ids(8, 1)),
        ("parent_span_id", ids(8, 2)),
    ])
}

fn bench(bencher: Bencher<'_, '_>, source: &str, config: Value) {
    let binding = json!({ "name": "bench", "source": source, "world": "deriver", "config": config });
    let config = serde_json::from_value(json!({ "bindings": [binding] })).expect("a configuration");
    let chain = Chain::load(&config, Arc::new(SystemClock::new())).expect("it loads");
    let (tenant, batch) = (Tenant::default(), spans());
    assert!(!chain.derive(&tenant, &batch, 0).is_empty());
    bencher
        .counter(ItemsCount::new(ROWS))
        .bench_local(|| black_box(chain.derive(&tenant, black_box(&batch), 0)));
}

#[divan::bench]
fn by_default(bencher: Bencher<'_, '_>) {
    bench(bencher, "builtin:span-metrics", json!({}));
}

#[divan::bench]
fn without_service_graph(bencher: Bencher<'_, '_>) {
    bench(bencher, "builtin:span-metrics", json!({ "service_graph": { "enabled": false } }));
}

#[divan::bench]
fn both_forms_of_histograms(bencher: Bencher<'_, '_>) {
    bench(bencher, "builtin:span-metrics", json!({ "histograms": "both" }));
}

#[divan::bench]
fn of_interface_0_1_1(bencher: Bencher<'_, '_>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/plugins/0.1.1/span-metrics.wasm");
    bench(bencher, &format!("file:{path}"), json!({}));
}

fn main() {
    divan::main();
}
