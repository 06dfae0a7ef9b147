//! The bookkeeping behind `received = stored + rejected`.

use std::collections::BTreeMap;

use crate::kind::Signal;
use crate::reason::{Reason, is_dropped};

/// Items of one request by fate. An item is a sample, a native histogram, an
/// exemplar, a log record or a span.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items that the request held.
    pub received: u64,
    /// Items that are in the WAL.
    pub stored: u64,
    /// Of these, native histograms.
    pub stored_histograms: u64,
    /// Of these, exemplars.
    pub stored_exemplars: u64,
    /// Items that are not, by reason.
    pub rejected: BTreeMap<Reason, u64>,
}

impl Counts {
    /// All rejected items.
    pub fn rejected_total(&self) -> u64 {
        self.rejected.values().sum()
    }

    /// Rejected items that are a fault of their sender's: all but those that a transformer
    /// dropped.
    pub fn refused_total(&self) -> u64 {
        let refused = self.rejected.iter().filter(|(reason, _)| !is_dropped(reason));
        refused.map(|(_, items)| items).sum()
    }

    /// Of what is stored, neither native histograms nor exemplars: float samples, in a
    /// request of metrics.
    pub fn stored_others(&self) -> u64 {
        self.stored.saturating_sub(self.stored_histograms).saturating_sub(self.stored_exemplars)
    }

    /// Whether nothing is missing and nothing is there twice.
    pub fn balanced(&self) -> bool {
        self.received == self.stored + self.rejected_total()
    }

    /// Adds another request's counts.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.stored += other.stored;
        self.stored_histograms += other.stored_histograms;
        self.stored_exemplars += other.stored_exemplars;
        for (reason, count) in &other.rejected {
            *self.rejected.entry(reason.clone()).or_default() += count;
        }
    }
}

/// One item that was not kept, as it goes into the table `rejected`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedItem {
    /// Which signal it was.
    pub signal: Signal,
    /// The code.
    pub reason: Reason,
    /// One sentence for a person: field, value, limit.
    pub message: String,
    /// `name@version` of the plugin that refused it, empty for the core.
    pub plugin: String,
    /// sha256 of that plugin in hex, empty for the core.
    pub digest: String,
    /// The item as JSON text, cut at [`ITEM_BYTES_MAX`].
    pub item: String,
}

/// Longest `item` text in bytes.
pub const ITEM_BYTES_MAX: usize = 64 << 10;

/// Rejected items of one request: all of them counted, the first
/// [`Rejections::DETAIL_MAX`] kept with their details.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejections {
    by_reason: BTreeMap<Reason, u64>,
    bytes: BTreeMap<Reason, u64>,
    items: Vec<RejectedItem>,
}

impl Rejections {
    /// Details kept per request; beyond that items are counted only.
    pub const DETAIL_MAX: usize = 1_000;

    /// Counts one item under `reason`; `detail` is called only while there is room.
    pub fn push(&mut self, reason: impl Into<Reason>, detail: impl FnOnce(Reason) -> RejectedItem) {
        self.push_many(reason, 1, detail);
    }

    /// Counts `items` items under `reason` with one detail for all of them.
    pub fn push_many(
        &mut self,
        reason: impl Into<Reason>,
        items: u64,
        detail: impl FnOnce(Reason) -> RejectedItem,
    ) {
        if items == 0 {
            return;
        }
        let reason = reason.into();
        *self.by_reason.entry(reason.clone()).or_default() += items;
        if self.items.len() < Self::DETAIL_MAX && !is_dropped(&reason) {
            let mut item = detail(reason);
            truncate_text(&mut item.item, ITEM_BYTES_MAX);
            self.items.push(item);
        }
    }

    /// Adds the bytes of items that were counted under `reason`.
    pub fn weigh(&mut self, reason: impl Into<Reason>, bytes: u64) {
        if bytes > 0 {
            *self.bytes.entry(reason.into()).or_default() += bytes;
        }
    }

    /// Bytes of log records and spans by reason.
    pub fn bytes(&self) -> &BTreeMap<Reason, u64> {
        &self.bytes
    }

    /// Counts by reason.
    pub fn by_reason(&self) -> &BTreeMap<Reason, u64> {
        &self.by_reason
    }

    /// The items kept with details, in the order they were refused.
    pub fn items(&self) -> &[RejectedItem] {
        &self.items
    }

    /// All rejected items, with and without details.
    pub fn total(&self) -> u64 {
        self.by_reason.values().sum()
    }

    /// Whether nothing was refused.
    pub fn is_empty(&self) -> bool {
        self.by_reason.is_empty()
    }

    /// Takes over what another stage refused.
    pub fn merge(&mut self, other: Self) {
        for (reason, count) in other.by_reason {
            *self.by_reason.entry(reason).or_default() += count;
        }
        other.bytes.into_iter().for_each(|(reason, bytes)| self.weigh(reason, bytes));
        let room = Self::DETAIL_MAX - self.items.len().min(Self::DETAIL_MAX);
        self.items.extend(other.items.into_iter().take(room));
    }
}

/// Cuts `text` to at most `bytes_max` bytes at a character boundary.
pub fn truncate_text(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        let cut = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(reason: Reason) -> RejectedItem {
        RejectedItem {
            signal: Signal::Logs,
            reason,
            message: String::new(),
            plugin: String::new(),
            digest: String::new(),
            item: "é".repeat(ITEM_BYTES_MAX),
        }
    }

    #[test]
    fn counts_all_and_keeps_the_first_details() {
        let mut rejections = Rejections::default();
        for _ in 0..1_500 {
            rejections.push("line_too_long", item);
        }
        assert_eq!(rejections.total(), 1_500);
        assert_eq!(rejections.items().len(), Rejections::DETAIL_MAX);
        assert_eq!(rejections.items()[0].item.len(), ITEM_BYTES_MAX);
    }

    #[test]
    fn merge_keeps_the_bound() {
        let mut a = Rejections::default();
        let mut b = Rejections::default();
        for _ in 0..800 {
            a.push("x", item);
            b.push("y", item);
        }
        a.merge(b);
        assert_eq!(a.total(), 1_600);
        assert_eq!(a.items().len(), Rejections::DETAIL_MAX);
    }
}
