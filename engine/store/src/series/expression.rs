//! An expression on label values, in the cheapest form that answers it.

mod dfa;
mod literal;
mod program;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;

use memchr::memmem::Finder;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

pub(super) use walk::Walk;

use program::Program;

use super::re2;

/// Bytes of an expression. Dashboards write lists of thousands of names.
const BYTES_MAX: usize = 256 << 10;

/// Depth of groups within groups.
const DEPTH_MAX: u32 = 100;

/// Texts that an expression is written out as, and bytes of them.
const TEXTS_MAX: usize = 10_000;
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Letters that a class is written out as.
const CLASS_MAX: usize = 10;

/// An expression that must match a whole value.
#[derive(Debug)]
pub(super) enum Expression {
    /// `.*`
    Any,
    /// `.+`
    NotEmpty,
    /// `a|b|c`, `ab?`, `a[bc]`: one of these texts, sorted.
    Texts(Vec<String>),
    /// `a.*`
    Starts(String),
    /// `.*a`
    Ends(String),
    /// `.*a.*`
    Contains(Finder<'static>),
    /// Anything else.
    Regex(Box<Program>),
}

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Expression {
    pub(super) fn new(text: &str) -> Result<Self, Fault> {
        if text.len() > BYTES_MAX {
            return Err(Fault(format!("the expression has {} bytes, the limit is {BYTES_MAX}", text.len())));
        }
        let translated = re2::translate(text).map_err(Fault)?;
        let parsed = ParserBuilder::new()
            .nest_limit(DEPTH_MAX)
            .dot_matches_new_line(true)
            .build()
            .parse(&translated)
            .map_err(|error| Fault(fault_of(&error)))?;
        Self::of(&parsed)
    }

    fn of(parsed: &Hir) -> Result<Self, Fault> {
        let whole = bare(parsed);
        if let Some(mut texts) = texts(whole) {
            texts.sort_unstable();
            texts.dedup();
            return Ok(Self::Texts(texts));
        }
        let mut parts = parts_of(whole);
        let (mut anchored_start, mut anchored_end) = (true, true);
        while parts.first().is_some_and(|part| is_start(part)) {
            parts.remove(0);
        }
        while parts.last().is_some_and(|part| is_end(part)) {
            parts.pop();
        }
        if let [one] = parts.as_slice()
            && is_all_of(one, 1)
        {
            return Ok(Self::NotEmpty);
        }
        while parts.first().is_some_and(|part| is_all_of(part, 0)) {
            parts.remove(0);
            anchored_start = false;
        }
        while parts.last().is_some_and(|part| is_all_of(part, 0)) {
            parts.pop();
            anchored_end = false;
        }
        let middle = Hir::concat(parts.iter().map(|part| (*part).clone()).collect());
        match (text_of(&middle), anchored_start, anchored_end) {
            (Some(text), true, true) => Ok(Self::Texts(vec![text])),
            (Some(text), _, _) if text.is_empty() => Ok(Self::Any),
            (Some(text), true, false) => Ok(Self::Starts(text)),
            (Some(text), false, true) => Ok(Self::Ends(text)),
            (Some(text), false, false) => Ok(Self::Contains(Finder::new(&text).into_owned())),
            (None, ..) => Self::compiled(&parts, middle, anchored_start, anchored_end),
        }
    }

    fn compiled(parts: &[&Hir], middle: Hir, from_start: bool, to_end: bool) -> Result<Self, Fault> {
        let literals = parts.iter().map_while(|part| text_of(part));
        let start = if from_start { literals.collect() } else { String::new() };
        let program = Program::new(start, middle, from_start, to_end)?;
        Ok(Self::Regex(Box::new(program)))
    }

    /// Whether it matches all of a value.
    pub(super) fn is_match(&self, value: &str) -> bool {
        match self {
            Self::Any => true,
            Self::NotEmpty => !value.is_empty(),
            Self::Texts(texts) => texts.binary_search_by(|text| text.as_str().cmp(value)).is_ok(),
            Self::Starts(text) => value.starts_with(text.as_str()),
            Self::Ends(text) => value.ends_with(text.as_str()),
            Self::Contains(finder) => finder.find(value.as_bytes()).is_some(),
            Self::Regex(program) => program.is_match(value),
        }
    }

    /// What every value starts with that it matches.
    pub(super) fn start(&self) -> &str {
        match self {
            Self::Starts(start) => start,
            Self::Regex(program) => &program.start,
            _ => "",
        }
    }
}

fn fault_of(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => error.kind().to_string(),
        regex_syntax::Error::Translate(error) => error.kind().to_string(),
        other => other.to_string(),
    }
}

