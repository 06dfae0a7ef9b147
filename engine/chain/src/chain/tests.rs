//! Whole chains with real components: the built-in ones, and hostile ones that
//! do what their configuration says (`plugins/examples/hostile`).

use isinglass_model::clock::ManualClock;
use isinglass_model::columns::{Column, ColumnData};
use isinglass_model::verdict::Decision;
use serde_json::{Value, json};

use super::*;
use crate::columns::tests::{Fake, text_buffers};

mod conditions;
mod functions;
mod generated;
mod hostile;
mod limits;
mod loading;
mod results;
mod transform;

/// 2023-11-14 in nanoseconds.
const NOW: i64 = 1_700_000_000_000_000_000;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

fn load(config: Value) -> Chain {
    load_at(config, clock())
}

fn load_at(config: Value, clock: Arc<ManualClock>) -> Chain {
    try_load(config, clock).unwrap_or_else(|error| panic!("{error}"))
}

fn try_load(config: Value, clock: Arc<ManualClock>) -> Result<Chain, ChainError> {
    Chain::load(&serde_json::from_value(config).unwrap(), clock)
}

/// A binding of a hostile component that does `does`, with little time to do it.
fn hostile(world: World, does: &str) -> Value {
    let path =
        format!("{}/../../plugins/dist/test/hostile-{}.wasm", env!("CARGO_MANIFEST_DIR"), world.as_str());
    json!({
        "name": "hostile",
        "source": format!("file:{path}"),
        "world": world,
        "config": { "does": does },
        "budget": { "cpu_soft_ms": 5, "cpu_hard_ms": 150 },
    })
}

fn with(mut binding: Value, key: &str, value: Value) -> Value {
    binding[key] = value;
    binding
}

/// Spans that the built-in plugins have nothing against. Span `n` has trace id
/// `n + 1`, service `service-{n % 3}`, a duration of `n` milliseconds.
pub(crate) fn spans(rows: usize) -> Fake {
    let dictionary = |values: &[&str], key: &dyn Fn(usize) -> i32| {
        let keys: Vec<i32> = (0..rows).map(key).collect();
        Column::new(ColumnData::Dictionary { keys: keys.into(), values: text_buffers(values) })
    };
    let numbers = |value: &dyn Fn(i64) -> i64| {
        Column::new(ColumnData::I64((0..rows as i64).map(value).collect::<Vec<_>>().into()))
    };
    let ids = |width: u32| {
        let data: Vec<u8> = (0..rows)
            .flat_map(|row| {
                let mut id = vec![0; width as usize];
                id[..4].copy_from_slice(&(row as u32 + 1).to_le_bytes());
                id
            })
            .collect();
        Column::new(ColumnData::Fixed { width, data: arrow_buffer::Buffer::from_vec(data) })
    };
    Fake {
        shape: Shape::Spans,
        rows,
        columns: vec![
            ("time", numbers(&|_| NOW)),
            ("duration", numbers(&|row| row * 1_000_000)),
            ("size_bytes", numbers(&|_| 481)),
            ("trace_id", ids(16)),
            ("span_id", ids(8)),
            ("service", dictionary(&["service-0", "service-1", "service-2"], &|row| row as i32 % 3)),
            ("name", dictionary(&["GET /", "POST /"], &|row| row as i32 % 2)),
            ("kind", dictionary(&["server", "client"], &|row| row as i32 % 2)),
            ("status", dictionary(&["unset", "error"], &|row| i32::from(row % 10 == 0))),
        ],
    }
}

/// The same spans, some of them with a trace id of zero.
fn spans_without_trace(rows: usize, broken: impl Fn(usize) -> bool) -> Fake {
    let mut batch = spans(rows);
    for (name, column) in &mut batch.columns {
        if let ("trace_id", ColumnData::Fixed { width, data }) = (*name, &mut column.data) {
            let mut bytes = data.to_vec();
            for row in (0..rows).filter(|row| broken(*row)) {
                bytes[row * *width as usize..][..*width as usize].fill(0);
            }
            *data = arrow_buffer::Buffer::from_vec(bytes);
        }
    }
    batch
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn stats_of(chain: &Chain, binding: &str) -> BindingStats {
    chain.stats().into_iter().find(|stats| stats.binding == binding).unwrap()
}

fn failures(chain: &Chain) -> Vec<(&'static str, u64)> {
    stats_of(chain, "hostile").failures.into_iter().collect()
}
