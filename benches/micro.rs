//! Cost of single stages, without sockets: `cargo bench --bench micro`.
//!
//! The shapes are those of the end-to-end bench: a remote write request of
//! 2,000 series with ten labels, spans with ten attributes. Figures that count
//! are those of `benches/run.sh`, in CPU time of the whole server; these here say
//! which stage a change touched.

use std::collections::HashMap;
use std::sync::Arc;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use isinglass_chain::{Chain, ChainConfig};
use isinglass_decode::{Compression, Context, Format, Protocol, decode, decompress};
use isinglass_model::Tenant;
use isinglass_model::batch::{Decoded, SpanBatch};
use isinglass_model::clock::SystemClock;
use isinglass_model::labels::LabelSet;
use isinglass_model::series::{
    Fingerprint, Judgement, Known, MetricMeta, ResolveError, SeriesRef, SeriesResolver,
};
use isinglass_testkit::{load, remote_write};

const NOW_NANOS: i64 = 1_700_000_000_000_000_000;
const SERIES: usize = 2_000;
const SPANS: usize = 10_000;

fn main() {
    divan::main();
}

/// Knows every label set it has seen.
#[derive(Debug, Default)]
struct Index {
    known: HashMap<Fingerprint, SeriesRef>,
}

impl SeriesResolver for Index {
    fn salt(&self) -> u64 {
        1
    }

    fn lookup(&mut self, fingerprint: Fingerprint) -> Option<Known> {
        let series = *self.known.get(&fingerprint)?;
        Some(Known { series, judgement: Judgement::Keep })
    }

    fn intern(&mut self, fingerprint: Fingerprint, _: LabelSet) -> Result<Known, ResolveError> {
        let next = SeriesRef(u32::try_from(self.known.len()).unwrap_or(u32::MAX));
        let series = *self.known.entry(fingerprint).or_insert(next);
        Ok(Known { series, judgement: Judgement::Keep })
    }

    fn describe(&mut self, _: &str, _: &MetricMeta) {}
}

fn read(protocol: Protocol, body: &[u8], resolver: &mut Index) -> Decoded {
    let mut context = Context { now_unix_nanos: NOW_NANOS, resolver };
    decode(protocol, Format::Protobuf, body, &mut context).expect("the load is well-formed")
}

fn spans() -> SpanBatch {
    let body = load::traces(1, SPANS, NOW_NANOS.unsigned_abs() - 1_000_000_000);
    read(Protocol::OtlpTraces, &body, &mut Index::default()).spans.expect("there are spans")
}

fn chain() -> Chain {
    Chain::load(&ChainConfig::default(), Arc::new(SystemClock::new())).expect("the built-in plugins load")
}

/// Snappy, parse and lookup of samples whose series are known.
#[divan::bench]
fn remote_write_of_known_series(bencher: Bencher) {
    let body: bytes::Bytes = remote_write::snappy(&load::gauges(SERIES, NOW_NANOS / 1_000_000)).into();
    let mut index = Index::default();
    let mut once = || {
        let plain = decompress(Compression::Snappy, body.clone(), 64 << 20).expect("it is snappy");
        read(Protocol::RemoteWrite1, &plain, &mut index)
    };
    assert_eq!(once().samples.len(), SERIES);
    bencher.counter(ItemsCount::new(SERIES)).bench_local(once);
}

/// The same for series never seen before: what a restart of a sender costs.
#[divan::bench]
fn remote_write_of_new_series(bencher: Bencher) {
    let body = load::gauges(SERIES, NOW_NANOS / 1_000_000);
    bencher
        .counter(ItemsCount::new(SERIES))
        .with_inputs(Index::default)
        .bench_local_values(|mut index| read(Protocol::RemoteWrite1, &body, &mut index));
}

/// OTLP spans with ten attributes to a record batch.
#[divan::bench]
fn otlp_spans(bencher: Bencher) {
    let body = load::traces(1, SPANS, NOW_NANOS.unsigned_abs() - 1_000_000_000);
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench_local(|| read(Protocol::OtlpTraces, black_box(&body), &mut Index::default()));
}

/// The plugin `validate` on spans, host side included.
#[divan::bench]
fn validate_spans(bencher: Bencher) {
    let (chain, batch, tenant) = (chain(), spans(), Tenant::default());
    assert!(chain.validate(&tenant, &batch, NOW_NANOS).keeps_all());
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench_local(|| chain.validate(&tenant, black_box(&batch), NOW_NANOS));
}

/// The plugin `span-metrics`, host side included.
#[divan::bench]
fn derive_span_metrics(bencher: Bencher) {
    let (chain, batch, tenant) = (chain(), spans(), Tenant::default());
    assert!(!chain.derive(&tenant, &batch, NOW_NANOS).is_empty());
    bencher
        .counter(ItemsCount::new(SPANS))
        .bench_local(|| chain.derive(&tenant, black_box(&batch), NOW_NANOS));
}
