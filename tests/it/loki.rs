//! Loki push: protobuf and JSON, and where the service comes from.

use isinglass_testkit::loki::{Stream, request};
use serde_json::json;

use crate::harness::{Server, now_nanos};

#[tokio::test]
async fn lines_arrive_with_stream_and_metadata() {
    let server = Server::start();
    let client = server.client();
    let now = now_nanos();
    let streams = [
        Stream::new(r#"{service_name="shop", env="prod"}"#).line(now, "one").line_with(
            now + 1,
            "two",
            &[("trace_id", "0102030405060708090a0b0c0d0e0f10"), ("user", "u1")],
        ),
        Stream::new(r#"{app="cart"}"#).line(now + 2, "three"),
    ];
    client.loki(&request(&streams)).await.ok();
    assert_eq!(client.count("logs").await, 3);
    assert_eq!(client.count("logs where service = 'shop' and body in ('one', 'two')").await, 2);
    // As Loki does, the service that was found is a label of the stream too.
    let found = r#"logs where service = 'cart' and stream = '{app="cart", service_name="cart"}'"#;
    assert_eq!(client.count(found).await, 1);
    let stream = r#"logs where stream = '{env="prod", service_name="shop"}'"#;
    assert_eq!(client.count(stream).await, 2);
    let nanos = "select cast(max(time) as bigint) - cast(min(time) as bigint) from logs";
    assert_eq!(client.number(nanos).await, 2.0);
}

#[tokio::test]
async fn json_means_the_same() {
    let server = Server::start();
    let now = now_nanos();
    let (protobuf, json) = (server.client().tenant("protobuf"), server.client().tenant("json"));
    let streams = [Stream::new(r#"{service="shop", level="warn"}"#).line(now, "hello \"world\"")];
    protobuf.loki(&request(&streams)).await.ok();
    let body = json!({ "streams": [{
        "stream": { "service": "shop", "level": "warn" },
        "values": [[now.to_string(), "hello \"world\""]],
    }] });
    let headers = [("content-type", "application/json")];
    json.post("loki/api/v1/push", &headers, body.to_string().into_bytes()).await.ok();
    let query = "select time, service, stream, severity, body from logs";
    assert_eq!(protobuf.sql(query).await, json.sql(query).await);
    assert_eq!(json.count("logs where service = 'shop'").await, 1);
}

#[tokio::test]
async fn the_service_is_found_as_loki_finds_it() {
    let server = Server::start();
    let client = server.client();
    let now = now_nanos();
    let cases = [
        (r#"{service_name="a", app="b"}"#, "a"),
        (r#"{service="c", app="b"}"#, "c"),
        (r#"{app="d", pod="x"}"#, "d"),
        (r#"{container="e"}"#, "e"),
        (r#"{foo="bar"}"#, "unknown_service"),
    ];
    for (at, (labels, _)) in cases.iter().enumerate() {
        client.loki(&request(&[Stream::new(labels).line(now, &format!("line {at}"))])).await.ok();
    }
    for (at, (labels, service)) in cases.iter().enumerate() {
        let found = client.cell(&format!("select service from logs where body = 'line {at}'")).await;
        assert_eq!(found, json!(service), "{labels}");
    }
}

#[tokio::test]
async fn json_lines_become_columns_where_so_configured() {
    let server = Server::start_with("[logs]\nparse_json = true\n");
    let client = server.client();
    let line =
        r#"{"level":"error","msg":"payment declined","user_id":"u7","status":402,"http":{"route":"/pay"}}"#;
    let streams = [Stream::new(r#"{app="shop"}"#).line(now_nanos(), line).line(now_nanos(), "plain")];
    client.loki(&request(&streams)).await.ok();
    let query =
        "select body, severity, user_id, http_route, attributes['status'] from logs where severity = 'error'";
    let before = client.sql(query).await;
    assert_eq!(before.len(), 1, "{before:?}");
    assert_eq!(client.cell("select body from logs where user_id = 'u7'").await, json!("payment declined"));
    assert_eq!(client.cell("select http_route from logs where user_id = 'u7'").await, json!("/pay"));
    assert_eq!(client.cell("select attributes['status'] from logs where user_id = 'u7'").await, json!("402"));
    assert_eq!(client.count("logs where body = 'plain'").await, 1);
    client.flush().await;
    assert_eq!(client.sql(query).await, before);
}
