//! How many values a label of derived series may have.

use hashbrown::HashMap;

/// Bounds of the derived series of one tenant and deriver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Beyond them everything is counted in one series.
    pub(crate) series_max: usize,
    /// Distinct values of one label; beyond them all others are one value. 0 = no limit.
    pub(crate) values_max: usize,
}

/// The value that stands for all others.
const OVERFLOW: &str = "__cardinality_overflow__";

/// Distinct values by label, with the number of series that have them. Nothing is kept where
/// there is no limit.
#[derive(Debug, Default)]
pub(crate) struct Values {
    by_label: HashMap<String, HashMap<String, usize, ahash::RandomState>, ahash::RandomState>,
}

impl Values {
    /// Replaces values for which there is no room; says whether there was one.
    pub(crate) fn fold(&self, labels: &mut [(String, String)], values_max: usize) -> bool {
        if values_max == 0 {
            return false;
        }
        let mut folded = false;
        for (name, value) in labels {
            let full = self.by_label.get(name).is_some_and(|known| {
                known.len() - usize::from(known.contains_key(OVERFLOW)) >= values_max
                    && !known.contains_key(value)
            });
            if full && !value.is_empty() {
                OVERFLOW.clone_into(value);
                folded = true;
            }
        }
        folded
    }

    /// A series with these labels begins.
    pub(crate) fn keep(&mut self, labels: &[(String, String)], values_max: usize) {
        if values_max == 0 {
            return;
        }
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            let known = self.by_label.entry_ref(name.as_str()).or_default();
            *known.entry_ref(value.as_str()).or_default() += 1;
        }
    }

    /// It ends.
    pub(crate) fn forget(&mut self, labels: &[(String, String)]) {
        for (name, value) in labels {
            let Some(known) = self.by_label.get_mut(name) else { continue };
            if let Some(series) = known.get_mut(value) {
                *series -= 1;
                if *series == 0 {
                    known.remove(value);
                }
            }
        }
    }
}
