//! Which replica's samples stay.

use std::collections::{BTreeMap, VecDeque};

use ahash::RandomState;
use hashbrown::HashMap;

use super::HaDedup;
use crate::files::merge::samples::Sample;

/// Samples of one series within the failover time. If there are more, they are
/// decided about without knowing the ones to come.
const WINDOW_MAX: usize = 65_536;

/// When each replica of each cluster was heard of: spans of time in which it was
/// never silent for longer than the failover time.
#[derive(Debug)]
pub(in crate::files::merge) struct Presence {
    failover: i64,
    /// By (cluster, replica): end of a span by its start.
    spans: BTreeMap<(u32, u32), BTreeMap<i64, i64>>,
}

impl Presence {
    pub(in crate::files::merge) fn new(ha: &HaDedup) -> Self {
        Self { failover: ha.failover_us(), spans: BTreeMap::new() }
    }

    /// Adds the times, ascending, of samples of a replica.
    pub(in crate::files::merge) fn add(
        &mut self,
        cluster: u32,
        replica: u32,
        times: impl Iterator<Item = i64>,
    ) {
        let spans = self.spans.entry((cluster, replica)).or_default();
        let mut current: Option<(i64, i64)> = None;
        for time in times {
            current = match current {
                Some((start, end)) if time.saturating_sub(end) <= self.failover => Some((start, time)),
                Some(span) => {
                    insert(spans, span, self.failover);
                    Some((time, time))
                }
                None => Some((time, time)),
            };
        }
        if let Some(span) = current {
            insert(spans, span, self.failover);
        }
    }
}

/// Adds a span, made one with those that it touches.
fn insert(spans: &mut BTreeMap<i64, i64>, (mut start, mut end): (i64, i64), failover: i64) {
    while let Some((&other_start, &other_end)) = spans.range(..=end.saturating_add(failover)).next_back() {
        if other_end.saturating_add(failover) < start {
            break;
        }
        (start, end) = (start.min(other_start), end.max(other_end));
        spans.remove(&other_start);
    }
    spans.insert(start, end);
}

/// From when on which replica is chosen, by time.
type Timeline = Vec<(i64, u32)>;

/// Who is chosen when, in each cluster.
#[derive(Debug)]
pub(in crate::files::merge) struct Elections {
    failover: i64,
    timelines: HashMap<u32, Timeline, RandomState>,
    /// The cluster of each common series.
    clusters: HashMap<i64, u32, RandomState>,
}

impl Elections {
    pub(in crate::files::merge) fn hold(ha: &HaDedup, presence: &Presence) -> Self {
        let mut timelines: HashMap<u32, Timeline, RandomState> = HashMap::default();
        let mut spans: BTreeMap<u32, Vec<(i64, i64, u32)>> = BTreeMap::new();
        for ((cluster, replica), of) in &presence.spans {
            spans.entry(*cluster).or_default().extend(of.iter().map(|(start, end)| (*start, *end, *replica)));
        }
        for (cluster, mut spans) in spans {
            spans.sort_unstable();
            timelines.insert(cluster, timeline(&spans));
        }
        let clusters = ha.replicas.values().map(|replica| (replica.series_id, replica.cluster)).collect();
        Self { failover: presence.failover, timelines, clusters }
    }

    /// For the samples of a series; `None` if it is of no cluster.
    pub(in crate::files::merge) fn of(&self, series_id: i64) -> Option<Election<'_>> {
        let timeline = self.timelines.get(self.clusters.get(&series_id)?)?;
        Some(Election {
            timeline,
            failover: self.failover,
            window: VecDeque::new(),
            ahead: Default::default(),
            behind: [None; 2],
            filled: None,
            last: None,
            interval: 0,
        })
    }
}

/// Who is chosen when, of spans (start, end, replica) in order of their starts.
fn timeline(spans: &[(i64, i64, u32)]) -> Timeline {
    let mut timeline = Timeline::new();
    let mut current: Option<(i64, u32)> = None;
    let mut rest = spans.iter().peekable();
    // Spans that began while another was chosen: the longest of them is next.
    let mut waiting: Option<(i64, u32)> = None;
    loop {
        let (end, _) = match current {
            Some(current) => current,
            None => match rest.next() {
                Some(&(start, end, replica)) => {
                    timeline.push((start, replica));
                    (end, replica)
                }
                None => return timeline,
            },
        };
        while let Some(&(_, other_end, replica)) = rest.next_if(|(start, ..)| *start <= end) {
            if other_end > end && waiting.is_none_or(|(best, _)| best < other_end) {
                waiting = Some((other_end, replica));
            }
        }
        current = waiting.take();
        if let Some((_, replica)) = current {
            timeline.push((end + 1, replica));
        }
    }
}

