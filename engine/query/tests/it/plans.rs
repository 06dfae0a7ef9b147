//! What reaches the files: filters on ids, times and labels become filters on
//! what lies there, and files that cannot help are not opened.

use isinglass_model::{Kind, Tenant};
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, Rows, print};

async fn plan(fixture: &Fixture, sql: &str) -> String {
    print(&fixture.rows(&Tenant::default(), &format!("EXPLAIN {sql}")).await.unwrap())
}

/// The plan of `sql` over flushed rows contains all of `wanted`.
async fn check(fixture: &Fixture, sql: &str, wanted: &[&str]) {
    let plan = plan(fixture, sql).await;
    for part in wanted {
        assert!(plan.contains(part), "{sql}\nlacks {part:?}:\n{plan}");
    }
}

#[tokio::test]
async fn filters_reach_the_files() {
    let fixture = Fixture::with(Rows::Flushed).await;
    let id = "0af7651916cd43dd8448eb211c80319c";
    // DataFusion prints ten bytes of it
    let bytes = "0AF7651916CD43DD8448...";
    check(
        &fixture,
        &format!("SELECT name FROM spans WHERE trace_id = '{id}'"),
        &[
            &format!("predicate=trace_id@2 = {bytes}"),
            "pruning_predicate=",
            "trace_id_min@",
            &format!("required_guarantees=[trace_id in ({bytes})]"),
        ],
    )
    .await;
    check(
        &fixture,
        &format!("SELECT name FROM spans WHERE trace_id IN ('{id}', 'ffffffffffffffffffffffffffffffff')"),
        &["predicate=trace_id@2 = ", "OR trace_id@2 = FFFFFFFFFFFFFFFFFFFF..."],
    )
    .await;
    check(
        &fixture,
        "SELECT body FROM logs WHERE time >= '2023-11-14T22:13:20Z' AND time < TIMESTAMP '2023-11-14 22:14:00'",
        &["predicate=time@0 >= 1700000000000000000 AND time@0 < 1700000040000000000", "time_max@", "time_min@"],
    )
    .await;
    check(
        &fixture,
        "SELECT value FROM samples WHERE time > TIMESTAMP '2023-11-14 22:13:20.0005'",
        &["predicate=time@2 > 1700000000000500", "time_max@"],
    )
    .await;
}

#[tokio::test]
async fn labels_become_series() {
    let fixture = Fixture::with(Rows::Flushed).await;
    check(
        &fixture,
        "SELECT sum(value) FROM metrics.http_requests_total WHERE job = 'web'",
        &["metric_id@0 = ", "series_id@1 IN (SET)", "metric_id_min@"],
    )
    .await;
    // only the labels asked for are made
    let plan = plan(&fixture, "SELECT code, value FROM metrics.http_requests_total").await;
    assert!(plan.contains("label(code, series_id@") && !plan.contains("label(job"), "{plan}");
}

#[tokio::test]
async fn joins_prune_the_other_side() {
    let fixture = Fixture::with(Rows::Flushed).await;
    let sql = "SELECT count(*) FROM (SELECT DISTINCT trace_id FROM spans WHERE status = 'ok') s \
               JOIN logs ON logs.trace_id = s.trace_id";
    let plan = plan(&fixture, sql).await;
    assert!(plan.contains("dynamic("), "no dynamic filter in files:\n{plan}");
    let ran = print(&fixture.rows(&Tenant::default(), &format!("EXPLAIN ANALYZE {sql}")).await.unwrap());
    assert!(ran.contains("trace_id@7 >= 1BF7651916CD43DD8448..."), "the filter is not in bytes:\n{ran}");
    assert_eq!(fixture.text(sql).await.unwrap(), "1");
}

/// Files outside a time range are not even opened.
#[tokio::test]
async fn files_are_pruned_by_time() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenant = Tenant::default();
    for hour in 0..3_i64 {
        let time = (1_700_000_000 + hour * 3_600) * 1_000_000_000;
        let line = format!(r#"{{"time":{time},"service":"a","stream":"{{}}","body":"hour {hour}"}}"#);
        fixture.append_rows(&tenant, Kind::Logs, &[line]).await;
        fixture.store.flush().await.unwrap();
    }
    let files = |plan: &str| plan.matches(".parquet").count();
    assert_eq!(files(&plan(&fixture, "SELECT body FROM logs").await), 3);
    let late = "SELECT body FROM logs WHERE time >= '2023-11-15T00:00:00Z'";
    assert_eq!(files(&plan(&fixture, late).await), 1);
    assert_eq!(fixture.text(late).await.unwrap(), "hour 2");
    let none = plan(&fixture, "SELECT body FROM logs WHERE time >= '2024-01-01T00:00:00Z'").await;
    assert!(none.contains("EmptyExec") && files(&none) == 0, "{none}");
}

