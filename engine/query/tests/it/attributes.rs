//! Attributes in columns of their own: wherever rows lie, answers are those of the map, and what
//! is in a column is not looked for in the map.

use isinglass_model::clock::SystemClock;
use isinglass_model::{Clock as _, Kind, Tenant};
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, print};

/// Where the rows of a store lie.
#[derive(Debug, Clone, Copy)]
enum Place {
    Memory,
    /// In a file as it was flushed, without columns.
    Flushed,
    /// In one merged file.
    Merged,
    /// In a merged file, a flushed one and in memory.
    All,
}

/// Every fifth line has no duration; line 700 has one that is no number, if `odd`.
fn line(now: i64, n: usize, odd: bool) -> String {
    let status = [200, 404, 500][n % 3];
    let mut attributes = serde_json::json!({
        "method": if n.is_multiple_of(2) { "\"GET\"" } else { "\"POST\"" },
        "status": status.to_string(),
        "client": format!("\"10.0.{}.{}\"", n % 251, n / 251),
        "before": "null",
    });
    if !n.is_multiple_of(5) {
        let duration = format!("{}.{:02}", n * 7 % 300, n % 97);
        attributes["duration"] = if odd && n == 701 { "\"long\"".into() } else { duration.into() };
    }
    serde_json::json!({
        "time": now - n as i64, "service": format!("s{}", n % 4), "stream": "{}",
        "body": format!("line {n}"), "attributes": attributes,
    })
    .to_string()
}

const ROWS: usize = 3_000;

async fn store(place: Place, odd: bool) -> Fixture {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    let now = SystemClock::new().now_unix_nanos();
    let lines: Vec<String> = (0..ROWS).map(|n| line(now, n, odd)).collect();
    let append = async |from: usize, to: usize| {
        fixture.append_rows(&Tenant::default(), Kind::Logs, &lines[from..to]).await;
    };
    let merged = async |from: usize, to: usize| {
        append(from, from.midpoint(to)).await;
        fixture.store.flush().await.unwrap();
        append(from.midpoint(to), to).await;
        fixture.store.flush().await.unwrap();
        fixture.store.compact().await.unwrap();
    };
    match place {
        Place::Memory => append(0, ROWS).await,
        Place::Flushed => {
            append(0, ROWS).await;
            fixture.store.flush().await.unwrap();
        }
        Place::Merged => merged(0, ROWS).await,
        Place::All => {
            merged(0, ROWS / 3).await;
            append(ROWS / 3, ROWS / 3 * 2).await;
            fixture.store.flush().await.unwrap();
            append(ROWS / 3 * 2, ROWS).await;
        }
    }
    fixture
}

/// Questions whose answers do not depend on where rows lie.
const QUESTIONS: &[&str] = &[
    "SELECT attributes['status'] s, count(*) FROM logs GROUP BY 1 ORDER BY 1",
    "SELECT attributes['method'], attributes['status'], attributes['duration'], attributes['client'], body FROM logs ORDER BY body",
    "SELECT count(*) FROM logs WHERE attributes['status'] = '500'",
    "SELECT count(*) FROM logs WHERE attributes['status'] <> '500' AND attributes['method'] = '\"GET\"'",
    "SELECT count(*) FROM logs WHERE attributes['duration'] IS NULL",
    "SELECT count(*), round(sum(TRY_CAST(attributes['duration'] AS double)), 3) FROM logs",
    "SELECT count(*) FROM logs WHERE TRY_CAST(attributes['duration'] AS double) > 200",
    "SELECT service, max(attributes['status']::double), min(attributes['status']::bigint) FROM logs GROUP BY 1 ORDER BY 1",
    "SELECT body, attributes FROM logs WHERE attributes['status'] = '404' ORDER BY body LIMIT 3",
    "SELECT attributes['absent'], attributes['before'], count(*) FROM logs GROUP BY 1, 2",
    "SELECT a.s, count(*) FROM (SELECT attributes['status'] s FROM logs) a JOIN (SELECT DISTINCT attributes['status'] s FROM logs) b USING (s) GROUP BY 1 ORDER BY 1",
    "SELECT sum(CASE WHEN attributes['duration'] NOT LIKE '\"%' THEN attributes['duration']::double END) > 0 FROM logs",
    "SELECT count(*) FROM logs WHERE has_token(body, 'nothing') OR attributes['status'] IN ('200', '500')",
    "SELECT body FROM logs WHERE attributes['status'] = '500' AND TRY_CAST(attributes['duration'] AS double) > 290 ORDER BY time DESC LIMIT 5",
];

