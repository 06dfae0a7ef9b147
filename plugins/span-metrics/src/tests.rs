use std::collections::BTreeMap;

use isinglass_plugin::testing::Table;
use isinglass_plugin::{LabelValues, TextData};
use proptest::prelude::*;

use super::*;

mod graph;
mod options;

#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    kind: &'static str,
    status: &'static str,
    duration: i64,
    size: i64,
    method: Option<String>,
    code: Option<i64>,
}

fn span() -> Span {
    Span {
        service: "shop".into(),
        name: "GET /".into(),
        kind: "server",
        status: "unset",
        duration: 3_000_000,
        size: 100,
        method: None,
        code: None,
    }
}

fn plugin(config: &str) -> SpanMetrics {
    SpanMetrics::configure(Config::parse(config).unwrap()).unwrap()
}

fn batch(plugin: &SpanMetrics, spans: &[Span]) -> Batch {
    let further = plugin.further_requests();
    let texts = |text: fn(&Span) -> &str| spans.iter().map(text).collect::<Vec<_>>();
    let methods: Vec<Option<&str>> = spans.iter().map(|span| span.method.as_deref()).collect();
    let codes: Vec<Option<i64>> = spans.iter().map(|span| span.code).collect();
    let mut table = Table::new(Spans::REQUESTS.iter().chain(&further), Shape::Spans, spans.len())
        .text("service", &texts(|span| &span.service))
        .text("name", &texts(|span| &span.name))
        .text("kind", &texts(|span| span.kind))
        .text("status", &texts(|span| span.status))
        .integers("duration", spans.iter().map(|span| span.duration).collect())
        .integers("size_bytes", spans.iter().map(|span| span.size).collect());
    if methods.iter().any(Option::is_some) {
        table = table.nullable_text("http_request_method", &methods);
    }
    if codes.iter().any(Option::is_some) {
        table = table.nullable_integers("http_response_status_code", &codes);
    }
    table.batch()
}

/// Labels as text, and what was added up under them.
#[derive(Debug, Clone, Default, PartialEq)]
struct Series {
    calls: f64,
    seconds: f64,
    buckets: Vec<f64>,
    bytes: f64,
}

type Totals = BTreeMap<String, Series>;

fn derive(plugin: &SpanMetrics, spans: &[Span]) -> Totals {
    let batch = batch(plugin, spans);
    let derived = plugin.derive(&batch);
    let Some(isinglass_plugin::Table { deltas, histograms }) = derived.tables.into_iter().next() else {
        return Totals::new();
    };
    let count = deltas.series() as usize;
    let [calls, size] = deltas.increments() else { panic!("two counters") };
    let [latency] = &histograms[..] else { panic!("a histogram") };
    assert_eq!((calls.metric, latency.metric, size.metric), (0, 1, 2));
    let width = bounds(plugin).len() + 1;
    assert_eq!((calls.values.len(), latency.sums.len(), size.values.len()), (count, count, count));
    assert_eq!(latency.buckets.len(), count * width);
    let series = |at: usize| Series {
        calls: calls.values[at],
        seconds: latency.sums[at],
        buckets: latency.buckets[at * width..][..width].to_vec(),
        bytes: size.values[at],
    };
    let totals: Totals = (0..count).map(|at| (labels(&deltas, &batch, at), series(at))).collect();
    assert_eq!(totals.len(), count, "a series occurs twice");
    totals
}

/// Bounds of the latency histogram.
fn bounds(plugin: &SpanMetrics) -> Vec<f64> {
    match &plugin.declare().metrics[1].kind {
        DeclaredKind::Histogram { classic: Some(bounds), .. } => bounds.clone(),
        _ => Vec::new(),
    }
}

fn labels(deltas: &Deltas, batch: &Batch, series: usize) -> String {
    let label = |label: &isinglass_plugin::Label| {
        let key = label.keys[series] as usize;
        let value = match &label.values {
            LabelValues::Input(slot) => Dictionary::read_distinct(batch, *slot, key),
            LabelValues::Own(values) => text(values, key),
        };
        // An empty value is the same as no label.
        (!value.is_empty()).then(|| format!("{}={value}", label.name))
    };
    deltas.labels().iter().filter_map(label).collect::<Vec<_>>().join(" ")
}

trait ReadDistinct {
    fn read_distinct(batch: &Batch, slot: u16, key: usize) -> String;
}

impl ReadDistinct for Dictionary<'_> {
    fn read_distinct(batch: &Batch, slot: u16, key: usize) -> String {
        let column = <Dictionary<'_> as isinglass_plugin::View<'_>>::read(batch, slot).unwrap();
        column.distinct().get(key).to_owned()
    }
}

fn text(values: &TextData, key: usize) -> String {
    let range = values.offsets[key] as usize..values.offsets[key + 1] as usize;
    String::from_utf8(values.data[range].to_vec()).unwrap()
}

