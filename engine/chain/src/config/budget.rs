//! What a plugin may use.

use serde::{Deserialize, Serialize};

/// Bounds of one call and of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Thread CPU time above which a call is counted as slow, in milliseconds.
    pub cpu_soft_ms: u32,
    /// Thread CPU time at which a call is stopped, in milliseconds.
    pub cpu_hard_ms: u32,
    /// Linear memory of an instance, in bytes.
    pub memory_bytes_max: u32,
    /// The component itself, in bytes.
    pub component_bytes_max: u32,
    /// Whether it may consist of several modules and memories, as a component with the
    /// interpreter of a language in it does.
    pub composed: bool,
    /// CPU time that compiling it may take, all threads together, in milliseconds.
    pub compile_cpu_ms: u32,
    /// Memory that compiling it may take, in bytes.
    pub compile_memory_bytes_max: u64,
}

/// Thread CPU time at which a call of a query is stopped, unless told otherwise.
pub(super) const QUERY_CPU_HARD_MS: u32 = 1_000;

/// The most linear memory that a budget may give an instance.
pub(crate) const MEMORY_BYTES_MAX: u32 = 128 << 20;

/// The largest component that a budget may allow.
pub(crate) const COMPONENT_BYTES_MAX: u32 = 64 << 20;

/// The least memory that a compiler can do with: its allocator takes some 25 MB a thread.
const COMPILE_BYTES_MIN: u64 = 128 << 20;

/// The most CPU time that compiling may be given.
const COMPILE_MS_MAX: u32 = 3_600_000;

impl Default for Budget {
    fn default() -> Self {
        Self {
            cpu_soft_ms: 20,
            cpu_hard_ms: 200,
            memory_bytes_max: 64 << 20,
            component_bytes_max: 8 << 20,
            composed: false,
            compile_cpu_ms: 300_000,
            compile_memory_bytes_max: 1 << 30,
        }
    }
}

impl Budget {
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(1..=10_000).contains(&self.cpu_hard_ms) || self.cpu_soft_ms > self.cpu_hard_ms {
            return Err("budget.cpu_hard_ms must be 1 to 10000 and not below budget.cpu_soft_ms".to_owned());
        }
        if !(64 << 10..=MEMORY_BYTES_MAX).contains(&self.memory_bytes_max) {
            return Err(format!("budget.memory_bytes_max must be 65536 to {MEMORY_BYTES_MAX}"));
        }
        if !(1..=COMPONENT_BYTES_MAX).contains(&self.component_bytes_max) {
            return Err(format!("budget.component_bytes_max must be 1 to {COMPONENT_BYTES_MAX}"));
        }
        if !(1_000..=COMPILE_MS_MAX).contains(&self.compile_cpu_ms) {
            return Err(format!("budget.compile_cpu_ms must be 1000 to {COMPILE_MS_MAX}"));
        }
        if self.compile_memory_bytes_max < COMPILE_BYTES_MIN {
            return Err(format!("budget.compile_memory_bytes_max must be at least {COMPILE_BYTES_MIN}"));
        }
        Ok(())
    }
}
