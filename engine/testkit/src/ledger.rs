//! What was acknowledged against what is found.

use std::collections::BTreeMap;

/// What a sender knows of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Sent, no answer: may be there once or not at all.
    Unknown,
    /// Acknowledged: must be there once.
    Acknowledged,
    /// Refused: must not be there.
    Refused,
}

/// The sender's book. Items are named by a number of the test's choice.
#[derive(Debug, Default)]
pub struct Ledger {
    items: BTreeMap<u64, Fate>,
}

/// Where the book and the store differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Acknowledged and not found.
    pub lost: Vec<u64>,
    /// Found more than once.
    pub doubled: Vec<u64>,
    /// Found though refused or never sent.
    pub invented: Vec<u64>,
}

impl Ledger {
    /// Items on their way; call it before sending.
    pub fn sent(&mut self, items: impl IntoIterator<Item = u64>) {
        self.items.extend(items.into_iter().map(|item| (item, Fate::Unknown)));
    }

    /// The server took them.
    pub fn acknowledged(&mut self, items: impl IntoIterator<Item = u64>) {
        self.items.extend(items.into_iter().map(|item| (item, Fate::Acknowledged)));
    }

    /// The server said that it did not take them.
    pub fn refused(&mut self, items: impl IntoIterator<Item = u64>) {
        self.items.extend(items.into_iter().map(|item| (item, Fate::Refused)));
    }

    /// How many are acknowledged.
    pub fn acknowledged_total(&self) -> usize {
        self.items.values().filter(|fate| **fate == Fate::Acknowledged).count()
    }

    /// Compares with what the store answers: item and how often it is there.
    pub fn audit(&self, found: &BTreeMap<u64, u64>) -> Audit {
        let acknowledged = self.items.iter().filter(|(_, fate)| **fate == Fate::Acknowledged);
        let unexpected =
            |item: &u64| !matches!(self.items.get(item), Some(Fate::Unknown | Fate::Acknowledged));
        Audit {
            lost: acknowledged.map(|(item, _)| *item).filter(|item| !found.contains_key(item)).collect(),
            doubled: found.iter().filter(|(_, count)| **count > 1).map(|(item, _)| *item).collect(),
            invented: found.keys().copied().filter(unexpected).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        let mut ledger = Ledger::default();
        ledger.sent(1..=5);
        ledger.acknowledged([1, 2, 3]);
        ledger.refused([4]);
        let found = BTreeMap::from([(1, 1), (2, 2), (4, 1), (5, 1), (9, 1)]);
        let audit = ledger.audit(&found);
        assert_eq!(audit, Audit { lost: vec![3], doubled: vec![2], invented: vec![4, 9] });
        assert_eq!(ledger.acknowledged_total(), 3);
    }
}
