//! What footers say of columns changes no answer: the first reader of a file has not seen its
//! footer, the second one has.

use isinglass_model::{Kind, Tenant};
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, print};

const FILES: usize = 4;
const LINES: usize = 3_000;

/// A line of one of the files, of which each has other columns that are the same in all rows.
fn line(file: usize, n: usize) -> String {
    let time = 1_700_000_000_000_000_000_u64 + (file * LINES + n) as u64 * 1_000_000;
    let mut line = format!(
        r#"{{"time":{time},"service":"s{}","stream":"{{}}","body":"line {file} {n}""#,
        if file == 0 { 0 } else { n % 3 }
    );
    let severity = match file {
        0 => None,
        1 => Some("error"),
        2 if n.is_multiple_of(7) => None,
        _ => Some(["error", "info", "warn"][n % 3]),
    };
    for (name, value) in [
        ("severity", severity),
        ("severity_text", (file == 3 && n.is_multiple_of(5)).then_some("E")),
        ("service_version", (file > 0).then_some("1.4.2 of a longer text than a view holds")),
        ("host_name", (file == 2).then_some(["a", "b"][n % 2])),
    ] {
        if let Some(value) = value {
            line += &format!(r#","{name}":"{value}""#);
        }
    }
    line + "}"
}

const STATEMENTS: &[&str] = &[
    "SELECT * FROM logs ORDER BY time LIMIT 5000",
    "SELECT time, severity, service_version FROM logs WHERE severity = 'error' ORDER BY time LIMIT 4000",
    "SELECT severity, count(*) FROM logs WHERE severity <> 'error' GROUP BY 1 ORDER BY 1",
    "SELECT count(*) FROM logs WHERE severity = 'error' OR severity_text = 'E'",
    "SELECT count(*) FROM logs WHERE NOT (severity = 'error' AND host_name = 'a')",
    "SELECT count(*) FROM logs WHERE severity = 'nothing has it'",
    "SELECT count(*) FROM logs WHERE severity IS NULL",
    "SELECT count(*) FROM logs WHERE severity IN ('error', 'warn', 'info', 'a', 'b')",
    "SELECT count(*) FROM logs WHERE severity = 'error' AND severity LIKE 'e%'",
    "SELECT count(*), count(severity), count(severity_text), count(service_version), count(host_name) FROM logs",
    "SELECT min(service_version), max(service_version), min(host_name), max(severity_text) FROM logs",
    "SELECT service_version, host_name, count(*) FROM logs GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT count(*) FROM logs WHERE service_version = '1.4.2 of a longer text than a view holds'",
    "SELECT count(*) FROM logs WHERE service_version = '2'",
    "SELECT count(*) FROM logs WHERE service_version IS NULL OR host_name IS NOT NULL",
    "SELECT service_version, time FROM logs ORDER BY service_version NULLS FIRST, time DESC LIMIT 7",
    "SELECT host_name, severity, time FROM logs ORDER BY host_name DESC NULLS LAST, time LIMIT 7",
    "SELECT * FROM logs WHERE service = 's1' AND severity = 'error' ORDER BY time DESC LIMIT 9",
    "SELECT a.severity, count(*) FROM logs a JOIN logs b ON a.service_version = b.service_version AND a.time = b.time WHERE b.severity = 'error' GROUP BY 1 ORDER BY 1",
    "SELECT coalesce(severity_text, '-') || coalesce(service_version, '-') x, count(*) FROM logs GROUP BY 1 ORDER BY 1",
];

async fn fixture(flushed: bool) -> Fixture {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    for file in 0..FILES {
        let lines: Vec<String> = (0..LINES).map(|n| line(file, n)).collect();
        fixture.append_rows(&Tenant::default(), Kind::Logs, &lines).await;
        if flushed {
            fixture.store.flush().await.unwrap();
        }
    }
    fixture
}

#[tokio::test]
async fn what_footers_say_changes_no_answer() {
    let (files, head) = (fixture(true).await, fixture(false).await);
    for run in 0..2 {
        for statement in STATEMENTS {
            let answer = files.text(statement).await.unwrap();
            assert!(!answer.is_empty(), "{statement}");
            assert_eq!(answer, head.text(statement).await.unwrap(), "run {run}: {statement}");
        }
    }
}

/// So that the test above is one: what is the same in all rows is not read once footers are known.
#[tokio::test]
async fn footers_are_asked() {
    let fixture = fixture(true).await;
    let read = async || {
        let statement = "EXPLAIN ANALYZE SELECT service_version, severity_number FROM logs";
        let plan = print(&fixture.rows(&Tenant::default(), statement).await.unwrap());
        let bytes = plan.split("bytes_scanned=").nth(1).and_then(|rest| rest.split([',', ' ', ']']).next());
        bytes.unwrap().to_owned()
    };
    let (first, second) = (read().await, read().await);
    assert_ne!(first, "0");
    assert_eq!(second, "0");
}
