//! The example plugins for patterns of log lines: counters at intake, the same patterns in SQL
//! over what is stored, and what was mined there as the configuration of both.

use isinglass_testkit::otlp::{self, LogRecord, Span, text};
use serde_json::Value;

use crate::harness::{Client, Server, now_nanos, root};

fn config(patterns: &str) -> String {
    let file = |name: &str| root().join(format!("plugins/dist/examples/{name}.wasm")).display().to_string();
    format!(
        "[[plugins.bindings]]\nname = \"log-patterns\"\nsource = \"file:{}\"\nworld = \"deriver\"\n\
         signals = [\"logs\"]\nconfig = {{ patterns = {patterns} }}\n\
         [[plugins.bindings]]\nname = \"log-pattern\"\nsource = \"file:{}\"\nworld = \"function\"\n\
         config = {{ patterns = {patterns} }}\n",
        file("log-patterns"),
        file("log-pattern")
    )
}

async fn send(client: &Client) {
    let lines = std::fs::read_to_string(root().join("plugins/patterns/data/lines.log")).unwrap();
    let record = |(at, line): (u64, &str)| LogRecord::new(now_nanos() + at, line);
    let records: Vec<_> = (0..).zip(lines.lines()).map(record).collect();
    client.otlp("logs", otlp::logs(&[text("service.name", "shop")], &records)).await.ok();
    client.flush().await;
}

/// (pattern, lines), sorted.
async fn pairs(client: &Client, query: &str) -> Vec<(String, u64)> {
    let rows = client.sql(query).await;
    let pair = |row: &serde_json::Map<String, Value>| {
        (row["pattern"].as_str().unwrap().to_owned(), row["lines"].as_f64().unwrap() as u64)
    };
    rows.iter().map(pair).collect()
}

const COUNTED: &str = "select pattern, cast(max(value) as bigint) as lines from metrics.log_patterns_total \
                       group by pattern order by pattern";
const IN_SQL: &str =
    "select log_pattern(body) as pattern, count(*) as lines from logs group by pattern order by pattern";

#[tokio::test(flavor = "multi_thread")]
async fn counters_and_sql_agree_before_and_after_mining() {
    let server = Server::start_with(&config("[]"));
    let client = server.client();
    send(&client).await;
    let counted = pairs(&client, COUNTED).await;
    assert_eq!(counted, pairs(&client, IN_SQL).await);
    assert_eq!(counted.iter().map(|(_, lines)| lines).sum::<u64>(), 24);
    assert!(counted.iter().any(|(pattern, _)| pattern.contains("customer alice declined")), "{counted:?}");

    // What Drain makes of them together.
    let mined = client.cell("select log_patterns(body) from logs").await;
    let mined: Value = serde_json::from_str(mined.as_str().unwrap()).unwrap();
    assert_eq!(mined["lines"], 24);
    let text = |pattern: &Value| format!("{} {}", pattern["lines"], pattern["pattern"].as_str().unwrap());
    let texts: Vec<String> = mined["patterns"].as_array().unwrap().iter().map(text).collect();
    let expected = std::fs::read_to_string(root().join("plugins/patterns/data/mined.txt"));
    assert_eq!(texts, expected.unwrap().lines().collect::<Vec<_>>());

    let known: Vec<&Value> =
        mined["patterns"].as_array().unwrap().iter().map(|one| &one["pattern"]).collect();
    let server = Server::start_with(&config(&serde_json::to_string(&known).unwrap()));
    let client = server.client();
    send(&client).await;
    let counted = pairs(&client, COUNTED).await;
    assert_eq!(counted, pairs(&client, IN_SQL).await);
    assert_eq!(counted.len(), texts.len());
    let declined = "<_> WARN  [main] com.shop.Payment - card of customer <_> declined: insufficient funds";
    assert!(counted.contains(&(declined.to_owned(), 3)), "{counted:?}");
}

/// Spans of users who have names and no numbers.
async fn send_users(client: &Client) {
    let start = now_nanos() - 2_000_000_000;
    let span = |at: u64| Span {
        span_id: (at + 1).to_be_bytes().to_vec(),
        ..Span::server(&format!("GET /users/{}", "bo".repeat(at as usize + 1)), start, start + 1_000_000)
    };
    let spans: Vec<Span> = (0..30).map(span).collect();
    client.otlp("traces", otlp::traces(&[text("service.name", "shop")], &spans)).await.ok();
    client.flush().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mined_of_names_of_spans_is_what_they_become() {
    const COUNTED: &str = "select span_name as pattern, cast(sum(last) as bigint) as lines from \
                           (select span_name, max(value) as last from metrics.traces_spanmetrics_calls_total \
                           group by span_name) group by span_name order by span_name";
    let server = Server::start_with(&config("[]"));
    let client = server.client();
    send_users(&client).await;
    let mined = client.cell("select span_name_patterns(name) from spans").await;
    assert_eq!(mined, r#"{"spans":30,"patterns":[{"pattern":"GET /users/<_>","spans":30}]}"#);

    let server = Server::start_with(
        "[plugins.config.span-metrics]\nspan_name_sanitizing = \"on\"\n\
         span_name_patterns = [\"GET /users/<_>\"]\n",
    );
    let client = server.client();
    send_users(&client).await;
    assert_eq!(pairs(&client, COUNTED).await, [("GET /users/<_>".to_owned(), 30)]);
}
