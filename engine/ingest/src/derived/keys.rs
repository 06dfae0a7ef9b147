//! Label sets as keys of counters.
//!
//! Two rows are one series if they have the same labels, in whatever order their tables have the
//! columns and whether a label that a row does not have has a column or not: a service graph gives a
//! table the columns that its edges have, and another batch has other edges.

use isinglass_model::deltas::DerivedLabel;

/// Labels of the rows of a table, as keys: sorted names, then values, without those that are empty.
pub(super) struct Keys<'a> {
    /// By name.
    labels: Vec<&'a DerivedLabel>,
    /// Values of the row, empty ones included.
    values: Vec<&'a str>,
    /// Which labels the row has.
    given: Vec<bool>,
    key: Vec<u8>,
    /// So many bytes of it are names.
    names: usize,
}

impl<'a> Keys<'a> {
    pub(super) fn of(labels: &'a [DerivedLabel]) -> Self {
        let mut labels: Vec<_> = labels.iter().collect();
        labels.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let given = vec![true; labels.len()];
        let mut keys =
            Self { values: Vec::with_capacity(labels.len()), labels, given, key: Vec::new(), names: 0 };
        keys.write_names();
        keys
    }

    /// The key of a row.
    pub(super) fn of_row(&mut self, row: usize) -> &[u8] {
        self.values.clear();
        self.values.extend(self.labels.iter().map(|label| label.of(row)));
        // Rows of a table mostly have the same labels.
        let same = self.values.iter().zip(&self.given).all(|(value, given)| value.is_empty() != *given);
        if !same {
            self.given.clear();
            self.given.extend(self.values.iter().map(|value| !value.is_empty()));
            self.write_names();
        }
        self.key.truncate(self.names);
        self.values
            .iter()
            .filter(|value| !value.is_empty())
            .for_each(|value| push_text(&mut self.key, value));
        &self.key
    }

    /// (name, value) of a row, as its key has them.
    pub(super) fn labels_of(&self, row: usize) -> Vec<(String, String)> {
        let pairs = self.labels.iter().map(|label| (label.name.as_str(), label.of(row)));
        let pairs = pairs.filter(|(_, value)| !value.is_empty());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn write_names(&mut self) {
        self.key.clear();
        let given = self.labels.iter().zip(&self.given).filter(|(_, given)| **given);
        given.for_each(|(label, _)| push_text(&mut self.key, &label.name));
        push_text(&mut self.key, "");
        self.names = self.key.len();
    }
}

/// The key of labels that are sorted by name and have no empty values.
pub(super) fn key_of(labels: &[(String, String)]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    labels.iter().for_each(|(name, _)| push_text(&mut key, name));
    push_text(&mut key, "");
    labels.iter().for_each(|(_, value)| push_text(&mut key, value));
    key
}

fn push_text(key: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    key.extend_from_slice(&length.to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use isinglass_model::labels::{LabelSet, Temporality};
    use proptest::prelude::*;

    use super::*;

    type Row = Vec<(String, String)>;

    /// A table with the given columns, in that order.
    fn table(columns: &[&str], rows: &[Row]) -> Vec<DerivedLabel> {
        let value = |row: &Row, name: &str| {
            row.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let column = |name: &&str| DerivedLabel {
            name: (*name).to_owned(),
            keys: (0..).take(rows.len()).collect(),
            values: rows.iter().map(|row| value(row, name)).collect(),
        };
        columns.iter().map(column).collect()
    }

    fn set(row: &Row) -> LabelSet {
        let mut pairs: Vec<_> = row.iter().map(|(name, value)| (&**name, &**value)).collect();
        LabelSet::new(&mut pairs, Temporality::Unspecified).unwrap()
    }

    const NAMES: [&str; 4] = ["a", "ab", "b", "c"];

    fn row() -> impl Strategy<Value = Row> {
        let value = prop::sample::select(vec!["", "a", "b", "ab", "ba"]);
        prop::collection::vec(value, NAMES.len()).prop_map(|values| {
            let all = NAMES.iter().zip(values).filter(|(_, value)| !value.is_empty());
            all.map(|(name, value)| ((*name).to_owned(), value.to_owned())).collect()
        })
    }

    /// Columns that a table has at least, in any order, and perhaps others.
    fn columns() -> impl Strategy<Value = Vec<&'static str>> {
        Just(NAMES.to_vec()).prop_shuffle()
    }

    proptest! {
        #[test]
        fn what_is_one_label_set_is_one_key(
            rows in prop::collection::vec(row(), 1..20),
            first in columns(),
            second in columns(),
            split in 0_usize..20,
        ) {
            let split = split.min(rows.len());
            let needed = |columns: Vec<&'static str>, rows: &[Row]| -> Vec<&'static str> {
                let has = |name: &&str| rows.iter().any(|row| row.iter().any(|(known, _)| known == *name));
                columns.into_iter().filter(has).collect()
            };
            let mut found: Vec<(LabelSet, Vec<u8>)> = Vec::new();
            for (rows, columns) in [(&rows[..split], first), (&rows[split..], second)] {
                // Without the columns that none of the rows has.
                let labels = table(&needed(columns, rows), rows);
                let mut keys = Keys::of(&labels);
                for (at, row) in rows.iter().enumerate() {
                    prop_assert_eq!(&keys.labels_of(at), row);
                    prop_assert_eq!(keys.of_row(at), key_of(row));
                    found.push((set(row), keys.of_row(at).to_vec()));
                }
            }
            for (set, key) in &found {
                for (other_set, other_key) in &found {
                    prop_assert_eq!(set == other_set, key == other_key);
                }
            }
        }
    }
}
