//! What transformers change of a batch: sparse, columnar, and not trusted.
//!
//! ```text
//! columns of Rows ─▶ plugin ─▶ Edits ─▶ checked against the rows they are of ─▶ new columns
//! ```
//!
//! | file | is |
//! |---|---|
//! | `rows.rs` | [`Rows`]: log records or spans while they are transformed |
//! | `columns.rs` | new texts and numbers for some rows of a column |
//! | `pairs.rs`, `space.rs` | keys and values: listed, then edited |
//! | `nested.rs` | those of events and links |
//! | `labels.rs` | those of series |
//! | `stream.rs` | the text of a log stream's labels, checked |
//!
//! Numbers of rows and entries are those of the part of the batch that the plugin was shown.
//! Every error is one sentence about the plugin: nothing that a sender can write makes one,
//! except by making a row grow beyond [`HardCaps`](crate::limits::HardCaps).

use std::ops::Range;

use crate::columns::Columns;
use crate::reason::Reason;

mod columns;
mod labels;
mod nested;
mod pairs;
mod rows;
mod space;
mod stream;
#[cfg(test)]
mod tests;

pub use rows::Rows;

/// Bytes of text that one answer may put into a batch, each use of a text counted.
pub const TEXT_BYTES_MAX: usize = 16 << 20;

/// A batch that transformers may change.
pub trait Editable: Columns {
    /// Makes the edits of each range of rows; the ranges ascend. Rows stay where they are.
    ///
    /// The answer are rows that cannot be kept as they are now. After an error the batch is as
    /// it was.
    fn edit(&mut self, edits: &[(Range<usize>, Edits)]) -> Result<Vec<Spoilt>, String>;
}

/// A row that its edits made unfit to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spoilt {
    /// Which row.
    pub row: usize,
    /// The code.
    pub reason: Reason,
    /// One sentence.
    pub message: String,
}

/// Distinct texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pool {
    offsets: Vec<usize>,
    data: String,
}

impl Pool {
    /// Checks offsets and UTF-8. As in Arrow there is one offset more than texts.
    pub fn new(offsets: &[i32], data: Vec<u8>) -> Result<Self, String> {
        let data = String::from_utf8(data).map_err(|_| "a text is not UTF-8".to_owned())?;
        let fault = || "the offsets of its texts do not fit their data".to_owned();
        let offsets: Option<Vec<usize>> = offsets.iter().map(|at| usize::try_from(*at).ok()).collect();
        let offsets = offsets.ok_or_else(fault)?;
        let whole = match (offsets.first(), offsets.last()) {
            (None, _) => data.is_empty(),
            (first, last) => first == Some(&0) && last == Some(&data.len()),
        };
        if !whole || !offsets.is_sorted() {
            return Err(fault());
        }
        match offsets.iter().all(|at| data.is_char_boundary(*at)) {
            true => Ok(Self { offsets, data }),
            false => Err("a text is not UTF-8".to_owned()),
        }
    }

    /// Number of texts.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One text.
    pub fn get(&self, at: u32) -> Option<&str> {
        let at = at as usize;
        self.data.get(*self.offsets.get(at)?..*self.offsets.get(at + 1)?)
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.offsets.windows(2).map(|ends| &self.data[ends[0]..ends[1]])
    }
}

impl<'a> FromIterator<&'a str> for Pool {
    fn from_iter<I: IntoIterator<Item = &'a str>>(texts: I) -> Self {
        let mut pool = Self { offsets: vec![0], data: String::new() };
        for text in texts {
            pool.data.push_str(text);
            pool.offsets.push(pool.data.len());
        }
        pool
    }
}

/// New texts: `at[i]` gets the text `keys[i]` of `pool`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// Rows or entries, ascending.
    pub at: Vec<u32>,
    /// One for each.
    pub keys: Vec<u32>,
    /// What keys point to.
    pub pool: Pool,
}

