//! Answers in files: `tests/data/answers/*.txt`.
//!
//! ```text
//! # comment
//! query
//! SELECT …
//! ----
//! cell | cell
//!
//! error malformed
//! SELECT …
//! ----
//! part of the message
//! ```
//!
//! Every file is run three times: with the rows in memory, in files, and half in
//! each. The answers are the same, so each row is there once.
//!
//! `UPDATE_ANSWERS=1` writes what came instead of comparing.

use std::path::{Path, PathBuf};

use crate::fixture::{Fixture, Rows};

struct Case {
    comment: String,
    /// `query`, or `error <kind>`
    wants: String,
    sql: String,
    answer: String,
}

#[tokio::test]
async fn rows_in_memory() {
    check(Rows::Unflushed).await;
}

#[tokio::test]
async fn rows_in_files() {
    check(Rows::Flushed).await;
}

#[tokio::test]
async fn rows_in_both() {
    check(Rows::Half).await;
}

async fn check(rows: Rows) {
    let fixture = Fixture::with(rows).await;
    let mut failed = Vec::new();
    for path in files() {
        let mut cases = parse(&std::fs::read_to_string(&path).unwrap());
        for case in &mut cases {
            let (wants, answer) = ask(&fixture, &case.sql).await;
            let same = if wants == "query" { answer == case.answer } else { answer.contains(&case.answer) };
            if case.wants != wants || !same {
                failed.push(format!(
                    "{} ({rows:?})\n{}\nwanted {}:\n{}\ngot {wants}:\n{answer}\n",
                    path.display(),
                    case.sql,
                    case.wants,
                    case.answer
                ));
                (case.wants, case.answer) = (wants, answer);
            }
        }
        if std::env::var_os("UPDATE_ANSWERS").is_some() {
            std::fs::write(&path, write(&cases)).unwrap();
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

async fn ask(fixture: &Fixture, sql: &str) -> (String, String) {
    match fixture.text(sql).await {
        Ok(text) => ("query".to_owned(), text),
        Err(error) => (format!("error {}", error.kind().as_str()), error.to_string()),
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/answers");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn parse(text: &str) -> Vec<Case> {
    text.split("\n\n")
        .filter(|block| !block.trim().is_empty())
        .map(|block| {
            let block = block.trim_matches('\n');
            let (comments, rest): (Vec<&str>, Vec<&str>) =
                block.lines().partition(|line| line.starts_with('#'));
            let (wants, rest) = rest.split_first().unwrap();
            let cut = rest.iter().position(|line| *line == "----").unwrap_or(rest.len());
            Case {
                comment: comments.join("\n"),
                wants: (*wants).to_owned(),
                sql: rest[..cut].join("\n"),
                answer: rest[(cut + 1).min(rest.len())..].join("\n"),
            }
        })
        .collect()
}

fn write(cases: &[Case]) -> String {
    let block = |case: &Case| {
        let comment = if case.comment.is_empty() { String::new() } else { format!("{}\n", case.comment) };
        format!("{comment}{}\n{}\n----\n{}", case.wants, case.sql, case.answer).trim_end().to_owned() + "\n"
    };
    cases.iter().map(block).collect::<Vec<_>>().join("\n")
}

/// Everything that ships answers without an error.
#[tokio::test]
async fn the_library_runs() {
    for rows in [Rows::Unflushed, Rows::Flushed] {
        let fixture = Fixture::with(rows).await;
        let library = isinglass_query::library();
        for question in library.questions {
            let answer =
                fixture.text(question.sql).await.unwrap_or_else(|error| panic!("{}: {error}", question.name));
            assert!(!answer.is_empty(), "{}", question.name);
        }
        for question in library.diagnostics.iter().filter(|question| question.name != "plugin_cost") {
            let answer = fixture.text(question.sql).await;
            answer.unwrap_or_else(|error| panic!("{}: {error}", question.name));
        }
        for view in library.views {
            let sql = format!("SELECT * FROM {}", view.name);
            let answer = fixture.text(&sql).await.unwrap_or_else(|error| panic!("{}: {error}", view.name));
            assert!(!answer.is_empty(), "{}", view.name);
        }
    }
}
