//! What an eval must give.

use std::fmt;

use isinglass_lang::promql;
use isinglass_lang::promql::ast::ExprKind;
use isinglass_promql::Labels;
use regex::Regex;

use super::Window;
use crate::points::Slot;

/// What an eval must give.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// It must fail, with such an error.
    pub fail: Option<TextMatch>,
    /// Warnings.
    pub warnings: Annotations,
    /// Infos.
    pub infos: Annotations,
    /// The result of an instant query comes in the order in which it is written.
    pub ordered: bool,
    /// Times of the points, where an instant query gives a range vector.
    pub window: Option<Window>,
    /// The result.
    pub result: Expected,
}

/// Expected warnings, or infos.
#[derive(Debug, Clone, Default)]
pub enum Annotations {
    /// There may be any.
    #[default]
    Ignored,
    /// There may be none.
    None,
    /// Each must be matched by one of these, and each of these must match one.
    Matching(Vec<TextMatch>),
}

/// A test of a text.
#[derive(Debug, Clone)]
pub enum TextMatch {
    /// Any text.
    Any,
    /// This text.
    Exact(String),
    /// A text in which the pattern is found.
    Pattern(Regex),
}

/// An expected result.
#[derive(Debug, Clone)]
pub enum Expected {
    /// Series, all of them.
    Series(Vec<ExpectedSeries>),
    /// A number.
    Scalar(f64),
    /// A text.
    Text(String),
}

/// A series of an expected result.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedSeries {
    /// Its labels.
    pub labels: Labels,
    /// What stands at each step; of an instant vector one.
    pub slots: Vec<Slot>,
}

impl Default for Expected {
    fn default() -> Self {
        Self::Series(Vec::new())
    }
}

impl TextMatch {
    /// Whether a text passes.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == text,
            Self::Pattern(pattern) => pattern.is_match(text),
        }
    }

    pub(super) fn pattern(text: &str) -> Result<Self, String> {
        Regex::new(text.trim()).map(Self::Pattern).map_err(|error| format!("no pattern: {error}"))
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any text"),
            Self::Exact(text) => write!(f, "{text:?}"),
            Self::Pattern(pattern) => write!(f, "the pattern {:?}", pattern.as_str()),
        }
    }
}

impl Annotations {
    fn add(&mut self, expected: TextMatch) -> Result<(), String> {
        match self {
            Self::Ignored => *self = Self::Matching(vec![expected]),
            Self::Matching(all) => all.push(expected),
            Self::None => return Err("expected and not expected at once".to_owned()),
        }
        Ok(())
    }

    fn forbid(&mut self) -> Result<(), String> {
        if matches!(self, Self::Matching(_)) {
            return Err("expected and not expected at once".to_owned());
        }
        *self = Self::None;
        Ok(())
    }
}

impl Expectation {
    /// What the older form `eval_…` says.
    pub(super) fn of_modifier(modifier: &str) -> Result<Self, String> {
        let mut expectation = Self::default();
        match modifier {
            "" => {}
            "fail" => expectation.fail = Some(TextMatch::Any),
            "warn" => expectation.warnings.add(TextMatch::Any)?,
            "info" => expectation.infos.add(TextMatch::Any)?,
            "ordered" => expectation.ordered = true,
            _ => return Err(format!("unknown command eval_{modifier}")),
        }
        Ok(expectation)
    }

    /// Reads what stands after `expect` on a line.
    pub(super) fn read(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim();
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let rest = rest.trim();
        match word {
            "string" => self.result = Expected::Text(whole_text(rest)?),
            "range" => self.window = Some(window(rest)?),
            "fail" if self.fail.is_some() => return Err("a query fails once".to_owned()),
            "fail" => self.fail = Some(condition(rest)?),
            "warn" => self.warnings.add(condition(rest)?)?,
            "info" => self.infos.add(condition(rest)?)?,
            "no_warn" => self.warnings.forbid()?,
            "no_info" => self.infos.forbid()?,
            "ordered" => self.ordered = true,
            _ => return Err(format!("cannot expect {text:?}")),
        }
        Ok(())
    }
}

/// Nothing, `msg: …` or `regex: …`.
fn condition(text: &str) -> Result<TextMatch, String> {
    match text.split_once(':') {
        None if text.is_empty() => Ok(TextMatch::Any),
        Some(("msg", message)) => Ok(TextMatch::Exact(message.trim().to_owned())),
        Some(("regex", pattern)) => TextMatch::pattern(pattern),
        _ => Err(format!("neither msg: nor regex: {text:?}")),
    }
}

fn whole_text(text: &str) -> Result<String, String> {
    match promql::parse(text).map(|expr| expr.kind) {
        Ok(ExprKind::Text(unquoted)) => Ok(unquoted),
        _ => Err(format!("no text in quotes: {text:?}")),
    }
}

/// `vector from A to B step S`.
fn window(text: &str) -> Result<Window, String> {
    let words: Vec<_> = text.split_whitespace().collect();
    match words[..] {
        ["vector", "from", start, "to", end, "step", step] => window_of(start, end, step),
        _ => Err(format!("not `vector from A to B step S`: {text:?}")),
    }
}

pub(super) fn window_of(start: &str, end: &str, step: &str) -> Result<Window, String> {
    let window = Window {
        start_ms: promql::parse_duration(start)?,
        end_ms: promql::parse_duration(end)?,
        step_ms: promql::parse_duration(step)?,
    };
    if window.end_ms < window.start_ms {
        return Err(format!("{end} is before {start}"));
    }
    Ok(window)
}
