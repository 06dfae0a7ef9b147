//! Which sequences are counted, and which of them a tick has written.

use isinglass_store::Seq;

/// The book of one tenant.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// The highest sequence that is in the counters.
    counted: Seq,
    /// The lowest counted sequence that no tick covers or is about to cover.
    open: Option<Seq>,
    /// The lowest sequence that the tick under way covers.
    ticking: Option<Seq>,
}

impl Ledger {
    /// `seq` went into the counters.
    pub(crate) fn count(&mut self, seq: Seq) {
        self.counted = self.counted.max(seq);
        self.open.get_or_insert(seq);
    }

    /// A tick reads the counters now: it covers everything counted so far.
    pub(crate) fn begin_tick(&mut self) -> Seq {
        self.ticking = min_option(self.ticking, self.open.take());
        self.counted
    }

    /// The tick is in the WAL.
    pub(crate) fn commit_tick(&mut self) {
        self.ticking = None;
    }

    /// The tick was not written: the next one covers its part.
    pub(crate) fn abort_tick(&mut self) {
        self.open = min_option(self.ticking.take(), self.open);
    }

    /// The lowest sequence whose record must stay in the WAL.
    pub(crate) fn holds(&self) -> Option<Seq> {
        min_option(self.ticking, self.open)
    }
}

pub(crate) fn min_option(a: Option<Seq>, b: Option<Seq>) -> Option<Seq> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_until_the_tick_is_written() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.holds(), None);
        ledger.count(3);
        ledger.count(5);
        assert_eq!(ledger.begin_tick(), 5);
        ledger.count(7);
        assert_eq!(ledger.holds(), Some(3));
        ledger.commit_tick();
        assert_eq!(ledger.holds(), Some(7));
    }

    #[test]
    fn a_failed_tick_gives_its_part_back() {
        let mut ledger = Ledger::default();
        ledger.count(3);
        ledger.begin_tick();
        ledger.count(7);
        ledger.abort_tick();
        assert_eq!(ledger.holds(), Some(3));
        assert_eq!(ledger.begin_tick(), 7);
        ledger.commit_tick();
        assert_eq!(ledger.holds(), None);
    }
}
