//! Marks in the footers of merged files: an hour of a day reads a small part of it.

use isinglass_model::Tenant;
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, print};

const DAY: i64 = 1_699_920_000;
const SERIES: i64 = 24;
/// Rows from one mark to the next.
const BLOCK: u64 = 512;
/// A sample every 20 seconds.
const STEPS: i64 = 4_320;

/// A day of a metric between two others, in files of six hours.
async fn day() -> Fixture {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    for quarter in 0..4 {
        let steps = quarter * STEPS / 4..(quarter + 1) * STEPS / 4;
        let lines = ["before", "load", "zero"].into_iter().flat_map(|name| {
            let steps = steps.clone();
            (0..SERIES).flat_map(move |host| {
                steps.clone().map(move |step| {
                    let value = (host * 7_919 + step * 104_729) % 1_009;
                    let time = (DAY + step * 20) * 1_000 + host;
                    format!("gauge {name}{{host=\"h{host}\",odd=\"{}\"}} {value}.5 {time}", host % 2)
                })
            })
        });
        fixture.append_samples(&Tenant::default(), lines).await;
        fixture.store.flush().await.unwrap();
    }
    fixture
}

/// The hours that are asked for: one in the middle, the ends of the day, two, a moment; and which part
/// of all rows is decoded for that at most, as one of so many.
fn questions() -> Vec<(String, u64)> {
    let hours = [(9, 10), (0, 1), (23, 24), (5, 7)];
    let within = hours.map(|(from, to)| {
        let (from, to) = (DAY + from * 3_600, DAY + to * 3_600);
        (format!("time >= to_timestamp({from}) AND time < to_timestamp({to})"), 5)
    });
    let moment = (format!("time = to_timestamp_millis({})", (DAY + 36_000) * 1_000 + 3), 5);
    within.into_iter().chain([moment]).collect()
}

/// Rows that the scans of a plan have decoded to look at them.
fn decoded(plan: &str) -> u64 {
    let figure = |name: &str| -> f64 {
        let numbers = plan.split(name).skip(1).map(|rest| {
            let end = rest.find([',', ']']).unwrap();
            let (number, unit) = rest[..end].split_once(' ').unwrap_or((&rest[..end], ""));
            let factor = if unit == "K" {
                1e3
            } else if unit == "M" {
                1e6
            } else {
                1.0
            };
            number.parse::<f64>().unwrap() * factor
        });
        numbers.sum()
    };
    (figure("pushdown_rows_matched=") + figure("pushdown_rows_pruned=")) as u64
}

#[tokio::test]
async fn an_hour_of_a_merged_day_reads_a_small_part_of_it() {
    let fixture = day().await;
    let filters = ["", "AND odd = '1'", "AND host = 'h7'", "AND host ~ 'h1.'"];
    let all = questions();
    let all: Vec<_> =
        all.iter().flat_map(|(time, part)| filters.map(|labels| (time, labels, *part))).collect();
    let sql = |time: &str, labels: &str| {
        format!(
            "SELECT count(*), sum(value), min(time), max(time), count(DISTINCT host) FROM metrics.load WHERE {time} {labels}"
        )
    };
    let mut before = Vec::new();
    for (time, labels, _) in &all {
        before.push(fixture.text(&sql(time, labels)).await.unwrap());
    }
    assert!(before[0].starts_with(&format!("{} | ", SERIES * 180)), "{}", before[0]);
    fixture.store.compact().await.unwrap();
    // The footer comes into memory.
    fixture.text("SELECT count(value) FROM metrics.load").await.unwrap();
    let files = fixture.text("SELECT count(*) FROM system.files WHERE kind = 'samples'").await.unwrap();
    assert_eq!(files, "1");
    for ((time, labels, part), before) in all.iter().zip(&before) {
        let sql = sql(time, labels);
        assert_eq!(&fixture.text(&sql).await.unwrap(), before, "{sql}");
        let analyzed = format!("EXPLAIN ANALYZE {sql}");
        let plan = print(&fixture.rows(&Tenant::default(), &analyzed).await.unwrap());
        let (decoded, whole) = (decoded(&plan), (SERIES * STEPS) as u64);
        assert!(decoded > 0 && decoded * part <= whole + BLOCK, "{decoded} of {whole} rows: {sql}\n{plan}");
    }
    // All but an hour, another metric, and none.
    let late = sql(&format!("time >= to_timestamp({})", DAY + 3_600), "");
    assert!(fixture.text(&late).await.unwrap().starts_with(&format!("{} | ", SERIES * 180 * 23)));
    let other = sql("time < to_timestamp(1699923600)", "").replace("load", "zero");
    assert!(fixture.text(&other).await.unwrap().starts_with(&format!("{} | ", SERIES * 180)));
    let never = sql("time > to_timestamp(1800000000)", "");
    assert!(fixture.text(&never).await.unwrap().starts_with("0 | "));
}
