//! Questions about labels, metadata, exemplars, stored samples.

use isinglass_lang::promql::ast::Matcher;
use isinglass_lang::promql::parse_selector;
use isinglass_model::Tenant;
use isinglass_model::labels::{LabelSet, Temporality};
use isinglass_promql::value::STALE;
use isinglass_promql::{Labels, Sample, Series, Value};
use isinglass_query::{
    ExemplarRequest, MetadataSelection, PromqlKind, PromqlRequest, PromqlTime, QueryConfig,
};
use isinglass_store::Append;

use super::loaded::{floats, store};
use crate::fixture::{Fixture, Rows};

const DAY_MS: i64 = 86_400_000;

fn matchers(selector: &str) -> Vec<Matcher> {
    parse_selector(selector).unwrap().matchers
}

fn selection(selectors: &[&str], days: Option<(i64, i64)>, limit: Option<usize>) -> MetadataSelection {
    MetadataSelection {
        matchers: selectors.iter().map(|selector| matchers(selector)).collect(),
        start_ms: days.map(|days| days.0 * DAY_MS),
        end_ms: days.map(|days| days.1 * DAY_MS),
        limit,
    }
}

async fn fixture() -> Fixture {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let series = [
        floats(&[("__name__", "up"), ("job", "a"), ("i", "1")], [(0, 1.0)]),
        floats(&[("__name__", "up"), ("job", "b")], [(3 * DAY_MS, 1.0)]),
        floats(&[("__name__", "load"), ("job", "a")], [(DAY_MS, 1.0)]),
    ];
    store(&fixture.store, &Tenant::default(), &series).await;
    fixture
}

