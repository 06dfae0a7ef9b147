//! `--memory` under queries of which no pool hears what they take: they end, and nothing else.

use std::time::Duration;

use isinglass_testkit::loki::{self, Stream};
use serde_json::json;

use crate::harness::{Answer, Client, Server, eventually, now_nanos};

const LINES: usize = 10_000;

/// What the harness gives a server.
const LIMIT: &str = "512 MiB";

/// How many different pairs of lines there were so far, by somebody who joins the lines with
/// themselves: a hundred million rows, and the function of the window keeps each as a value by
/// itself. DataFusion charges the join's build side to the pool (a few MiB), the rows that a window
/// holds are charged by us, and what its function keeps is charged to nobody.
const UNCOUNTED: &str = "select max(pairs) from (
    select count(distinct struct(a.body, b.body, a.service, b.service, a.time, b.time, a.body, b.body))
        over (rows between unbounded preceding and current row) as pairs
    from logs a join logs b on a.service = b.service)";

/// The same rows, kept by operators that say so. The first two windows need all of them, the third
/// the answer to a row that comes much later.
const COUNTED: [&str; 5] = [
    "select max(share) from (select a.body, 1.0 * length(a.body) / sum(length(b.body)) over () as share
        from logs a join logs b on a.service = b.service)",
    "select max(last) from (select last_value(a.body || b.body) over (
            rows between current row and unbounded following) as last
        from logs a join logs b on a.service = b.service)",
    "select max(later) from (select lead(a.body || b.body, 50000000) over () as later
        from logs a join logs b on a.service = b.service)",
    "select max(place) from (select row_number() over (order by a.body || b.body) as place
        from logs a join logs b on a.service = b.service)",
    "select count(*) from (select a.body || b.body as line, count(*)
        from logs a join logs b on a.service = b.service group by line)",
];

fn lines(first: usize, count: usize) -> Vec<u8> {
    let now = now_nanos();
    let line = |n: usize| format!("{n:08} {}", "lorem ipsum dolor ".repeat(10));
    let stream = (first..first + count)
        .fold(Stream::new("{service_name=\"shop\"}"), |stream, n| stream.line(now + n as u64, &line(n)));
    loki::request(&[stream])
}

fn said(answer: &Answer) -> String {
    answer.json()["error"]["message"].as_str().unwrap().to_owned()
}

/// What others are told while the process holds too much; they come again.
fn is_sent_away(answer: &Answer) -> bool {
    assert!(answer.status != 503 || answer.headers.contains_key("retry-after"), "{answer:?}");
    answer.status == 503
}

/// Asks how many lines there are until that is answered.
async fn lines_in(client: &Client) -> u64 {
    let ask = || async {
        let answer = client.ask("select count(*) as lines from logs").await;
        (!is_sent_away(&answer)).then(|| answer.ok().json()[0]["lines"].as_u64().unwrap())
    };
    eventually("an answer to a small query", Duration::from_secs(30), ask).await
}

/// Runs the query to its end, with small queries and writes beside it; gives back how many
/// lines there are then.
async fn ends_alone(client: &Client, mut written: u64) -> u64 {
    let large = tokio::spawn({
        let client = client.clone();
        async move { client.ask(UNCOUNTED).await }
    });
    while !large.is_finished() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let answer = client.loki(&lines(LINES + written as usize, 1)).await;
        if !is_sent_away(&answer) {
            answer.ok();
            written += 1;
        }
        let answer = client.ask("select count(*) as lines from logs").await;
        match is_sent_away(&answer) {
            true => {
                assert_eq!(said(&answer), format!("the memory of {LIMIT} that the server may hold is in use"))
            }
            false => assert_eq!(answer.ok().json(), json!([{ "lines": LINES as u64 + written }])),
        }
    }
    let answer = large.await.unwrap();
    assert_eq!(answer.status, 413, "{}", answer.text());
    let why = format!(
        "the server holds more than the memory of {LIMIT} that it may, and of its queries this one the most"
    );
    assert_eq!(said(&answer), why);
    assert_eq!(lines_in(client).await, LINES as u64 + written);
    written
}

/// That no more than 1.15 times the limit was ever resident is asserted by the harness, when
/// the server ends.
#[tokio::test]
async fn a_query_that_takes_what_nobody_counts_ends_and_nothing_else_does() {
    let server = Server::start();
    let client = server.client();
    client.loki(&lines(0, LINES)).await.ok();
    assert_eq!(lines_in(&client).await, LINES as u64);

    // Of rows in memory, then of rows in files.
    let mut written = ends_alone(&client, 0).await;
    client.flush().await;
    written = ends_alone(&client, written).await;
    let peak = format!(
        "select max(memory_peak_bytes) from system.queries where text like '%{}%' and state = 'failed'",
        "count(distinct struct("
    );
    let peak = client.number(&peak).await;
    assert!(peak < f64::from(32 << 20), "the pool knew of {peak} bytes");

    for query in COUNTED {
        let answer = eventually("a turn", Duration::from_secs(30), || async {
            let answer = client.ask(query).await;
            (!is_sent_away(&answer)).then_some(answer)
        });
        let answer = answer.await;
        assert_eq!(answer.status, 413, "{}", answer.text());
        // Which operator finds its pool empty, and how it says so, depends on who comes first.
        let of_the_pool = ["Memory Exhausted while", "bytes of memory that this query may take"];
        assert!(of_the_pool.iter().any(|text| said(&answer).contains(text)), "{}", said(&answer));
    }
    assert_eq!(lines_in(&client).await, LINES as u64 + written);
    client.loki(&lines(0, 1)).await.ok();
    assert_eq!(server.panics(), Vec::<String>::new());
}
