//! The query API as Grafana's own client library (`@grafana/prometheus`) uses it.
//!
//! ```text
//! client.cjs ─▶ the library ─▶ backend.cjs, in the place of Grafana's server ─▶ server
//!      └── what the library made of the answers, compared here
//! ```

use isinglass_testkit::remote_write::{Series, metadata, request};
use serde_json::{Value, json};

use crate::harness::{Client, Server, now_millis, outside};

/// Never due while the test runs.
const RULES: &str = "groups:\n- name: jobs\n  interval: 1y\n  rules:\n  \
    - {record: 'job:requests:sum', expr: sum by (job) (requests_total), labels: {team: a}}\n  \
    - {alert: Busy, expr: requests_total > 1e9}\n";

/// Half an hour of samples, 15 s apart, of what `value` makes of their number.
fn series(end_ms: i64, labels: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Series {
    (0..=120)
        .fold(Series::new(labels), |series, step| series.sample(end_ms - (120 - step) * 15_000, value(step)))
}

async fn fill(client: &Client, end_ms: i64) {
    let requests = |instance: &str, factor: i64| {
        let labels = [("__name__", "requests_total"), ("instance", instance), ("job", "api")];
        series(end_ms, &labels, |step| (factor * step) as f64)
    };
    let bucket = |le: &str, factor: i64| {
        let labels = [("__name__", "latency_seconds_bucket"), ("job", "api"), ("le", le)];
        series(end_ms, &labels, |step| (factor * step) as f64)
    };
    let warm = [("__name__", "temperature"), ("room", "a"), ("service.name", "shop")];
    let hot = [("__name__", "temperature"), ("room", "b")];
    let all = [
        requests("0", 1).exemplar(&[("trace_id", "4bf92f35")], end_ms - 60_000, 7.5),
        requests("1", 2),
        bucket("+Inf", 4),
        bucket("0.1", 1),
        bucket("1", 3),
        series(end_ms, &warm, |_| 21.5),
        series(end_ms, &hot, |_| f64::INFINITY),
    ];
    let body = [
        request(&all),
        metadata(1, "requests_total", "Requests.", ""),
        metadata(2, "temperature", "How warm.", "celsius"),
        metadata(3, "latency_seconds", "How long.", "seconds"),
    ];
    client.remote_write(&body.concat()).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn grafanas_client_library_asks() {
    let folder = tempfile::TempDir::new().unwrap();
    let rules = folder.path().join("rules.yml");
    std::fs::write(&rules, RULES).unwrap();
    let server = Server::start_with(&format!("[rules]\nfiles = [\"{}\"]\n", rules.display()));
    let (client, end_ms) = (server.client(), now_millis() / 60_000 * 60_000);
    fill(&client, end_ms).await;
    let answers = outside::grafana_client(&[client.http_address(), &end_ms.to_string()]);
    check_start(&answers);
    check_editor(&answers);
    check_labels(&answers);
    check_variables(&answers["variables"], end_ms);
    check_queries(&answers["queries"], end_ms);
    check_incremental(&answers["incremental"], end_ms);
    check_requests(&answers["requests"]);
}

/// Save & test, and what the data source asks for when it is loaded.
fn check_start(answers: &Value) {
    assert_eq!(answers["health"]["status"], "success", "{}", answers["health"]);
    assert_eq!(answers["buildinfo"]["matches"], true, "{}", answers["buildinfo"]);
    let recorded = json!([{"query": "sum by (job) (requests_total)", "labels": {"team": "a"}}]);
    assert_eq!(answers["start"], json!({"rules": {"job:requests:sum": recorded}, "exemplars": true}));
}

/// The same, whether the library knows of the search API (which is not there) or not.
fn check_editor(answers: &Value) {
    for editor in [&answers["editor"], &answers["editor_by_search"]] {
        assert_eq!(editor["metrics"], json!(["latency_seconds_bucket", "requests_total", "temperature"]));
        assert_eq!(editor["histograms"], json!(["latency_seconds_bucket"]));
        let labels = json!(["__name__", "instance", "job", "le", "room", "service.name"]);
        assert_eq!(editor["labels"], labels);
        let metadata = &editor["metadata"];
        let one = |kind: &str, help: &str, unit: &str| json!({"type": kind, "help": help, "unit": unit});
        assert_eq!(metadata["requests_total"], one("counter", "Requests.", ""));
        assert_eq!(metadata["temperature"], one("gauge", "How warm.", "celsius"));
        assert_eq!(metadata["latency_seconds"], one("histogram", "How long.", "seconds"));
        assert_eq!(metadata["latency_seconds_bucket"]["type"], "counter", "{metadata}");
    }
    assert_eq!(answers["hints"], json!({"counter": ["APPLY_RATE"], "gauge": []}));
}

fn check_labels(answers: &Value) {
    for how in ["labels", "labels_by_get", "labels_by_series"] {
        let found = &answers[how];
        let wanted = [
            ("values", json!(["api"])),
            ("values_of", json!(["1"])),
            ("values_chosen", json!(["0", "1"])),
            ("values_dotted", json!(["shop"])),
        ];
        for (what, wanted) in wanted {
            assert_eq!(found[what], wanted, "{how}, {what}");
        }
    }
    for how in ["labels", "labels_by_get"] {
        let found = &answers[how];
        assert_eq!(found["names"], json!(["__name__", "instance", "job", "le", "room", "service.name"]));
        assert_eq!(found["names_of"], json!(["__name__", "room", "service.name"]), "{how}");
        assert_eq!(found["names_limited"], json!(["__name__", "instance"]), "{how}");
    }
    // The library leaves the name of the metric away where it takes names from series.
    let found = &answers["labels_by_series"];
    assert_eq!(found["names"], json!(["instance", "job", "le", "room", "service.name"]));
    assert_eq!(found["names_of"], json!(["room", "service.name"]));
    let filters = json!({"names": ["__name__", "instance", "le"], "values": ["+Inf", "0.1", "1"]});
    assert_eq!(answers["filters"], filters);
}

fn check_variables(variables: &Value, end_ms: i64) {
    let sum = format!("{{job=\"api\"}} 360 {end_ms}");
    let wanted = [
        ("label_names()", json!(["__name__", "instance", "job", "le", "room", "service.name"])),
        ("label_names(temp)", json!(["room", "service.name"])),
        ("label_values(instance)", json!(["0", "1"])),
        ("label_values(requests_total, instance)", json!(["0", "1"])),
        ("label_values(latency_seconds_bucket{job=\"api\"}, le)", json!(["+Inf", "0.1", "1"])),
        ("metrics(req.*)", json!(["requests_total"])),
        ("query_result(sum by (job) (requests_total))", json!([sum])),
        ("query_result(vector(1) > 2)", json!([])),
        ("query_result(scalar(vector(7)))", json!(["7"])),
        ("temperature{room=\"a\"}", json!(["temperature{room=\"a\",service.name=\"shop\"}"])),
        ("nothing_of_the_kind", json!([])),
    ];
    for (query, wanted) in wanted {
        assert_eq!(variables[query], wanted, "{query}");
    }
}

/// Names and values of the columns of each frame of a panel, and as what it is shown.
fn frames(panel: &Value) -> Value {
    assert_eq!(panel["error"], Value::Null, "{panel}");
    let column = |column: &Value| json!([column["name"], column["values"]]);
    let frame = |frame: &Value| {
        let columns: Vec<_> = frame["columns"].as_array().unwrap().iter().map(column).collect();
        json!([frame["shown"], columns])
    };
    panel["frames"].as_array().unwrap().iter().map(frame).collect()
}

fn check_queries(queries: &Value, end_ms: i64) {
    let now = json!(["Time", [end_ms]]);
    let minutes = json!(["Time", [end_ms - 120_000, end_ms - 60_000, end_ms]]);
    let requests = |values: Value| json!(["requests_total", values]);
    let first = json!(["graph", [minutes, requests(json!([112, 116, 120]))]]);
    let exemplar = json!([
        "annotations",
        [
            ["Time", [end_ms - 60_000]],
            ["Value", [7.5]],
            ["__name__", ["requests_total"]],
            ["instance", ["0"]],
            ["job", ["api"]],
            ["trace_id", ["4bf92f35"]],
        ]
    ]);
    let table = json!([
        "rawPrometheus",
        [
            ["Time", [end_ms, end_ms]],
            ["__name__", ["requests_total", "requests_total"]],
            ["instance", ["0", "1"]],
            ["job", ["api", "api"]],
            ["Value", [120, 240]],
        ]
    ]);
    let heatmap = json!([
        "heatmap-rows",
        [minutes, ["0.1", [112, 116, 120]], ["1", [224, 232, 240]], ["+Inf", [112, 116, 120]],]
    ]);
    let instant = |values: Value| json!(["graph", [now, requests(values)]]);
    let wanted = [
        ("instant", json!([instant(json!([120])), instant(json!([240]))])),
        ("table", json!([table])),
        ("range", json!([["graph", [minutes, ["Value", [0.2, 0.2, 0.2]]]]])),
        ("chosen", json!([first, ["graph", [minutes, requests(json!([224, 232, 240]))]]])),
        ("filtered", json!([instant(json!([240]))])),
        ("exemplars", json!([first, exemplar])),
        ("heatmap", json!([heatmap])),
        ("infinite", json!([["graph", [now, ["temperature", ["Infinity"]]]]])),
        ("scalar", json!([["graph", [now, ["Value", [2]]]]])),
        ("nothing", json!([])),
    ];
    for (what, wanted) in wanted {
        assert_eq!(frames(&queries[what]), wanted, "{what}");
    }
    let mistake = "bad_data: invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis";
    assert_eq!(queries["mistake"]["error"], mistake);
    let labels = &queries["range"]["frames"][0]["columns"][1]["labels"];
    assert_eq!(*labels, json!({"job": "api"}));
}

/// The second time two minutes are asked for instead of twenty, and the panel is whole.
fn check_incremental(incremental: &Value, end_ms: i64) {
    assert_eq!(incremental["asked"], json!([1200, 120]));
    for (which, last) in [("first", 116), ("second", 120)] {
        let end = end_ms - (120 - last) * 15_000;
        let times: Vec<_> = (0..=20).map(|minute| end - (20 - minute) * 60_000).collect();
        let values: Vec<_> = (0..=20).map(|minute| last - (20 - minute) * 4).collect();
        let wanted = json!([["graph", [["Time", times], ["requests_total", values]]]]);
        assert_eq!(frames(&incremental[which]), wanted, "{which}");
    }
}

/// The library did not have to try again in another way, and nothing failed that should not.
fn check_requests(requests: &Value) {
    let all: Vec<_> = requests.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    let failed: Vec<_> = all.iter().filter(|one| !one.ends_with(" 200")).collect();
    assert_eq!(failed, [&"GET /api/v1/search/metric_names 404", &"POST /api/v1/query 400"]);
    assert!(all.contains(&"GET /api/v1/label/U__service_2e_name/values 200"), "{all:?}");
}