#[tokio::test]
async fn answers_do_not_depend_on_where_rows_lie() {
    for odd in [false, true] {
        let memory = store(Place::Memory, odd).await;
        for place in [Place::Flushed, Place::Merged, Place::All] {
            let other = store(place, odd).await;
            for question in QUESTIONS {
                let want = memory.text(question).await.unwrap();
                assert_eq!(other.text(question).await.unwrap(), want, "{place:?}, {odd}: {question}");
            }
        }
    }
}

/// A cast of what is no number fails where the query has it, and nowhere else.
#[tokio::test]
async fn a_text_that_is_no_number_fails_as_ever() {
    const STRICT: &str = "SELECT sum(attributes['duration']::double) FROM logs";
    for place in [Place::Memory, Place::Flushed, Place::Merged, Place::All] {
        let error = store(place, true).await.text(STRICT).await.unwrap_err().to_string();
        assert!(error.contains("\"long\"") && error.contains("Float64"), "{place:?}: {error}");
        assert!(!store(place, false).await.text(STRICT).await.unwrap().is_empty(), "{place:?}");
    }
}

async fn plan(fixture: &Fixture, question: &str) -> String {
    print(&fixture.rows(&Tenant::default(), &format!("EXPLAIN {question}")).await.unwrap())
}

/// The line of a plan that reads files.
async fn scan(fixture: &Fixture, question: &str) -> String {
    let plan = plan(fixture, question).await;
    plan.lines()
        .find(|line| line.contains("file_type=parquet"))
        .unwrap_or_else(|| panic!("{plan}"))
        .to_owned()
}

#[tokio::test]
async fn what_is_in_a_column_is_not_looked_for_in_the_map() {
    let merged = store(Place::Merged, false).await;
    let check = async |question: &str, wanted: &[&str]| {
        let scan = scan(&merged, question).await;
        let projection = scan.split("projection=[").nth(1).unwrap();
        for wanted in wanted {
            assert!(projection.contains(wanted), "{question}: {scan}");
        }
        assert!(
            !projection.contains("attributes,") && !projection.contains("attributes]"),
            "{question}: {scan}"
        );
    };
    check(QUESTIONS[0], &["attributes['status']"]).await;
    check(
        "SELECT service, approx_percentile_cont(attributes['duration']::double, 0.99) FROM logs GROUP BY 1",
        &["service", "number(attributes['duration'])"],
    )
    .await;
    check(
        "SELECT body FROM logs WHERE attributes['status'] = '500' AND attributes['duration']::double > 200",
        &["body", "predicate=attributes['status']", "number(attributes['duration'])", "> 200"],
    )
    .await;
    let plan = plan(&merged, "SELECT body FROM logs WHERE attributes['status'] = '500'").await;
    assert!(!plan.contains("FilterExec"), "files answer it exactly: {plan}");

    // Identifiers have no column.
    let scan = scan(&merged, "SELECT attributes['client'] FROM logs").await;
    assert!(scan.contains("projection=[attributes]"), "{scan}");
}

/// Pages of a map are not read for a value that has a column.
#[tokio::test]
async fn fewer_bytes_are_read() {
    let merged = store(Place::Merged, false).await;
    let bytes = async |question: &str| {
        let sql = format!("EXPLAIN ANALYZE {question}");
        let plan = print(&merged.rows(&Tenant::default(), &sql).await.unwrap());
        let at = plan.find("bytes_scanned=").unwrap_or_else(|| panic!("{plan}"));
        plan[at + "bytes_scanned=".len()..].chars().take_while(|c| *c != ',' && *c != ']').collect::<String>()
    };
    let number = |text: &str| {
        let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
        number.trim().parse::<f64>().unwrap() * if unit.starts_with('K') { 1e3 } else { 1.0 }
    };
    let column = number(&bytes("SELECT count(attributes['status']) FROM logs").await);
    let map = number(&bytes("SELECT count(attributes['client']) FROM logs").await);
    assert!(column * 5.0 < map, "{column} bytes of the column, {map} of the map");
}