fn program_fault(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the compiled expression has more than {limit} bytes, which is the limit")
        }
        other => other.to_string(),
    }
}

/// Without groups around it all.
fn bare(hir: &Hir) -> &Hir {
    match hir.kind() {
        HirKind::Capture(group) => bare(&group.sub),
        _ => hir,
    }
}

fn parts_of(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().map(bare).collect(),
        HirKind::Empty => Vec::new(),
        _ => vec![hir],
    }
}

fn is_start(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Look(Look::Start))
}

fn is_end(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Look(Look::End))
}

/// Whether it matches every text of at least so many letters.
fn is_all_of(hir: &Hir, least: u32) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    let HirKind::Class(Class::Unicode(class)) = bare(&repetition.sub).kind() else { return false };
    let any = class.ranges().iter().map(|range| (range.start(), range.end())).eq([('\0', char::MAX)]);
    any && repetition.min == least && repetition.max.is_none()
}

/// The text that is all it matches.
fn text_of(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty => Some(String::new()),
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0).ok().map(str::to_owned),
        HirKind::Capture(group) => text_of(&group.sub),
        HirKind::Concat(parts) => parts.iter().map(text_of).collect(),
        _ => None,
    }
}

/// Every text it matches, if they are few.
fn texts(hir: &Hir) -> Option<Vec<String>> {
    let found = match hir.kind() {
        HirKind::Capture(group) => texts(&group.sub)?,
        HirKind::Class(class) => letters(class)?,
        HirKind::Alternation(parts) => {
            let (mut all, mut bytes) = (Vec::new(), 0);
            for part in parts {
                let some = texts(part)?;
                bytes += some.iter().map(String::len).sum::<usize>();
                all.extend(some);
                if all.len() > TEXTS_MAX || bytes > TEXT_BYTES_MAX {
                    return None;
                }
            }
            all
        }
        HirKind::Concat(parts) => {
            // Anchors of the whole say nothing that is not so anyway.
            let from = parts.iter().take_while(|part| is_start(part)).count();
            let to = parts.len() - parts[from..].iter().rev().take_while(|part| is_end(part)).count();
            let mut all = vec![String::new()];
            for part in &parts[from..to] {
                all = product(&all, &texts_within(part)?)?;
            }
            all
        }
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut all = texts_within(&repetition.sub)?;
            all.push(String::new());
            all
        }
        _ => vec![text_of(hir)?],
    };
    within(&found)?;
    Some(found)
}

/// As [`texts`], of a part of a whole, where an anchor does say something.
fn texts_within(hir: &Hir) -> Option<Vec<String>> {
    if hir.properties().look_set().is_empty() { texts(hir) } else { None }
}

fn letters(class: &Class) -> Option<Vec<String>> {
    let letters: Vec<char> = match class {
        Class::Unicode(class) => {
            let all = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            all.take(CLASS_MAX + 1).collect()
        }
        Class::Bytes(_) => return None,
    };
    (letters.len() <= CLASS_MAX).then(|| letters.into_iter().map(String::from).collect())
}

fn product(starts: &[String], ends: &[String]) -> Option<Vec<String>> {
    if starts.len() * ends.len() > TEXTS_MAX {
        return None;
    }
    let all = starts.iter().flat_map(|start| ends.iter().map(move |end| format!("{start}{end}")));
    let all: Vec<String> = all.collect();
    within(&all)?;
    Some(all)
}

fn within(texts: &[String]) -> Option<()> {
    (texts.len() <= TEXTS_MAX && texts.iter().map(String::len).sum::<usize>() <= TEXT_BYTES_MAX).then_some(())
}
