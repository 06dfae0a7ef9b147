//! Whether a newer writer has taken over the tables.

use std::sync::{Arc, OnceLock};

use crate::StoreError;

/// Set once, by the first commit that is refused; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fenced {
    reason: Arc<OnceLock<String>>,
}

impl Fenced {
    /// Notes an error of a commit, if it is a fence.
    pub(crate) fn note(&self, error: &StoreError) {
        if let StoreError::Fenced { reason } = error
            && self.reason.set(reason.clone()).is_ok()
        {
            tracing::error!(reason, "fenced: nothing is acknowledged any more");
        }
    }

    /// What everybody is told who wants to write.
    pub(crate) fn reason(&self) -> Option<StoreError> {
        self.reason.get().map(|reason| StoreError::Fenced { reason: reason.clone() })
    }
}
