//! The files of cases.

use serde::Deserialize;

use crate::harness::root;

use super::asked::Asked;

/// In the file beside the data, and in no answer.
pub(super) const SECRET: &str = "a_column_that_nobody_sees";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// A question and how it may end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// A statement, or else an expression.
    sql: Option<String>,
    promql: Option<String>,
    /// How many seconds before now a range of the expression begins, and its step.
    range: Option<(u64, f64)>,
    /// Part of the message that it is refused with.
    refused: Option<String>,
    /// Parts of messages that it may end with: which one depends on the machine.
    #[serde(default)]
    ends: Vec<String>,
    /// The status that comes with a message, if it is said.
    status: Option<u16>,
    /// The rows that it may be answered with; `*` is any.
    answer: Option<String>,
    /// Whether it would go on for as long as somebody waits.
    #[serde(default)]
    pub(super) endless: bool,
}

/// What a question was answered with: the rows, or the status and the message of the error.
pub(super) type Said = Result<String, (u16, String)>;

impl Case {
    pub(super) fn asked(&self) -> Asked {
        match (&self.sql, &self.promql) {
            (Some(sql), None) => Asked::sql(sql),
            (None, Some(promql)) => Asked::Promql { promql: promql.clone(), range: self.range },
            _ => panic!("{}: one of sql and promql", self.name),
        }
    }

    /// What is wrong with how it ended.
    pub(super) fn fault(&self, said: &Said) -> Option<String> {
        let right = match said {
            Ok(rows) => self.answer.as_ref().is_some_and(|wanted| wanted == "*" || wanted == rows.trim()),
            Err((status, message)) => {
                let mut wanted = self.refused.iter().chain(&self.ends);
                wanted.any(|part| message.contains(part))
                    && self.status.is_none_or(|wanted| wanted == *status)
            }
        };
        let text = shown(said, 300);
        if text.contains(SECRET) {
            return Some(format!("{}: the file was read: {text}", self.name));
        }
        (!right).then(|| format!("{}: {text}", self.name))
    }
}

/// The beginning of an answer.
pub(super) fn shown(said: &Said, characters: usize) -> String {
    let text = match said {
        Ok(rows) => format!("rows {rows}"),
        Err((status, message)) => format!("{status} {message}"),
    };
    text.chars().take(characters).collect()
}

/// The cases of a file with their texts written out; with `ISINGLASS_TEST_BOMBS_FROM` those from
/// the first on that has this in its name.
pub(super) fn cases(file: &str, placeholders: &[(&str, &str)]) -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("tests/it/bombs").join(file)).unwrap();
    let File { case: mut cases } = toml::from_str(&text).unwrap();
    for case in &mut cases {
        for text in case.sql.iter_mut().chain(&mut case.promql) {
            *text = written_out(text);
        }
        for text in case.sql.iter_mut().chain(&mut case.answer) {
            for (name, value) in placeholders {
                *text = text.replace(name, value);
            }
        }
    }
    match std::env::var("ISINGLASS_TEST_BOMBS_FROM") {
        Ok(from) => cases.into_iter().skip_while(|case| !case.name.contains(&from)).collect(),
        Err(_) => cases,
    }
}

/// `<<3|a#>>` is `a0a1a2`.
fn written_out(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<<") {
        out.push_str(before);
        let repeated = after.split_once('|').and_then(|(times, after)| {
            let times: usize = times.parse().ok()?;
            let (piece, after) = after.split_once(">>")?;
            Some((times, piece, after))
        });
        match repeated {
            Some((times, piece, after)) => {
                out.extend((0..times).map(|n| piece.replace('#', &n.to_string())));
                rest = after;
            }
            None => {
                out.push_str("<<");
                rest = after;
            }
        }
    }
    out + rest
}