impl Texts {
    /// (number, text), checked: numbers below `limit` and ascending, keys in the pool.
    fn checked(&self, what: &str, limit: usize) -> Result<impl Iterator<Item = (usize, &str)>, String> {
        if self.at.len() != self.keys.len() {
            return Err(format!("{what}: {} numbers and {} keys", self.at.len(), self.keys.len()));
        }
        ascending(what, &self.at, limit)?;
        if let Some(key) = self.keys.iter().find(|key| **key as usize >= self.pool.len()) {
            return Err(format!("{what}: key {key} of {} texts", self.pool.len()));
        }
        let text = |(at, key): (&u32, &u32)| Some((*at as usize, self.pool.get(*key)?));
        Ok(self.at.iter().zip(&self.keys).filter_map(text))
    }

    fn bytes(&self) -> usize {
        let bytes = |key: &u32| self.pool.get(*key).map_or(0, str::len);
        self.keys.iter().fold(0, |sum: usize, key| sum.saturating_add(bytes(key)))
    }
}

/// Text for some rows of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextEdits {
    /// The column of the table.
    pub column: String,
    /// Rows that have another text.
    pub texts: Texts,
    /// Rows that have none, ascending.
    pub nulls: Vec<u32>,
}

/// Integers for some rows of a column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberEdits {
    /// The column of the table.
    pub column: String,
    /// Rows that have another number, ascending.
    pub at: Vec<u32>,
    /// One for each.
    pub values: Vec<i64>,
    /// Rows that have none, ascending.
    pub nulls: Vec<u32>,
}

/// Whose keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pairs {
    /// Attributes of the item itself.
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

/// Pairs that rows get in addition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions {
    /// The row of each, ascending; a row may occur several times.
    pub rows: Vec<u32>,
    /// Its name.
    pub names: Vec<u32>,
    /// Its value.
    pub texts: Vec<u32>,
    /// What both point to.
    pub pool: Pool,
}

/// Edits of keys and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairEdits {
    /// Whose.
    pub of: Pairs,
    /// Entries that go, ascending.
    pub removed: Vec<u32>,
    /// Entries with another key.
    pub renamed: Texts,
    /// Entries with another value.
    pub changed: Texts,
    /// New ones.
    pub added: Additions,
}

impl PairEdits {
    /// None.
    pub fn new(of: Pairs) -> Self {
        Self {
            of,
            removed: Vec::new(),
            renamed: Texts::default(),
            changed: Texts::default(),
            added: Additions::default(),
        }
    }
}

/// Everything that one call answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits {
    /// Columns of text.
    pub texts: Vec<TextEdits>,
    /// Columns of integers.
    pub numbers: Vec<NumberEdits>,
    /// Keys and values.
    pub pairs: Vec<PairEdits>,
}

impl Edits {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.numbers.is_empty() && self.pairs.is_empty()
    }

    /// Refuses answers that grow when they are written out, and those that speak twice of one
    /// column.
    fn check(&self) -> Result<(), String> {
        let columns: Vec<&str> = self
            .texts
            .iter()
            .map(|edits| edits.column.as_str())
            .chain(self.numbers.iter().map(|edits| edits.column.as_str()))
            .chain(self.pairs.iter().map(|edits| edits.of.prefix()))
            .collect();
        // A table has some hundred columns, so this ends soon.
        for (at, column) in columns.iter().enumerate() {
            if columns[..at].contains(column) {
                return Err(format!("two edits of column {column:?}"));
            }
        }
        let of_columns = self.texts.iter().map(|edits| edits.texts.bytes());
        let of_pairs = self.pairs.iter().map(|edits| {
            let added = edits.added.names.iter().chain(&edits.added.texts);
            let added = added.map(|key| edits.added.pool.get(*key).map_or(0, str::len));
            let added = added.fold(0, usize::saturating_add);
            added.saturating_add(edits.renamed.bytes()).saturating_add(edits.changed.bytes())
        });
        let bytes = of_columns.chain(of_pairs).fold(0, usize::saturating_add);
        if bytes > TEXT_BYTES_MAX {
            return Err(format!("texts of {bytes} bytes, written out; the limit is {TEXT_BYTES_MAX}"));
        }
        Ok(())
    }
}

/// Whether `numbers` ascend, each once, and are below `limit`.
fn ascending(what: &str, numbers: &[u32], limit: usize) -> Result<(), String> {
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("{what}: {} follows {}", pair[1], pair[0]));
    }
    match numbers.last() {
        Some(last) if *last as usize >= limit => Err(format!("{what}: {last} of {limit}")),
        _ => Ok(()),
    }
}
