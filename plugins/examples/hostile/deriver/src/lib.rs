//! A deriver that misbehaves on demand; what it can do stands in `../README.md`.

use hostile_common::Orders;
use isinglass_plugin::{
    Batch, Config, Deltas, Deriver, Dictionary, LabelValues, Metric, MetricKind, Plugin, Request, Shape,
    TextData, columns, export_deriver,
};

columns! {
    /// Spans are shown to it.
    struct Spans<'a> of Shape::Spans {
        service: Dictionary<'a> = "service",
    }
}

/// A counter and a histogram of one bound.
const COUNTER: u16 = 0;
const HISTOGRAM: u16 = 1;

/// The plugin.
#[derive(Debug)]
pub struct HostileDeriver(Orders);

impl Plugin for HostileDeriver {
    const NAME: &'static str = "hostile-deriver";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object"}"#;
    const REQUESTS: &'static [&'static [Request]] = &[Spans::REQUESTS];

    fn configure(config: Config) -> Result<Self, String> {
        Orders::read(config).map(Self)
    }
}

impl Deriver for HostileDeriver {
    fn metrics(&self) -> Vec<Metric> {
        let metric = |name: &str, kind, bounds| Metric {
            name: name.to_owned(),
            kind,
            help: "Made by a test.".to_owned(),
            unit: String::new(),
            bounds,
        };
        vec![
            metric("hostile_total", MetricKind::Counter, Vec::new()),
            metric("hostile_seconds", MetricKind::Histogram, vec![1.0]),
        ]
    }

    fn derive(&self, batch: &Batch) -> Deltas {
        let slot = Spans::of(batch).service.slot();
        answer(self.0.with(batch.rows), slot)
    }
}

/// One series, of which something is wrong.
fn answer(does: &str, slot: u16) -> Deltas {
    let mut deltas = Deltas::of(1);
    let own = |offsets, data: &[u8]| LabelValues::Own(TextData { offsets, data: data.to_vec() });
    match does {
        "bad_index" => deltas.push_label("service", vec![u32::MAX], LabelValues::Input(slot)),
        "bad_slot" => deltas.push_label("service", vec![0], LabelValues::Input(999)),
        "too_few_keys" => deltas.push_label("service", vec![], LabelValues::Input(slot)),
        "bad_offsets" => deltas.push_label("service", vec![0], own(vec![0, -5], b"abc")),
        "offsets_beyond" => deltas.push_label("service", vec![0], own(vec![0, 1_000], b"abc")),
        "no_offsets" => deltas.push_label("service", vec![0], own(vec![], b"")),
        "bad_utf8" => deltas.push_label("service", vec![0], own(vec![0, 2], b"\xff\xfe")),
        "same_label_twice" => {
            (0..2).for_each(|_| deltas.push_label("service", vec![0], LabelValues::Input(slot)))
        }
        "odd_label" => deltas.push_label("", vec![0], LabelValues::Input(slot)),
        "name_label" => deltas.push_label("__name__", vec![0], LabelValues::Input(slot)),
        "long_value" => deltas.push_label("service", vec![0], own(vec![0, 8 << 20], &vec![b'x'; 8 << 20])),
        "bad_metric" => deltas.counter(99, vec![1.0]),
        "too_few_values" => deltas.counter(COUNTER, vec![]),
        "nan" => deltas.counter(COUNTER, vec![f64::NAN]),
        "negative" => deltas.counter(COUNTER, vec![-1.0]),
        "too_few_buckets" => deltas.histogram(HISTOGRAM, vec![1.0], vec![1]),
        "counter_with_buckets" => deltas.histogram(COUNTER, vec![1.0], vec![1, 1]),
        "bad_exemplar_series" => deltas.exemplar(HISTOGRAM, u32::MAX, 1.0, 0),
        "bad_exemplar_row" => deltas.exemplar(HISTOGRAM, 0, 1.0, u32::MAX),
        "many_series" => deltas = many_series(),
        "huge_output" => deltas = huge_output(),
        _ => {
            deltas.push_label("service", vec![0], LabelValues::Input(slot));
            deltas.counter(COUNTER, vec![1.0]);
        }
    }
    deltas
}

fn many_series() -> Deltas {
    const COUNT: u32 = 200_000;
    let mut deltas = Deltas::of(COUNT as usize);
    let values: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    let values = values.iter().map(String::as_str).collect();
    deltas.push_label("number", (0..COUNT).collect(), LabelValues::Own(values));
    deltas.counter(COUNTER, vec![1.0; COUNT as usize]);
    deltas
}

fn huge_output() -> Deltas {
    let mut deltas = Deltas::of(1);
    deltas.counter(COUNTER, vec![1.0; 4 << 20]);
    deltas
}

export_deriver!(HostileDeriver);
