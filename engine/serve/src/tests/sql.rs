//! `/api/sql`.

use super::*;

async fn ask(fixture: &Fixture, body: Value) -> Answer {
    send(fixture.post("/api/sql", &[("content-type", "application/json")], body.to_string())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn formats() {
    let fixture = Fixture::start().await;
    let query = "select 1 as a, 'x' as b union all select 2, null order by a";
    let check = async |format: &str, content_type: &str, text: &str| {
        let answer = ask(&fixture, json!({ "query": query, "format": format })).await;
        assert_eq!(answer.header("content-type"), content_type);
        assert_eq!((answer.status, answer.text()), (200, text));
    };
    check("json", "application/json", "[{\"a\":1,\"b\":\"x\"},{\"a\":2,\"b\":null}]\n").await;
    check("ndjson", "application/x-ndjson", "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":null}\n").await;
    check("csv", "text/csv; charset=utf-8", "a,b\n1,x\n2,\n").await;
    let answer = ask(&fixture, json!({ "query": query, "format": "arrow" })).await;
    assert_eq!(answer.header("content-type"), "application/vnd.apache.arrow.stream");
    let rows: usize = arrow_ipc::reader::StreamReader::try_new(&answer.body[..], None)
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(rows, 2);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_get_and_by_accept() {
    let fixture = Fixture::start().await;
    let request =
        fixture.request(Method::GET, "/api/sql?query=select+1%2B1+as+n").header("accept", "text/csv");
    assert_eq!(send(request).await.text(), "n\n2\n");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_kind_and_position() {
    let fixture = Fixture::start().await;
    let check = async |query: &str, status: u16, kind: &str, position: Value| {
        let answer = ask(&fixture, json!({ "query": query })).await;
        let error = &answer.json()["error"];
        assert_eq!(answer.status, status, "{query}: {error}");
        assert_eq!((&error["kind"], &error["position"]), (&json!(kind), &position), "{query}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty());
    };
    check("select *\nform logs", 400, "malformed", json!({ "line": 2, "column": 1 })).await;
    check("select * from logs where nothing = 1", 400, "malformed", json!({ "line": 1, "column": 26 })).await;
    check("", 400, "malformed", Value::Null).await;
    let answer = ask(&fixture, json!({ "query": "create table x (a int)" })).await;
    assert!([400, 403].contains(&answer.status), "{}", answer.text());
    let answer = send(fixture.post("/api/sql", &[("content-type", "text/csv")], "select 1")).await;
    assert_eq!(answer.status, 415);
    let answer = send(fixture.request(Method::GET, "/api/sql")).await;
    assert_eq!(answer.status, 400);
    fixture.stop().await;
}

/// More rows than are held back, in pieces.
#[tokio::test(flavor = "multi_thread")]
async fn large_results_are_streamed_whole() {
    let fixture = Fixture::start().await;
    let query = "select value as n, 'some text to make it longer' as text from generate_series(1, 50000)";
    let answer = ask(&fixture, json!({ "query": query, "format": "ndjson" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.text().lines().count(), 50_000);
    let answer = ask(&fixture, json!({ "query": query })).await;
    assert_eq!(answer.json().as_array().unwrap().len(), 50_000);
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_if_the_client_asks() {
    use std::io::Read;
    let fixture = Fixture::start().await;
    let request =
        fixture.request(Method::GET, "/api/sql?query=select+value+from+generate_series(1,1000)&format=csv");
    let answer = send(request.header("accept-encoding", "gzip")).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 1_001);
    fixture.stop().await;
}

/// A query that fails after its status was sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_failure_cannot_be_taken_for_the_end() {
    let query = QueryConfig { result_rows_max: 40_000, ..QueryConfig::default() };
    let fixture = Fixture::with_all(ServeConfig::default(), json!({}), query).await;
    let text = "select value as n, 'some text to make it longer' as text from generate_series(1, 50000)";
    let answer = ask(&fixture, json!({ "query": text, "format": "ndjson" })).await;
    assert_eq!(answer.status, 200);
    let last: Value = serde_json::from_str(answer.text().lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["kind"], "too_large", "{last}");
    for format in ["json", "csv", "arrow"] {
        let body = json!({ "query": text, "format": format }).to_string();
        let request = fixture.post("/api/sql", &[("content-type", "application/json")], body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err(), "{format} ended as if it were complete");
    }
    fixture.stop().await;
}