/// Many series: more than are named one by one.
#[tokio::test]
async fn many_series() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenant = Tenant::default();
    let lines = (0..300).map(|n| format!("gauge load{{host=\"h{n}\",odd=\"{}\"}} {n} 1700000000000", n % 2));
    fixture.append_samples(&tenant, lines).await;
    let sql = "SELECT count(*), sum(value), count(DISTINCT host) FROM metrics.load WHERE odd = '1'";
    assert_eq!(fixture.text(sql).await.unwrap(), "150 | 22500.0 | 150");
    fixture.store.flush().await.unwrap();
    assert_eq!(fixture.text(sql).await.unwrap(), "150 | 22500.0 | 150");
    check(&fixture, sql, &["among 150 series"]).await;
}

/// Sorted files need no second sort.
#[tokio::test]
async fn order_of_files_is_used() {
    let fixture = Fixture::with(Rows::Flushed).await;
    let plan = plan(&fixture, "SELECT trace_id, time FROM spans ORDER BY trace_id, time").await;
    assert!(!plan.contains("SortExec"), "{plan}");
}

/// Bytes of files that a plan says it read.
fn bytes_scanned(plan: &str) -> u64 {
    let (_, rest) = plan.split_once("bytes_scanned=").expect("a scan of files");
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let unit = rest[number.len()..].trim_start();
    let factor = match unit.chars().next() {
        Some('K') => 1_000.0,
        Some('M') => 1_000_000.0,
        _ => 1.0,
    };
    (number.parse::<f64>().unwrap() * factor) as u64
}

/// A filter on a label reads the pages of the series that it selects.
#[tokio::test]
async fn only_pages_of_selected_series_are_read() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let tenant = Tenant::default();
    for step in 0..10_i64 {
        let lines = (0..20_000_i64).map(|n| {
            let (time, value) = (1_700_000_000_000 + step * 10_000, (n * 7_919 + step * 104_729) % 1_000_003);
            format!("gauge load{{host=\"h{n}\"}} 0.{value} {time}")
        });
        fixture.append_samples(&tenant, lines).await;
    }
    fixture.store.flush().await.unwrap();
    let ran = async |filter: &str| {
        let sql = format!("EXPLAIN ANALYZE SELECT count(value), max(host) FROM metrics.load {filter}");
        print(&fixture.rows(&tenant, &sql).await.unwrap())
    };
    let whole = bytes_scanned(&ran("").await);
    for filter in ["WHERE host = 'h7'", "WHERE host IN ('h7', 'h8')", "WHERE host ~ '^h777(1|2)$'"] {
        let plan = ran(filter).await;
        let some = bytes_scanned(&plan);
        assert!(some > 0 && some * 2 < whole, "{filter}: {some} of {whole} bytes\n{plan}");
    }
    let count =
        "SELECT count(*), min(host), max(host) FROM metrics.load WHERE host LIKE 'h77__' AND host <> 'h7700'";
    assert_eq!(fixture.text(count).await.unwrap(), "990 | h7701 | h7799");
}

