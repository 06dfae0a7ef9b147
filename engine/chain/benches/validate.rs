//! What the plugin `validate` costs a span, and what of it is the way into the sandbox.
//!
//! Spans of 10 attributes, all columns shared with the batch as decode makes it; `validate` is
//! a call as the server makes it, epochs on, `nothing` one of a plugin that is handed the same
//! columns and looks at none.

use std::hint::black_box;
use std::sync::Arc;

use arrow_buffer::{Buffer, ScalarBuffer};
use divan::Bencher;
use divan::counter::ItemsCount;
use isinglass_chain::Chain;
use isinglass_model::Tenant;
use isinglass_model::clock::SystemClock;
use isinglass_model::columns::{Column, ColumnData, Columns, Encoding, Shape, TextBuffers};
use serde_json::{Value, json};

const NOW: i64 = 1_767_225_600_000_000_000;
const ATTRIBUTES: usize = 10;
const ROWS: [usize; 2] = [1_000, 10_000];

/// The columns that a validator of spans may want.
struct Spans {
    rows: usize,
    columns: Vec<(&'static str, ColumnData)>,
}

impl Spans {
    fn new(rows: usize) -> Self {
        let ids = |width: usize| {
            let id = |row: usize| (0..width).map(move |byte| (row >> (byte % 8)) as u8 | 1);
            ColumnData::Fixed {
                width: u32::try_from(width).unwrap_or_default(),
                data: Buffer::from_vec((0..rows).flat_map(id).collect::<Vec<u8>>()),
            }
        };
        let entries = rows * ATTRIBUTES;
        // Each span has ten of thirty keys, beginning anywhere.
        let key = |entry: usize| ((entry / ATTRIBUTES * 7 + entry % ATTRIBUTES) % (3 * ATTRIBUTES)) as i32;
        let names = dictionary(rows, |row| row as i32 % 10, 10, "GET /api");
        let columns = vec![
            ("time", ColumnData::I64((0..rows).map(|row| NOW + row as i64).collect())),
            ("trace_id", ids(16)),
            ("span_id", ids(8)),
            ("name", names),
            ("attr.offsets", ColumnData::Offsets((0..=rows).map(|row| (row * ATTRIBUTES) as i32).collect())),
            ("attr.key", dictionary(entries, key, 3 * ATTRIBUTES, "http.attribute.")),
            ("attr.value", ColumnData::U32((0..entries).map(|entry| 10 + entry as u32 % 20).collect())),
        ];
        Self { rows, columns }
    }
}

fn dictionary(rows: usize, key: impl Fn(usize) -> i32, distinct: usize, prefix: &str) -> ColumnData {
    let (mut offsets, mut data) = (vec![0], Vec::new());
    for at in 0..distinct {
        data.extend_from_slice(format!("{prefix}{at}").as_bytes());
        offsets.push(data.len() as i32);
    }
    let values = TextBuffers { offsets: offsets.into(), data: Buffer::from_vec(data) };
    ColumnData::Dictionary { keys: (0..rows).map(key).collect::<ScalarBuffer<i32>>(), values }
}

impl Columns for Spans {
    fn shape(&self) -> Shape {
        Shape::Spans
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn column(&self, name: &str, _: Encoding) -> Option<Column> {
        let column = self.columns.iter().find(|(known, _)| *known == name)?;
        Some(Column::new(column.1.clone()))
    }

    fn bytes(&self) -> usize {
        0
    }
}

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

/// A plugin that never answers, stopped at its limit of 20 ms.
#[divan::bench(sample_count = 20)]
fn a_runaway(bencher: Bencher<'_, '_>) {
    let source =
        format!("file:{}/../../plugins/dist/test/hostile-validator.wasm", env!("CARGO_MANIFEST_DIR"));
    let binding = json!({
        "name": "hostile", "source": source, "world": "validator",
        "config": { "does": "spin" }, "budget": { "cpu_soft_ms": 5, "cpu_hard_ms": 20 },
    });
    let (chain, spans, mut tenants) = (chain(binding), Spans::new(1), 0_u32);
    bencher.bench_local(|| {
        // Whoever fails again and again is left alone, so each time it fails for another.
        tenants += 1;
        let tenant = Tenant::new(&format!("t{tenants}")).expect("a tenant");
        let verdicts = chain.validate(&tenant, black_box(&spans), NOW);
        assert_eq!(verdicts.plugin_errors, 1);
    });
}

fn main() {
    divan::main();
}
