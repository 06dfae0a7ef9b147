//! `eval instant` and `eval range`.

use isinglass_lang::promql::parse_duration;

use super::expect::{Expectation, Expected, ExpectedSeries, TextMatch, window_of};
use super::load::series_line;
use super::{Fault, Lines, Window};
use crate::text::number;

/// A query and what it must give.
#[derive(Debug, Clone)]
pub struct Eval {
    /// The query.
    pub query: String,
    /// When it is evaluated.
    pub times: Times,
    /// What it must give.
    pub expect: Expectation,
}

/// When a query is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// Once, at milliseconds since the epoch.
    Instant(i64),
    /// At each step.
    Range(Window),
}

pub(super) fn parse(line: usize, head: &str, lines: &mut Lines<'_>) -> Result<Eval, Fault> {
    let (command, rest) = word(head);
    let modifier = command.strip_prefix("eval").unwrap_or_default();
    let modifier = modifier.strip_prefix('_').unwrap_or(modifier);
    let in_line = |reason: String| (line, reason);
    let expect = Expectation::of_modifier(modifier).map_err(in_line)?;
    let (times, query) = times(rest).map_err(in_line)?;
    let mut eval = Eval { query: query.to_owned(), times, expect };
    while let Some((at, text)) = lines.next_of_command() {
        if eval.line(text).map_err(|reason| (at, reason))? == Last::Yes {
            break;
        }
    }
    if let (Some(window), Times::Instant(time_ms)) = (eval.expect.window, &mut eval.times) {
        *time_ms = window.end_ms;
    }
    Ok(eval)
}

fn times(text: &str) -> Result<(Times, &str), String> {
    let (kind, rest) = word(text);
    match kind {
        "instant" => {
            let (time, query) = after("at", rest).map(word)?;
            Ok((Times::Instant(parse_duration(time)?), some(query)?))
        }
        "range" => {
            let (start, rest) = after("from", rest).map(word)?;
            let (end, rest) = after("to", rest).map(word)?;
            let (step, query) = after("step", rest).map(word)?;
            Ok((Times::Range(window_of(start, end, step)?), some(query)?))
        }
        _ => Err(format!("neither instant nor range: {kind:?}")),
    }
}

/// The first word and what follows.
fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn after<'a>(expected: &str, text: &'a str) -> Result<&'a str, String> {
    match word(text) {
        (first, rest) if first == expected => Ok(rest),
        _ => Err(format!("{expected:?} is missing before {text:?}")),
    }
}

fn some(query: &str) -> Result<&str, String> {
    if query.is_empty() { Err("no query".to_owned()) } else { Ok(query) }
}

/// Whether a line is the last one of its command whatever follows.
#[derive(PartialEq)]
enum Last {
    Yes,
    No,
}

impl Eval {
    fn line(&mut self, text: &str) -> Result<Last, String> {
        if self.expect.fail.is_some() {
            if let Some(message) = text.strip_prefix("expected_fail_message") {
                self.expect.fail = Some(TextMatch::Exact(message.trim().to_owned()));
                return Ok(Last::Yes);
            }
            if let Some(pattern) = text.strip_prefix("expected_fail_regexp") {
                self.expect.fail = Some(TextMatch::pattern(pattern)?);
                return Ok(Last::Yes);
            }
        }
        if let ("expect", rest) = word(text) {
            self.expect.read(rest)?;
            return Ok(Last::No);
        }
        if let Some(scalar) = number::parse(text) {
            self.expect.result = Expected::Scalar(scalar);
            return Ok(Last::Yes);
        }
        self.series(text)?;
        Ok(Last::No)
    }

    fn series(&mut self, text: &str) -> Result<(), String> {
        let (labels, slots) = series_line(text)?;
        let is_range = matches!(self.times, Times::Range(_)) || self.expect.window.is_some();
        if slots.len() > 1 && !is_range {
            return Err("an instant query gives one value, without `expect range vector`".to_owned());
        }
        match &mut self.expect.result {
            Expected::Series(all) if all.iter().any(|series| series.labels == labels) => {
                Err(format!("{labels} is expected twice"))
            }
            Expected::Series(all) => {
                all.push(ExpectedSeries { labels, slots });
                Ok(())
            }
            Expected::Scalar(_) | Expected::Text(_) => Err("series beside a number or text".to_owned()),
        }
    }
}