/// One span after the other, with texts as keys.
fn naive(bounds: &[f64], spans: &[Span], dimensions: bool) -> Totals {
    let mut totals = Totals::new();
    for span in spans {
        let mut labels = vec![
            format!("service={}", span.service),
            format!("span_name={}", span.name),
            format!("span_kind=SPAN_KIND_{}", span.kind.to_uppercase()),
            format!("status_code=STATUS_CODE_{}", span.status.to_uppercase()),
        ];
        if let (true, Some(method)) = (dimensions, &span.method) {
            labels.push(format!("http_request_method={method}"));
        }
        if let (true, Some(code)) = (dimensions, span.code) {
            labels.push(format!("http_response_status_code={code}"));
        }
        labels.retain(|label| !label.ends_with('='));
        let seconds = span.duration.max(0) as f64 / 1e9;
        let series = totals.entry(labels.join(" ")).or_default();
        series.buckets.resize(bounds.len() + 1, 0.0);
        series.buckets[bounds.iter().take_while(|bound| seconds > **bound).count()] += 1.0;
        series.calls += 1.0;
        series.seconds += seconds;
        series.bytes += span.size as f64;
    }
    totals
}

/// Equal up to the order in which floats were added.
fn same(a: &Totals, b: &Totals) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (a, b) in a.values().zip(b.values()) {
        prop_assert_eq!((a.calls, a.bytes, &a.buckets), (b.calls, b.bytes, &b.buckets));
        prop_assert!(
            (a.seconds - b.seconds).abs() <= 1e-9 * a.seconds.max(1e-9),
            "{} {}",
            a.seconds,
            b.seconds
        );
    }
    Ok(())
}

fn add(mut a: Totals, b: Totals) -> Totals {
    for (labels, from) in b {
        let to = a.entry(labels).or_default();
        to.buckets.resize(from.buckets.len(), 0.0);
        to.buckets.iter_mut().zip(from.buckets).for_each(|(to, from)| *to += from);
        (to.calls, to.seconds, to.bytes) =
            (to.calls + from.calls, to.seconds + from.seconds, to.bytes + from.bytes);
    }
    a
}

const DIMENSIONS: &str = r#"{"dimensions": ["http_request_method", "http_response_status_code"]}"#;
const SANITIZING: &str = r#"{"span_name_sanitizing": "on", "span_name_patterns": ["a<_>", "<_>/b"]}"#;

#[test]
fn metrics_are_those_of_tempo() {
    let metrics = plugin("").declare().metrics;
    let shown: Vec<String> =
        metrics.iter().map(|metric| format!("{} {}", metric.name, metric.unit)).collect();
    assert_eq!(
        shown,
        [
            "traces_spanmetrics_calls_total ",
            "traces_spanmetrics_latency s",
            "traces_spanmetrics_size_total By",
            "traces_service_graph_request_total ",
            "traces_service_graph_request_failed_total ",
            "traces_service_graph_request_server_seconds s",
            "traces_service_graph_request_client_seconds s",
            "traces_service_graph_unpaired_spans_total ",
            "traces_service_graph_dropped_spans_total ",
        ]
    );
    let wanted =
        [0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384];
    assert_eq!(bounds(&plugin("")), wanted);
}

#[test]
fn labels_are_those_of_tempo() {
    let kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    let spans: Vec<Span> = kinds
        .into_iter()
        .flat_map(|kind| ["unset", "ok", "error"].map(|status| Span { kind, status, ..span() }))
        .collect();
    let totals = derive(&plugin(""), &spans);
    assert_eq!(totals.len(), 18);
    let labels = "service=shop span_name=GET / span_kind=SPAN_KIND_SERVER status_code=STATUS_CODE_ERROR";
    assert_eq!(totals[labels].calls, 1.0);
    assert!(totals.contains_key(
        "service=shop span_name=GET / span_kind=SPAN_KIND_UNSPECIFIED status_code=STATUS_CODE_UNSET"
    ));
}

#[test]
fn durations_fall_into_inclusive_buckets() {
    let durations = [-5, 0, 1_999_999, 2_000_000, 2_000_001, 16_384_000_000, 16_384_000_001];
    let spans = durations.map(|duration| Span { duration, ..span() });
    let totals = derive(&plugin(""), &spans);
    let series = totals.values().next().unwrap();
    let mut buckets = vec![0.0; 15];
    (buckets[0], buckets[1], buckets[13], buckets[14]) = (4.0, 1.0, 1.0, 1.0);
    assert_eq!(series.buckets, buckets);
    assert_eq!(series.seconds, 32.774_000_001, "a negative duration counts as 0");
}

