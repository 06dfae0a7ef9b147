//! SQL over HTTP and on the command line: formats, faults with positions, what
//! is not allowed, and the questions that ship.

use std::process::Command;

use isinglass_testkit::load;
use isinglass_testkit::loki::{self, Stream};
use serde_json::{Value, json};

use crate::harness::{Client, Server, now_millis, now_nanos, root};

async fn fill(client: &Client) {
    for service in 0..8 {
        client.otlp("traces", load::traces(service, 100, now_nanos() - 30_000_000_000)).await.ok();
    }
    for step in 0..10 {
        client.remote_write(&load::gauges(100, now_millis() - 10_000 + step * 1_000)).await.ok();
    }
    let trace = client.cell("select min(trace_id) from spans").await;
    let stream = (0..50).fold(Stream::new(r#"{service_name="frontend"}"#), |stream, at| {
        stream.line_with(now_nanos() - at, &format!("line {at}"), &[("trace_id", trace.as_str().unwrap())])
    });
    client.loki(&loki::request(&[stream])).await.ok();
}

#[tokio::test]
async fn formats() {
    let server = Server::start();
    let client = server.client();
    let query = "select 1 as a, 'x,\"y' as b union all select 2, null order by a";
    let ask = |format: &'static str| {
        let body = json!({ "query": query, "format": format }).to_string().into_bytes();
        let client = client.clone();
        async move { client.post("api/sql", &[("content-type", "application/json")], body).await.ok() }
    };
    assert_eq!(ask("json").await.json(), json!([{ "a": 1, "b": "x,\"y" }, { "a": 2, "b": null }]));
    let lines: Vec<Value> =
        ask("ndjson").await.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], json!({ "a": 1, "b": "x,\"y" }));
    assert_eq!(ask("csv").await.text(), "a,b\n1,\"x,\"\"y\"\n2,\n");
    let arrow = ask("arrow").await;
    assert_eq!(&arrow.body[..4], &[0xff; 4], "the continuation marker of an Arrow stream");

    let by_accept = [("content-type", "application/json"), ("accept", "text/csv")];
    let body = json!({ "query": query }).to_string().into_bytes();
    assert!(client.post("api/sql", &by_accept, body).await.ok().text().starts_with("a,b\n"));
    let url =
        reqwest::Url::parse_with_params("http://x/api/sql", [("query", "select 3 as c"), ("format", "csv")]);
    let path = url.unwrap().to_string().replace("http://x/", "");
    assert_eq!(client.get(&path).await.ok().text(), "c\n3\n");
}

#[tokio::test]
async fn faults_have_a_kind_and_a_position() {
    let server = Server::start();
    let client = server.client();
    for (query, line, column) in [
        ("selekt 1", Some(1), Some(1)),
        ("select 1 +\n  , 2", Some(2), Some(3)),
        ("select 'open", Some(1), None),
        ("select nothing from logs", None, None),
        ("select 1 from nowhere", None, None),
        ("select no_function(1)", None, None),
        ("select 1; select 2", None, None),
        ("", None, None),
    ] {
        let answer = client.ask(query).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        let error = answer.json()["error"].clone();
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{query}: {error}");
        if let Some(line) = line {
            assert_eq!(error["position"]["line"], line, "{query}: {error}");
        }
        if let Some(column) = column {
            assert_eq!(error["position"]["column"], column, "{query}: {error}");
        }
    }
    for body in
        [&b"not json"[..], b"{}", b"{\"query\": 3}", b"{\"query\": \"select 1\", \"format\": \"xml\"}"]
    {
        let answer = client.post("api/sql", &[("content-type", "application/json")], body.to_vec()).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
}

/// Nothing that writes, reads files, changes settings or never ends.
#[tokio::test]
async fn what_is_not_allowed() {
    let server = Server::start();
    let client = server.client();
    let secret = server.scratch().join("secret.csv");
    std::fs::write(&secret, "a\nsecret\n").unwrap();
    let (path, target) = (secret.display(), server.scratch().join("out.csv"));
    for query in [
        format!("create external table t stored as csv location '{path}'"),
        format!("copy (select 1) to '{}'", target.display()),
        format!("select * from '{path}'"),
        format!("select * from \"{path}\""),
        format!("select * from read_csv('{path}')"),
        "create table t as select 1".to_owned(),
        "create view v as select 1".to_owned(),
        "insert into logs select * from logs".to_owned(),
        "delete from logs".to_owned(),
        "update logs set body = 'x'".to_owned(),
        "drop table logs".to_owned(),
        "set datafusion.runtime.memory_limit = '64G'".to_owned(),
        "prepare p as select 1".to_owned(),
        "execute p".to_owned(),
        format!("select {}1", "1+".repeat(20_000)),
        format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000)),
        format!("select '{}'", "x".repeat(1 << 20)),
    ] {
        let answer = client.ask(&query).await;
        assert!([400, 403, 413].contains(&answer.status), "{query:.80}: {} {}", answer.status, answer.text());
        assert!(!answer.text().contains("secret\n"), "{query}");
    }
    assert!(!target.exists());
    assert_eq!(client.number("select 1").await, 1.0, "still there");
}

/// Every `.sql` file below `sql/` is a statement that runs on real data.
#[tokio::test]
async fn the_questions_that_ship_run() {
    let server = Server::start();
    let client = server.client();
    fill(&client).await;
    client.flush().await;
    let trace = client.cell("select min(trace_id) from spans").await;
    let root = root().join("sql");
    let mut files = vec![root];
    let mut ran = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "sql")
            && !path.components().any(|c| c.as_os_str() == "views")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.replace("$trace_id", &format!("'{}'", trace.as_str().unwrap()));
            let answer = client.ask(&text).await;
            assert_eq!(answer.status, 200, "{}: {}", path.display(), answer.text());
            ran += 1;
        }
    }
    assert!(ran >= 3, "only {ran} questions");
}

#[tokio::test]
async fn a_trace_as_a_tree() {
    let server = Server::start();
    let client = server.client();
    fill(&client).await;
    let trace = client.cell("select min(trace_id) from spans").await;
    let trace = trace.as_str().unwrap();
    let spans = client.count(&format!("spans where trace_id = '{trace}'")).await;
    assert_eq!(client.count(&format!("trace_tree('{trace}')")).await, spans);
    let upper = trace.to_uppercase();
    assert_eq!(client.count(&format!("spans where trace_id = '{upper}'")).await, 0, "ids are lower-case");
}

#[tokio::test]
async fn on_the_command_line() {
    let server = Server::start();
    let client = server.client();
    let ask = |format: &str, query: &str| {
        let url = format!("http://{}", client.http_address());
        let arguments = ["sql", "-c", query, "--format", format, "--server", &url];
        Command::new(env!("CARGO_BIN_EXE_isinglass")).args(arguments).output().unwrap()
    };
    let query = "select 1 as a, 'x' as b";
    for (format, parts) in [
        ("box", &["a", "b", "1", "x"][..]),
        ("csv", &["a,b\n1,x\n"]),
        ("markdown", &["| a", "| 1", "|--"]),
        ("json", &["\"a\"", "\"x\""]),
    ] {
        let output = ask(format, query);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(parts.iter().all(|part| text.contains(part)), "{format}: {text}");
    }
    let output = ask("box", "select\n  selekt from");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("line 2") || errors.contains("2:"), "names the place: {errors}");
}
