//! The example plugins for patterns of log lines: counters at intake, the same patterns in SQL
//! over what is stored, and what was mined there as the configuration of both.

use isinglass_testkit::otlp::{self, LogRecord, text};
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
    let lines =
        std::fs::read_to_string(root().join("plugins/examples/patterns/mining/data/lines.log")).unwrap();
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
    let expected = std::fs::read_to_string(root().join("plugins/examples/patterns/mining/data/mined.txt"));
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
