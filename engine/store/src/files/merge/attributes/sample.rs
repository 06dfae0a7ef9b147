//! What keys there are, and which of them get a column.

use ahash::RandomState;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, MapArray};
use hashbrown::{HashMap, HashSet};

use super::number;
use crate::tables::{AttributeColumn, AttributeValues};

/// Keys that are counted. Where there are more the rare ones are forgotten.
const KEYS_MAX: usize = 1_024;

/// A longer key gets no column.
const KEY_BYTES_MAX: usize = 256;

/// One row in so many must have a key.
const ROWS_PER_KEY_MAX: u64 = 20;

/// Rows for each distinct value of a column of texts. Identifiers and addresses have fewer, and
/// in a column would take as much room again as in the map.
const ROWS_PER_TEXT_MIN: u64 = 16;

/// So many distinct values are few in any number of rows, and more are many.
const TEXTS: (u64, u64) = (16, 4_096);

/// Distinct values that are told apart, of all keys together.
const DISTINCT_MAX: usize = 256 << 10;

/// Counts of some rows.
#[derive(Debug, Default)]
pub(in crate::files::merge) struct Sample {
    /// Rows that were looked at, with or without attributes.
    pub(super) rows: u64,
    keys: HashMap<String, Key, RandomState>,
    /// Values of all keys.
    distinct: usize,
    /// Rows that were pushed.
    row: u64,
}

#[derive(Debug)]
struct Key {
    /// The last row that has it, counted from 1.
    last: u64,
    /// Rows in which it has a value.
    rows: u64,
    /// Hashes of its values; `None` if there are many.
    texts: Option<HashSet<u64, RandomState>>,
    numbers: bool,
}

impl Default for Key {
    fn default() -> Self {
        Self { last: 0, rows: 0, texts: Some(HashSet::default()), numbers: true }
    }
}

