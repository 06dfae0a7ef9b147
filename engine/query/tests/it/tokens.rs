//! Identifiers in log lines: the index leaves rows out, and never one that is wanted.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isinglass_model::clock::SystemClock;
use isinglass_model::{Clock as _, Kind, Tenant};
use isinglass_query::QueryConfig;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRng, TestRunner};

use crate::fixture::{Fixture, print};

/// Rows of a file that has an index.
const ROWS: usize = 1_200;

/// Stores lines as rows of one service each, in one flush or, unflushed, in none.
async fn store(fixture: &Fixture, bodies: &[Option<String>], flush: bool) {
    let now = SystemClock::new().now_unix_nanos();
    let row = |(at, body): (usize, &Option<String>)| {
        let mut row = serde_json::json!({
            "time": now - at as i64, "service": format!("s{}", at % 3), "stream": "{}",
        });
        if let Some(body) = body {
            row["body"] = serde_json::json!(body);
        }
        row.to_string()
    };
    let rows: Vec<String> = bodies.iter().enumerate().map(row).collect();
    fixture.append_rows(&Tenant::default(), Kind::Logs, &rows).await;
    if flush {
        fixture.store.flush().await.unwrap();
    }
}

async fn ask(fixture: &Fixture, condition: &str) -> Vec<String> {
    let text = fixture.text(&format!("SELECT '>' || body FROM logs WHERE {condition}")).await.unwrap();
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// The only file of logs, or the only index.
fn only(folder: &Path, extension: &str) -> PathBuf {
    let logs = folder.join("tables/default/logs");
    let logs = if extension == "tokens" { logs.join("_index") } else { logs };
    let entries = std::fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Text in the metrics of a plan that ran: `name=<number>` with its unit, added up.
fn metric(plan: &str, name: &str) -> f64 {
    let name = format!("{name}=");
    let values = plan.split(&name).skip(1).map(|rest| {
        let end = rest.find([',', ']']).unwrap();
        let (number, unit) = rest[..end].split_once(' ').unwrap_or((&rest[..end], ""));
        let factor = match unit {
            "" | "B" => 1.0,
            "K" | "KB" | "KiB" => 1e3,
            "M" | "MB" | "MiB" => 1e6,
            _ => panic!("{unit}"),
        };
        number.parse::<f64>().unwrap() * factor
    });
    values.sum()
}

async fn analyzed(fixture: &Fixture, condition: &str) -> String {
    let sql = format!("EXPLAIN ANALYZE SELECT body, service FROM logs WHERE {condition}");
    print(&fixture.rows(&Tenant::default(), &sql).await.unwrap())
}

fn requests(rows: usize) -> Vec<Option<String>> {
    let noise = |n: usize| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..rows)
        .map(|n| Some(format!("request req{:016x} of u{:07} took {} ms", noise(n), n, n % 100)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_needle_reads_little() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    store(&fixture, &requests(60_000), true).await;
    let size = std::fs::metadata(only(fixture.folder.path(), "parquet")).unwrap().len() as f64;
    for (condition, rows, share) in [
        ("has_token(body, 'u0031234')", 1, 0.4),
        ("body LIKE '% u0031234 took %'", 1, 0.4),
        ("contains(body, ' u0031234 ')", 1, 0.4),
        ("has_token(body, 'u0031234') OR has_token(body, 'u0000007')", 2, 0.7),
        ("has_token(body, 'u0031234') AND service = 's0'", 0, 0.4),
        ("has_token(body, 'u0031234') AND service = 's1'", 1, 0.4),
    ] {
        assert_eq!(ask(&fixture, condition).await.len(), rows, "{condition}");
        let plan = analyzed(&fixture, condition).await;
        let scanned = metric(&plan, "bytes_scanned");
        assert!(
            (scanned > 0.0 || rows == 0) && scanned < share * size,
            "{condition}: {scanned} of {size}\n{plan}"
        );
    }
    // Where no index helps, the answer is right all the same.
    for condition in ["body LIKE '%u0031234%'", "body LIKE '%0031234 took%'", "body ILIKE '% U0031234 %'"] {
        assert_eq!(ask(&fixture, condition).await.len(), 1, "{condition}");
        let plan = analyzed(&fixture, condition).await;
        assert!(metric(&plan, "bytes_scanned") > 0.7 * size, "{condition}\n{plan}");
    }
    // A file without the token is not opened.
    let plan = analyzed(&fixture, "has_token(body, 'v0031234') AND has_token(body, 'v0031235')").await;
    assert!(!plan.contains(".parquet"), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_not_right_is_done_without() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    store(&fixture, &requests(ROWS), true).await;
    let index = only(fixture.folder.path(), "tokens");
    let right = std::fs::read(&index).unwrap();
    let needle = "has_token(body, 'u0000777')";
    let wrong = |at: usize, bit: u8| {
        let mut wrong = right.clone();
        wrong[at] ^= bit;
        wrong
    };
    let cases = [
        Some(wrong(8, 2)),
        Some(wrong(30, 1)),
        Some(wrong(right.len() - 1, 1)),
        Some(right[..50].to_vec()),
        None,
    ];
    for (at, case) in cases.into_iter().enumerate() {
        match &case {
            Some(bytes) => std::fs::write(&index, bytes).unwrap(),
            None => std::fs::remove_file(&index).unwrap(),
        }
        // Each engine has a cache of its own.
        let engine =
            isinglass_query::QueryEngine::new(fixture.store.clone(), QueryConfig::default()).unwrap();
        let fixture = Fixture { store: fixture.store.clone(), engine, folder: tempfile::tempdir().unwrap() };
        for asked in 1..3 {
            assert_eq!(ask(&fixture, needle).await.len(), 1, "{at}");
            assert_eq!(fixture.engine.token_stats().unusable, asked, "{at}");
        }
    }
    std::fs::write(&index, &right).unwrap();
    assert_eq!(ask(&fixture, needle).await.len(), 1);
    assert_eq!(fixture.engine.token_stats().unusable, 0);
    assert!(fixture.engine.token_stats().cached_bytes >= right.len() as u64 - 500);
}

#[tokio::test]
async fn what_has_token_says() {
    let fixture = Fixture::empty(QueryConfig::default()).await;
    for (call, wanted) in [
        ("has_token('id=abc1;', 'abc1')", "true"),
        ("has_token('id=abc12;', 'abc1')", "false"),
        ("has_token('id=abc1;', 'ABC1')", "false"),
        ("has_token('a 3f-2a b', '3f-2a')", "true"),
        ("has_token('a', '')", "false"),
        ("has_token(NULL, 'a')", ""),
        ("has_token('a', NULL)", ""),
        ("has_token(arrow_cast('x y', 'Dictionary(Int32, Utf8)'), 'y')", "true"),
        ("has_token(arrow_cast('x y', 'LargeUtf8'), 'y')", "true"),
    ] {
        assert_eq!(fixture.text(&format!("SELECT {call}")).await.unwrap(), wanted, "{call}");
    }
    for (call, wanted) in [
        ("has_token('a')", "two arguments"),
        ("has_token(1, 'a')", "has_token wants text, not Int64"),
        ("has_token('a', repeat('x', 1025))", "a token of 1025 bytes; it may have 1024"),
    ] {
        let error = fixture.text(&format!("SELECT {call}")).await.unwrap_err().to_string();
        assert!(error.contains(wanted), "{call}: {error}");
    }
}

fn is_of_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// The definition, letter by letter.
fn has_token(text: &str, token: &str) -> bool {
    let inside = |a: Option<char>, b: Option<char>| a.is_some_and(is_of_token) && b.is_some_and(is_of_token);
    !token.is_empty()
        && text.match_indices(|_: char| true).any(|(at, _)| {
            let Some(after) = text[at..].strip_prefix(token) else { return false };
            let before = text[..at].chars().next_back();
            !inside(before, token.chars().next()) && !inside(token.chars().next_back(), after.chars().next())
        })
}

/// Lines that share tokens, parts of tokens, and what is between.
fn lines() -> impl Strategy<Value = Vec<Option<String>>> {
    let token = prop_oneof!["[ab1]{5,8}", "[a-c_]{1,6}", "[0-9a-f]{32}"];
    let line = prop::collection::vec((token, "[ =\"é-]{0,2}"), 0..6)
        .prop_map(|parts| parts.into_iter().map(|(token, between)| token + &between).collect::<String>());
    let long = (1_000_usize..9_000)
        .prop_map(|n| (0..n).map(|n| format!("t{:06}", n * 7)).collect::<Vec<_>>().join(","));
    let line =
        prop_oneof![60 => line.prop_map(Some), 2 => Just(Some(String::new())), 1 => long.prop_map(Some)];
    prop::collection::vec(line, 60..150)
}

async fn check_random_lines(runner: &mut TestRunner) {
    let fixture = Fixture::empty(QueryConfig { token_cache_bytes: 4 << 10, ..QueryConfig::default() }).await;
    let mut all: Vec<Option<String>> = Vec::new();
    for part in 0..4 {
        let lines = lines().new_tree(runner).unwrap().current();
        let rows: Vec<_> = lines.iter().cycle().take(ROWS.max(lines.len())).cloned().collect();
        store(&fixture, &rows, part < 3).await;
        all.extend(rows);
        if part == 1 {
            fixture.store.compact().await.unwrap();
        }
    }
    let texts: Vec<&str> = all.iter().flatten().map(String::as_str).filter(|text| !text.is_empty()).collect();
    let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().flatten().for_each(|text| *lines.entry(text).or_default() += 1);
    for _ in 0..20 {
        let picked =
            (0..texts.len(), any::<prop::sample::Index>(), 1_usize..40).new_tree(runner).unwrap().current();
        let text: Vec<char> = texts[picked.0].chars().collect();
        let start = picked.1.index(text.len());
        let token: String = text[start..].iter().take(picked.2).collect();
        let check = async |condition: String, is: &dyn Fn(&str) -> bool| {
            let found = lines.iter().filter(|(text, _)| is(text));
            let shown = found.flat_map(|(text, rows)| vec![format!(">{text}").trim_end().to_owned(); *rows]);
            let mut wanted: Vec<String> = shown.collect();
            wanted.sort();
            let got = ask(&fixture, &condition).await;
            assert!(got == wanted, "{condition}: {} rows, not {}", got.len(), wanted.len());
        };
        check(format!("has_token(body, '{token}')"), &|text| has_token(text, &token)).await;
        check(format!("contains(body, '{token}')"), &|text| text.contains(&token)).await;
        let (head, tail) =
            token.split_at(token.char_indices().nth(token.chars().count() / 2).map_or(0, |c| c.0));
        check(format!("has_token(body, '{head}') OR body = '{token}'"), &|text| {
            has_token(text, head) || text == token
        })
        .await;
        check(format!("starts_with(body, '{head}') AND has_token(body, '{tail}')"), &|text| {
            text.starts_with(head) && has_token(text, tail)
        })
        .await;
    }
}

/// Files as flushed, merged files and rows in memory: what a query finds is what is there.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_indexed_is_found() {
    for seed in 0..2 {
        let rng = TestRng::from_seed(prop::test_runner::RngAlgorithm::ChaCha, &[seed; 32]);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        check_random_lines(&mut runner).await;
    }
}
