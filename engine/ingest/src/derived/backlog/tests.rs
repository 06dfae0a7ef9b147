use std::time::Duration;

use isinglass_chain::ChainConfig;
use isinglass_model::clock::ManualClock;

use super::*;

/// A request of so many rows, which nobody looks at here.
fn applied(seq: Seq, rows: usize) -> Applied {
    let config = ChainConfig { bindings: Vec::new(), ..ChainConfig::default() };
    let chain = Arc::new(Chain::load(&config, Arc::new(ManualClock::at(0))).unwrap());
    let note = Note { chain, spans: None, logs: None, now_unix_nanos: 0 };
    Applied { rows, ..Applied::new(seq, note, Now { unix_ms: 0, monotonic: Duration::ZERO }) }
}

fn backlog(rows: impl IntoIterator<Item = usize>) -> Backlog {
    let mut backlog = Backlog::default();
    let like = applied(0, 0);
    (1..).zip(rows).for_each(|(seq, rows)| backlog.push(Applied { seq, rows, ..like.clone() }));
    backlog
}

fn seqs(taken: &[Applied]) -> Vec<Seq> {
    taken.iter().map(|applied| applied.seq).collect()
}

#[test]
fn one_is_told_soon_one_now_and_everybody_when_too_much_waits() {
    let check = |rows: usize, wanted: [Due; 3]| {
        let mut backlog = backlog([rows]);
        assert_eq!([backlog.due(), backlog.due(), backlog.due()], wanted, "{rows}");
    };
    check(1, [Due::Soon, Due::No, Due::No]);
    check(JOINED_ROWS - 1, [Due::Soon, Due::No, Due::No]);
    check(JOINED_ROWS, [Due::Now, Due::No, Due::No]);
    check(OVERDUE_TURNS * JOINED_ROWS, [Due::Overdue; 3]);
    assert_eq!(Backlog::default().due(), Due::No);
}

#[test]
fn the_next_is_told_once_some_are_taken_or_nobody_is_about_to_derive() {
    let mut backlog = backlog([JOINED_ROWS, JOINED_ROWS, 1]);
    assert_eq!((backlog.due(), backlog.due()), (Due::Now, Due::No));
    assert_eq!(seqs(&backlog.take()), [1]);
    assert_eq!((backlog.due(), backlog.due()), (Due::Now, Due::No));
    backlog.give_up();
    assert_eq!(backlog.due(), Due::Now);
    assert_eq!(seqs(&backlog.take()), [2]);
    assert_eq!((backlog.due(), backlog.due()), (Due::Soon, Due::No));
}

#[test]
fn what_is_taken_is_in_order_and_held_until_it_is_counted() {
    let mut backlog = backlog([4_000; 5]);
    assert_eq!(backlog.holds(), Some(1));
    assert_eq!(seqs(&backlog.take()), [1, 2, 3]);
    assert_eq!((backlog.holds(), backlog.turns()), (Some(1), 0));
    backlog.counted();
    assert_eq!(backlog.holds(), Some(4));
    assert_eq!(seqs(&backlog.take()), [4, 5]);
    backlog.counted();
    assert_eq!(backlog.holds(), None);
    assert!(backlog.take().is_empty());
}

#[test]
fn after_a_failure_so_many_come_one_by_one() {
    let mut backlog = backlog([1; ALONE + 3]);
    backlog.part();
    for seq in 1..=ALONE as Seq {
        assert_eq!(seqs(&backlog.take()), [seq]);
    }
    assert_eq!(backlog.take().len(), 3);
}

#[test]
fn a_deletion_leaves_nothing_but_that_it_was() {
    let mut backlog = backlog([1, 2]);
    backlog.take();
    backlog.delete();
    assert_eq!((backlog.holds(), backlog.due(), backlog.deletions()), (None, Due::No, 1));
}
