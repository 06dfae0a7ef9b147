//! Grouping rows by several columns, on dictionary keys: no text is touched.

use crate::views::{Dictionary, Integers, Validity};

/// Rows per step; the mixed keys of one step stay in the first-level cache.
const BLOCK: usize = 256;
/// Rows per turn of an inner loop.
const STEP: usize = 8;
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
        if let Some((validity, null)) = self.nulls {
            return self.mix_with_nulls(from, mixed, validity, null);
        }
        let (steps, rest) = mixed.as_chunks_mut::<STEP>();
        let (key_steps, key_rest) = keys.as_chunks::<STEP>();
        for (mixed, keys) in steps.iter_mut().zip(key_steps) {
            for at in 0..STEP {
                mixed[at] = mixed[at] * self.distinct + u64::from(keys[at]);
            }
        }
        for (mixed, key) in rest.iter_mut().zip(key_rest) {
            *mixed = *mixed * self.distinct + u64::from(*key);
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
        let mut groups = Self { ids: vec![0; rows], first_rows: Vec::new() };
        if slots <= DIRECT_MIN.max(rows as u64 * 4) {
            groups.assign(columns, &mut Direct(vec![NONE; slots as usize]));
        } else {
            groups.assign(columns, &mut Hashed::default());
        }
        groups
    }

    fn assign(&mut self, columns: &[Keys<'_>], table: &mut impl Table) {
        let mut block = [0_u64; BLOCK];
        for (number, ids) in self.ids.chunks_mut(BLOCK).enumerate() {
            let from = number * BLOCK;
            let mixed = &mut block[..ids.len()];
            mixed.fill(0);
            columns.iter().for_each(|column| column.mix(from, mixed));
            let mut new = NewGroups { first_rows: &mut self.first_rows, row: from };
            let (steps, rest) = mixed.as_chunks::<STEP>();
            let (id_steps, id_rest) = ids.as_chunks_mut::<STEP>();
            for (mixed, ids) in steps.iter().zip(id_steps) {
                table.assign_step(mixed, ids, &mut new);
            }
            for (mixed, id) in rest.iter().zip(id_rest) {
                *id = table.assign(*mixed, &mut new);
            }
        }
    }
}

/// Where groups are added: `row` is the one at hand.
struct NewGroups<'a> {
    first_rows: &'a mut Vec<u32>,
    row: usize,
}

impl NewGroups<'_> {
    fn add(&mut self) -> u32 {
        self.first_rows.push(self.row as u32);
        self.first_rows.len() as u32 - 1
    }
}

/// From mixed keys to groups.
trait Table {
    /// The group of a mixed key, or `NONE`.
    fn find(&self, mixed: u64) -> u32;

    /// Adds a mixed key that is not there.
    fn insert(&mut self, mixed: u64, id: u32);

    /// The group of the row at hand, which may be new; on to the next row.
    #[inline]
    fn assign(&mut self, mixed: u64, new: &mut NewGroups<'_>) -> u32 {
        let mut id = self.find(mixed);
        if id == NONE {
            id = new.add();
            self.insert(mixed, id);
        }
        new.row += 1;
        id
    }

    /// The same for several rows, of which mostly none is new.
    #[inline]
    fn assign_step(&mut self, mixed: &[u64; STEP], ids: &mut [u32; STEP], new: &mut NewGroups<'_>) {
        *ids = mixed.map(|mixed| self.find(mixed));
        if ids.contains(&NONE) {
            *ids = mixed.map(|mixed| self.assign(mixed, new));
        } else {
            new.row += STEP;
        }
    }
}

/// A slot for every mixed key.
struct Direct(Vec<u32>);

impl Table for Direct {
    #[inline]
    fn find(&self, mixed: u64) -> u32 {
        self.0[mixed as usize]
    }

    #[inline]
    fn insert(&mut self, mixed: u64, id: u32) {
        self.0[mixed as usize] = id;
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
    fn slot(&self, mixed: u64) -> usize {
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
            larger.insert(*mixed, *id);
        }
        *self = larger;
    }
}

impl Table for Hashed {
    #[inline]
    fn find(&self, mixed: u64) -> u32 {
        self.slots[self.slot(mixed)].1
    }

    #[inline]
    fn insert(&mut self, mixed: u64, id: u32) {
        if self.used * 2 >= self.slots.len() {
            self.grow();
        }
        let at = self.slot(mixed);
        self.slots[at] = (mixed, id);
        self.used += 1;
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
