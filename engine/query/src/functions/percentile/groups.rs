//! The values of all groups in flat buffers.
//!
//! Rows are appended as they come ([`Pending`]). Once they are many they are sorted into the
//! centroids of their groups ([`Settled`], one slice per group), and a group that has too many is
//! compressed. Below that every value is kept, so small groups lose nothing. Rows wait until they are as many as centroids, so each of these is
//! moved once per row on average.

use std::mem::{size_of, take};

use super::digest::{Centroid, Extremes, compress, quantile};

/// Rows that wait at least, 768 KiB of them. Few in tests, which sort often therefore.
const PENDING_MIN: usize = if cfg!(test) { 64 } else { 64 << 10 };

/// A large group is compressed to so many times the centroids asked for: as they are put together
/// more than once on the way, twice as many are as exact as DataFusion's.
const KEPT: usize = 2;

/// And is not compressed before it has so many times as many.
const HELD_MAX: usize = 3;

/// What is known of the values of all groups.
#[derive(Debug)]
pub(super) struct Groups {
    /// Centroids asked for.
    most: usize,
    groups: usize,
    settled: Settled,
    pending: Pending,
}

/// Sorted centroids: those of group `g` are `centroids[starts[g]..starts[g + 1]]`.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) starts: Vec<usize>,
    pub(super) centroids: Vec<Centroid>,
    /// NaNs where a group has no centroid.
    pub(super) extremes: Vec<Extremes>,
}

/// What came since, in the order in which it came.
#[derive(Debug, Default)]
struct Pending {
    groups: Vec<u32>,
    means: Vec<f64>,
    /// Empty as long as all weights are 1.
    weights: Vec<f64>,
    /// Of groups that were merged: their centroids do not say.
    extremes: Vec<(u32, Extremes)>,
}

impl Groups {
    pub(super) fn new(most: usize) -> Self {
        Self { most: most.max(1), groups: 0, settled: Settled::default(), pending: Pending::default() }
    }

    /// Centroids asked for.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// From now on there are so many groups.
    pub(super) fn grow(&mut self, groups: usize) {
        self.groups = self.groups.max(groups);
    }

    /// A value of a group, which is below the number of groups as all others here.
    pub(super) fn push(&mut self, group: usize, value: f64) {
        self.pending.push(group as u32, value);
    }

    /// Values of a group each.
    pub(super) fn extend(&mut self, groups: &[usize], values: &[f64]) {
        let pending = &mut self.pending;
        if !pending.weights.is_empty() {
            groups.iter().zip(values).for_each(|(group, value)| pending.push(*group as u32, *value));
            return;
        }
        pending.groups.extend(groups.iter().map(|group| *group as u32));
        pending.means.extend_from_slice(values);
    }

    /// Centroids of a group, from elsewhere.
    pub(super) fn merge(
        &mut self,
        group: usize,
        centroids: impl Iterator<Item = Centroid>,
        extremes: Extremes,
    ) {
        let before = self.pending.len();
        centroids.for_each(|centroid| self.pending.push_centroid(group as u32, centroid));
        if self.pending.len() > before {
            self.pending.extremes.push((group as u32, extremes));
        }
    }

    /// Sorts in what waits, if it is much.
    pub(super) fn settle_if_full(&mut self) {
        if self.pending.len() >= PENDING_MIN.max(self.settled.centroids.len()) {
            self.settle();
        }
    }

    /// Removes the first groups, all of what is known of them sorted in.
    pub(super) fn take_first(&mut self, groups: usize) -> Settled {
        self.settle();
        self.groups -= groups;
        if self.groups == 0 {
            self.pending = Pending::default();
        }
        self.settled.take_first(groups)
    }

    /// Bytes held, and those that the next sorting in needs beside them.
    pub(super) fn size_bytes(&self) -> usize {
        let settled = self.settled.size_bytes();
        let next = if self.pending.len() == 0 {
            0
        } else {
            let keys = self.pending.len() * size_of::<i64>();
            (self.settled.centroids.len() + self.pending.len()) * size_of::<Centroid>() + keys
        };
        settled + self.pending.size_bytes() + next
    }

    fn settle(&mut self) {
        let pending = take(&mut self.pending);
        let settled = take(&mut self.settled);
        self.settled = settled.with(&pending, self.groups, self.most);
        self.pending = pending.emptied();
    }
}

