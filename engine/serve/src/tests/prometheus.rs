//! The HTTP interface of Prometheus, byte for byte.

use std::sync::Arc;

use isinglass_testkit::remote_write;

use super::*;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Series of `testdata/prometheus/*.txt`: a counter, one with odd labels, a native histogram, and
/// one of another tenant. Samples are 15 s apart; the last one is at `end_ms`.
struct Served {
    fixture: Fixture,
    end_ms: i64,
}

impl Served {
    async fn start() -> Self {
        let fixture = Fixture::start().await;
        // Whole minutes, so that subqueries and texts are the same every time.
        let end_ms = (fixture.now_unix_nanos / 60_000_000_000).cast_signed() * 60_000;
        let served = Self { fixture, end_ms };
        served.fill().await;
        served
    }

    async fn fill(&self) {
        let times = (0..=20).map(|step| (step, self.end_ms - (20 - step) * 15_000));
        let counter = |labels: &[(&str, &str)], by: f64| {
            times.clone().fold(remote_write::Series::new(labels), |series, (step, time_ms)| {
                series.sample(time_ms, step as f64 * by)
            })
        };
        let trace = [("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")];
        let first = counter(&[("__name__", "requests_total"), ("code", "200"), ("job", "api")], 3.0)
            .exemplar(&trace, self.end_ms - 30_000, 0.25);
        let second = counter(&[("__name__", "requests_total"), ("code", "500"), ("job", "api")], 0.5);
        let odd = counter(&[("__name__", "odd"), ("label", "<a>&\"\u{2028}\\\n")], 1e-7);
        let hist = remote_write::Series::new(&[("__name__", "latency"), ("job", "api")])
            .histogram(self.end_ms - 15_000, 18.5, &[2, 0, 1])
            .histogram(self.end_ms, 20.25, &[3, 1, 1]);
        self.write("default", &[first, second, odd, hist]).await;
        self.write("acme", &[counter(&[("__name__", "up"), ("job", "acme")], 1.0)]).await;
    }

