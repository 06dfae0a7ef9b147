//! Where in the maps of some rows their keys are.

use ahash::RandomState;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, MapArray, StringArray};
use hashbrown::HashMap;

/// A row that has no such key.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Places in a row whose key is remembered.
const PLACES_MAX: usize = 256;

/// Finds all keys in one pass over the entries. Rows of one service are alike: a key mostly
/// stands where it stood in the row before, and is found with one comparison.
#[derive(Debug)]
pub(super) struct Finder {
    wanted: HashMap<Box<str>, usize, RandomState>,
    /// For each place in a row the last entry that stood there, and which of the wanted keys
    /// it has.
    places: Vec<(u32, Option<usize>)>,
    /// Keys that did not stand where they stood in the row before.
    #[cfg(test)]
    pub(super) moved: usize,
}

impl Finder {
    pub(super) fn new<'a>(keys: impl Iterator<Item = &'a str>) -> Self {
        Self {
            wanted: keys.enumerate().map(|(at, key)| (key.into(), at)).collect(),
            places: Vec::new(),
            #[cfg(test)]
            moved: 0,
        }
    }

    /// For each key the first entry of each row that has it, or [`NOWHERE`].
    pub(super) fn find(&mut self, map: &MapArray) -> Result<Vec<Vec<u32>>, String> {
        let keys = map.keys().as_string_opt::<i32>().ok_or("keys of attributes are no strings")?;
        let mut found = vec![vec![NOWHERE; map.len()]; self.wanted.len()];
        let offsets = map.value_offsets();
        // They refer to the entries of another batch.
        self.places.clear();
        for row in (0..map.len()).filter(|row| map.is_valid(*row)) {
            let entries = offsets[row].unsigned_abs()..offsets[row + 1].unsigned_abs();
            for (place, entry) in entries.enumerate() {
                if let Some(at) = self.key_of(keys, place, entry) {
                    let first = &mut found[at][row];
                    *first = entry.min(*first);
                }
            }
        }
        Ok(found)
    }

    /// Which of the wanted keys an entry has.
    fn key_of(&mut self, keys: &StringArray, place: usize, entry: u32) -> Option<usize> {
        let key = keys.value(entry as usize);
        if let Some((before, at)) = self.places.get_mut(place)
            && keys.value(*before as usize) == key
        {
            *before = entry;
            return *at;
        }
        #[cfg(test)]
        {
            self.moved += 1;
        }
        let at = self.wanted.get(key).copied();
        match self.places.get_mut(place) {
            Some(before) => *before = (entry, at),
            None if place < PLACES_MAX => self.places.push((entry, at)),
            None => {}
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Row, map_of};
    use super::*;

    fn row(keys: &[&str]) -> Row {
        Some(keys.iter().map(|key| ((*key).to_owned(), None)).collect())
    }

    #[test]
    fn the_first_of_each_row_is_found() {
        let rows = [row(&["a", "b", "a"]), None, row(&[]), row(&["c", "b"]), row(&["b", "b", "d", "a"])];
        let mut finder = Finder::new(["a", "b", "e"].into_iter());
        let found = finder.find(&map_of(&rows)).unwrap();
        let none = NOWHERE;
        assert_eq!(found, [[0, none, none, none, 8], [1, none, none, 4, 5], [none; 5]]);
        // A part of an array.
        let found = finder.find(&map_of(&rows).slice(3, 2)).unwrap();
        assert_eq!(found, [[none, 8], [4, 5], [none, none]]);
    }

    #[test]
    fn rows_that_are_alike_cost_a_comparison_an_entry() {
        let rows = vec![row(&["status", "method", "path", "client"]); 1_000];
        let mut finder = Finder::new(["path", "status"].into_iter());
        finder.find(&map_of(&rows)).unwrap();
        assert_eq!(finder.moved, 4);
    }

    #[test]
    fn rows_of_more_keys_than_are_remembered() {
        let keys: Vec<String> = (0..1_000).map(|n| format!("k{n}")).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut finder = Finder::new(["k7", "k999"].into_iter());
        let found = finder.find(&map_of(&[row(&keys), row(&keys)])).unwrap();
        assert_eq!(found, [[7, 1_007], [999, 1_999]]);
    }
}