impl Sample {
    /// Counts rows.
    pub(super) fn push(&mut self, map: &MapArray) -> Result<(), String> {
        let texts = map.keys().as_string_opt::<i32>().zip(map.values().as_string_opt::<i32>());
        let (keys, values) = texts.ok_or("a map of attributes is not of strings")?;
        let offsets = map.value_offsets();
        for row in 0..map.len() {
            self.row += 1;
            if map.is_null(row) {
                continue;
            }
            for entry in offsets[row] as usize..offsets[row + 1] as usize {
                let value = values.is_valid(entry).then(|| values.value(entry));
                self.entry(keys.value(entry), value);
            }
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, value: Option<&str>) {
        if name.len() > KEY_BYTES_MAX {
            return;
        }
        if !self.keys.contains_key(name) {
            self.make_room();
        }
        let hash = value.map_or(0, |value| self.keys.hasher().hash_one(value));
        let key = self.keys.entry_ref(name).or_default();
        // Of two entries with one key the first counts.
        if std::mem::replace(&mut key.last, self.row) == self.row {
            return;
        }
        let Some(value) = value else { return };
        key.rows += 1;
        key.numbers = key.numbers && number(value).is_some();
        let Some(texts) = &mut key.texts else { return };
        self.distinct += usize::from(texts.insert(hash));
        if texts.len() as u64 > TEXTS.1 || self.distinct > DISTINCT_MAX {
            self.distinct -= texts.len();
            key.texts = None;
        }
    }

    /// Forgets rare keys if there is no room for another one. A key of many rows that has
    /// just come loses the few that were counted.
    fn make_room(&mut self) {
        let mut rows = 1;
        while self.keys.len() >= KEYS_MAX {
            let distinct = &mut self.distinct;
            self.keys.retain(|_, key| {
                let stays = key.rows > rows;
                *distinct -= if stays { 0 } else { key.texts.as_ref().map_or(0, HashSet::len) };
                stays
            });
            rows *= 2;
        }
    }

    /// The keys that get a column, at most so many, those of most rows: by key.
    pub(in crate::files::merge) fn choose(self, max: usize) -> Vec<AttributeColumn> {
        let mut worth: Vec<(u64, AttributeColumn)> = Vec::new();
        for (name, key) in self.keys {
            let frequent = key.rows > 0 && key.rows * ROWS_PER_KEY_MAX >= self.rows;
            if let Some(values) = key.values().filter(|_| frequent) {
                worth.push((key.rows, AttributeColumn { key: name, values }));
            }
        }
        worth.sort_by(|(rows, a), (others, b)| others.cmp(rows).then_with(|| a.key.cmp(&b.key)));
        // Many readers take names of columns for the same that differ in case alone.
        let mut names: HashSet<String, RandomState> = HashSet::default();
        worth.retain(|(_, column)| names.insert(column.key.to_lowercase()));
        worth.truncate(max);
        let mut columns: Vec<AttributeColumn> = worth.into_iter().map(|(_, column)| column).collect();
        columns.sort_by(|a, b| a.key.cmp(&b.key));
        columns
    }
}

impl Key {
    /// What its column would hold; `None` if it would hold another text in most rows.
    fn values(&self) -> Option<AttributeValues> {
        let max = (self.rows / ROWS_PER_TEXT_MIN).clamp(TEXTS.0, TEXTS.1);
        if self.texts.as_ref().is_some_and(|texts| texts.len() as u64 <= max) {
            return Some(AttributeValues::Text);
        }
        self.numbers.then_some(AttributeValues::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Row, map_of};
    use super::*;

    fn check(rows: &[Row], max: usize, want: &[(&str, AttributeValues)]) {
        let mut sample = Sample { rows: rows.len() as u64, ..Sample::default() };
        rows.chunks(100).for_each(|rows| sample.push(&map_of(rows)).unwrap());
        let chosen = sample.choose(max);
        let chosen: Vec<_> = chosen.iter().map(|column| (column.key.as_str(), column.values)).collect();
        assert_eq!(chosen, want);
    }

    fn row(entries: &[(&str, &str)]) -> Row {
        Some(entries.iter().map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))).collect())
    }

    use AttributeValues::{Number, Text};

    #[test]
    fn few_texts_many_numbers_and_neither() {
        let line = |n: usize| {
            let (status, duration) = ((200 + n % 3).to_string(), format!("{}.{:02}", n / 7, n % 100));
            row(&[("status", &status), ("duration", &duration), ("id", &format!("\"{n:x}-a\""))])
        };
        let rows: Vec<Row> = (0..1_000).map(line).collect();
        check(&rows, 16, &[("duration", Number), ("status", Text)]);
        check(&rows, 1, &[("duration", Number)]);
        check(&rows, 0, &[]);
        // Of few rows nobody can say that an identifier is one.
        check(&rows[..16], 16, &[("duration", Text), ("id", Text), ("status", Text)]);
        check(&rows[..17], 16, &[("duration", Number), ("status", Text)]);
    }

    #[test]
    fn a_key_of_one_row_in_twenty() {
        let rows = |every: usize| -> Vec<Row> {
            let row_of = |n: usize| if n.is_multiple_of(every) { row(&[("k", "1")]) } else { None };
            (0..2_000).map(row_of).collect()
        };
        check(&rows(20), 16, &[("k", Text)]);
        check(&rows(21), 16, &[]);
    }

    #[test]
    fn the_first_entry_counts_and_nulls_do_not() {
        let nothing = || Some(vec![("k".to_owned(), None), ("k".to_owned(), Some("1".to_owned()))]);
        check(&[nothing(), nothing()], 16, &[]);
        let text: Vec<Row> = (0..100).map(|n| row(&[("k", &n.to_string()), ("k", "\"text\"")])).collect();
        check(&text, 16, &[("k", Number)]);
    }

    #[test]
    fn of_keys_that_differ_in_case_the_more_frequent_one() {
        let line =
            |n: usize| row(if n == 0 { &[("Ab", "1")] } else { &[("Ab", "1"), ("aB", "1"), ("B", "1")] });
        let rows: Vec<Row> = (0..100).map(line).collect();
        check(&rows, 16, &[("Ab", Text), ("B", Text)]);
        check(&rows[1..], 16, &[("Ab", Text), ("B", Text)]);
    }

    #[test]
    fn long_keys_and_not_a_number() {
        let (long, longer) = ("k".repeat(256), "k".repeat(257));
        let rows: Vec<Row> = (0..100).map(|_| row(&[(&long, "1"), (&longer, "1")])).collect();
        check(&rows, 16, &[(&long, Text)]);
        let nan = |n: i32| row(&[("k", &if n == 70 { "NaN".to_owned() } else { n.to_string() })]);
        check(&(0..100).map(nan).collect::<Vec<_>>(), 16, &[]);
    }

    /// A service that makes up keys does not crowd out those of the others.
    #[test]
    fn keys_that_are_met_late_among_thousands() {
        let mut rows: Vec<Row> =
            (0..20_000).map(|n| row(&[(&format!("user.{n}"), "1"), ("first", "1")])).collect();
        rows.extend((0..2_000).map(|n| row(&[("late", &n.to_string()), (&format!("other.{n}"), "1")])));
        check(&rows, 16, &[("first", Text), ("late", Number)]);
    }
}
