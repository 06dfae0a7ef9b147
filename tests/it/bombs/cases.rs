//! The files of cases.

use serde::Deserialize;

use crate::harness::root;

/// In the file beside the data, and in no answer.
pub(super) const SECRET: &str = "a_column_that_nobody_sees";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// A statement and how it may end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) sql: String,
    /// Part of the message that it is refused with.
    refused: Option<String>,
    /// Parts of messages that it may end with: which one depends on the machine.
    #[serde(default)]
    ends: Vec<String>,
    /// The rows that it may be answered with; `*` is any.
    answer: Option<String>,
}

impl Case {
    /// What is wrong with how it ended.
    pub(super) fn fault(&self, said: &Result<String, String>) -> Option<String> {
        let right = match said {
            Ok(rows) => self.answer.as_ref().is_some_and(|wanted| wanted == "*" || wanted == rows.trim()),
            Err(message) => self.refused.iter().chain(&self.ends).any(|part| message.contains(part)),
        };
        let (Ok(text) | Err(text)) = said;
        let shown: String = text.chars().take(300).collect();
        if text.contains(SECRET) {
            return Some(format!("{}: the file was read: {shown}", self.name));
        }
        (!right).then(|| format!("{}: {} {shown}", self.name, if said.is_ok() { "rows" } else { "error" }))
    }
}

/// The cases of a file with their texts written out.
pub(super) fn cases(file: &str, placeholders: &[(&str, &str)]) -> Vec<Case> {
    let text = std::fs::read_to_string(root().join("tests/it/bombs").join(file)).unwrap();
    let File { case: mut cases } = toml::from_str(&text).unwrap();
    for case in &mut cases {
        case.sql = written_out(&case.sql);
        for text in [&mut case.sql].into_iter().chain(&mut case.answer) {
            for (name, value) in placeholders {
                *text = text.replace(name, value);
            }
        }
    }
    cases
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
