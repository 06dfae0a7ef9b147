//! Remote write, Loki push, and what is for operators.

use isinglass_testkit::{loki, remote_write};

use super::*;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const SNAPPY: (&str, &str) = ("content-encoding", "snappy");

fn samples(now_unix_nanos: u64, names: &[&str]) -> Vec<u8> {
    let now_ms = (now_unix_nanos / 1_000_000).cast_signed();
    let series: Vec<_> = names
        .iter()
        .map(|name| remote_write::Series::new(&[("__name__", name), ("job", "test")]).sample(now_ms, 1.5))
        .collect();
    remote_write::snappy(&remote_write::request(&series))
}

#[tokio::test(flavor = "multi_thread")]
async fn remote_write_stores_and_answers_repeats() {
    let fixture = Fixture::start().await;
    let body = samples(fixture.now_unix_nanos, &["up", "down"]);
    let first = send(fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY], body.clone())).await;
    assert_eq!((first.status, first.text()), (204, ""));
    assert_eq!(first.header("x-isinglass-durability"), "sync");
    assert_eq!(first.header("x-isinglass-duplicate"), "");
    let again = send(fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY], body)).await;
    assert_eq!((again.status, again.header("x-isinglass-duplicate")), (204, "true"));
    let rows = fixture.rows("default", "select job, value from metrics.up").await;
    assert_eq!(rows, json!([{ "job": "test", "value": 1.5 }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_told_what_was_rejected() {
    let fixture = Fixture::start().await;
    let now_ms = (fixture.now_unix_nanos / 1_000_000).cast_signed();
    let good = remote_write::Series::new(&[("__name__", "up")]).sample(now_ms, 1.0);
    let bad = remote_write::Series::new(&[("__name__", "up"), ("a", "1"), ("a", "2")]).sample(now_ms, 1.0);
    let body = remote_write::snappy(&remote_write::request(&[good, bad]));
    let answer = send(fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY], body)).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.text().starts_with("stored 1 of 2 items, rejected 1: duplicate_label_names"),
        "{}",
        answer.text()
    );
    assert_eq!(answer.text().lines().count(), 1);
    assert_eq!(fixture.rows("default", "select count(*) n from samples").await, json!([{ "n": 1 }]));
    let rejected = fixture.rows("default", "select reason from rejected").await;
    assert_eq!(rejected, json!([{ "reason": "duplicate_label_names" }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn loki_push_in_both_formats() {
    let fixture = Fixture::start().await;
    let at = fixture.now_unix_nanos;
    let stream = loki::Stream::new(r#"{service_name="shop"}"#).line(at, "one");
    let body = remote_write::snappy(&loki::request(&[stream]));
    let answer = send(fixture.post("/loki/api/v1/push", &[PROTOBUF], body)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let push = json!({ "streams": [{ "stream": { "app": "shop" }, "values": [[at.to_string(), "two"]] }] })
        .to_string();
    let answer = send(fixture.post("/loki/api/v1/push", &[JSON], push.clone())).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let zipped = gzip(push.replace("two", "three").as_bytes());
    let answer = send(fixture.post("/loki/api/v1/push", &[JSON, ("content-encoding", "gzip")], zipped)).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let rows = fixture.rows("default", "select service, body from logs order by body").await;
    let row = |body: &str| json!({ "service": "shop", "body": body });
    assert_eq!(rows, json!([row("one"), row("three"), row("two")]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let fixture =
        Fixture::with(ServeConfig { body_bytes_max: 4_096, ..ServeConfig::default() }, json!({})).await;
    let check = async |path: &str, headers: &[(&str, &str)], body: Vec<u8>, status: u16, part: &str| {
        let answer = send(fixture.post(path, headers, body)).await;
        assert_eq!(answer.status, status, "{path} {headers:?}: {}", answer.text());
        assert!(answer.text().contains(part), "{path} {headers:?}: {}", answer.text());
    };
    let good = || samples(fixture.now_unix_nanos, &["up"]);
    let (write, push) = ("/api/v1/write", "/loki/api/v1/push");
    check(write, &[JSON, SNAPPY], good(), 415, "application/x-protobuf").await;
    let v3 = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request");
    check(write, &[v3, SNAPPY], good(), 415, "proto=io.prometheus.write.v2.Request (2.0)").await;
    check(write, &[PROTOBUF, ("content-encoding", "gzip")], good(), 415, "send snappy").await;
    check(write, &[PROTOBUF, SNAPPY], b"\xff\xff".to_vec(), 400, "snappy").await;
    check(write, &[PROTOBUF, SNAPPY], remote_write::snappy(b"\x0a\x05\x0a"), 400, "").await;
    check(write, &[PROTOBUF, SNAPPY], vec![0; 4_097], 413, "the limit is 4096").await;
    // A declared size of 4 GiB is refused before anything of that size exists.
    check(write, &[PROTOBUF, SNAPPY], b"\xff\xff\xff\xff\x0f".to_vec(), 413, "").await;
    check(write, &[PROTOBUF, SNAPPY, ("x-scope-orgid", "../x")], good(), 400, "X-Scope-OrgID").await;
    check(
        write,
        &[PROTOBUF, SNAPPY, ("x-scope-orgid", "a"), ("x-scope-orgid", "b")],
        good(),
        400,
        "more than once",
    )
    .await;
    check(write, &[PROTOBUF, SNAPPY, ("x-isinglass-batch-key", "")], good(), 400, "1 to 256").await;
    check(push, &[JSON], b"{\"streams\": 1}".to_vec(), 400, "streams").await;
    check(push, &[("content-type", "text/plain")], good(), 415, "application/json").await;
    check("/no/such/path", &[], Vec::new(), 404, "/no/such/path").await;
    assert_eq!(send(fixture.request(Method::GET, write)).await.status, 405);
    assert_eq!(fixture.rows("default", "select count(*) n from samples").await, json!([{ "n": 0 }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_rate_is_429_with_retry_after() {
    let limits = json!({ "rate-limit": { "items_per_second": 1, "items_burst": 2 } });
    let fixture = Fixture::with(ServeConfig::default(), limits).await;
    let write = |names: &[&str]| {
        fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY], samples(fixture.now_unix_nanos, names))
    };
    assert_eq!(send(write(&["a", "b"])).await.status, 204);
    let refused = send(write(&["c", "d"])).await;
    assert_eq!(refused.status, 429, "{}", refused.text());
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(fixture.rows("default", "select count(*) n from samples").await, json!([{ "n": 2 }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_do_not_see_each_other() {
    let fixture = Fixture::start().await;
    let body = samples(fixture.now_unix_nanos, &["up"]);
    let answer =
        send(fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY, ("x-scope-orgid", "acme")], body)).await;
    assert_eq!(answer.status, 204);
    let count = "select count(*) n from samples";
    assert_eq!(fixture.rows("acme", count).await, json!([{ "n": 1 }]));
    assert_eq!(fixture.rows("default", count).await, json!([{ "n": 0 }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_deleted_when_its_name_is_given_twice() {
    let fixture = Fixture::start().await;
    let acme: [(&str, &str); 3] = [PROTOBUF, SNAPPY, ("x-scope-orgid", "acme")];
    let body = samples(fixture.now_unix_nanos, &["up", "down"]);
    send(fixture.post("/api/v1/write", &acme, body.clone())).await;
    send(fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY], body.clone())).await;
    let delete =
        |query: &str| send(fixture.request(Method::DELETE, &format!("/api/admin/tenants/acme{query}")));
    for query in ["", "?confirm=", "?confirm=true", "?confirm=default"] {
        let refused = delete(query).await;
        assert_eq!(refused.status, 400);
        assert!(refused.text().contains("?confirm=acme"), "{}", refused.text());
    }
    let count = "select count(*) n from samples";
    assert_eq!(fixture.rows("acme", count).await, json!([{ "n": 2 }]));
    let deleted = delete("?confirm=acme").await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    let answer = deleted.json();
    assert_eq!((&answer["tenant"], &answer["tables_left"]), (&json!("acme"), &json!(0)));
    assert_eq!(fixture.rows("acme", count).await, json!([{ "n": 0 }]));
    assert_eq!(fixture.rows("default", count).await, json!([{ "n": 2 }]));
    let report = send(fixture.request(Method::GET, "/api/admin/tenants/acme")).await.json();
    assert_eq!(
        (&report["series"], &report["files"], &report["head_rows"]),
        (&json!(0), &json!(0), &json!(0))
    );
    // The very same batch is taken again.
    let again = send(fixture.post("/api/v1/write", &acme, body)).await;
    assert_eq!((again.status, again.header("x-isinglass-duplicate")), (204, ""));
    assert_eq!(fixture.rows("acme", count).await, json!([{ "n": 2 }]));
    let unknown = send(fixture.request(Method::DELETE, "/api/admin/tenants/nobody?confirm=nobody")).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["kind"]), (404, &json!("not_found")));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_for_operators() {
    let fixture = Fixture::start().await;
    let body = samples(fixture.now_unix_nanos, &["up"]);
    send(fixture.post("/api/v1/write", &[PROTOBUF, SNAPPY], body)).await;
    let get = |path: &'static str| send(fixture.request(Method::GET, path));
    assert_eq!(get("/-/ready").await.text(), "ready\n");
    assert_eq!(get("/-/healthy").await.text(), "healthy\n");
    let status = get("/api/status").await.json();
    assert_eq!((&status["version"], &status["durability"]), (&json!(crate::VERSION), &json!("sync")));
    assert!(get("/").await.text().contains("/api/v1/write"));
    let flushed = send(fixture.post("/api/admin/flush", &[], "")).await;
    assert_eq!((flushed.status, &flushed.json()["flushed"]), (200, &json!(true)));
    let metrics = get("/metrics").await;
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        r#"isinglass_received_items_total{tenant="default",signal="metrics"} 1"#,
        r#"isinglass_stored_items_total{tenant="default",signal="metrics"} 1"#,
        r#"isinglass_http_requests_total{path="/api/v1/write",code="204"} 1"#,
        r#"isinglass_request_duration_seconds_count{path="/api/v1/write"} 1"#,
        &format!("isinglass_build_info{{version=\"{}\"}} 1", crate::VERSION),
        "# TYPE process_cpu_seconds counter",
        "# EOF",
    ] {
        assert!(metrics.text().lines().any(|have| have == line), "no {line:?} in\n{}", metrics.text());
    }
    let page = include_str!("../../../../docs/formats/metrics.md");
    for described in metrics.text().lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = match described.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, "info") => format!("{name}_info"),
            (name, _) => name.to_owned(),
        };
        assert!(page.contains(&format!("`{name}")), "{name} is not described in metrics.md");
    }
    fixture.stop().await;
}
