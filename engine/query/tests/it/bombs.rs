//! Texts that must not get through, and texts that must not get far: what leaves
//! the tenant's tables, and what would take the process down.

use std::time::{Duration, Instant};

use futures::StreamExt;
use isinglass_model::{ErrorKind, Kind, Tenant};
use isinglass_query::{QueryConfig, SqlOptions};

use crate::fixture::Fixture;

fn config() -> QueryConfig {
    QueryConfig { deadline_ms: 3_000, query_memory_bytes: 64 << 20, ..QueryConfig::default() }
}

/// Every way out that DataFusion's default session offers.
#[tokio::test]
async fn escapes_are_refused() {
    let fixture = Fixture::empty(config()).await;
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("x.csv");
    std::fs::write(&file, "a\n1\n").unwrap();
    let file = file.display();
    for sql in [
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{file}'"),
        format!("SELECT * FROM '{file}'"),
        format!("SELECT * FROM \"file://{file}\""),
        format!("COPY (SELECT 1) TO '{}/out.csv'", outside.path().display()),
        format!("COPY logs TO '{}/out.parquet' STORED AS PARQUET", outside.path().display()),
        "CREATE TABLE t AS SELECT 1".into(),
        "CREATE VIEW v AS SELECT 1".into(),
        "CREATE SCHEMA s".into(),
        "CREATE DATABASE d".into(),
        "SELECT 1 INTO t".into(),
        "CREATE FUNCTION f(DOUBLE) RETURNS DOUBLE RETURN $1".into(),
        "DROP TABLE logs".into(),
        "DROP SCHEMA metrics CASCADE".into(),
        "INSERT INTO logs VALUES (1)".into(),
        "WITH x AS (INSERT INTO logs VALUES (1)) SELECT * FROM x".into(),
        "UPDATE logs SET body = ''".into(),
        "DELETE FROM logs".into(),
        "MERGE INTO logs USING spans ON true WHEN MATCHED THEN DELETE".into(),
        "TRUNCATE TABLE logs".into(),
        "ALTER TABLE logs ADD COLUMN a INT".into(),
        "SET datafusion.runtime.memory_limit = '64G'".into(),
        "SET datafusion.execution.target_partitions = 1000".into(),
        "RESET datafusion.runtime.memory_limit".into(),
        "SHOW ALL".into(),
        "SHOW datafusion.runtime.temp_directory".into(),
        "PREPARE p AS SELECT 1".into(),
        "EXECUTE p".into(),
        "DEALLOCATE p".into(),
        "BEGIN".into(),
        "START TRANSACTION".into(),
        "COMMIT".into(),
        "USE other".into(),
        "LOAD 'x.so'".into(),
        "EXPLAIN DROP TABLE logs".into(),
        "EXPLAIN ANALYZE INSERT INTO logs VALUES (1)".into(),
        format!("EXPLAIN ANALYZE COPY (SELECT 1) TO '{}/out.csv'", outside.path().display()),
        "EXPLAIN EXPLAIN SELECT 1".into(),
        "SELECT 1; DROP TABLE logs".into(),
        "SELECT input_file_name()".into(),
        format!("SELECT * FROM read_csv('{file}')"),
        format!("SELECT * FROM parquet_metadata('{file}')"),
        "WITH RECURSIVE n AS (SELECT 1 a UNION ALL SELECT a + 1 FROM n) SELECT * FROM n".into(),
    ] {
        let error = fixture.text(&sql).await.expect_err(&sql);
        let refused =
            matches!(error.kind(), ErrorKind::Forbidden | ErrorKind::Malformed | ErrorKind::Rejected);
        assert!(refused, "{sql}: {error:?}");
    }
    let left: Vec<_> =
        std::fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["x.csv"], "a query wrote a file");
}

