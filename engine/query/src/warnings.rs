//! What is said beside the rows of an answer.

use std::sync::Arc;

use parking_lot::Mutex;

/// So many are kept.
const KEPT_MAX: usize = 100;

/// Why an answer may not be what was wanted: rows may be missing, or PromQL has remarks. More can
/// come as long as rows do. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    pub(crate) fn new(texts: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(texts)))
    }

    /// Each is said once.
    pub(crate) fn add(&self, text: &str) {
        let mut texts = self.0.lock();
        if texts.len() < KEPT_MAX && !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }

    /// What was said so far.
    pub fn so_far(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}
