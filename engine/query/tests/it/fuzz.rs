//! Statements that nobody would write: token soup, and statements of `tests/data/answers` with
//! words left out, doubled, swapped and put in from elsewhere. Whatever comes is answered or
//! refused; nothing panics, no thread stays busy, memory comes back.
//!
//! `ISINGLASS_FUZZ_SEED` and `ISINGLASS_FUZZ_STATEMENTS` choose other ones and more of them.

use std::time::{Duration, Instant};

use isinglass_model::ErrorKind;
use isinglass_query::QueryConfig;

use crate::fixture::{Fixture, Rows};

const STATEMENTS: u64 = 2_000;

/// What may stay of the memory of all of them: caches, and what the allocator keeps.
const LEFT_MIB: u64 = 256;

/// Words beside those of the statements.
const WORDS: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "OFFSET",
    "DISTINCT",
    "UNION ALL",
    "INTERSECT",
    "EXCEPT",
    "WITH x AS (",
    "RECURSIVE",
    "JOIN",
    "LEFT JOIN",
    "FULL JOIN",
    "CROSS JOIN",
    "NATURAL JOIN",
    "LATERAL",
    "ON",
    "USING",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "LIKE",
    "SIMILAR TO",
    "IS NULL",
    "EXISTS (",
    "OVER (",
    "PARTITION BY",
    "ROWS BETWEEN",
    "UNBOUNDED PRECEDING",
    "FILTER (WHERE",
    "ROLLUP (",
    "CUBE (",
    "UNNEST(",
    "EXPLAIN",
    "EXPLAIN VERBOSE",
    "EXPLAIN ANALYZE",
    "CAST(",
    "AS",
    "INT",
    "VARCHAR",
    "DECIMAL(76, 10)",
    "TIMESTAMP",
    "INTERVAL '1 month'",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    ";",
    "*",
    "=",
    "<>",
    "<",
    ">",
    "~",
    "!~*",
    "||",
    "->>",
    "::",
    "+",
    "-",
    "/",
    "%",
    "<<",
    "&",
    "0",
    "-1",
    "9223372036854775807",
    "1e308",
    "NULL",
    "''",
    "'a'",
    "'('",
    "'%'",
    "'\u{0}'",
    "'\u{202e}'",
    "$1",
    "logs",
    "spans",
    "samples",
    "series",
    "histograms",
    "exemplars",
    "rejected",
    "metrics.up",
    "system.queries",
    "system.slow_queries",
    "promql('sum by (job) (rate(http_requests_total[5m]))', 0, 600, 60)",
    "information_schema.columns",
    "body",
    "time",
    "service",
    "duration",
    "attributes['a']",
    "value",
    "labels",
    "range(1, 1000)",
    "trace_tree(",
    "-- x\n",
    "/*",
    "*/",
    "SET",
    "COPY",
    "INTO",
    "VALUES (1), (2)",
];

/// Names of all functions that may be called.
const FUNCTIONS: &str = include_str!("../../src/functions/allowed.txt");

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// Words, numbers, texts and signs of a statement.
fn tokens(sql: &str) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 0,
        c if c.is_whitespace() => 1,
        _ => 2,
    };
    let mut tokens = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |at| at + 2),
            _ if class(first) == 2 => first.len_utf8(),
            _ => rest.find(|c| class(c) != class(first)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        if !token.trim().is_empty() {
            tokens.push(token);
        }
        rest = after;
    }
    tokens
}

/// Statements of the files of answers.
fn corpus(files: &[String]) -> Vec<Vec<&str>> {
    let blocks = files.iter().flat_map(|file| file.split("\n\n"));
    let statements = blocks.filter_map(|block| {
        let body = block.split("\n----").next()?;
        let (_, sql) =
            body.split_once("query\n").or_else(|| body.split_once("error ")?.1.split_once('\n'))?;
        Some(tokens(sql))
    });
    statements.collect()
}

struct Fuzzer<'a> {
    random: Random,
    corpus: Vec<Vec<&'a str>>,
    functions: Vec<&'a str>,
}