/// What would overflow the stack, and did: refused before it is parsed.
#[tokio::test]
async fn deep_texts_are_refused_at_once() {
    let fixture = Fixture::empty(config()).await;
    let chain = |first: &str, link: &str, links: usize| format!("SELECT {first}{}", link.repeat(links));
    for sql in [
        chain("1", "+1", 10_000),
        chain("1", "+1", 2_000),
        chain("1=1", " OR 1=1", 4_000),
        chain("'a'", "||'a'", 3_000),
        chain("", "(", 3_000),
        chain("", "-", 3_000),
        chain("", "- ", 3_000),
        chain("", "NOT ", 3_000),
        chain("", "abs(", 3_000),
        chain("", "[", 3_000),
        chain("1", "::int", 3_000),
        chain("1", " UNION ALL SELECT 1", 2_000),
        chain("1 FROM logs", ", logs", 1_000),
        format!("{}SELECT 1", "EXPLAIN ".repeat(5_000)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(2_000), " END".repeat(2_000)),
        format!("SELECT * FROM {}logs{}", "(SELECT * FROM ".repeat(500), ") t".repeat(500)),
    ] {
        let start = Instant::now();
        let error = fixture.text(&sql).await.expect_err(&sql[..60]);
        let refused = matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Malformed);
        assert!(refused && start.elapsed() < Duration::from_millis(500), "{}: {error:?}", &sql[..60]);
    }
}

/// What is just inside the gate is planned and run, on the stacks of our threads.
#[tokio::test]
async fn the_deepest_texts_allowed_run() {
    let fixture = Fixture::empty(QueryConfig { deadline_ms: 120_000, ..QueryConfig::default() }).await;
    for (sql, wanted) in [
        (format!("SELECT 1{}", "+1".repeat(250)), Some("251".to_owned())),
        (format!("SELECT 1 WHERE 1 = 2{}", " OR 1 = 1".repeat(80)), Some("1".to_owned())),
        (format!("SELECT {}1{}", "(".repeat(45), ")".repeat(45)), None),
        (format!("SELECT {}1{}", "abs(".repeat(45), ")".repeat(45)), None),
        (format!("SELECT count(*) FROM {}logs{}", "(SELECT * FROM ".repeat(20), ") t".repeat(20)), None),
    ] {
        match (fixture.text(&sql).await, wanted) {
            (Ok(text), Some(wanted)) => assert_eq!(text, wanted),
            (Err(error), Some(_)) => panic!("{error:?}"),
            // the parser's own limit may be lower; the process must live
            (Ok(_), None) => {}
            (Err(error), None) => assert_ne!(error.kind(), ErrorKind::Internal, "{error:?}"),
        }
    }
}

/// Functions that make much out of little.
#[tokio::test]
async fn makers_are_capped() {
    let fixture = Fixture::empty(QueryConfig { deadline_ms: 60_000, ..config() }).await;
    for sql in [
        "SELECT repeat('x', 2000000000)",
        "SELECT repeat('x', 200000000)",
        "SELECT lpad('x', 1900000000, 'y')",
        "SELECT rpad('x', 1900000000)",
        "SELECT range(1, 200000000)",
        "SELECT generate_series(1, 200000000)",
        "SELECT range(TIMESTAMP '1970-01-01', TIMESTAMP '2026-01-01', INTERVAL '1 nanosecond')",
        "SELECT array_repeat('x', 200000000)",
        "SELECT array_resize([1], 200000000, 1)",
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
        "SELECT regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000000), 'g')",
        "SELECT repeat(repeat('x', 1000000), 1000000)",
        "SELECT length(c || c) FROM (SELECT c || c || c || c AS c FROM (SELECT repeat('x', 10000000) AS c))",
        "SELECT concat(c, c, c) FROM (SELECT repeat('x', 30000000) AS c)",
        "SELECT sum(length(repeat('x', v))) FROM (VALUES (1000000000), (2000000000)) t(v)",
    ] {
        let error = fixture.text(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Rejected, "{sql}: {error:?}");
        assert!(error.message().contains("would make more than"), "{sql}: {error:?}");
    }
    assert_eq!(fixture.text("SELECT repeat('ab', 3), lpad('7', 3, '0')").await.unwrap(), "ababab | 007");
    assert_eq!(fixture.text("SELECT range(1, 4), array_repeat(1, 2)").await.unwrap(), "[1, 2, 3] | [1, 1]");
}