/// Decides about the samples of one series, in the order of their times.
///
/// A sample is decided about when all within the failover time around it are
/// known. It has a rank: 0 was chosen by an earlier merge, 1 is of the replica
/// that is chosen at its time, 2 of another. It stays if there is nothing of a
/// better rank near it.
#[derive(Debug)]
pub(in crate::files::merge) struct Election<'a> {
    timeline: &'a [(i64, u32)],
    failover: i64,
    /// Not yet decided about, with their ranks.
    window: VecDeque<(Sample, usize)>,
    /// Times of those of rank 0 and 1.
    ahead: [VecDeque<i64>; 2],
    /// Time of the last one of rank 0 and 1 that stayed.
    behind: [Option<i64>; 2],
    /// Who fills the current gap, and the time of the last sample for it.
    filled: Option<(u32, i64)>,
    /// The last one that stayed, and how long after another of its replica.
    last: Option<(u32, i64)>,
    interval: i64,
}

impl Election<'_> {
    /// Takes a sample; passes on those that stay. How many did not.
    pub(in crate::files::merge) fn push(&mut self, sample: Sample, elected: &mut Vec<Sample>) -> u64 {
        let failover = self.failover;
        let mut dropped = self.decide(elected, |time| sample.time.saturating_sub(time) > failover);
        let rank = self.rank(&sample);
        if let Some(ahead) = self.ahead.get_mut(rank) {
            ahead.push_back(sample.time);
        }
        self.window.push_back((sample, rank));
        if self.window.len() > WINDOW_MAX {
            dropped += self.decide(elected, |_| true);
        }
        dropped
    }

    /// After the last sample.
    pub(in crate::files::merge) fn finish(mut self, elected: &mut Vec<Sample>) -> u64 {
        self.decide(elected, |_| true)
    }

    fn rank(&self, sample: &Sample) -> usize {
        if sample.replica == 0 {
            return 0;
        }
        let at = self.timeline.partition_point(|(from, _)| *from <= sample.time);
        let chosen = at.checked_sub(1).map(|at| self.timeline[at].1);
        if chosen == Some(sample.replica) { 1 } else { 2 }
    }

    fn decide(&mut self, elected: &mut Vec<Sample>, ripe: impl Fn(i64) -> bool) -> u64 {
        let mut dropped = 0;
        while let Some((sample, rank)) = self.window.pop_front_if(|(sample, _)| ripe(sample.time)) {
            if let Some(ahead) = self.ahead.get_mut(rank) {
                ahead.pop_front();
            }
            let better = (0..rank.min(2)).any(|rank| self.has_near(rank, sample.time));
            if better || (rank == 2 && !self.may_fill(&sample)) || self.is_echo(&sample) {
                dropped += 1;
                continue;
            }
            if let Some((_, last)) = self.last.filter(|(replica, _)| *replica == sample.replica) {
                self.interval = sample.time.saturating_sub(last);
            }
            self.last = Some((sample.replica, sample.time));
            match self.behind.get_mut(rank) {
                Some(behind) => (*behind, self.filled) = (Some(sample.time), None),
                None => self.filled = Some((sample.replica, sample.time)),
            }
            elected.push(sample);
        }
        dropped
    }

    fn has_near(&self, rank: usize, time: i64) -> bool {
        let near = |other: i64| other.abs_diff(time) <= self.failover.unsigned_abs();
        self.behind[rank].is_some_and(near) || self.ahead[rank].front().copied().is_some_and(near)
    }

    /// Whether the one before it, which is of another replica, tells as much: the
    /// next scrape of that one would not have been for a while.
    fn is_echo(&self, sample: &Sample) -> bool {
        let last = self.last.filter(|(replica, _)| sample.replica != 0 && *replica != sample.replica);
        last.is_some_and(|(_, last)| sample.time.saturating_sub(last) < self.interval / 2)
    }

    /// One replica at a time fills a gap.
    fn may_fill(&self, sample: &Sample) -> bool {
        self.filled.is_none_or(|(replica, last)| {
            replica == sample.replica || sample.time.saturating_sub(last) > self.failover
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::Replica;
    use super::*;

    const FAILOVER: i64 = 30_000_000;

    /// A cluster of replicas that were heard of at these seconds, and what stays
    /// of one series: seconds and replicas.
    fn check(heard: &[(u32, &[i64])], series: &[(i64, u32)], stay: &[(i64, u32)]) {
        let replica = Replica { series_id: 7, cluster: 1, replica: 1 };
        let ha = HaDedup {
            replicas: Arc::new([(1, replica)].into_iter().collect()),
            failover: Duration::from_micros(FAILOVER as u64),
        };
        let mut presence = Presence::new(&ha);
        for (replica, seconds) in heard {
            presence.add(1, *replica, seconds.iter().map(|second| second * 1_000_000));
        }
        let elections = Elections::hold(&ha, &presence);
        assert!(elections.of(8).is_none());
        let mut election = elections.of(7).unwrap();
        let (mut elected, mut dropped) = (Vec::new(), 0);
        for &(second, replica) in series {
            let sample = Sample { time: second * 1_000_000, value: 1.0, start: None, replica };
            dropped += election.push(sample, &mut elected);
        }
        dropped += election.finish(&mut elected);
        let found: Vec<_> = elected.iter().map(|sample| (sample.time / 1_000_000, sample.replica)).collect();
        assert_eq!(found, stay);
        assert_eq!(dropped as usize, series.len() - stay.len());
    }

    #[test]
    fn the_first_replica_stays_chosen() {
        check(
            &[(1, &[0, 15, 30, 45]), (2, &[5, 20, 35, 50])],
            &[(0, 1), (5, 2), (15, 1), (20, 2), (30, 1), (35, 2), (45, 1), (50, 2)],
            &[(0, 1), (15, 1), (30, 1), (45, 1)],
        );
    }

    #[test]
    fn another_takes_over_from_the_last_sample_on() {
        check(
            &[(1, &[0, 15]), (2, &[5, 20, 35, 50, 65])],
            &[(0, 1), (5, 2), (15, 1), (20, 2), (35, 2), (50, 2), (65, 2)],
            &[(0, 1), (15, 1), (35, 2), (50, 2), (65, 2)],
        );
    }

    #[test]
    fn who_comes_back_waits_for_its_turn() {
        check(
            &[(1, &[0, 100, 115, 130]), (2, &[5, 20, 35, 50, 65, 80, 95, 110])],
            &[(0, 1), (20, 2), (50, 2), (80, 2), (100, 1), (110, 2), (115, 1), (130, 1)],
            &[(0, 1), (20, 2), (50, 2), (80, 2), (110, 2), (130, 1)],
        );
    }

    #[test]
    fn what_only_another_saw_is_kept() {
        check(
            &[(1, &[0, 15, 30, 45]), (2, &[5, 20, 35, 50])],
            &[(5, 2), (20, 2), (35, 2)],
            &[(5, 2), (20, 2), (35, 2)],
        );
        check(
            &[(1, &[0, 15, 30, 45, 60, 75, 90, 105, 120]), (2, &[5, 65]), (3, &[7, 64])],
            &[(0, 1), (20, 2), (60, 2), (64, 3), (66, 2), (120, 1)],
            &[(0, 1), (60, 2), (66, 2), (120, 1)],
        );
    }

    #[test]
    fn what_was_chosen_before_stays_and_late_samples_fill_gaps() {
        check(
            &[(1, &[0, 10, 100, 200])],
            &[(0, 0), (10, 1), (20, 0), (100, 1), (140, 0), (200, 1)],
            &[(0, 0), (20, 0), (100, 1), (140, 0), (200, 1)],
        );
    }

    #[test]
    fn spans_that_touch_are_one() {
        let mut spans = BTreeMap::new();
        for span in [(100, 110), (0, 10), (40, 50), (20, 30), (200, 300), (12, 41)] {
            insert(&mut spans, span, 5);
        }
        assert_eq!(spans.into_iter().collect::<Vec<_>>(), [(0, 50), (100, 110), (200, 300)]);
    }
}
