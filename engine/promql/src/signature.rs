//! What of a label set decides which group it belongs to.

use ahash::HashMap;

use crate::labels::{Labels, METRIC_NAME};

/// Labels that tell the type and unit of a metric: they go where its name goes.
pub(crate) const METADATA: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Which labels count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signature<'a> {
    /// Those named, else all but those named and the metric name.
    pub(crate) only: bool,
    /// Sorted.
    pub(crate) labels: &'a [String],
}

impl Signature<'_> {
    fn counts(&self, name: &[u8]) -> bool {
        let named = self.labels.iter().any(|label| label.as_bytes() == name);
        if self.only { named } else { !named && name != METRIC_NAME.as_bytes() }
    }

    /// The labels that count.
    pub(crate) fn of(&self, labels: &Labels) -> Labels {
        labels.retain(|name| self.counts(name.as_bytes()))
    }

    /// Writes a key that is the same where the labels that count are.
    pub(crate) fn key(&self, labels: &Labels, key: &mut Vec<u8>) {
        key.clear();
        for (name, value) in labels.bytes() {
            if self.counts(name) {
                for part in [name, value] {
                    key.extend_from_slice(&(part.len() as u32).to_le_bytes());
                    key.extend_from_slice(part);
                }
            }
        }
    }
}

/// Numbers for keys, from 0, in the order in which they come.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    numbers: HashMap<Box<[u8]>, usize>,
    key: Vec<u8>,
}

impl Numbers {
    /// The number of a label set's signature, and whether it is new.
    pub(crate) fn number(&mut self, signature: Signature<'_>, labels: &Labels) -> (usize, bool) {
        signature.key(labels, &mut self.key);
        if let Some(number) = self.numbers.get(self.key.as_slice()) {
            return (*number, false);
        }
        let number = self.numbers.len();
        self.numbers.insert(self.key.as_slice().into(), number);
        (number, true)
    }

    /// The number of a signature that has one.
    pub(crate) fn find(&mut self, signature: Signature<'_>, labels: &Labels) -> Option<usize> {
        signature.key(labels, &mut self.key);
        self.numbers.get(self.key.as_slice()).copied()
    }
}
