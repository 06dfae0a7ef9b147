//! A table of the states that values lead to.

use regex_automata::Anchored;
use regex_automata::hybrid::dfa::{Builder, Cache, Config, DFA};
use regex_automata::nfa::thompson::NFA;
use regex_automata::util::start;

/// Bytes of the states of one search. When they are full it begins again, at most so often.
const STATES_BYTES_MAX: usize = 1 << 20;
const CLEARED_MAX: usize = 4;

#[derive(Debug)]
pub(in crate::series::expression) struct Lazy {
    dfa: DFA,
}

/// The states that were made so far.
pub(in crate::series::expression) struct Search<'a> {
    dfa: &'a DFA,
    states: Cache,
}

impl Lazy {
    pub(super) fn new(program: NFA) -> Option<Self> {
        let config =
            Config::new().cache_capacity(STATES_BYTES_MAX).minimum_cache_clear_count(Some(CLEARED_MAX));
        let dfa = Builder::new().configure(config).build_from_nfa(program).ok()?;
        Some(Self { dfa })
    }

    pub(super) fn search(&self) -> Search<'_> {
        Search { dfa: &self.dfa, states: self.dfa.create_cache() }
    }
}

impl Search<'_> {
    /// `None` if there are too many states.
    pub(super) fn is_match(&mut self, value: &[u8]) -> Option<bool> {
        // Looked up each time, since what is begun again has other numbers.
        let anchored = start::Config::new().anchored(Anchored::Yes);
        let mut state = self.dfa.start_state(&mut self.states, &anchored).ok()?;
        for byte in value {
            state = self.dfa.next_state(&mut self.states, state, *byte).ok()?;
            if state.is_tagged() {
                // What cannot match any more is tagged, too.
                return if state.is_quit() { None } else { Some(state.is_match()) };
            }
        }
        let end = self.dfa.next_eoi_state(&mut self.states, state).ok()?;
        Some(end.is_match())
    }
}
