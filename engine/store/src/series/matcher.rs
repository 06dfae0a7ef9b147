//! Conditions on labels, as PromQL has them.

use std::fmt;

use super::expression::{Expression, Fault};
use crate::StoreError;

/// Matchers in one selection.
const MATCHERS_MAX: usize = 1_000;

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// A condition on one label. A series without the label has the empty value, so a matcher
/// that holds for the empty text holds for it too. `__name__` is a label like others.
///
/// Expressions are those of RE2 and must match the whole value; `.` matches a line feed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Matcher {
    /// The label.
    pub name: String,
    /// How.
    pub op: MatchOp,
    /// The value or expression.
    pub value: String,
}

impl Matcher {
    /// A matcher.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Self {
        Self { name: name.into(), op, value: value.into() }
    }

    fn refused(&self, reason: impl fmt::Display) -> StoreError {
        StoreError::Matcher { matcher: self.to_string(), reason: reason.to_string() }
    }
}

impl fmt::Display for Matcher {
    /// As PromQL writes it, shortened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Regex => "=~",
            MatchOp::NotRegex => "!~",
        };
        let short: String = self.value.chars().take(100).collect();
        let dots = if short.len() < self.value.len() { "…" } else { "" };
        write!(f, "{}{op}{short:?}{dots}", self.name)
    }
}

/// What a matcher asks of the index: the series with some values of a label are those that
/// are selected, or, if the matcher holds for the empty text, those that are not.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) name: String,
    /// The value or expression as it was written.
    pub(super) text: String,
    pub(super) keep: bool,
    pub(super) values: Values,
}

/// Values of a label that a series can have, so never the empty one.
#[derive(Debug)]
pub(super) enum Values {
    Only(Vec<String>),
    Except(Vec<String>),
    /// Those for which the expression says this.
    Matching(Expression, bool),
}

/// Reads matchers, which must all hold.
pub(super) fn conditions(matchers: &[Matcher]) -> Result<Vec<Condition>, StoreError> {
    if let Some(first) = matchers.first()
        && matchers.len() > MATCHERS_MAX
    {
        return Err(first
            .refused(format_args!("it is one of {} matchers, the limit is {MATCHERS_MAX}", matchers.len())));
    }
    matchers.iter().map(condition).collect()
}

fn condition(matcher: &Matcher) -> Result<Condition, StoreError> {
    let expression = match matcher.op {
        MatchOp::Equal | MatchOp::NotEqual => Expression::Texts(vec![matcher.value.clone()]),
        MatchOp::Regex | MatchOp::NotRegex => {
            Expression::new(&matcher.value).map_err(|fault: Fault| matcher.refused(fault))?
        }
    };
    let negative = matches!(matcher.op, MatchOp::NotEqual | MatchOp::NotRegex);
    let holds_for_empty = expression.is_match("") != negative;
    // The values to keep are those it holds for, the ones to drop those it does not hold for.
    let wanted = if holds_for_empty { negative } else { !negative };
    let values = match (expression, wanted) {
        (Expression::Texts(mut texts), wanted) => {
            texts.retain(|text| !text.is_empty());
            if wanted { Values::Only(texts) } else { Values::Except(texts) }
        }
        // All that are there, since none of them is empty.
        (Expression::Any | Expression::NotEmpty, true) => Values::Except(Vec::new()),
        (Expression::Any | Expression::NotEmpty, false) => Values::Only(Vec::new()),
        (expression, wanted) => Values::Matching(expression, wanted),
    };
    let (name, text) = (matcher.name.clone(), matcher.value.clone());
    Ok(Condition { name, text, keep: !holds_for_empty, values })
}
