//! An expression that has to be compiled.

use std::sync::OnceLock;

use memchr::memmem::Finder;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Dot, Hir, Look, Repetition};

use super::dfa::{Asking, Dfa};
use super::literal::required;
use super::{Fault, program_fault};

/// Bytes of the compiled program.
const PROGRAM_BYTES_MAX: usize = 4 << 20;

/// The expression, and what helps to ask about many values.
#[derive(Debug)]
pub(in crate::series) struct Program {
    /// What each match starts with, if the whole value has to match from its start on.
    pub(super) start: String,
    /// What is in each match.
    literal: Option<Finder<'static>>,
    regex: Regex,
    /// The expression from the start of a value on.
    whole: Hir,
    dfa: OnceLock<Option<Dfa>>,
}

impl Program {
    /// Of an expression without `.*` at its ends, with what was there.
    pub(super) fn new(start: String, middle: Hir, from_start: bool, to_end: bool) -> Result<Self, Fault> {
        let literal = required(&middle).map(|text| Finder::new(&text).into_owned());
        let end = || to_end.then(|| Hir::look(Look::End));
        let first = from_start.then(|| Hir::look(Look::Start));
        let parts = first.into_iter().chain([middle.clone()]).chain(end());
        let regex = RegexBuilder::new(&Hir::concat(parts.collect()).to_string())
            .size_limit(PROGRAM_BYTES_MAX)
            .build()
            .map_err(|error| Fault(program_fault(&error)))?;
        let first = (!from_start).then(anything);
        let whole = Hir::concat(first.into_iter().chain([middle]).chain(end()).collect());
        Ok(Self { start, literal, regex, whole, dfa: OnceLock::new() })
    }

    pub(super) fn is_match(&self, value: &str) -> bool {
        value.starts_with(self.start.as_str()) && self.regex.is_match(value)
    }

    pub(super) fn literal(&self) -> Option<&Finder<'static>> {
        self.literal.as_ref()
    }

    /// A table of states to ask about so many values, made when it is asked for first.
    pub(super) fn asking(&self, values: usize) -> Option<Asking<'_>> {
        self.dfa(values).map(Dfa::asking)
    }

    pub(super) fn dfa(&self, values: usize) -> Option<&Dfa> {
        self.dfa.get_or_init(|| Dfa::new(&self.whole, values)).as_ref()
    }
}

/// `(?s:.)*`
fn anything() -> Hir {
    let any = Box::new(Hir::dot(Dot::AnyChar));
    Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: any })
}