impl Default for Settled {
    fn default() -> Self {
        Self { starts: vec![0], centroids: Vec::new(), extremes: Vec::new() }
    }
}

impl Settled {
    /// The percentile of each group; `None` where it has no values.
    pub(super) fn quantiles(&self, q: f64) -> impl Iterator<Item = Option<f64>> {
        let groups = self.starts.windows(2).zip(&self.extremes);
        groups.map(move |(range, extremes)| quantile(&self.centroids[range[0]..range[1]], *extremes, q))
    }

    fn with(mut self, pending: &Pending, groups: usize, most: usize) -> Self {
        self.starts.resize(groups + 1, self.centroids.len());
        self.extremes.resize(groups, Extremes::of(f64::NAN));
        if pending.weights.is_empty() && pending.extremes.is_empty() {
            return self.with_values(pending, most);
        }
        self.widen(pending);
        let (starts, centroids) = self.scattered(pending);
        self.starts = starts;
        self.centroids = centroids;
        self.tighten(most);
        self
    }

    /// The same for values that each stand for themselves, which are sorted as integers.
    fn with_values(mut self, pending: &Pending, most: usize) -> Self {
        let groups = self.extremes.len();
        let (ends, mut keys) = scattered_keys(pending, groups);
        let mut centroids = Vec::with_capacity(self.centroids.len() + keys.len());
        let (mut old_start, mut new_start) = (0, 0);
        for group in 0..groups {
            let old = &self.centroids[old_start..self.starts[group + 1]];
            let new = &mut keys[new_start..ends[group]];
            new.sort_unstable();
            if let (Some(first), Some(last)) = (new.first(), new.last()) {
                let extremes = Extremes { min: of_key(*first), max: of_key(*last) };
                let known = &mut self.extremes[group];
                *known = if old.is_empty() { extremes } else { known.and(extremes) };
            }
            let from = centroids.len();
            merge_sorted(old, new, &mut centroids);
            if centroids.len() - from > most.saturating_mul(HELD_MAX) {
                let kept = compress(&mut centroids[from..], most.saturating_mul(KEPT));
                centroids.truncate(from + kept);
            }
            (old_start, new_start) = (self.starts[group + 1], ends[group]);
            self.starts[group + 1] = centroids.len();
        }
        if centroids.capacity() > centroids.len().saturating_mul(2) {
            centroids.shrink_to_fit();
        }
        self.centroids = centroids;
        self
    }

    /// Widens extremes by what waits. Must see which groups had no centroid before.
    fn widen(&mut self, pending: &Pending) {
        let known = &self.starts;
        let mut seen: Vec<bool> = known.windows(2).map(|range| range[0] < range[1]).collect();
        let merged = pending.extremes.iter().copied();
        // Centroids of many values lie between the extremes that came with them.
        let single = pending.groups.iter().zip(&pending.means).enumerate();
        let single = single.filter(|(row, _)| pending.weights.get(*row).is_none_or(|weight| *weight == 1.0));
        let single = single.map(|(_, (group, value))| (*group, Extremes::of(*value)));
        for (group, extremes) in merged.chain(single) {
            let at = group as usize;
            self.extremes[at] = if seen[at] { self.extremes[at].and(extremes) } else { extremes };
            seen[at] = true;
        }
    }

    /// Settled and waiting centroids by group, in each the settled ones first.
    fn scattered(&self, pending: &Pending) -> (Vec<usize>, Vec<Centroid>) {
        let groups = self.extremes.len();
        let mut starts = vec![0; groups + 1];
        for group in &pending.groups {
            starts[*group as usize + 1] += 1;
        }
        for group in 0..groups {
            starts[group + 1] += starts[group] + self.starts[group + 1] - self.starts[group];
        }
        let mut ends = starts.clone();
        let mut centroids = vec![Centroid { mean: 0.0, weight: 0.0 }; starts[groups]];
        for group in 0..groups {
            let old = &self.centroids[self.starts[group]..self.starts[group + 1]];
            centroids[ends[group]..ends[group] + old.len()].copy_from_slice(old);
            ends[group] += old.len();
        }
        for (row, group) in pending.groups.iter().enumerate() {
            let end = &mut ends[*group as usize];
            centroids[*end] = pending.centroid(row);
            *end += 1;
        }
        (starts, centroids)
    }