/// What a filter on a label means where series lack it, whichever way it is answered.
#[tokio::test]
async fn a_missing_label_is_null() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let lines = ["a=\"x\",", "a=\"y\",", "a=\"xy\",", "", "b=\"x\",", "a=\"x\ny\","];
    let lines = (0..).zip(lines).map(|(n, label)| format!("gauge m{{n=\"{n}\",{label}}} {n} 1700000000000"));
    fixture.append_samples(&Tenant::default(), lines).await;
    let check = async |filter: &str, wanted: &str| {
        let sql = format!("SELECT string_agg(n, '' ORDER BY n) FROM metrics.m WHERE {filter}");
        assert_eq!(fixture.text(&sql).await.unwrap(), wanted, "{filter}");
        // The same, in a way that no index knows.
        let sql = format!(
            "SELECT string_agg(n, '' ORDER BY n) FROM (SELECT n || '' AS n, a || '' AS a, b || '' AS b FROM metrics.m) WHERE {filter}"
        );
        assert_eq!(fixture.text(&sql).await.unwrap(), wanted, "{filter}");
    };
    check("a = 'x'", "0").await;
    check("a <> 'x'", "125").await;
    check("a <> ''", "0125").await;
    check("a = ''", "").await;
    check("a IS NULL", "34").await;
    check("a IS NOT NULL", "0125").await;
    check("a IN ('x', 'y', '')", "01").await;
    check("a NOT IN ('x', 'y')", "25").await;
    check("a NOT IN ('x', NULL)", "").await;
    check("a LIKE 'x%'", "025").await;
    check("a LIKE '_'", "01").await;
    check("a NOT LIKE 'x%'", "1").await;
    check("a LIKE '%'", "0125").await;
    check("a LIKE ''", "").await;
    check("a ~ 'x'", "025").await;
    check("a ~ ''", "0125").await;
    check("a ~ 'x.y'", "").await;
    check("a !~ 'x'", "1").await;
    check("a ~* '^X$'", "0").await;
    check("a ~ '^[x]\\w?$'", "02").await;
    check("a > 'x'", "125").await;
    check("a = 'x' OR b = 'x'", "04").await;
    check("NOT (a = 'x')", "125").await;
    check("a = 'x' AND b IS NULL", "0").await;
    check("coalesce(a, 'x') = 'x'", "034").await;
}

/// The filter of trace ids says that a trace between two others is not in a file: neither
/// the dictionary of ids nor a page of any column is read.
#[tokio::test]
async fn a_trace_that_is_not_there_is_not_looked_for() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let spans: Vec<String> = (0..2_000_u64)
        .map(|n| {
            let (trace, time) = (format!("{:032x}", n * 0x1_0000_0001), 1_700_000_000_000_000_000 + n);
            format!(
                r#"{{"time":{time},"duration":1,"trace_id":"{trace}","span_id":"{n:016x}","service":"a","name":"n{n}","kind":"server","status":"ok","size_bytes":1}}"#
            )
        })
        .collect();
    fixture.append_rows(&Tenant::default(), Kind::Spans, &spans).await;
    fixture.store.flush().await.unwrap();
    let analyze = async |trace: String| {
        let sql = format!("EXPLAIN ANALYZE SELECT * FROM spans WHERE trace_id = '{trace}'");
        print(&fixture.rows(&Tenant::default(), &sql).await.unwrap())
    };
    let absent = analyze(format!("{:032x}", 7 * 0x1_0000_0001_u64 + 1)).await;
    assert!(absent.contains("row_groups_pruned_statistics=1 total → 1 matched"), "{absent}");
    assert!(absent.contains("row_groups_pruned_bloom_filter=1 total → 0 matched"), "{absent}");
    let there = analyze(format!("{:032x}", 7 * 0x1_0000_0001_u64)).await;
    assert!(there.contains("output_rows=1,"), "{there}");
    // The filter itself: ten bits an id or a little more.
    assert!(bytes_scanned(&absent) < 2_000 * 4 && bytes_scanned(&there) > bytes_scanned(&absent), "{absent}");
}

