//! Numbers of pairs of numbers.

use hashbrown::HashMap;

/// Entries of a table of all pairs, beyond which pairs are hashed.
const TABLE_MAX: usize = 1 << 18;

/// A pair that has no number yet.
const NONE: u32 = u32::MAX;

/// Distinct pairs, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// By the left number times `width` and the right one.
    table: Vec<u32>,
    /// A power of two, 0 where pairs are hashed.
    width: usize,
    hashed: HashMap<(u32, u32), u32>,
    pairs: Vec<(u32, u32)>,
}

impl Pairs {
    /// Replaces each left number by that of the pair. Left numbers are below `left_count`, right
    /// ones below `right_count`.
    pub(super) fn number(&mut self, left: &mut [u32], right: &[u32], left_count: usize, right_count: usize) {
        let tabled = self.make_room(left_count, right_count);
        let (mut last_pair, mut last) = ((0, 0), NONE);
        for (left, right) in left.iter_mut().zip(right) {
            let pair = (*left, *right);
            if pair != last_pair || last == NONE {
                last = if tabled { self.by_table(pair) } else { self.by_hash(pair) };
                last_pair = pair;
            }
            *left = last;
        }
    }

    /// Whether there is a table that has room for all pairs.
    fn make_room(&mut self, left_count: usize, right_count: usize) -> bool {
        if !self.hashed.is_empty() {
            return false;
        }
        let width = right_count.next_power_of_two().max(self.width);
        let entries = width.saturating_mul(left_count);
        if entries > TABLE_MAX {
            self.table = Vec::new();
            self.hashed = self.pairs.iter().copied().zip(0..).collect();
            return false;
        }
        if width != self.width {
            self.width = width;
            self.table.clear();
            self.table.resize(entries, NONE);
            for (number, (left, right)) in (0..).zip(&self.pairs) {
                self.table[*left as usize * width + *right as usize] = number;
            }
        } else if self.table.len() < entries {
            self.table.resize(entries, NONE);
        }
        true
    }

    fn by_table(&mut self, (left, right): (u32, u32)) -> u32 {
        let entry = &mut self.table[left as usize * self.width + right as usize];
        if *entry == NONE {
            *entry = self.pairs.len() as u32;
            self.pairs.push((left, right));
        }
        *entry
    }

    fn by_hash(&mut self, pair: (u32, u32)) -> u32 {
        let new = self.pairs.len() as u32;
        let number = *self.hashed.entry(pair).or_insert(new);
        if number == new {
            self.pairs.push(pair);
        }
        number
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Bytes that they take.
    pub(super) fn size(&self) -> usize {
        self.table.capacity() * size_of::<u32>()
            + self.hashed.capacity() * (size_of::<((u32, u32), u32)>() + 1)
            + self.pairs.capacity() * size_of::<(u32, u32)>()
    }

    /// The pair of a number.
    pub(super) fn get(&self, number: u32) -> (u32, u32) {
        self.pairs[number as usize]
    }
}
