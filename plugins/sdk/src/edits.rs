//! What a transformer answers.

use crate::columns::TextData;
use crate::verdicts::{Reason, Verdicts};

/// Texts up to this many are looked through for one that is there already.
const SHARED_MAX: usize = 16;

/// Whose keys and values. The columns that show them are called after
/// [`Pairs::prefix`]: `attr.offsets`, `attr.key`, `attr.value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pairs {
    /// Attributes of the log record or span itself.
    Attributes,
    /// Of its resource.
    Resource,
    /// Of its instrumentation scope.
    Scope,
    /// Of all events of a span.
    Events,
    /// Of all links of a span.
    Links,
    /// Labels of a series.
    Labels,
}

impl Pairs {
    /// What its columns are called before the point.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Attributes => "attr",
            Self::Resource => "resource",
            Self::Scope => "scope",
            Self::Events => "event",
            Self::Links => "link",
            Self::Labels => "label",
        }
    }
}

/// Distinct texts, and which of them goes where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextEdits {
    cells: Vec<(u32, u32)>,
    nulls: Vec<u32>,
    pool: TextData,
}

impl TextEdits {
    /// A row or entry gets a text; the last one given stands.
    pub fn set(&mut self, at: usize, text: &str) {
        let key = intern(&mut self.pool, text);
        self.cells.push((number(at), key));
    }

    /// A row gets no text.
    pub fn clear(&mut self, at: usize) {
        self.nulls.push(number(at));
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.nulls.is_empty()
    }

    /// The text that a row or entry gets.
    pub fn get(&self, at: usize) -> Option<&str> {
        let (_, key) = self.cells.iter().rev().find(|(of, _)| *of as usize == at)?;
        let ends = self.pool.offsets.get(*key as usize..*key as usize + 2)?;
        std::str::from_utf8(self.pool.data.get(ends[0] as usize..ends[1] as usize)?).ok()
    }

    /// Numbers, keys, texts, and numbers without a text: as the host wants them, in order and
    /// each number once.
    pub fn into_parts(mut self) -> (Vec<u32>, Vec<u32>, TextData, Vec<u32>) {
        self.nulls.sort_unstable();
        self.nulls.dedup();
        self.cells.retain(|(at, _)| self.nulls.binary_search(at).is_err());
        let (at, keys) = last_of_each(self.cells);
        (at, keys, self.pool, self.nulls)
    }
}

/// Integers for some rows of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberEdits {
    cells: Vec<(u32, i64)>,
    nulls: Vec<u32>,
}

impl NumberEdits {
    /// A row gets a number; the last one given stands.
    pub fn set(&mut self, row: usize, value: i64) {
        self.cells.push((number(row), value));
    }

    /// A row gets none.
    pub fn clear(&mut self, row: usize) {
        self.nulls.push(number(row));
    }

    /// Rows, numbers, and rows without a number, in order and each row once.
    pub fn into_parts(mut self) -> (Vec<u32>, Vec<i64>, Vec<u32>) {
        self.nulls.sort_unstable();
        self.nulls.dedup();
        self.cells.retain(|(at, _)| self.nulls.binary_search(at).is_err());
        let (at, values) = last_of_each(self.cells);
        (at, values, self.nulls)
    }
}

/// Edits of keys and values. An entry is an index into the columns behind `….offsets`.
///
/// Values of attributes are JSON text ([`json_text`]), those of labels plain text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairEdits {
    removed: Vec<u32>,
    renamed: TextEdits,
    changed: TextEdits,
    added: Vec<(u32, u32, u32)>,
    pool: TextData,
}

/// New pairs as columns: row, name, value, and what the latter two point to.
pub type Added = (Vec<u32>, Vec<u32>, Vec<u32>, TextData);

impl PairEdits {
    /// Takes an entry away.
    pub fn remove(&mut self, entry: usize) {
        self.removed.push(number(entry));
    }

    /// Gives an entry another key.
    pub fn rename(&mut self, entry: usize, key: &str) {
        self.renamed.set(entry, key);
    }

    /// Gives an entry another value.
    pub fn change(&mut self, entry: usize, value: &str) {
        self.changed.set(entry, value);
    }

    /// Adds a pair to a row. Not for events and links.
    pub fn add(&mut self, row: usize, key: &str, value: &str) {
        let (key, value) = (intern(&mut self.pool, key), intern(&mut self.pool, value));
        self.added.push((number(row), key, value));
    }

    /// Entries that are taken away.
    pub fn removed(&self) -> &[u32] {
        &self.removed
    }

    /// The value that an entry gets.
    pub fn changed(&self, entry: usize) -> Option<&str> {
        self.changed.get(entry)
    }

    /// The key that an entry gets.
    pub fn renamed(&self, entry: usize) -> Option<&str> {
        self.renamed.get(entry)
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.renamed.is_empty() && self.changed.is_empty() && self.added.is_empty()
    }

