//! The first rows of an order are found by few columns and read whole by their keys.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use isinglass_model::{Kind, Tenant};
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, print};

const LINES: usize = 20_000;

/// Lines of which seven have the same time, most of them in files.
async fn fixture() -> Fixture {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenant = Tenant::default();
    let line = |n: usize| {
        let time = 1_700_000_000_000_000_000_u64 + (n as u64 / 7) * 1_000;
        let (service, severity) = (n % 3, if n.is_multiple_of(50) { "error" } else { "info" });
        format!(
            r#"{{"time":{time},"service":"s{service}","stream":"{{}}","severity":"{severity}","body":"line {n}"}}"#
        )
    };
    let lines: Vec<String> = (0..LINES).map(line).collect();
    fixture.append_rows(&tenant, Kind::Logs, &lines[..LINES - 100]).await;
    fixture.store.flush().await.unwrap();
    fixture.append_rows(&tenant, Kind::Logs, &lines[LINES - 100..]).await;
    fixture
}

async fn rows(fixture: &Fixture, sql: &str) -> RecordBatch {
    let batches = fixture.rows(&Tenant::default(), sql).await.unwrap();
    let schema = batches.first().map(RecordBatch::schema).unwrap();
    // Text inside is a view; outside it is not.
    assert!(!schema.to_string().contains("View"), "{schema}");
    concat_batches(&Arc::clone(&schema), &batches).unwrap()
}

async fn plan(fixture: &Fixture, sql: &str) -> String {
    print(&fixture.rows(&Tenant::default(), &format!("EXPLAIN {sql}")).await.unwrap())
}

/// An order by what is no column is not looked at, so the same question has another plan.
#[tokio::test]
async fn the_answer_is_the_same() {
    let fixture = fixture().await;
    for filter in ["service = 's1'", "severity = 'error' AND body LIKE '%00'", "body = 'line 7'"] {
        for order in ["time DESC, body", "time, body DESC"] {
            for limit in ["LIMIT 900", "LIMIT 5 OFFSET 8"] {
                let late = format!("SELECT * FROM logs WHERE {filter} ORDER BY {order} {limit}");
                let order = order.replace("time", "time + INTERVAL '0 seconds'");
                let early = format!("SELECT * FROM logs WHERE {filter} ORDER BY {order} {limit}");
                assert!(plan(&fixture, &late).await.contains("RightSemi"), "{late}");
                assert!(!plan(&fixture, &early).await.contains("RightSemi"), "{early}");
                if filter == "body = 'line 7'" && limit.contains("OFFSET") {
                    assert_eq!(print(&fixture.rows(&Tenant::default(), &late).await.unwrap()), "");
                    continue;
                }
                assert_eq!(rows(&fixture, &late).await, rows(&fixture, &early).await, "{late}");
            }
        }
    }
}

/// The wide side is told the keys, and what it is told reaches the files.
#[tokio::test]
async fn other_rows_are_not_decoded() {
    let fixture = fixture().await;
    let sql = "SELECT * FROM logs WHERE service = 's2' ORDER BY time DESC LIMIT 10 OFFSET 200";
    let plan = plan(&fixture, sql).await;
    let scans: Vec<&str> = plan.lines().filter(|line| line.contains(".parquet")).collect();
    let [narrow, wide] = scans.as_slice() else { panic!("two scans of files:\n{plan}") };
    assert!(!narrow.contains("body") && wide.contains("body"), "{plan}");
    assert!(wide.contains("dynamic("), "{plan}");
}

/// Few rows are decoded to find the first ones, and only these for all of their columns.
#[tokio::test]
async fn what_is_told_is_heeded() {
    let fixture = fixture().await;
    let analyze = async |sql: &str| plan(&fixture, &format!("ANALYZE {sql}")).await;
    let late =
        analyze("SELECT * FROM logs WHERE service = 's2' ORDER BY time DESC LIMIT 10 OFFSET 200").await;
    let matched: Vec<&str> = late.split("pushdown_rows_matched=").skip(1).collect();
    let [_, wide] = matched.as_slice() else { panic!("two scans of files:\n{late}") };
    let wide: usize = wide.split_once(',').unwrap().0.parse().unwrap();
    // 210 rows, 100 of which are not in files, and those with the same times.
    assert!((100..230).contains(&wide), "{wide}:\n{late}");
    // A scan that has lost a column still hears of the first rows.
    let narrow =
        analyze("SELECT time, body FROM logs WHERE severity = 'error' ORDER BY time DESC LIMIT 3").await;
    assert!(narrow.contains("projection=[time, body]"), "{narrow}");
    assert!(narrow.contains("AND dynamic(time@0 IS NULL OR time@0 > 17"), "{narrow}");
}

/// What few columns answer, what is not a column, may be null, or may change is asked once.
#[tokio::test]
async fn other_questions_are_left_alone() {
    let fixture = fixture().await;
    for sql in [
        "SELECT time, service, body FROM logs ORDER BY time DESC LIMIT 10",
        "SELECT * FROM logs ORDER BY time DESC",
        "SELECT * FROM logs ORDER BY time DESC LIMIT 5000",
        "SELECT * FROM logs ORDER BY observed_time LIMIT 10",
        "SELECT * FROM logs ORDER BY service LIMIT 10",
        "SELECT * FROM logs WHERE random() < 0.5 ORDER BY time LIMIT 10",
        "SELECT * FROM logs WHERE service = (SELECT max(service) FROM logs) ORDER BY time LIMIT 10",
        "SELECT * FROM spans ORDER BY time DESC LIMIT 10",
    ] {
        let plan = plan(&fixture, sql).await;
        assert!(!plan.contains("RightSemi") && !plan.contains("late_key"), "{sql}\n{plan}");
    }
}

/// What only a filter compares is not an output of the scan.
#[tokio::test]
async fn columns_of_filters_stay_below() {
    let fixture = fixture().await;
    let sql = "SELECT service, count(*) FROM logs WHERE severity = 'error' GROUP BY service ORDER BY service";
    assert_eq!(fixture.text(sql).await.unwrap(), "s0 | 134\ns1 | 133\ns2 | 133");
    let plan = plan(&fixture, sql).await;
    let scan = plan.lines().find(|line| line.contains(".parquet")).unwrap();
    assert!(scan.contains("projection=[service]"), "{plan}");
    assert!(scan.contains("predicate=severity@3 = error"), "{plan}");
    for (sql, answer) in [
        ("SELECT count(*) FROM logs WHERE severity = 'error'", "400"),
        ("SELECT max(body) FROM logs WHERE severity = 'error' AND service = 's0'", "line 9900"),
        ("SELECT max(time) > '2000-01-01' FROM logs WHERE severity = 'error' AND body LIKE '%0'", "true"),
    ] {
        assert_eq!(fixture.text(sql).await.unwrap(), answer, "{sql}");
    }
}