#[test]
fn one_exemplar_per_series() {
    let slow = Span { duration: 5_000_000_000, ..span() };
    let other = Span { name: "POST /".into(), ..span() };
    let plugin = plugin("");
    let derived = plugin.derive(&batch(&plugin, &[span(), other, slow]));
    let exemplars = derived.tables[0].deltas.exemplars();
    assert_eq!((&exemplars.series[..], &exemplars.row[..]), (&[0, 1][..], &[2, 1][..]));
    assert_eq!((&exemplars.metric[..], &exemplars.value[..]), (&[1, 1][..], &[5.0, 0.003][..]));
    let without = self::plugin(r#"{"exemplars": false}"#);
    assert!(without.derive(&batch(&without, &[span()])).tables[0].deltas.exemplars().row.is_empty());
}

#[test]
fn columns_become_labels() {
    let get = Span { method: Some("GET".into()), code: Some(200), ..span() };
    let totals = derive(&plugin(DIMENSIONS), &[get.clone(), span(), get]);
    let labels = "service=shop span_name=GET / span_kind=SPAN_KIND_SERVER status_code=STATUS_CODE_UNSET";
    let further = format!("{labels} http_request_method=GET http_response_status_code=200");
    assert_eq!(
        totals.iter().map(|(k, v)| (k.as_str(), v.calls)).collect::<Vec<_>>(),
        [(labels, 1.0), (&further, 2.0)]
    );
    // A batch in which no span has them.
    assert_eq!(derive(&plugin(DIMENSIONS), &[span()]).into_keys().collect::<Vec<_>>(), [labels]);
}

#[test]
fn an_empty_batch_is_no_series() {
    assert!(derive(&plugin(DIMENSIONS), &[]).is_empty());
}

#[test]
fn faults_of_the_configuration_name_the_key() {
    for (config, fault) in [
        (
            r#"{"dimension": []}"#,
            "unknown key \"dimension\"; known are unit, profile, dimensions, status_message, histogram_buckets, \
             histograms, native_buckets_max, target_info, host_info, host_identifiers, exemplars, \
             exemplar_label, span_name_sanitizing, span_name_patterns, filter_policies, span_multiplier_attribute, span_multiplier_tracestate, \
             target_info_excluded, metrics_gen_instance, service_graph",
        ),
        (r#"{"dimensions": ["service"]}"#, "dimension \"service\" would be a second label of that name"),
        (r#"{"dimensions": ["a", "a"]}"#, "dimension \"a\" is given twice"),
        (
            r#"{"dimensions": ["status_message"], "status_message": true}"#,
            "dimension \"status_message\" is given twice",
        ),
        (r#"{"histogram_buckets": [1, 1]}"#, "histogram_buckets is not ascending"),
        (r#"{"dimensions": "a"}"#, "dimensions is not a list"),
        (r#"{"histograms": "x"}"#, "histograms is \"x\", not classic, native or both"),
        (r#"{"profile": "x"}"#, "profile is \"x\", not tempo or otel"),
        (r#"{"unit": "ms"}"#, "unit is for the profile otel"),
        (
            r#"{"span_name_patterns": ["GET /<_>"]}"#,
            "span_name_patterns are used only with span_name_sanitizing",
        ),
        (
            r#"{"span_name_sanitizing": "on", "span_name_patterns": ["<_>"]}"#,
            "span_name_patterns has \"<_>\", which has no word of its own",
        ),
        (
            r#"{"service_graph": {"waits": 1}}"#,
            "unknown key \"service_graph.waits\"; known are enabled, histogram_buckets, wait_ms, pending_max, dimensions, prefix_dimensions, virtual_node_label, peer_attributes, database_name_attributes, messaging_latency, connection_info",
        ),
        (
            r#"{"service_graph": {"dimensions": ["client"]}}"#,
            "dimension \"client\" would be a second label of that name",
        ),
        (
            r#"{"filter_policies": [{"include": {"match_type": "like"}}]}"#,
            "match_type is \"like\", not strict, glob or regex",
        ),
    ] {
        assert_eq!(SpanMetrics::configure(Config::parse(config).unwrap()).unwrap_err(), fault);
    }
}

prop_compose! {
    fn any_span()(
        service in "[ab]?", name in "[a-e1/]{0,3}", kind in 0..6_usize, status in 0..3_usize,
        duration in prop_oneof![-10_i64..10, 0_i64..40_000_000_000], size in 0_i64..10_000,
        method in proptest::option::of("GET|PUT|"), code in proptest::option::of(prop_oneof![-1_i64..2, 200_i64..205]),
    ) -> Span {
        let kinds = ["unspecified", "internal", "server", "client", "producer", "consumer"];
        let status = ["unset", "ok", "error"][status];
        Span { service, name, kind: kinds[kind], status, duration, size, method, code }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn equals_a_naive_computation(spans in proptest::collection::vec(any_span(), 0..100), dimensions in any::<bool>()) {
        let plugin = plugin(if dimensions { DIMENSIONS } else { "" });
        same(&derive(&plugin, &spans), &naive(&bounds(&plugin), &spans, dimensions))?;
    }

    #[test]
    fn splitting_a_batch_changes_nothing(spans in proptest::collection::vec(any_span(), 1..100), at in any::<prop::sample::Index>()) {
        let (first, second) = spans.split_at(at.index(spans.len()));
        for config in [DIMENSIONS, SANITIZING] {
            let plugin = plugin(config);
            same(&derive(&plugin, &spans), &add(derive(&plugin, first), derive(&plugin, second)))?;
        }
    }
}