    /// Entries that go, other keys, other values, new pairs.
    pub fn into_parts(mut self) -> (Vec<u32>, TextEdits, TextEdits, Added) {
        self.removed.sort_unstable();
        self.removed.dedup();
        self.added.sort_by_key(|(row, ..)| *row);
        let mut added: Added = (Vec::new(), Vec::new(), Vec::new(), self.pool);
        for (row, key, value) in self.added {
            added.0.push(row);
            added.1.push(key);
            added.2.push(value);
        }
        (self.removed, self.renamed, self.changed, added)
    }
}

/// Collects what changes of a batch; what is not mentioned stays as it is.
///
/// Edits of one row may be given in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    drops: Verdicts,
    texts: Vec<(&'static str, TextEdits)>,
    numbers: Vec<(&'static str, NumberEdits)>,
    pairs: Vec<(Pairs, PairEdits)>,
}

impl Edits {
    /// Leaves `rows` rows as they are so far.
    pub fn of(rows: usize) -> Self {
        Self { drops: Verdicts::of(rows), ..Self::default() }
    }

    /// Drops a row. It is counted under `dropped:` and the code, and kept nowhere.
    pub fn drop_row(&mut self, row: usize, code: &'static str, message: impl FnOnce() -> String) {
        self.drops.refuse(row, code, message);
    }

    /// Texts of a column of the table, such as `body` or `name`.
    pub fn text(&mut self, column: &'static str) -> &mut TextEdits {
        entry(&mut self.texts, column)
    }

    /// Integers of a column of the table, such as `severity_number`.
    pub fn number(&mut self, column: &'static str) -> &mut NumberEdits {
        entry(&mut self.numbers, column)
    }

    /// Keys and values.
    pub fn pairs(&mut self, of: Pairs) -> &mut PairEdits {
        entry(&mut self.pairs, of)
    }

    /// The rows that are dropped.
    pub fn drops(&self) -> &Verdicts {
        &self.drops
    }

    /// Drops, reasons, and the edits of each column.
    #[expect(clippy::type_complexity, reason = "the parts of the struct, once each")]
    pub fn into_parts(
        self,
    ) -> (
        Vec<u8>,
        Vec<Reason>,
        Vec<(&'static str, TextEdits)>,
        Vec<(&'static str, NumberEdits)>,
        Vec<(Pairs, PairEdits)>,
    ) {
        let (drops, reasons) = self.drops.into_parts();
        let texts = self.texts.into_iter().filter(|(_, edits)| !edits.is_empty()).collect();
        let pairs = self.pairs.into_iter().filter(|(_, edits)| !edits.is_empty()).collect();
        (drops, reasons, texts, self.numbers, pairs)
    }
}

/// A text as JSON text, which values of attributes are.
pub fn json_text(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if u32::from(c) < 0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                json.push_str("\\u00");
                json.push(char::from(HEX[c as usize >> 4]));
                json.push(char::from(HEX[c as usize & 15]));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

fn entry<K: PartialEq, V: Default>(list: &mut Vec<(K, V)>, key: K) -> &mut V {
    let at = match list.iter().position(|(known, _)| *known == key) {
        Some(at) => at,
        None => {
            list.push((key, V::default()));
            list.len() - 1
        }
    };
    &mut list[at].1
}

fn intern(pool: &mut TextData, text: &str) -> u32 {
    let from = pool.len().saturating_sub(SHARED_MAX);
    let same = |at: &usize| {
        let (start, end) = (pool.offsets[*at] as usize, pool.offsets[at + 1] as usize);
        &pool.data[start..end] == text.as_bytes()
    };
    if let Some(at) = (from..pool.len()).find(same) {
        return number(at);
    }
    pool.push(text);
    number(pool.len() - 1)
}

/// In order; of several of one number the last.
fn last_of_each<T>(mut cells: Vec<(u32, T)>) -> (Vec<u32>, Vec<T>) {
    cells.reverse();
    cells.sort_by_key(|(at, _)| *at);
    cells.dedup_by_key(|(at, _)| *at);
    cells.into_iter().unzip()
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_edit_of_a_row_stands() {
        let mut edits = Edits::of(5);
        for (row, text) in [(3, "c"), (1, "a"), (3, "d"), (4, "a")] {
            edits.text("body").set(row, text);
        }
        edits.text("body").clear(4);
        let (at, keys, pool, nulls) = edits.texts.remove(0).1.into_parts();
        assert_eq!((at, keys, nulls), (vec![1, 3], vec![1, 2], vec![4]));
        assert_eq!(pool.data, b"cad");
    }

    #[test]
    fn nothing_asked_for_is_nothing_answered() {
        let mut edits = Edits::of(5);
        edits.text("body");
        edits.pairs(Pairs::Attributes);
        assert_eq!(edits.into_parts(), (vec![], vec![], vec![], vec![], vec![]));
    }

    #[test]
    fn json_text_is_escaped() {
        assert_eq!(json_text("a\"b\\c\nü"), "\"a\\\"b\\\\c\\u000aü\"");
    }
}
