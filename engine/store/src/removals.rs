//! Who may take something away, and who keeps all of it for a while.
//!
//! A backup copies what it found at one moment while everything goes on. Until it has its
//! copy, segments of the log, entries of Delta logs and data files stay: whoever wants to
//! remove some asks first, and comes back later if told no. Nobody waits for a backup.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::StoreError;

/// Removals of one sort; clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Removals {
    gate: Arc<RwLock<()>>,
    insisted: Arc<AtomicU64>,
}

/// Nothing is removed while this lives, unless somebody has to.
#[derive(Debug)]
pub(crate) struct Kept {
    _gate: OwnedRwLockWriteGuard<()>,
    insisted: Arc<AtomicU64>,
    before: u64,
}

impl Removals {
    /// To be held during a removal; `None` while everything is kept.
    pub(crate) fn begin(&self) -> Option<OwnedRwLockReadGuard<()>> {
        Arc::clone(&self.gate).try_read_owned().ok()
    }

    /// A removal that cannot be put off: who keeps things is told that they are gone.
    pub(crate) fn insist(&self) {
        self.insisted.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits for the removal that is under way; from then on there is none.
    pub(crate) async fn keep(&self) -> Kept {
        let gate = Arc::clone(&self.gate).write_owned().await;
        let insisted = Arc::clone(&self.insisted);
        let before = insisted.load(Ordering::Acquire);
        Kept { _gate: gate, insisted, before }
    }
}

impl Kept {
    /// Fails if something had to go after all.
    pub(crate) fn check(&self, why: &str) -> Result<(), StoreError> {
        if self.insisted.load(Ordering::Acquire) == self.before {
            return Ok(());
        }
        Err(StoreError::Backup { reason: why.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_goes_while_it_is_kept_unless_somebody_insists() {
        let removals = Removals::default();
        drop(removals.begin().expect("free"));
        let kept = removals.keep().await;
        assert!(removals.begin().is_none());
        kept.check("gone").unwrap();
        removals.insist();
        assert_eq!(kept.check("gone").unwrap_err().to_string(), "cannot back up: gone");
        drop(kept);
        removals.begin().expect("free again");
        removals.keep().await.check("gone").unwrap();
    }
}