/// A list at each row of a window, of all rows of the window.
#[tokio::test]
async fn windows_that_collect_are_capped() {
    let fixture = Fixture::empty(QueryConfig { deadline_ms: 60_000, ..config() }).await;
    for sql in [
        "SELECT max(n) FROM (SELECT array_agg(value) OVER (ORDER BY value ROWS BETWEEN 1000000 PRECEDING \
         AND CURRENT ROW) AS n FROM range(1, 2000000))",
        "SELECT max(n) FROM (SELECT array_agg(value) OVER (ORDER BY value) AS n FROM range(1, 200000))",
        "SELECT max(n) FROM (SELECT array_agg(value) OVER (ORDER BY value DESC ROWS BETWEEN CURRENT ROW \
         AND UNBOUNDED FOLLOWING) AS n FROM range(1, 20000))",
        "SELECT max(n) FROM (SELECT string_agg(value || 'x', ',') OVER (ORDER BY value) AS n \
         FROM range(1, 20000))",
    ] {
        let error = fixture.text(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Rejected, "{sql}: {error:?}");
        assert!(error.message().contains("MiB for the rows of a window"), "{sql}: {error:?}");
    }
    let small =
        "SELECT array_agg(value) OVER (ORDER BY value) AS n FROM range(1, 4) ORDER BY value DESC LIMIT 1";
    assert_eq!(fixture.text(small).await.unwrap(), "[1, 2, 3]");
    let large = "SELECT cardinality(array_agg(value)), length(string_agg(value % 10 || '', '')) FROM range(0, 1000000)";
    assert_eq!(fixture.text(large).await.unwrap(), "1000000 | 1000000");
}

/// Sets are counted before a planner makes them.
#[tokio::test]
async fn grouping_sets_are_capped() {
    let fixture = Fixture::empty(config()).await;
    let columns = |n: usize| (0..n).map(|n| format!("value + {n}")).collect::<Vec<_>>().join(", ");
    let sql = |n| format!("SELECT count(*) FROM range(1, 10) GROUP BY CUBE ({})", columns(n));
    let error = fixture.text(&sql(31)).await.unwrap_err();
    assert!(error.message().contains("more than 1024 grouping sets"), "{error:?}");
    let sets = fixture.text(&format!("SELECT count(*) FROM ({}) t", sql(3))).await.unwrap();
    assert_eq!(sets, (7 * 9 + 1).to_string());
}

/// A digest takes memory for all its centroids at once: DataFusion's would end the process.
#[tokio::test]
async fn centroids_are_capped() {
    let fixture = Fixture::empty(config()).await;
    let table = "(VALUES (1.0, 1), (2.0, 1), (4.0, 2)) t(x, g)";
    for sql in [
        "SELECT approx_percentile_cont(x, 0.5, 1000000000000000) FROM {table}",
        "SELECT g, approx_percentile_cont(x, 0.5, 1000000000000000) FROM {table} GROUP BY g",
        "SELECT approx_percentile_cont(x, 0.5, 10001) OVER (PARTITION BY g) FROM {table}",
        "SELECT g, approx_percentile_cont_with_weight(x, 1, 0.5, 1000000000000000) FROM {table} GROUP BY g",
    ] {
        let sql = sql.replace("{table}", table);
        let error = fixture.text(&sql).await.expect_err(&sql);
        assert_eq!(error.kind(), ErrorKind::Rejected, "{sql}: {error:?}");
        assert!(error.message().contains("centroids, of at most 10000"), "{sql}: {error:?}");
    }
    let sql = format!(
        "SELECT g, approx_percentile_cont(x, 0.5, 10000), approx_median(x) FROM {table} GROUP BY g ORDER BY g"
    );
    assert_eq!(fixture.text(&sql).await.unwrap(), "1 | 1.5 | 1.5\n2 | 4.0 | 4.0");
}

