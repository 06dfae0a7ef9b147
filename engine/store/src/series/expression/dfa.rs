//! An expression as a table of states, for who asks about many values.
//!
//! To begin a search costs the crate `regex` more than the thirty bytes of a value then do. A
//! table is a load per byte and begins at once. It is made whole if it stays small. Where it would
//! not, as with the letters of all languages, only those states are made that values lead to.

mod lazy;

use regex_automata::Anchored;
use regex_automata::dfa::dense::{Builder, Config, DFA};
use regex_automata::dfa::{Automaton, StartKind};
use regex_automata::nfa::thompson::{Compiler, Config as NfaConfig, NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_syntax::hir::Hir;

use lazy::{Lazy, Search};

/// Bytes of the program that tables are made from.
const PROGRAM_BYTES_MAX: usize = 1 << 20;

/// For so many values a whole table is tried: to find out that it does not stay small may take as
/// long as to walk over some of them.
const VALUES_FOR_WHOLE: usize = if cfg!(test) { 16 } else { 16_384 };

/// Bytes of a whole table, and of what making it takes. They bound the time that it takes, too:
/// some milliseconds.
const TABLE_BYTES_MAX: usize = 128 << 10;
const MAKING_BYTES_MAX: usize = 1 << 20;

/// Says whether an expression matches from the start of a value on.
#[derive(Debug)]
pub(super) enum Dfa {
    Whole(Whole),
    Lazy(Lazy),
}

/// What is asked about one value after the other.
pub(super) enum Asking<'a> {
    Whole(&'a Whole),
    Lazy(Box<Search<'a>>),
}

impl Dfa {
    /// To be asked about so many values. `None` if the expression is too large, or does what tables
    /// cannot.
    pub(super) fn new(expression: &Hir, values: usize) -> Option<Self> {
        let config =
            NfaConfig::new().nfa_size_limit(Some(PROGRAM_BYTES_MAX)).which_captures(WhichCaptures::None);
        let program = Compiler::new().configure(config).build_from_hir(expression).ok()?;
        let whole = if values >= VALUES_FOR_WHOLE { Whole::new(&program) } else { None };
        whole.map(Self::Whole).or_else(|| Lazy::new(program).map(Self::Lazy))
    }

    pub(super) fn asking(&self) -> Asking<'_> {
        match self {
            Self::Whole(table) => Asking::Whole(table),
            Self::Lazy(lazy) => Asking::Lazy(Box::new(lazy.search())),
        }
    }
}

impl Asking<'_> {
    /// `None` if it turned out that values lead to too many states.
    #[inline]
    pub(super) fn is_match(&mut self, value: &[u8]) -> Option<bool> {
        match self {
            Self::Whole(table) => Some(table.is_match(value)),
            Self::Lazy(search) => search.is_match(value),
        }
    }
}

#[derive(Debug)]
pub(super) struct Whole {
    table: DFA<Vec<u32>>,
    start: StateID,
}

impl Whole {
    fn new(program: &NFA) -> Option<Self> {
        let config = Config::new()
            .accelerate(false)
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(TABLE_BYTES_MAX))
            .determinize_size_limit(Some(MAKING_BYTES_MAX));
        let table = Builder::new().configure(config).build_from_nfa(program).ok()?;
        let start = table.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        Some(Self { table, start })
    }

    #[inline]
    fn is_match(&self, value: &[u8]) -> bool {
        let mut state = self.start;
        for byte in value {
            state = self.table.next_state(state, *byte);
            // Special is what matched a byte ago, for good, and what cannot match any more.
            if self.table.is_special_state(state) {
                return self.table.is_match_state(state);
            }
        }
        self.table.is_match_state(self.table.next_eoi_state(state))
    }
}
