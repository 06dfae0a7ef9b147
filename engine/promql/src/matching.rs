//! Matchers on label sets in memory. A store has an index instead.

use isinglass_lang::promql::ast::{MatchOp, Matcher};
use regex::Regex;

use crate::error::{ErrorKind, EvalError, Result};
use crate::labels::Labels;

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Matchers, compiled. All of them have to hold.
pub struct Matchers(Vec<(String, Test)>);

enum Test {
    Is(String),
    IsNot(String),
    Matches(Regex),
    MatchesNot(Regex),
}

impl Matchers {
    /// Compiles them.
    ///
    /// # Errors
    /// A pattern that is none, or that takes too much memory.
    pub fn new(matchers: &[Matcher]) -> Result<Self> {
        let compiled = matchers.iter().map(|matcher| Ok((matcher.label.clone(), compile(matcher)?)));
        Ok(Self(compiled.collect::<Result<_>>()?))
    }

    /// Whether they hold for a label set.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(label, test)| test.passes(labels.get(label)))
    }
}

impl Test {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Is(wanted) => value == wanted,
            Self::IsNot(unwanted) => value != unwanted,
            Self::Matches(pattern) => pattern.is_match(value),
            Self::MatchesNot(pattern) => !pattern.is_match(value),
        }
    }
}

fn compile(matcher: &Matcher) -> Result<Test> {
    Ok(match matcher.op {
        MatchOp::Equal => Test::Is(matcher.value.clone()),
        MatchOp::NotEqual => Test::IsNot(matcher.value.clone()),
        MatchOp::Matches => Test::Matches(anchored(&matcher.value)?),
        MatchOp::NotMatches => Test::MatchesNot(anchored(&matcher.value)?),
    })
}

/// A pattern that has to match a whole text, of which a dot matches new lines, too.
pub(crate) fn anchored(pattern: &str) -> Result<Regex> {
    regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
        .size_limit(PATTERN_BYTES_MAX)
        .build()
        .map_err(|error| EvalError::of(ErrorKind::BadData, error))
}