#[tokio::test(flavor = "multi_thread")]
async fn series_names_and_values() {
    let fixture = fixture().await;
    let (engine, tenant) = (&fixture.engine, Tenant::default());
    let series = async |selection| {
        let found = engine.promql_series(&tenant, selection).await.unwrap();
        let texts: Vec<String> = found.items.iter().map(Labels::to_string).collect();
        (texts.join(" "), found.truncated)
    };
    let up = r#"{__name__="up", i="1", job="a"} {__name__="up", job="b"}"#;
    assert_eq!(series(selection(&["up"], None, None)).await, (up.into(), false));
    let all = format!(r#"{{__name__="load", job="a"}} {up}"#);
    assert_eq!(series(selection(&["up", r#"{job="a"}"#], None, None)).await, (all, false));
    assert_eq!(
        series(selection(&["up"], Some((2, 9)), None)).await,
        (r#"{__name__="up", job="b"}"#.into(), false)
    );
    let cut = engine.promql_series(&tenant, selection(&["up"], None, Some(1))).await.unwrap();
    assert_eq!((cut.items.len(), cut.truncated), (1, true));
    assert_eq!(cut.warnings, ["results truncated due to limit"]);

    let names = engine.promql_label_names(&tenant, selection(&[], None, None)).await.unwrap();
    assert_eq!(names.items, ["__name__", "i", "job"]);
    let names = engine.promql_label_names(&tenant, selection(&["load"], None, None)).await.unwrap();
    assert_eq!(names.items, ["__name__", "job"]);
    let values =
        async |label, selection| engine.promql_label_values(&tenant, label, selection).await.unwrap();
    assert_eq!(values("job", selection(&[], None, None)).await.items, ["a", "b"]);
    assert_eq!(values("job", selection(&["up"], Some((0, 1)), None)).await.items, ["a"]);
    let cut = values("__name__", selection(&[], None, Some(1))).await;
    assert_eq!((cut.items, cut.truncated), (vec!["load".to_owned()], true));

    let bad = selection(&[r#"{a=~"x{2000}{2000}"}"#], None, None);
    let error = engine.promql_series(&tenant, bad).await.unwrap_err();
    assert_eq!(error.promql_kind(), PromqlKind::BadData, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_exemplars() {
    for rows in [Rows::Unflushed, Rows::Flushed, Rows::Half] {
        let fixture = Fixture::with(rows).await;
        let (engine, tenant) = (&fixture.engine, Tenant::default());
        let all = engine.promql_metadata(&tenant, None, None).await.unwrap();
        let rpc = all.iter().find(|one| one.metric == "rpc_duration_seconds").unwrap();
        assert_eq!(rpc.kind, "histogram");
        assert!(all.is_sorted_by(|one, next| one.metric < next.metric), "{all:?}");
        assert_eq!(
            engine.promql_metadata(&tenant, Some("rpc_duration_seconds"), None).await.unwrap().len(),
            1
        );
        assert_eq!(engine.promql_metadata(&tenant, None, Some(1)).await.unwrap().len(), 1);

        let time_ms = 1_700_000_000_000;
        let ask = async |text: &str, start_ms, end_ms| {
            let request = ExemplarRequest { text: text.into(), start_ms, end_ms };
            engine.promql_exemplars(&tenant, request).await.unwrap()
        };
        let text = "histogram_quantile(0.9, rate(rpc_duration_seconds[5m] offset 1d))";
        let found = ask(text, time_ms, time_ms).await;
        assert_eq!(found.len(), 1, "{rows:?}");
        assert_eq!(found[0].labels.to_string(), r#"{__name__="rpc_duration_seconds", job="web"}"#);
        let [exemplar] = found[0].exemplars.as_slice() else { panic!("{found:?}") };
        assert_eq!((exemplar.time_ms, exemplar.value.to_bits()), (time_ms, 0.25_f64.to_bits()));
        assert_eq!(
            exemplar.labels.to_string(),
            r#"{span_id="00000000000000a2", trace_id="0af7651916cd43dd8448eb211c80319c", user="u1"}"#
        );
        assert!(ask(text, time_ms + 1, time_ms + 9).await.is_empty());
        assert!(ask("nothing", time_ms, time_ms).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_as_they_are_stored() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let series = floats(&[("__name__", "m")], [(1, 1.0), (2, STALE), (3, 3.0), (4, 4.0)]);
    store(&fixture.store, &Tenant::default(), &[series]).await;
    let found = fixture.engine.promql_samples(&Tenant::default(), matchers("m"), 1, 3).await.unwrap();
    let points: Vec<(i64, u64)> = found[0]
        .points
        .iter()
        .map(|point| match point.sample {
            Sample::Float(value) => (point.time_ms, value.to_bits()),
            Sample::Histogram(_) => panic!("a histogram"),
        })
        .collect();
    assert_eq!(points, [(1, 1.0_f64), (2, STALE), (3, 3.0)].map(|(time, value)| (time, value.to_bits())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_series_are_made_of() {
    let fixture = fixture().await;
    let found = fixture.engine.promql_cardinality(&Tenant::default(), 2).await.unwrap();
    assert_eq!((found.series, found.label_pairs), (3, 5));
    let of = |list: &[(String, u64)]| list.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>();
    assert_eq!(of(&found.series_by_metric), ["up 2", "load 1"]);
    assert_eq!(of(&found.values_by_label), ["__name__ 2", "job 2"]);
    assert_eq!(of(&found.series_by_pair), ["__name__=up 2", "job=a 2"]);
    assert_eq!(found.head_time_ms, Some((0, 3 * DAY_MS)));
}

/// A delta and a cumulative stream of one name are two series.
#[tokio::test(flavor = "multi_thread")]
async fn delta_series_have_a_label_of_their_own() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenant = Tenant::default();
    let mut append = Append::new(tenant.clone());
    let mut resolver = fixture.store.resolver(&tenant).await.unwrap();
    for (temporality, value) in [(Temporality::Delta, 1.0), (Temporality::Cumulative, 2.0)] {
        let set = LabelSet::new(&mut [("__name__", "m"), ("a", "b")], temporality).unwrap();
        let series = resolver.intern_labels(set).unwrap().series;
        append.samples.push(series, 5, value, 0);
    }
    fixture.store.append(append).await.unwrap();
    for (text, wanted) in [
        (
            "m",
            vec![
                (r#"{__name__="m", __temporality__="delta", a="b"}"#, 1.0),
                (r#"{__name__="m", a="b"}"#, 2.0),
            ],
        ),
        (r#"m{__temporality__=""}"#, vec![(r#"{__name__="m", a="b"}"#, 2.0)]),
        (r#"m{__temporality__=~"d.*"}"#, vec![(r#"{__name__="m", __temporality__="delta", a="b"}"#, 1.0)]),
        (r#"m{__temporality__!~"d?e?lta|"}"#, vec![]),
    ] {
        let time = PromqlTime::Instant { time_ms: 5 };
        let request = PromqlRequest::new(text, time);
        let Value::Vector(rows) = fixture.engine.promql(&tenant, request).await.unwrap().value else {
            panic!("no vector")
        };
        let row = |row: &Series| (row.labels.to_string(), row.points[0].sample.clone());
        let got: Vec<_> = rows.iter().map(row).collect();
        let wanted: Vec<_> =
            wanted.into_iter().map(|(labels, value)| (labels.to_owned(), Sample::Float(value))).collect();
        assert_eq!(got, wanted, "{text}");
    }
}
