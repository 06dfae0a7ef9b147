//! What a configuration changes.

use super::*;

fn with(table: Batch, plugin: &SpanMetrics, name: &str, values: &[Option<&str>]) -> Batch {
    let further = plugin.further_requests();
    let more = Table::new(&further, Shape::Spans, table.rows).nullable_text(name, values).batch();
    Batch { columns: table.columns.into_iter().chain(more.columns).collect(), ..table }
}

fn calls(derived: &Derived) -> Vec<f64> {
    derived.tables[0].deltas.increments()[0].values.clone()
}

#[test]
fn the_otel_profile_has_the_names_of_the_connector() {
    let seconds = plugin(r#"{"profile": "otel"}"#);
    let names: Vec<String> = seconds.declare().metrics.into_iter().map(|metric| metric.name).collect();
    assert_eq!(names, ["traces_span_metrics_calls_total", "traces_span_metrics_duration_seconds"]);
    assert_eq!(seconds.declare().pairing, None);
    let milliseconds = plugin(r#"{"profile": "otel", "unit": "ms"}"#);
    assert_eq!(milliseconds.declare().metrics[1].name, "traces_span_metrics_duration_milliseconds");
    assert_eq!(bounds(&milliseconds).len(), 16);
    assert_eq!((bounds(&milliseconds)[0], bounds(&seconds)[15]), (2.0, 15.0));

    let batch = batch(&milliseconds, &[span()]);
    let derived = milliseconds.derive(&batch);
    let labels = labels(&derived.tables[0].deltas, &batch, 0);
    assert_eq!(
        labels,
        "service_name=shop span_name=GET / span_kind=SPAN_KIND_SERVER status_code=STATUS_CODE_UNSET"
    );
    assert_eq!(derived.tables[0].histograms[0].sums, [3.0]);
    assert_eq!(derived.tables[0].histograms[0].buckets[1], 1.0);
    assert!(derived.tables[0].deltas.exemplars().row.is_empty());
}

#[test]
fn histograms_are_native_on_demand() {
    let spans = [0, 3_000_000, 3_000_001, 8_000_000].map(|duration| Span { duration, ..span() });
    for (config, classic) in [(r#"{"histograms": "native"}"#, 0), (r#"{"histograms": "both"}"#, 15)] {
        let plugin = plugin(config);
        let DeclaredKind::Histogram { exponential_buckets_max, .. } = plugin.declare().metrics[1].kind else {
            panic!("a histogram")
        };
        assert_eq!(exponential_buckets_max, 100);
        let derived = plugin.derive(&batch(&plugin, &spans));
        let latency = &derived.tables[0].histograms[0];
        assert_eq!(latency.buckets.len(), classic);
        let exponential = &latency.exponential;
        assert_eq!((exponential.scale, &exponential.zeros[..]), (3, &[1.0][..]));
        // 2^(-67/8) = 3.01 ms, 2^(-55/8) = 8.5 ms.
        assert_eq!((&exponential.index[..], &exponential.count[..]), (&[-67, -55][..], &[2.0, 1.0][..]));
    }
}

#[test]
fn spans_stand_for_others() {
    let plugin = plugin(r#"{"span_multiplier_attribute": "ratio", "span_multiplier_tracestate": true}"#);
    let spans = [span(), span(), span()];
    let batch = with(batch(&plugin, &spans), &plugin, "own:ratio", &[Some("0.25"), Some("x"), None]);
    let derived = plugin.derive(&with(batch, &plugin, "trace_state", &[None, Some("ot=th:8"), None]));
    assert_eq!(calls(&derived), [4.0 + 2.0 + 1.0]);
    assert_eq!(derived.tables[0].histograms[0].sums, [7.0 * 0.003]);
    assert_eq!(derived.tables[0].histograms[0].buckets[1], 7.0);
    // A batch in which no span has either.
    assert_eq!(calls(&plugin.derive(&super::batch(&plugin, &spans))), [3.0]);
}

fn check_policy(policy: &str, kept: &[bool]) {
    let plugin = plugin(&format!(r#"{{"filter_policies": [{policy}]}}"#));
    let spans: Vec<Span> =
        [("server", "GET /", "ok"), ("client", "GET /health", "error"), ("server", "PUT /", "unset")]
            .into_iter()
            .zip(0..)
            .map(|((kind, name, status), at)| Span { kind, status, name: name.into(), size: at, ..span() })
            .collect();
    let mut all = batch(&plugin, &spans);
    let values = [Some("red"), None, Some("blue")];
    if plugin.further_requests().iter().any(|request| request.name == "resource:team") {
        all = with(all, &plugin, "resource:team", &values);
    }
    let derived = plugin.derive(&all);
    let rows = derived.tables.first().map(|table| table.deltas.exemplars().row.clone()).unwrap_or_default();
    let wanted: Vec<u32> = (0..).zip(kept).filter(|(_, kept)| **kept).map(|(row, _)| row).collect();
    assert_eq!(rows, wanted, "{policy}");
}

#[test]
fn regular_expressions_are_bounded() {
    let attribute = r#"{"key": "name", "value": "^GET"}"#;
    let policy = |count: usize| {
        let attributes = vec![attribute; count].join(",");
        format!(r#"{{"include": {{"match_type": "regex", "attributes": [{attributes}]}}}}"#)
    };
    let configured = |policies: &[String]| {
        let config = format!(r#"{{"filter_policies": [{}]}}"#, policies.join(","));
        SpanMetrics::configure(Config::parse(&config).unwrap()).map(|_| ())
    };
    assert_eq!(configured(&[policy(32), policy(32)]), Ok(()));
    let limit = "filter_policies has 65 regular expressions, the limit is 64";
    assert_eq!(configured(&[policy(32), policy(32), policy(1)]).unwrap_err(), limit);
}

#[test]
fn policies_choose_spans() {
    let one = |part: &str, kind: &str, key: &str, value: &str| {
        format!(
            r#"{{"{part}": {{"match_type": "{kind}", "attributes": [{{"key": "{key}", "value": "{value}"}}]}}}}"#
        )
    };
    check_policy(&one("include", "regex", "name", "^(GET|PUT) /$"), &[true, false, true]);
    check_policy(&one("exclude", "regex", "name", "health"), &[true, false, true]);
    check_policy(&one("include", "regex", "kind", "^SPAN_KIND_(CLIENT|PRODUCER)$"), &[false, true, false]);
    check_policy(&one("include_any", "regex", "status", "^(ok|error)$"), &[true, true, false]);
    check_policy(&one("include", "regex", "resource.team", "^r"), &[true, false, false]);
    check_policy(&one("include", "strict", "kind", "server"), &[true, false, true]);
    check_policy(&one("include", "strict", "kind", "SPAN_KIND_CLIENT"), &[false, true, false]);
    check_policy(&one("exclude", "strict", "status", "STATUS_CODE_ERROR"), &[true, false, true]);
    check_policy(&one("exclude", "glob", "name", "*health*"), &[true, false, true]);
    check_policy(&one("include", "strict", "resource.team", "red"), &[true, false, false]);
    check_policy(&one("include", "strict", "span.absent", "red"), &[false, false, false]);
    check_policy(&one("exclude", "glob", "resource.team", "*"), &[false, true, false]);
    check_policy(
        r#"{"include_any": {"attributes": [{"key": "resource.team", "value": "red"}, {"key": "name", "value": "GET /health"}]}}"#,
        &[true, true, false],
    );
    let both =
        format!("{}, {}", one("include", "strict", "kind", "server"), one("exclude", "glob", "name", "PUT*"));
    check_policy(&both, &[true, false, false]);
}

#[test]
fn target_info_says_what_is_known_of_a_resource() {
    let plugin = plugin(r#"{"target_info": true, "target_info_excluded": ["secret"]}"#);
    let spans = [span(), span(), span()];
    let rich = r#"{"host.name":"a","secret":"x","service.instance.id":"i1","service.name":"shop","service.namespace":"eu"}"#;
    let batch = with(
        batch(&plugin, &spans),
        &plugin,
        "resource:*",
        &[Some(rich), Some(rich), Some(r#"{"service.name":"shop"}"#)],
    );
    let batch = with(batch, &plugin, "service_namespace", &[Some("eu"), Some("eu"), None]);
    let batch = with(batch, &plugin, "service_instance_id", &[Some("i1"), Some("i1"), None]);
    let derived = plugin.derive(&batch);
    let of = |table: usize, series| labels(&derived.tables[table].deltas, &batch, series);
    assert_eq!(derived.tables.len(), 2, "one resource says more than its name");
    assert_eq!(of(1, 0), "host_name=a job=eu/shop instance=i1");
    let own = "service=shop span_name=GET / span_kind=SPAN_KIND_SERVER status_code=STATUS_CODE_UNSET";
    assert_eq!([of(0, 0), of(0, 1)], [format!("{own} job=eu/shop instance=i1"), format!("{own} job=shop")]);
}

#[test]
fn host_info_names_hosts() {
    let plugin = plugin(r#"{"host_info": true}"#);
    let batch = with(
        batch(&plugin, &[span(), span(), span()]),
        &plugin,
        "resource:host.id",
        &[Some("h"), Some("h"), None],
    );
    let batch = with(batch, &plugin, "resource:k8s.node.name", &[Some("n"), None, None]);
    let derived = plugin.derive(&batch);
    let hosts = &derived.tables[1].deltas;
    let lines: Vec<String> = (0..2).map(|series| labels(hosts, &batch, series)).collect();
    assert_eq!(
        lines,
        ["grafana_host_id=n host_source=k8s.node.name", "grafana_host_id=h host_source=host.id"]
    );
}

#[test]
fn the_writer_can_be_told() {
    let plugin = plugin(r#"{"metrics_gen_instance": "g1"}"#);
    let batch = batch(&plugin, &[span()]);
    let derived = plugin.derive(&batch);
    assert!(labels(&derived.tables[0].deltas, &batch, 0).ends_with("__metrics_gen_instance=g1"));
}

#[test]
fn attributes_of_any_key_become_labels() {
    let plugin = plugin(r#"{"dimensions": ["cart.size", "team"]}"#);
    let batch = with(batch(&plugin, &[span()]), &plugin, "any:cart.size", &[Some("7")]);
    let batch = with(batch, &plugin, "any:team", &[Some("red")]);
    let derived = plugin.derive(&batch);
    assert!(labels(&derived.tables[0].deltas, &batch, 0).ends_with(" cart_size=7 team=red"));
}

#[test]
fn names_lose_their_ids() {
    let named = |name: &str| Span { name: name.into(), ..span() };
    let spans = [named("GET /orders/1"), named("GET /"), named("GET /orders/2"), named("GET /orders/1")];
    let names = |config: &str| {
        let plugin = plugin(config);
        let totals = derive(&plugin, &spans);
        let all =
            totals.into_iter().map(|(labels, series)| (labels, series.calls)).collect::<BTreeMap<_, _>>();
        let name = |labels: &str| {
            let (_, rest) = labels.split_once("span_name=").unwrap();
            rest.split_once(" span_kind").unwrap().0.to_owned()
        };
        all.iter().map(|(labels, calls)| (name(labels), *calls)).collect::<Vec<_>>()
    };
    let on = names(r#"{"span_name_sanitizing": "on"}"#);
    assert_eq!(on, [("GET /".to_owned(), 1.0), ("GET /orders/<_>".to_owned(), 3.0)]);
    let known = r#"{"span_name_sanitizing": "on", "span_name_patterns": ["<_> /orders/<_>", "GET /<_>/1"]}"#;
    assert_eq!(names(known), [("<_> /orders/<_>".to_owned(), 3.0), ("GET /".to_owned(), 1.0)]);
    for as_they_are in ["", r#"{"span_name_sanitizing": "dry-run"}"#] {
        assert_eq!(names(as_they_are).len(), 3);
    }
}