impl<'a> Fuzzer<'a> {
    fn statement(&mut self) -> String {
        let tokens = match self.random.below(4) {
            0 => self.soup(),
            _ => self.mutated(),
        };
        tokens.join(" ")
    }

    fn word(&mut self) -> &'a str {
        match self.random.below(4) {
            0 => self.random.of(&self.functions),
            _ => self.random.of(WORDS),
        }
    }

    fn soup(&mut self) -> Vec<&'a str> {
        let length = 1 + self.random.below(25);
        let mut tokens = vec!["SELECT"];
        tokens.extend((0..length).map(|_| self.word()));
        tokens
    }

    fn mutated(&mut self) -> Vec<&'a str> {
        let which = self.random.below(self.corpus.len());
        let mut tokens = self.corpus[which].clone();
        for _ in 0..=self.random.below(3) {
            self.mutate(&mut tokens);
        }
        tokens
    }

    fn mutate(&mut self, tokens: &mut Vec<&'a str>) {
        let at = self.random.below(tokens.len());
        match self.random.below(7) {
            0 if !tokens.is_empty() => drop(tokens.remove(at)),
            1 if !tokens.is_empty() => tokens.insert(at, tokens[at]),
            2 if !tokens.is_empty() => {
                let other = self.random.below(tokens.len());
                tokens.swap(at, other);
            }
            3 if !tokens.is_empty() => tokens[at] = self.word(),
            4 if !tokens.is_empty() => {
                // a call around a word
                let function = self.random.of(&self.functions);
                tokens.splice(at..=at, [function, "(", tokens[at], ")"]);
            }
            5 => {
                // a piece of another statement
                let other = self.random.below(self.corpus.len());
                let from = self.random.below(self.corpus[other].len());
                let piece: Vec<&str> = self.corpus[other][from..].iter().take(12).copied().collect();
                tokens.splice(at..at, piece);
            }
            _ => tokens.insert(at, self.word()),
        }
    }
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or_default() >> 10
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test]
async fn whatever_comes_is_answered_or_refused() {
    let config = QueryConfig {
        deadline_ms: 2_000,
        planning_ms: 1_000,
        query_memory_bytes: 32 << 20,
        result_rows_max: 10_000,
        ..QueryConfig::default()
    };
    let fixture = Fixture::with_config(Rows::Half, config).await;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/answers");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files: Vec<String> = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let functions: Vec<&str> =
        FUNCTIONS.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace).collect();
    let seed = number("ISINGLASS_FUZZ_SEED", 1);
    let mut fuzzer = Fuzzer { random: Random(seed), corpus: corpus(&files), functions };
    assert!(fuzzer.corpus.len() > 50, "{} statements", fuzzer.corpus.len());

    let (mut answered, mut timed_out, before) = (0, Vec::new(), resident_mib());
    for n in 0..number("ISINGLASS_FUZZ_STATEMENTS", STATEMENTS) {
        let sql = fuzzer.statement();
        let start = Instant::now();
        match fixture.text(&sql).await {
            Ok(_) => answered += 1,
            Err(error) => {
                let broke =
                    error.message().contains("broke off") || error.message().contains("without an answer");
                assert!(!broke, "seed {seed}, statement {n}:\n{sql}\n{error:?}");
                assert_ne!(
                    error.kind(),
                    ErrorKind::Unavailable,
                    "seed {seed}, statement {n}:\n{sql}\n{error:?}"
                );
                if error.kind() == ErrorKind::Timeout {
                    timed_out.push(sql.clone());
                }
            }
        }
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "seed {seed}, statement {n}: {took:?}\n{sql}");
    }
    println!(
        "seed {seed}: {answered} answered, {} timed out, {before} MiB, then {} MiB",
        timed_out.len(),
        resident_mib()
    );
    println!("{}", timed_out.join("\n"));
    let start = Instant::now();
    while fixture.engine.running() > 0 || resident_mib() > before + LEFT_MIB {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "{} run, {} MiB",
            fixture.engine.running(),
            resident_mib()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fixture.text("SELECT 1").await.unwrap(), "1");
}