/// Endless work ends at the deadline, and what ran is gone soon after.
#[tokio::test]
async fn endless_work_ends_at_the_deadline() {
    let fixture = Fixture::empty(QueryConfig { deadline_ms: 1_000, ..config() }).await;
    for sql in [
        "SELECT count(*) FROM range(1, 200000) a CROSS JOIN range(1, 200000) b",
        "SELECT count(*) FROM range(1, 100000) a JOIN range(1, 100000) b ON a.value * b.value = 17",
        "SELECT sum(value) FROM range(1, 200000000000)",
        "SELECT count(DISTINCT value % 7) FROM range(1, 200000000000)",
    ] {
        let start = Instant::now();
        let error = fixture.text(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{sql}: {error:?}");
        assert!(start.elapsed() < Duration::from_millis(2_500), "{sql}: {:?}", start.elapsed());
        ended(&fixture, sql).await;
    }
}

/// Waits until no query runs any more.
async fn ended(fixture: &Fixture, sql: &str) {
    let start = Instant::now();
    while fixture.engine.running() > 0 {
        assert!(start.elapsed() < Duration::from_secs(3), "still running: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Memory of operators, rows and bytes of results have limits of their own.
#[tokio::test]
async fn results_and_memory_are_bounded() {
    let fixture = Fixture::empty(QueryConfig {
        deadline_ms: 60_000,
        query_memory_bytes: 4 << 20,
        result_rows_max: 10_000,
        result_bytes_max: 1 << 20,
        ..QueryConfig::default()
    })
    .await;
    for sql in [
        "SELECT value FROM range(1, 3000000) ORDER BY sin(value)",
        "SELECT count(*) FROM (SELECT DISTINCT sin(value) FROM range(1, 3000000))",
        "SELECT count(*) FROM (SELECT array_agg(value) a FROM range(1, 3000000)) WHERE cardinality(a) > 1",
        "SELECT * FROM range(1, 30000)",
        "SELECT repeat('x', 1000) FROM range(1, 9000)",
    ] {
        let error = fixture.text(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{sql}: {error:?}");
    }
    ended(&fixture, "all").await;
}

/// Whoever goes away takes the query along.
#[tokio::test]
async fn a_dropped_answer_ends_its_query() {
    let fixture = Fixture::empty(QueryConfig { deadline_ms: 60_000, ..QueryConfig::default() }).await;
    for sql in [
        "SELECT * FROM range(1, 200000000000)",
        "SELECT count(*) FROM range(1, 200000) a CROSS JOIN range(1, 200000) b",
    ] {
        let answer = fixture.engine.sql(&Tenant::default(), sql, SqlOptions::default()).await.unwrap();
        let mut stream = answer.stream;
        let _ = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
        assert_eq!(fixture.engine.running(), 1);
        drop(stream);
        ended(&fixture, sql).await;
    }
}

/// More queries than turns wait, then are told so.
#[tokio::test]
async fn turns_are_bounded() {
    let config =
        QueryConfig { concurrent_max: 1, queue_wait_ms: 100, deadline_ms: 60_000, ..QueryConfig::default() };
    let fixture = Fixture::empty(config).await;
    let sql = "SELECT count(*) FROM range(1, 200000) a CROSS JOIN range(1, 200000) b";
    let first = fixture.engine.sql(&Tenant::default(), sql, SqlOptions::default()).await.unwrap();
    let error = fixture.text("SELECT 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    drop(first);
    ended(&fixture, sql).await;
    assert_eq!(fixture.text("SELECT 1").await.unwrap(), "1");
}

/// A regular expression that would grow without bound is refused, a slow one is not slow here.
#[tokio::test]
async fn regular_expressions_stay_linear() {
    let fixture = Fixture::empty(QueryConfig { deadline_ms: 20_000, ..QueryConfig::default() }).await;
    let lines: Vec<String> = (0..200)
        .map(|n| {
            let body = "a".repeat(2_000);
            format!(r#"{{"time":{n},"service":"a","stream":"{{}}","body":"{body}"}}"#)
        })
        .collect();
    fixture.append_rows(&Tenant::default(), Kind::Logs, &lines).await;
    let count = fixture.text("SELECT count(*) FROM logs WHERE body ~ '(a|aa|aaa)*b$'").await.unwrap();
    assert_eq!(count, "0");
    let error =
        fixture.text("SELECT count(*) FROM logs WHERE body ~ '((a{1000}){1000}){10}'").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
}