    async fn write(&self, tenant: &str, series: &[remote_write::Series]) {
        let headers = [
            ("content-type", "application/x-protobuf"),
            ("content-encoding", "snappy"),
            ("x-scope-orgid", tenant),
        ];
        let body = remote_write::snappy(&remote_write::request(series));
        let answer = send(self.fixture.post("/api/v1/write", &headers, body)).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.fixture.request(Method::GET, &format!("/api/v1/{}", self.filled(path)))).await
    }

    /// `END` is the time of the last sample in seconds, `END-15` fifteen seconds before.
    fn filled(&self, text: &str) -> String {
        let end = self.end_ms / 1_000;
        let mut text = text.to_owned();
        for before in [300, 60, 45, 30, 15] {
            text = text.replace(&format!("END-{before}"), &(end - before).to_string());
        }
        text.replace("END", &end.to_string())
    }

    /// The exact answer, at its path and under Mimir's prefix.
    async fn check(&self, path: &str, status: u16, body: &str) {
        let answer = self.get(path).await;
        assert_eq!((answer.status, answer.text()), (status, self.filled(body).as_str()), "{path}");
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
        let prefixed = format!("/prometheus/api/v1/{}", self.filled(path));
        let prefixed = send(self.fixture.request(Method::GET, &prefixed)).await;
        assert_eq!((prefixed.status, prefixed.text()), (answer.status, answer.text()), "{path}");
    }

    async fn data(&self, path: &str, data: &str) {
        self.check(path, 200, &format!("{{\"status\":\"success\",\"data\":{data}}}")).await;
    }

    async fn bad(&self, path: &str, error: &str) {
        let error = serde_json::to_string(error).unwrap();
        let body = format!("{{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":{error}}}");
        self.check(path, 400, &body).await;
    }
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn queries() {
    let served = Served::start().await;
    let check = async |query: &str, data: &str| {
        served.data(&format!("query?query={}&time=END", escaped(query)), data).await;
    };
    let vector = |result: &str| format!("{{\"resultType\":\"vector\",\"result\":[{result}]}}");
    check("1+1", r#"{"resultType":"scalar","result":[END,"2"]}"#).await;
    check("\"<\"", r#"{"resultType":"string","result":[END,"\u003c"]}"#).await;
    check("nothing", &vector("")).await;
    check(
        "requests_total",
        &vector(
            r#"{"metric":{"__name__":"requests_total","code":"200","job":"api"},"value":[END,"60"]},{"metric":{"__name__":"requests_total","code":"500","job":"api"},"value":[END,"10"]}"#,
        ),
    )
    .await;
    check("sum(rate(requests_total[1m]))", &vector(r#"{"metric":{},"value":[END,"0.2333333333333333"]}"#))
        .await;
    check(
        "odd * 0 + 1e-7",
        &vector("{\"metric\":{\"label\":\"<a>&\\\"\u{2028}\\\\\\n\"},\"value\":[END,\"1e-07\"]}"),
    )
    .await;
    check(
        "requests_total{code=\"500\"}[30s]",
        r#"{"resultType":"matrix","result":[{"metric":{"__name__":"requests_total","code":"500","job":"api"},"values":[[END-15,"9.5"],[END,"10"]]}]}"#,
    )
    .await;
    check(
        "latency",
        &vector(
            r#"{"metric":{"__name__":"latency","job":"api"},"histogram":[END,{"count":"5","sum":"20.25","buckets":[[0,"0.5","1","3"],[0,"1","2","1"],[0,"2","4","1"]]}]}"#,
        ),
    )
    .await;
    // Save & test of Grafana: nothing is stored at that time.
    served.data("query?query=1%2B1&time=4", r#"{"resultType":"scalar","result":[4,"2"]}"#).await;
    served
        .data(
            "query_range?query=requests_total{code=%22200%22}&start=END-30&end=END&step=15",
            r#"{"resultType":"matrix","result":[{"metric":{"__name__":"requests_total","code":"200","job":"api"},"values":[[END-30,"54"],[END-15,"57"],[END,"60"]]}]}"#,
        )
        .await;
    served
        .data(
            "query_range?query=1&start=0&end=1&step=0.5",
            r#"{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"],[0.500,"1"],[1,"1"]]}]}"#,
        )
        .await;
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_notes() {
    let served = Served::start().await;
    let one = r#"{"metric":{"__name__":"requests_total","code":"200","job":"api"},"value":[END,"60"]}"#;
    let vector = format!("\"data\":{{\"resultType\":\"vector\",\"result\":[{one}]}}");
    let truncated = r#""warnings":["results truncated due to limit"]"#;
    let path = "query?query=requests_total&time=END&limit=1";
    served.check(path, 200, &format!("{{\"status\":\"success\",{vector},{truncated}}}")).await;
    let whole = served.get("query?query=requests_total&time=END&limit=0").await.json();
    assert_eq!((whole["data"]["result"].as_array().unwrap().len(), &whole["warnings"]), (2, &Value::Null));
    let info = r#""infos":["PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"odd\" (1:6)"]"#;
    let answer = served.get("query?query=rate(odd[1m])&time=END").await;
    assert!(answer.text().ends_with(&format!("]}},{info}}}")), "{}", answer.text());
    let stats =
        served.get("query?query=requests_total&time=END&stats=all").await.json()["data"]["stats"].clone();
    // Samples that were read, of which two are in the answer.
    let samples = stats["samples"]["totalQueryableSamples"].as_u64().unwrap();
    assert!(samples >= 2, "{stats}");
    assert_eq!(stats["samples"]["totalQueryableSamplesPerStep"], json!([[served.end_ms / 1_000, samples]]));
    for name in [
        "evalTotalTime",
        "resultSortTime",
        "queryPreparationTime",
        "innerEvalTime",
        "execQueueTime",
        "execTotalTime",
    ] {
        assert!(stats["timings"][name].is_number(), "{stats}");
    }
    let without = served.get("query?query=requests_total&time=END").await.json();
    assert_eq!(without["data"]["stats"], Value::Null);
    served
        .data(
            "query?query=requests_total&time=END%2B60&lookback_delta=1m"
                .replace("END%2B60", &(served.end_ms / 1_000 + 60).to_string())
                .as_str(),
            r#"{"resultType":"vector","result":[]}"#,
        )
        .await;
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused() {
    let served = Served::start().await;
    let rows = include_str!("prometheus/refused.txt");
    for row in rows.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (path, error) = row.split_once(" => ").unwrap();
        served.bad(path, error).await;
    }
    let check = async |path: &str, status: u16, kind: &str| {
        let answer = served.get(path).await;
        assert_eq!((answer.status, &answer.json()["errorType"]), (status, &json!(kind)), "{}", answer.text());
    };
    check(
        &format!("query?time=END&query={}", escaped("requests_total + on () requests_total")),
        422,
        "execution",
    )
    .await;
    check("query?query=requests_total&timeout=0", 503, "timeout").await;
    let request = served.fixture.request(Method::GET, "/api/v1/query?query=1").header("x-scope-orgid", "a/b");
    assert_eq!(send(request).await.json()["errorType"], "bad_data");
    for (method, path) in [
        (Method::DELETE, "series"),
        (Method::POST, "label/job/values"),
        (Method::POST, "metadata"),
        (Method::PUT, "query"),
    ] {
        let answer = send(served.fixture.request(method, &format!("/api/v1/{path}"))).await;
        assert_eq!(answer.status, 405, "{path}");
    }
    assert_eq!(served.get("nothing").await.status, 404);
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forms() {
    let served = Served::start().await;
    let check = async |path: &str, headers: &[(&str, &str)], body: &str, result: &str| {
        let answer = send(served.fixture.post(path, headers, body.to_owned())).await;
        let want =
            format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"scalar\",\"result\":{result}}}}}");
        assert_eq!((answer.status, answer.text()), (200, want.as_str()));
    };
    check("/api/v1/query", &[FORM], "query=1%2B1&time=4", r#"[4,"2"]"#).await;
    // Of the same parameter in both, the body's counts.
    check("/api/v1/query?query=1&time=5", &[FORM], "query=2", r#"[5,"2"]"#).await;
    // What is no form is not read.
    check("/api/v1/query?query=1&time=5", &[("content-type", "text/plain")], "query=2", r#"[5,"1"]"#).await;
    for path in ["query_range", "query_exemplars", "labels", "series", "format_query", "parse_query"] {
        let body = format!("query=up&start={0}&end={0}&step=1&match[]=up", served.end_ms / 1_000);
        let answer = send(served.fixture.post(&format!("/api/v1/{path}"), &[FORM], body)).await;
        assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("success")), "{}", answer.text());
    }
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_large() {
    let config = ServeConfig { body_bytes_max: 1_000, ..ServeConfig::default() };
    let fixture = Fixture::with(config, json!({})).await;
    let large = format!("query={}", "1".repeat(2_000));
    let answer = send(fixture.post("/api/v1/query", &[FORM], large)).await;
    assert_eq!((answer.status, &answer.json()["errorType"]), (413, &json!("bad_data")));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_series() {
    let served = Served::start().await;
    served.data("labels", r#"["__name__","code","job","label"]"#).await;
    served.data("labels?match[]=odd", r#"["__name__","label"]"#).await;
    served.data("labels?match[]=odd&match[]=latency", r#"["__name__","job","label"]"#).await;
    served.data("labels?start=0&end=1", "[]").await;
    served.data("label/__name__/values", r#"["latency","odd","requests_total"]"#).await;
    served.data("label/code/values?match[]=requests_total&start=END-60&end=END", r#"["200","500"]"#).await;
    served.data("label/U__code/values", r#"["200","500"]"#).await;
    served.data("label/label/values", r#"["\u003ca\u003e\u0026\"\u2028\\\n"]"#).await;
    served.data("label/a.b/values", "[]").await;
    served
        .data(
            "series?match[]=requests_total&match[]={code=%22200%22}",
            r#"[{"__name__":"requests_total","code":"200","job":"api"},{"__name__":"requests_total","code":"500","job":"api"}]"#,
        )
        .await;
    served.data("series?match[]=odd", "[{\"__name__\":\"odd\",\"label\":\"<a>&\\\"\u{2028}\\\\\\n\"}]").await;
    let truncated = r#""warnings":["results truncated due to limit"]"#;
    served
        .check(
            "labels?limit=1",
            200,
            &format!("{{\"status\":\"success\",\"data\":[\"__name__\"],{truncated}}}"),
        )
        .await;
    let other =
        served.fixture.request(Method::GET, "/api/v1/label/job/values").header("x-scope-orgid", "acme");
    assert_eq!(send(other).await.text(), r#"{"status":"success","data":["acme"]}"#);
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_exemplars() {
    let served = Served::start().await;
    served.data("metadata?limit=0", "{}").await;
    served.data("metadata?metric=unknown_metric", "{}").await;
    // Grafana's probe is in milliseconds.
    served.data("query_exemplars?query=test&start=1700000000000&end=1700000001000", "[]").await;
    served
        .data(
            "query_exemplars?query=rate(requests_total[5m])&start=END-300&end=END",
            r#"[{"seriesLabels":{"__name__":"requests_total","code":"200","job":"api"},"exemplars":[{"labels":{"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"},"value":"0.25","timestamp":END-30}]}]"#,
        )
        .await;
    assert_eq!(served.get("query_exemplars?query=1").await.status, 204);
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_trees() {
    let served = Served::start().await;
    served.data("format_query?query=foo/bar", "\"foo / bar\"").await;
    served
        .data(
            "parse_query?query=-(1)",
            r#"{"expr":{"expr":{"type":"numberLiteral","val":"1"},"type":"parenExpr"},"op":"-","type":"unaryExpr"}"#,
        )
        .await;
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status() {
    let served = Served::start().await;
    let build = served.get("status/buildinfo").await.json()["data"].clone();
    assert_eq!((&build["version"], &build["features"]), (&json!("3.14.0"), &Value::Null));
    served.data("alertmanagers", r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#).await;
    served.data("targets", r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#).await;
    served.data("targets/metadata", "[]").await;
    served.data("scrape_pools", r#"{"scrapePools":[]}"#).await;
    served.data("status/walreplay", r#"{"current":1,"max":1,"min":0}"#).await;
    served.data("rules", r#"{"groups":[]}"#).await;
    served.data("alerts", r#"{"alerts":[]}"#).await;
    assert!(served.get("status/config").await.json()["data"]["yaml"].is_string());
    assert_eq!(served.get("status/flags").await.json()["data"]["query.lookback-delta"], "5m");
    let runtime = served.get("status/runtimeinfo").await.json()["data"].clone();
    assert_eq!((&runtime["reloadConfigSuccess"], &runtime["corruptionCount"]), (&json!(true), &json!(0)));
    let tsdb = served.get("status/tsdb?limit=2").await.json()["data"].clone();
    assert_eq!(tsdb["headStats"]["numSeries"], 4, "{tsdb}");
    assert_eq!(tsdb["seriesCountByMetricName"][0], json!({ "name": "requests_total", "value": 2 }));
    assert_eq!(tsdb["labelValueCountByLabelName"][0], json!({ "name": "__name__", "value": 3 }));
    assert_eq!(tsdb["seriesCountByLabelValuePair"][0], json!({ "name": "job=api", "value": 3 }));
    assert_eq!(tsdb["seriesCountByLabelValuePair"].as_array().unwrap().len(), 2);
    served.fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_come_whole_and_compressed() {
    use std::io::Read;
    let served = Served::start().await;
    let path = "query_range?query=vector(0.1)%20or%20label_replace(vector(0.2),%22a%22,%22b%22,%22%22,%22%22)&start=0&end=10999&step=1";
    let answer = served.get(path).await;
    let whole = answer.json();
    let result = whole["data"]["result"].as_array().unwrap();
    assert_eq!(result.iter().map(|series| series["values"].as_array().unwrap().len()).sum::<usize>(), 22_000);
    let request = served.fixture.request(Method::GET, &format!("/api/v1/{path}"));
    let packed = send(request.header("accept-encoding", "gzip")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, answer.text());
    served.fixture.stop().await;
}

/// Requests are counted by route, not by what a client puts into its path.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_counted() {
    let served = Served::start().await;
    served.get("label/job/values").await;
    let metrics = send(served.fixture.request(Method::GET, "/metrics")).await;
    let line = r#"isinglass_http_requests_total{path="/api/v1/label/{name}/values",code="200"} 1"#;
    assert!(metrics.text().lines().any(|have| have == line), "{}", metrics.text());
    served.fixture.stop().await;
}

mod rules {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use isinglass_model::Tenant;
    use isinglass_rules::alert::AlertState;
    use isinglass_rules::view::{AlertView, AlertingView, GroupView, RecordingView, RuleView};

    use super::*;
    use crate::{NoRules, RulesError, RulesFigures, RulesView};

    #[derive(Debug)]
    struct Two;

    fn labels(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn alerting_rule() -> RuleView {
        let alert = AlertView {
            labels: labels(&[("alertname", "Down"), ("severity", "page")]),
            annotations: labels(&[("summary", "down")]),
            state: AlertState::Firing,
            active_at: "2023-11-14T22:13:20Z".to_owned(),
            keep_firing_since: None,
            value: "0e+00".to_owned(),
        };
        RuleView::Alerting(AlertingView {
            state: AlertState::Firing,
            name: "Down".to_owned(),
            query: "up < 1".to_owned(),
            duration: 60.0,
            keep_firing_for: 0.0,
            labels: labels(&[("severity", "page")]),
            annotations: labels(&[("summary", "down")]),
            alerts: vec![alert],
            health: "ok",
            last_error: None,
            evaluation_time: 0.0015,
            last_evaluation: "2023-11-14T22:13:20.123Z".to_owned(),
        })
    }

    fn recording_rule(severity: &str) -> RuleView {
        RuleView::Recording(RecordingView {
            name: "job:up".to_owned(),
            query: "up < 1".to_owned(),
            labels: labels(&[("severity", severity)]),
            health: "err",
            last_error: Some("many-to-many".to_owned()),
            evaluation_time: 0.0015,
            last_evaluation: "2023-11-14T22:13:20.123Z".to_owned(),
        })
    }

    #[async_trait]
    impl RulesView for Two {
        fn groups(&self, _tenant: &Tenant) -> Vec<Arc<GroupView>> {
            let group = |name: &str, rules| {
                Arc::new(GroupView {
                    name: name.to_owned(),
                    file: "a.yml".to_owned(),
                    rules,
                    interval: 60.0,
                    limit: 0,
                    evaluation_time: 0.0,
                    last_evaluation: "0001-01-01T00:00:00Z".to_owned(),
                })
            };
            vec![
                group("empty", vec![]),
                group("one", vec![alerting_rule(), recording_rule("page")]),
                group("two", vec![recording_rule("none")]),
            ]
        }

        async fn reload(&self) -> Result<(), RulesError> {
            Err(RulesError::Config("it is bad".to_owned()))
        }

        fn figures(&self) -> RulesFigures {
            RulesFigures { reload_succeeded: false, ..NoRules.figures() }
        }
    }

    const ALERT: &str = r#"{"labels":{"alertname":"Down","severity":"page"},"annotations":{"summary":"down"},"state":"firing","activeAt":"2023-11-14T22:13:20Z","value":"0e+00"}"#;

    fn recording(severity: &str) -> String {
        format!(
            r#"{{"name":"job:up","query":"up \u003c 1","labels":{{"severity":"{severity}"}},"health":"err","lastError":"many-to-many","evaluationTime":0.0015,"lastEvaluation":"2023-11-14T22:13:20.123Z","type":"recording"}}"#
        )
    }

    fn alerting(alerts: &str) -> String {
        format!(
            r#"{{"state":"firing","name":"Down","query":"up \u003c 1","duration":60,"keepFiringFor":0,"labels":{{"severity":"page"}},"annotations":{{"summary":"down"}},"alerts":{alerts},"health":"ok","evaluationTime":0.0015,"lastEvaluation":"2023-11-14T22:13:20.123Z","type":"alerting"}}"#
        )
    }

    fn group(name: &str, rules: &str) -> String {
        format!(
            r#"{{"name":"{name}","file":"a.yml","rules":[{rules}],"interval":60,"limit":0,"evaluationTime":0,"lastEvaluation":"0001-01-01T00:00:00Z"}}"#
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rules_of_whoever_evaluates_them() {
        let fixture = Fixture::with_rules(Arc::new(Two)).await;
        let check = async |path: &str, data: &str| {
            let answer = send(fixture.request(Method::GET, &format!("/api/v1/{path}"))).await;
            assert_eq!(answer.text(), format!("{{\"status\":\"success\",\"data\":{data}}}"), "{path}");
        };
        let both = group("one", &format!("{},{}", alerting(&format!("[{ALERT}]")), recording("page")));
        let (one, two) = (group("one", &recording("page")), group("two", &recording("none")));
        check("rules", &format!("{{\"groups\":[{both},{two}]}}")).await;
        check("rules?rule_name[]=job:up", &format!("{{\"groups\":[{one},{two}]}}")).await;
        check("rules?type=record&rule_group[]=one", &format!("{{\"groups\":[{one}]}}")).await;
        let alerts = group("one", &alerting("null"));
        check(
            "rules?type=alert&exclude_alerts=true&file[]=a.yml&group_limit=1",
            &format!("{{\"groups\":[{alerts}]}}"),
        )
        .await;
        check("rules?group_limit=1", &format!("{{\"groups\":[{both}],\"groupNextToken\":\"a.yml;two\"}}"))
            .await;
        check("rules?group_limit=1&group_next_token=a.yml;two", &format!("{{\"groups\":[{two}]}}")).await;
        check("rules?file[]=b.yml", r#"{"groups":[]}"#).await;
        check("rules?match[]={severity=~\"n.*\"}", &format!("{{\"groups\":[{two}]}}")).await;
        check(
            "rules?match[]={severity=\"x\"}&match[]={severity=\"page\"}",
            &format!("{{\"groups\":[{both}]}}"),
        )
        .await;
        check("alerts", &format!("{{\"alerts\":[{ALERT}]}}")).await;
        let refused = send(fixture.request(Method::GET, "/api/v1/rules?match[]={}")).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
        fixture.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reload_that_fails_says_why() {
        let fixture = Fixture::with_rules(Arc::new(Two)).await;
        let answer = send(fixture.request(Method::POST, "/-/reload")).await;
        assert_eq!((answer.status, answer.text()), (500, "failed to reload: it is bad\n"));
        let metrics = send(fixture.request(Method::GET, "/metrics")).await;
        assert!(
            metrics.text().contains("isinglass_config_last_reload_successful 0.0\n"),
            "{}",
            metrics.text()
        );
        let runtime = send(fixture.request(Method::GET, "/api/v1/status/runtimeinfo")).await.json();
        assert_eq!(runtime["data"]["reloadConfigSuccess"], false);
        fixture.stop().await;
    }
}
