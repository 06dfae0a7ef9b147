//! An expression asked of many values.
//!
//! Values stand one after the other ([`Texts`](crate::series::texts::Texts)), so a text that each
//! match contains is looked for in all of them at once, at the speed of memory, and only values
//! that have it are asked about. Where most of them do, or there is no such text, each is asked
//! about, by a table of states.

use memchr::memmem::Finder;

use super::Expression;
use super::dfa::Asking;
use super::program::Program;
use crate::series::texts::Run;

/// To make a table costs as much as to ask the regular expression about so many values.
const VALUES_FOR_TABLE: usize = if cfg!(test) { 8 } else { 2_048 };

/// What is asked about all values that come.
pub(in crate::series) struct Walk<'a> {
    expression: &'a Expression,
    /// As long as it has an answer.
    table: Option<Asking<'a>>,
    /// Whether the text that is looked for was rare among the last values.
    is_rare: bool,
}

impl<'a> Walk<'a> {
    /// Over about so many values.
    pub(in crate::series) fn new(expression: &'a Expression, values: usize) -> Self {
        let table = match expression {
            Expression::Regex(program) if values >= VALUES_FOR_TABLE => program.asking(values),
            _ => None,
        };
        Self { expression, table, is_rare: true }
    }

    #[cfg(test)]
    pub(super) fn has_table(&self) -> bool {
        self.table.is_some()
    }

    /// Whether it matches all of a value.
    #[inline]
    pub(in crate::series) fn is_match(&mut self, value: &str) -> bool {
        if let Some(table) = &mut self.table {
            if let Some(is_match) = table.is_match(value.as_bytes()) {
                return is_match;
            }
            self.table = None;
        }
        self.expression.is_match(value)
    }

    /// Adds the numbers of those values of a run that match.
    pub(in crate::series) fn add(&mut self, run: &Run<'_>, found: &mut Vec<u32>) {
        match self.expression {
            Expression::Contains(finder) => {
                with_text(run, finder, |at, _| found.push(run.number(at)));
            }
            Expression::Regex(program) => self.add_matching(program, run, found),
            expression => each(run, |value| expression.is_match(value), found),
        }
    }

    fn add_matching(&mut self, program: &Program, run: &Run<'_>, found: &mut Vec<u32>) {
        let Some(finder) = program.literal().filter(|_| self.is_rare) else {
            return each(run, |value| self.is_match(value), found);
        };
        let having = with_text(run, finder, |at, value| {
            if self.is_match(value) {
                found.push(run.number(at));
            }
        });
        self.is_rare = having < run.len() / 2;
    }
}

fn each(run: &Run<'_>, mut is_match: impl FnMut(&str) -> bool, found: &mut Vec<u32>) {
    let values = (0..run.len()).filter(|at| run.get(*at).is_some_and(&mut is_match));
    found.extend(values.map(|at| run.number(at)));
}

/// Says each value that contains a text, which is not empty; how many there are.
fn with_text<'a>(run: &Run<'a>, text: &Finder<'_>, mut say: impl FnMut(usize, &'a str)) -> usize {
    let bytes = run.bytes();
    let (mut from, mut at, mut having) = (0, 0, 0);
    while let Some(hit) = bytes.get(from..).and_then(|rest| text.find(rest)) {
        let hit = from + hit;
        at = run.value_with(hit, at);
        // It may begin in one value and end in the next.
        if hit + text.needle().len() <= run.end(at) {
            if let Some(value) = run.get(at) {
                say(at, value);
            }
            having += 1;
            from = run.end(at);
        } else {
            from = hit + 1;
        }
    }
    having
}
