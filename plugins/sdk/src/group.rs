//! Grouping rows by several columns, on dictionary keys: no text is touched.

use crate::views::{Dictionary, Integers, Validity};

/// Rows per step; the mixed keys of one step stay in the first-level cache.
const BLOCK: usize = 256;
/// Table slots that are always affordable, whatever the number of rows.
const DIRECT_MIN: u64 = 4_096;
const NONE: u32 = u32::MAX;

/// A column to group by: one key per row.
#[derive(Debug, Clone, Copy)]
pub struct Keys<'a> {
    keys: &'a [u32],
    distinct: u64,
    /// Where there are null rows: which, and the key that stands for them.
    nulls: Option<(Validity<'a>, u64)>,
}

impl<'a> Keys<'a> {
    /// Keys below `distinct`, one per row.
    pub fn new(keys: &'a [u32], distinct: u64) -> Self {
        Self { keys, distinct: distinct.max(1), nulls: None }
    }

    /// `mixed * cardinality + key` for a block of rows.
    #[inline]
    fn mix(&self, from: usize, mixed: &mut [u64]) {
        let keys = &self.keys[from..from + mixed.len()];
        match self.nulls {
            None => {
                for (mixed, key) in mixed.iter_mut().zip(keys) {
                    *mixed = *mixed * self.distinct + u64::from(*key);
                }
            }
            Some((validity, null)) => self.mix_with_nulls(from, mixed, validity, null),
        }
    }

    fn mix_with_nulls(&self, from: usize, mixed: &mut [u64], validity: Validity<'_>, null: u64) {
        for (at, mixed) in mixed.iter_mut().enumerate() {
            let key = if validity.is_valid(from + at) { self.keys[from + at].into() } else { null };
            *mixed = *mixed * (self.distinct + 1) + key;
        }
    }

    /// Distinct keys, the one for null rows included.
    fn cardinality(&self) -> u64 {
        self.distinct + u64::from(self.nulls.is_some())
    }
}

/// Null rows count as empty text: to a label it is the same.
impl<'a> From<Dictionary<'a>> for Keys<'a> {
    fn from(column: Dictionary<'a>) -> Self {
        let keys = Self::new(column.keys(), column.distinct().len() as u64);
        if column.validity().is_full() {
            return keys;
        }
        let empty = column.distinct().iter().position(str::is_empty).map(|at| at as u64);
        Self { nulls: Some((column.validity(), empty.unwrap_or(keys.distinct))), ..keys }
    }
}

/// Rows divided into groups, numbered in the order of their first rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    ids: Vec<u32>,
    first_rows: Vec<u32>,
}

