//! How much memory the process has, and how much it may have.
//!
//! Budgets of single parts (rows in the head, operators of queries, caches, merges) count what
//! these parts declare. What nobody declares (decoders, planners, what the allocator keeps) is
//! only seen from outside, in the resident set: this is where parts that can give way look.

use std::fmt;
use std::sync::Arc;

/// Tells what the process holds.
pub trait MemoryGauge: Send + Sync + fmt::Debug {
    /// Resident memory in bytes; `None` where the system does not tell. Called often: cheap.
    fn resident_bytes(&self) -> Option<u64>;
}

/// What the process may hold.
#[derive(Debug, Clone)]
pub struct MemoryLimit {
    bytes: u64,
    gauge: Option<Arc<dyn MemoryGauge>>,
}

impl MemoryLimit {
    /// At most so many bytes.
    pub fn new(bytes: u64, gauge: Arc<dyn MemoryGauge>) -> Self {
        Self { bytes, gauge: Some(gauge) }
    }

    /// No limit.
    pub fn none() -> Self {
        Self { bytes: u64::MAX, gauge: None }
    }

    /// The limit in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the process holds more than it may.
    pub fn is_exceeded(&self) -> bool {
        self.is_exceeded_by(1.0)
    }

    /// Whether the process may take so much more.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        let resident = self.gauge.as_ref().and_then(|gauge| gauge.resident_bytes());
        resident.is_none_or(|resident| resident.saturating_add(bytes) <= self.bytes)
    }

    /// Whether the process holds more than so many times what it may.
    pub fn is_exceeded_by(&self, times: f64) -> bool {
        let resident = self.gauge.as_ref().and_then(|gauge| gauge.resident_bytes());
        resident.is_some_and(|resident| resident as f64 > self.bytes as f64 * times)
    }
}

impl Default for MemoryLimit {
    fn default() -> Self {
        Self::none()
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes {
            u64::MAX => f.write_str("without limit"),
            bytes => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Holds(Option<u64>);

    impl MemoryGauge for Holds {
        fn resident_bytes(&self) -> Option<u64> {
            self.0
        }
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let check = |resident, exceeded| {
            assert_eq!(MemoryLimit::new(100, Arc::new(Holds(resident))).is_exceeded(), exceeded);
        };
        check(Some(100), false);
        check(Some(101), true);
        check(None, false);
        assert!(!MemoryLimit::none().is_exceeded());
        let room = |bytes| MemoryLimit::new(100, Arc::new(Holds(Some(90)))).has_room_for(bytes);
        assert!(room(10) && !room(11) && MemoryLimit::none().has_room_for(u64::MAX));
        assert!(!MemoryLimit::new(100, Arc::new(Holds(Some(105)))).is_exceeded_by(1.1));
    }
}