/// Once a footer is in memory the filters of ids are kept, and a file without the id is not opened.
#[tokio::test]
async fn filters_of_ids_are_read_once() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let id = |n: u64| format!("{:032x}", n * 0x1_0000_0001);
    for file in 0..2 {
        let line = |n: u64| {
            let (trace, time) = (id(2 * n + file), 1_700_000_000_000_000_000 + n);
            format!(
                r#"{{"time":{time},"service":"a","stream":"{{}}","trace_id":"{trace}","body":"line {n}"}}"#
            )
        };
        fixture.append_rows(&Tenant::default(), Kind::Logs, &(0..500).map(line).collect::<Vec<_>>()).await;
        fixture.store.flush().await.unwrap();
    }
    let analyze = async |condition: String| {
        let sql = format!("EXPLAIN ANALYZE SELECT * FROM logs WHERE {condition}");
        print(&fixture.rows(&Tenant::default(), &sql).await.unwrap())
    };
    let filters = async || {
        let sql = "SELECT entries, hits FROM system.caches WHERE name = 'id_filters'";
        print(&fixture.rows(&Tenant::default(), sql).await.unwrap())
    };
    // The first reader of footers does without.
    analyze(format!("trace_id = '{}'", id(7))).await;
    assert_eq!(filters().await.trim(), "0 | 0");
    let beyond = analyze(format!("trace_id = '{}'", id(5_000))).await;
    assert!(beyond.contains("EmptyExec"), "{beyond}");
    assert_eq!(filters().await.trim(), "0 | 0");
    let between = format!("{:032x}", 7 * 0x1_0000_0001_u64 + 1);
    let absent = analyze(format!("trace_id = '{between}'")).await;
    assert!(absent.contains("EmptyExec") && !absent.contains("DataSourceExec"), "{absent}");
    assert_eq!(filters().await.trim(), "2 | 0");
    let there = analyze(format!("trace_id = '{}'", id(7))).await;
    assert!(there.contains("output_rows=1,"), "{there}");
    assert!(there.contains("file_groups={1 group: [["), "{there}");
    assert_eq!(filters().await.trim(), "2 | 2");
    let both = analyze(format!("trace_id IN ('{}', '{}') AND body != 'x'", id(7), id(8))).await;
    assert!(both.contains("output_rows=2,"), "{both}");
    let neither = analyze(format!("trace_id IN ('{}', '{}')", id(5_000), between)).await;
    assert!(neither.contains("EmptyExec"), "{neither}");
}

/// Groups that follow the order of files in part are counted by all threads in any order; those
/// that follow it whole keep it, because there may be as many of them as rows.
#[tokio::test]
async fn groups_keep_the_order_of_files_only_where_it_covers_them() {
    let fixture = Fixture::with(Rows::Flushed).await;
    let sql = "SELECT service, date_bin(interval '1 minute', time) m, count(*) FROM logs GROUP BY 1, 2";
    let partly = plan(&fixture, sql).await;
    assert!(!partly.contains("ordering_mode") && !partly.contains("preserve_order"), "{partly}");
    // Who asks for an order gets it.
    let sorted = plan(&fixture, &format!("{sql} ORDER BY 1, 2")).await;
    assert!(sorted.contains("SortExec") && !sorted.contains("ordering_mode"), "{sorted}");
    let whole = plan(&fixture, "SELECT trace_id, count(*) FROM spans GROUP BY trace_id").await;
    assert!(whole.contains("ordering_mode=Sorted"), "{whole}");
}

/// Lines of a trace are looked for in the same way: the ids of all lines are left where they are.
#[tokio::test]
async fn lines_of_a_trace_that_is_not_there_are_not_looked_for() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let lines: Vec<String> = (0..2_000_u64)
        .map(|n| {
            let (trace, time) = (format!("{:032x}", n * 0x1_0000_0001), 1_700_000_000_000_000_000 + n);
            format!(
                r#"{{"time":{time},"service":"a","stream":"{{}}","trace_id":"{trace}","body":"line {n}"}}"#
            )
        })
        .collect();
    fixture.append_rows(&Tenant::default(), Kind::Logs, &lines).await;
    fixture.store.flush().await.unwrap();
    let analyze = async |trace: u64| {
        let sql = format!("EXPLAIN ANALYZE SELECT * FROM logs WHERE trace_id = '{trace:032x}'");
        print(&fixture.rows(&Tenant::default(), &sql).await.unwrap())
    };
    let absent = analyze(7 * 0x1_0000_0001 + 1).await;
    assert!(absent.contains("row_groups_pruned_bloom_filter=1 total → 0 matched"), "{absent}");
    assert!(bytes_scanned(&absent) < 2_000 * 4, "{absent}");
    let there = analyze(7 * 0x1_0000_0001).await;
    assert!(there.contains("output_rows=1,"), "{there}");
}

/// What one aggregate has found ends the search of another one only if there is no other.
#[tokio::test]
async fn one_aggregate_tells_the_scan_what_it_has() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    for file in 0..4 {
        let line = format!(r#"{{"time":{file},"service":"s","stream":"{{}}","body":"b","severity":"info"}}"#);
        fixture.append_rows(&Tenant::default(), Kind::Logs, &[line]).await;
        fixture.store.flush().await.unwrap();
    }
    let told = async |sql: &str| plan(&fixture, sql).await.contains("predicate=dynamic");
    assert!(told("SELECT max(severity) FROM logs").await);
    assert!(!told("SELECT max(severity), min(service) FROM logs").await);
}
