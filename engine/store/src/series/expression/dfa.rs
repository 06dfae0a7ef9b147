//! An expression as a table, for who asks about many values.
//!
//! To begin a search costs the crate `regex` more than the thirty bytes of a value then do. A
//! table of states is a load per byte and begins at once; it is made only if it stays small.

use regex_automata::Anchored;
use regex_automata::dfa::Automaton;
use regex_automata::dfa::StartKind;
use regex_automata::dfa::dense::{Builder, Config, DFA};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;
use regex_syntax::hir::Hir;

/// Bytes of the program that the table is made from, of the table, and of what making it takes.
/// They bound the time that it takes, too: some milliseconds.
const PROGRAM_BYTES_MAX: usize = 128 << 10;
const TABLE_BYTES_MAX: usize = 128 << 10;
const MAKING_BYTES_MAX: usize = 1 << 20;

/// Says whether an expression matches from the start of a value on.
#[derive(Debug)]
pub(super) struct Dfa {
    table: DFA<Vec<u32>>,
    start: StateID,
}

impl Dfa {
    /// `None` if the table would be too large, or cannot say what the expression does.
    pub(super) fn new(expression: &Hir) -> Option<Self> {
        let program = thompson::Config::new()
            .nfa_size_limit(Some(PROGRAM_BYTES_MAX))
            .which_captures(thompson::WhichCaptures::None);
        let program = thompson::Compiler::new().configure(program).build_from_hir(expression).ok()?;
        let config = Config::new()
            .accelerate(false)
            .start_kind(StartKind::Anchored)
            .dfa_size_limit(Some(TABLE_BYTES_MAX))
            .determinize_size_limit(Some(MAKING_BYTES_MAX));
        let table = Builder::new().configure(config).build_from_nfa(&program).ok()?;
        let start = table.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        Some(Self { table, start })
    }

    /// Whether a match begins where the value does.
    #[inline]
    pub(super) fn is_match(&self, value: &[u8]) -> bool {
        let mut state = self.start;
        for byte in value {
            state = self.table.next_state(state, *byte);
            // Only these are: what matches is known a byte later, and then for good.
            if self.table.is_special_state(state) {
                return self.table.is_match_state(state);
            }
        }
        self.table.is_match_state(self.table.next_eoi_state(state))
    }
}