    /// Sorts each group and compresses those that are too large, without gaps in between.
    fn tighten(&mut self, most: usize) {
        let (mut end, mut start) = (0, 0);
        for group in 1..self.starts.len() {
            let next = self.starts[group];
            let centroids = &mut self.centroids[start..next];
            // Stable: equal ones stay in the order in which they came, and what is sorted already
            // costs one look.
            centroids.sort_by(|a, b| a.mean.total_cmp(&b.mean));
            let large = centroids.len() > most.saturating_mul(HELD_MAX);
            let kept = if large { compress(centroids, most.saturating_mul(KEPT)) } else { centroids.len() };
            self.centroids.copy_within(start..start + kept, end);
            end += kept;
            self.starts[group] = end;
            start = next;
        }
        self.centroids.truncate(end);
        if self.centroids.capacity() > end.saturating_mul(2) {
            self.centroids.shrink_to_fit();
        }
    }

    fn take_first(&mut self, groups: usize) -> Self {
        let rest = self.starts.split_off(groups);
        let cut = rest[0];
        let centroids = self.centroids.split_off(cut);
        let extremes = self.extremes.split_off(groups);
        let starts = rest.iter().map(|start| start - cut).collect();
        let mut first = std::mem::replace(self, Self { starts, centroids, extremes });
        first.starts.push(cut);
        first
    }

    fn size_bytes(&self) -> usize {
        self.starts.capacity() * size_of::<usize>()
            + self.centroids.capacity() * size_of::<Centroid>()
            + self.extremes.capacity() * size_of::<Extremes>()
    }
}

/// An integer that compares as the value does in its total order.
fn key_of(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ (((bits >> 63).cast_unsigned() >> 1).cast_signed())
}

/// The value of a key: the same bits are turned back.
fn of_key(key: i64) -> f64 {
    f64::from_bits((key ^ (((key >> 63).cast_unsigned() >> 1).cast_signed())).cast_unsigned())
}

/// Keys of what waits by group, and where those of each group end.
fn scattered_keys(pending: &Pending, groups: usize) -> (Vec<usize>, Vec<i64>) {
    let mut ends = vec![0; groups];
    for group in &pending.groups {
        ends[*group as usize] += 1;
    }
    // Where each begins, which filling it turns into where it ends.
    let mut sum = 0;
    for end in &mut ends {
        sum += std::mem::replace(end, sum);
    }
    let mut keys = vec![0; pending.len()];
    for (group, value) in pending.groups.iter().zip(&pending.means) {
        let end = &mut ends[*group as usize];
        keys[*end] = key_of(*value);
        *end += 1;
    }
    (ends, keys)
}

/// Sorted centroids and sorted values as one sequence; of equal ones the centroids come first.
fn merge_sorted(old: &[Centroid], new: &[i64], into: &mut Vec<Centroid>) {
    let mut old = old.iter().copied().peekable();
    for key in new {
        while let Some(before) = old.next_if(|centroid| key_of(centroid.mean) <= *key) {
            into.push(before);
        }
        into.push(Centroid { mean: of_key(*key), weight: 1.0 });
    }
    into.extend(old);
}

impl Pending {
    fn len(&self) -> usize {
        self.groups.len()
    }

    fn push(&mut self, group: u32, value: f64) {
        self.push_centroid(group, Centroid { mean: value, weight: 1.0 });
    }

    fn push_centroid(&mut self, group: u32, centroid: Centroid) {
        if centroid.weight != 1.0 && self.weights.is_empty() {
            self.weights.resize(self.means.len(), 1.0);
        }
        let weighted = centroid.weight != 1.0 || !self.weights.is_empty();
        self.groups.push(group);
        self.means.push(centroid.mean);
        if weighted {
            self.weights.push(centroid.weight);
        }
    }

    fn centroid(&self, row: usize) -> Centroid {
        Centroid { mean: self.means[row], weight: self.weights.get(row).copied().unwrap_or(1.0) }
    }

    /// The same buffers without content.
    fn emptied(mut self) -> Self {
        self.groups.clear();
        self.means.clear();
        self.weights.clear();
        self.extremes.clear();
        self
    }

    fn size_bytes(&self) -> usize {
        self.groups.capacity() * size_of::<u32>()
            + (self.means.capacity() + self.weights.capacity()) * size_of::<f64>()
            + self.extremes.capacity() * size_of::<(u32, Extremes)>()
    }
}
