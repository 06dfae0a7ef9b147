//! CPU of queries on samples in memory: 4,000 counters and gauges every 15 s for six hours, in 16
//! groups, asked every minute.

use std::sync::OnceLock;

use isinglass_promql::{Labels, MemorySource, Options, range};

fn main() {
    divan::main();
}

const SERIES: usize = 4_000;
const SAMPLES: i64 = 1_440;
const STEP_MS: i64 = 15_000;

/// Counters with jittered times and a reset now and then.
fn source() -> &'static MemorySource {
    static SOURCE: OnceLock<MemorySource> = OnceLock::new();
    SOURCE.get_or_init(|| {
        let mut source = MemorySource::default();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for series in 0..SERIES {
            let (group, instance) = (format!("g{}", series % 16), format!("i{series}"));
            let labels = Labels::new([("__name__", "m_total"), ("g", &group), ("instance", &instance)]);
            let mut value = 0.0;
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for sample in 0..SAMPLES {
                value = if next() % 500 == 0 { 0.0 } else { value + (next() % 100) as f64 };
                let jitter = i64::try_from(next() % 9).unwrap_or_default() - 4;
                times.push(sample * STEP_MS + jitter);
                values.push(value);
            }
            source.add_floats(&labels, times, values);
        }
        source
    })
}

#[divan::bench(args = [
    "sum by (g) (rate(m_total[5m]))",
    "rate(m_total[5m])",
    "sum by (g) (m_total)",
    "max_over_time(m_total[1h])",
    "sum_over_time(m_total[1h])",
    "quantile_over_time(0.9, m_total[5m])",
    "sum by (g) (m_total) / on (g) sum by (g) (rate(m_total[5m]))",
    "m_total + m_total",
    "topk(5, m_total)",
    "quantile by (g) (0.9, m_total)",
], sample_count = 5)]
fn six_hours(bencher: divan::Bencher, query: &str) {
    let source = source();
    let end_ms = SAMPLES * STEP_MS;
    bencher.bench_local(|| range(query, (60_000, end_ms, 60_000), source, &Options::default(), &|| None));
}
