//! What the built-in plugins cost natively: the yardstick for what the sandbox
//! adds. `cargo run --profile guest -p isinglass-bench-plugins`
//!
//! Spans of 20 services, 10 names and 10 attributes, as columns.

use std::hint::black_box;
use std::time::Instant;

use isinglass_plugin::testing::Table;
use isinglass_plugin::{Batch, Config, PairingDeriver, Plugin, Request, Shape, Validator, Verdicts, host};
use isinglass_span_metrics::SpanMetrics;
use isinglass_validate::Validate;

const ATTRIBUTES: usize = 10;
const RUNS: usize = 200;
const WITHOUT_GRAPH: &str = r#"{"service_graph": {"enabled": false}}"#;

fn main() {
    host::set_now_unix_nanos(1_700_000_000_000_000_000);
    println!("{:>7} {:>12} {:>14} {:>14}   ns a span", "rows", "validate", "span-metrics", "without graph");
    for rows in [100, 1_000, 10_000, 100_000] {
        let (with, without) = (span_metrics(rows, ""), span_metrics(rows, WITHOUT_GRAPH));
        println!("{rows:>7} {:>12.1} {with:>14.1} {without:>14.1}", validate(rows));
    }
}

fn validate(rows: usize) -> f64 {
    let plugin = configured::<Validate>("");
    let batch = spans(Validate::REQUESTS.concat(), rows);
    best(rows, || {
        let mut verdicts = Verdicts::of(batch.rows);
        plugin.validate(black_box(&batch), &mut verdicts);
        assert!(black_box(verdicts).rows().is_empty());
    })
}

fn span_metrics(rows: usize, config: &str) -> f64 {
    let plugin = configured::<SpanMetrics>(config);
    let batch = spans([SpanMetrics::REQUESTS.concat(), plugin.further_requests()].concat(), rows);
    best(rows, || assert!(!black_box(plugin.derive(black_box(&batch))).tables.is_empty()))
}

fn best(rows: usize, mut run: impl FnMut()) -> f64 {
    let once = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as f64 / rows as f64
    };
    (0..RUNS).map(once).fold(f64::INFINITY, f64::min)
}

fn configured<P: Plugin>(config: &str) -> P {
    let plugin = Config::parse(config).and_then(P::configure);
    plugin.expect("a configuration of a built-in plugin")
}

fn spans(requests: Vec<Request>, rows: usize) -> Batch {
    let mut random = Random(42);
    let column = |count: u64, name: &str, random: &mut Random| -> Vec<String> {
        (0..rows).map(|_| format!("{name}-{}", random.below(count))).collect()
    };
    let (services, names) = (column(20, "service", &mut random), column(10, "GET /api", &mut random));
    let pick = |values: &[&'static str], random: &mut Random| -> Vec<&'static str> {
        (0..rows).map(|_| values[random.below(values.len() as u64) as usize]).collect()
    };
    let kinds = pick(&["server", "client", "internal"], &mut random);
    let statuses = pick(&["unset", "unset", "unset", "unset", "ok", "error"], &mut random);
    let keys: Vec<String> = (0..ATTRIBUTES * 3).map(|number| format!("http.attribute.{number}")).collect();
    // Each span has ten of thirty keys, beginning anywhere.
    let starts: Vec<usize> = (0..rows).map(|_| random.below(keys.len() as u64) as usize).collect();
    let attributes =
        starts.iter().flat_map(|start| (0..ATTRIBUTES).map(move |at| (start + at) % (ATTRIBUTES * 3)));
    let attributes: Vec<&str> = attributes.map(|key| keys[key].as_str()).collect();
    let values = vec!["a value of some length"; attributes.len()];
    Table::new(&requests, Shape::Spans, rows)
        .integers("time", (0..rows as i64).map(|row| 1_700_000_000_000_000_000 + row).collect())
        .fixed("trace_id", &(1..=rows as u128).map(u128::to_be_bytes).collect::<Vec<_>>())
        .fixed("span_id", &(1..=rows as u64).map(u64::to_be_bytes).collect::<Vec<_>>())
        .fixed("parent_span_id", &(2..=rows as u64 + 1).map(u64::to_be_bytes).collect::<Vec<_>>())
        .text("service", &services.iter().map(String::as_str).collect::<Vec<_>>())
        .text("name", &names.iter().map(String::as_str).collect::<Vec<_>>())
        .text("kind", &kinds)
        .text("status", &statuses)
        .integers("duration", (0..rows).map(|_| random.below(500_000_000) as i64).collect())
        .integers("size_bytes", (0..rows).map(|_| 400 + random.below(200) as i64).collect())
        .offsets("attr.offsets", &vec![ATTRIBUTES; rows])
        .text("attr.key", &attributes)
        .text("attr.value", &values)
        .batch()
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % count
    }
}