impl Groups {
    /// Groups `rows` rows: two rows are in one group if they agree in all columns.
    pub fn by(rows: usize, columns: &[Keys<'_>]) -> Self {
        // As many columns as can be mixed into one number; the groups by those
        // are one column for the next round.
        let mut slots = 1_u64;
        let fits = columns.iter().take_while(|column| match slots.checked_mul(column.cardinality()) {
            Some(product) => {
                slots = product;
                true
            }
            None => false,
        });
        let (now, later) = columns.split_at(fits.count());
        let groups = Self::mixed(rows, now, slots);
        if later.is_empty() {
            return groups;
        }
        let mut columns = vec![Keys::new(&groups.ids, groups.len() as u64)];
        columns.extend(later);
        Self::by(rows, &columns)
    }

    /// Groups the rows of a column of integers by value; null rows are a group
    /// of their own.
    pub fn by_integers(column: Integers<'_>) -> Self {
        let rows = column.values().len();
        let half =
            |shift: u32| column.values().iter().map(|value| (*value >> shift) as u32).collect::<Vec<_>>();
        let (low, high) = (half(0), half(32));
        let mut columns = [Keys::new(&low, 1 << 32), Keys::new(&high, 1 << 32)];
        if !column.validity().is_full() {
            columns.iter_mut().for_each(|half| half.nulls = Some((column.validity(), 1 << 32)));
        }
        Self::by(rows, &columns)
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.first_rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.first_rows.is_empty()
    }

    /// The group of each row.
    #[inline]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The first row of each group, which speaks for all.
    pub fn first_rows(&self) -> &[u32] {
        &self.first_rows
    }

    /// Groups by columns whose mixed keys are below `slots`.
    fn mixed(rows: usize, columns: &[Keys<'_>], slots: u64) -> Self {
        let mut groups = Self { ids: Vec::with_capacity(rows), first_rows: Vec::new() };
        if slots <= DIRECT_MIN.max(rows as u64 * 4) {
            groups.assign(rows, columns, &mut Direct(vec![NONE; slots as usize]));
        } else {
            groups.assign(rows, columns, &mut Hashed::default());
        }
        groups
    }

    fn assign(&mut self, rows: usize, columns: &[Keys<'_>], table: &mut impl Table) {
        let mut block = [0_u64; BLOCK];
        for from in (0..rows).step_by(BLOCK) {
            let mixed = &mut block[..BLOCK.min(rows - from)];
            mixed.fill(0);
            columns.iter().for_each(|column| column.mix(from, mixed));
            for (at, mixed) in mixed.iter().enumerate() {
                let id = table.entry(*mixed, self.first_rows.len() as u32);
                if id as usize == self.first_rows.len() {
                    self.first_rows.push((from + at) as u32);
                }
                self.ids.push(id);
            }
        }
    }
}

/// From mixed keys to groups.
trait Table {
    /// The group of a mixed key, which becomes `next` if it is new.
    fn entry(&mut self, mixed: u64, next: u32) -> u32;
}

/// A slot for every mixed key.
struct Direct(Vec<u32>);

impl Table for Direct {
    #[inline]
    fn entry(&mut self, mixed: u64, next: u32) -> u32 {
        let slot = &mut self.0[mixed as usize];
        if *slot == NONE {
            *slot = next;
        }
        *slot
    }
}

/// Open addressing with linear steps, at most half full.
struct Hashed {
    slots: Vec<(u64, u32)>,
    shift: u32,
    used: usize,
}

impl Default for Hashed {
    fn default() -> Self {
        Self::of(10)
    }
}

impl Hashed {
    fn of(bits: u32) -> Self {
        Self { slots: vec![(0, NONE); 1 << bits], shift: 64 - bits, used: 0 }
    }

    /// The slot of a mixed key, or the free one where it belongs.
    #[inline]
    fn find(&self, mixed: u64) -> usize {
        let mut at = (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize;
        while self.slots[at].1 != NONE && self.slots[at].0 != mixed {
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    #[cold]
    fn grow(&mut self) {
        let mut larger = Self::of(64 - self.shift + 1);
        for (mixed, id) in self.slots.iter().filter(|(_, id)| *id != NONE) {
            let at = larger.find(*mixed);
            larger.slots[at] = (*mixed, *id);
        }
        larger.used = self.used;
        *self = larger;
    }
}

impl Table for Hashed {
    #[inline]
    fn entry(&mut self, mixed: u64, next: u32) -> u32 {
        let mut at = self.find(mixed);
        if self.slots[at].1 == NONE {
            if self.used * 2 >= self.slots.len() {
                self.grow();
                at = self.find(mixed);
            }
            self.slots[at] = (mixed, next);
            self.used += 1;
        }
        self.slots[at].1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn naive(rows: usize, columns: &[Vec<u32>]) -> Groups {
        let mut known = HashMap::<Vec<u32>, u32>::new();
        let mut groups = Groups::default();
        for row in 0..rows {
            let key: Vec<u32> = columns.iter().map(|column| column[row]).collect();
            let next = known.len() as u32;
            let id = *known.entry(key).or_insert(next);
            if id == next && known.len() as u32 > next {
                groups.first_rows.push(row as u32);
            }
            groups.ids.push(id);
        }
        groups
    }

    fn check(rows: usize, columns: &[Vec<u32>], distinct: u64) {
        let keys: Vec<Keys<'_>> = columns.iter().map(|column| Keys::new(column, distinct)).collect();
        assert_eq!(Groups::by(rows, &keys), naive(rows, columns));
    }

    fn columns(rows: usize, count: usize, distinct: u32) -> impl Strategy<Value = Vec<Vec<u32>>> {
        proptest::collection::vec(proptest::collection::vec(0..distinct, rows), count)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn direct_table(columns in columns(700, 4, 5)) {
            check(700, &columns, 5);
        }

        #[test]
        fn hash_table_that_grows(columns in columns(3_000, 3, 200)) {
            check(3_000, &columns, 200);
        }

        #[test]
        fn more_columns_than_fit_one_number(columns in columns(300, 5, 3)) {
            // Claimed distinct counts whose product does not fit 64 bits.
            check(300, &columns, u32::MAX.into());
        }
    }

    #[test]
    fn edges() {
        check(0, &[vec![], vec![]], 0);
        assert_eq!(Groups::by(3, &[]).ids(), [0, 0, 0]);
    }
}
