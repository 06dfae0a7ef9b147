//! `--memory`: one number that everything answers to.
//!
//! A part of it is what the process takes with nothing to do; the rest is divided among the
//! parts that can be bounded by counting ([`divide`]). They do not all use up their shares at
//! one time, and what none of them counts is watched from outside ([`ProcessMemory`]): queries
//! and writes give way while the process holds more than it may.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use isinglass_model::MemoryGauge;
use serde::{Deserialize, Serialize};

use crate::config::Config;

const MIB: u64 = 1 << 20;

/// Code that was touched, threads, plugins: resident with nothing to do.
const IDLE_BYTES: u64 = 96 * MIB;

/// The least that can be divided.
const BYTES_MIN: u64 = 256 * MIB;

/// Of the memory of the machine, or of the control group, if nobody says.
const DEFAULT_PERCENT: u64 = 50;
const DEFAULT_BYTES_MAX: u64 = 4 << 30;

/// Samples are kept in a part of what the others leave, which is little of little memory.
const SAMPLES_PARTS: u64 = 3;
const SAMPLES_BYTES_MIN: u64 = 2 * MIB;
const SAMPLES_BYTES_MAX: u64 = 1 << 30;

/// Memory of a series in the index, its labels included.
const SERIES_BYTES: u64 = 260;

/// A number of bytes, as people write it: `512MiB`, `2GiB`, `1500000000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "String")]
pub(crate) struct Memory(pub(crate) u64);

/// A number or a text in a file, a text in a variable.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a size as in \"512MiB\", or a number of bytes")]
enum Written {
    Number(u64),
    Text(String),
}

impl TryFrom<Written> for Memory {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Number(bytes) => Self::checked(bytes),
            Written::Text(text) => text.parse(),
        }
    }
}

impl From<Memory> for String {
    fn from(memory: Memory) -> Self {
        memory.to_string()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % MIB == 0 => write!(f, "{}MiB", bytes / MIB),
            bytes => write!(f, "{bytes}"),
        }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, unit) = text.split_at(digits);
        let Ok(number) = number.parse::<f64>() else {
            return Err(format!("memory {text:?} must begin with a number, as in 512MiB"));
        };
        let unit = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => MIB,
            "g" | "gib" => 1 << 30,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            _ => return Err(format!("memory {text:?} must be a number with KiB, MiB or GiB, as in 512MiB")),
        };
        Self::checked((number * unit as f64) as u64)
    }
}

impl Memory {
    fn checked(bytes: u64) -> Result<Self, String> {
        if bytes < BYTES_MIN {
            return Err(format!("memory of {bytes} bytes is less than {}", Self(BYTES_MIN)));
        }
        Ok(Self(bytes))
    }

    /// What is taken if nobody says, of a machine with so much.
    pub(crate) fn of_machine(bytes: u64) -> Self {
        Self((bytes / 100).saturating_mul(DEFAULT_PERCENT).clamp(BYTES_MIN, DEFAULT_BYTES_MAX))
    }
}

/// The configuration with all budgets as shares of its memory. Those that somebody sets are put
/// over it afterwards. `docs/formats/config.md` has the same as a table.
pub(crate) fn divide(mut config: Config) -> Config {
    let shared = config.memory.0.saturating_sub(IDLE_BYTES);
    let share = |parts: u64, least: u64, most: u64| (shared / parts).clamp(least, most);
    let bytes =
        |parts, least, most| usize::try_from(share(parts, least * MIB, most * MIB)).unwrap_or(usize::MAX);
    config.server.inflight_bytes_max = bytes(8, 16, 128);
    config.server.body_bytes_max = config.server.body_bytes_max.min(config.server.inflight_bytes_max);
    config.store.head_bytes = share(8, 16 * MIB, 256 * MIB);
    config.store.wal_queue_bytes = share(16, 8 * MIB, 32 * MIB);
    config.store.compaction.memory_bytes = bytes(4, 32, 256);
    config.store.cache.memory_bytes = bytes(26, 8, 512);
    config.store.series_max = usize::try_from(shared / 4 / SERIES_BYTES).unwrap_or(usize::MAX).min(1_000_000);
    config.query.memory_bytes = bytes(4, 32, 16 << 10);
    config.query.query_memory_bytes = config.query.memory_bytes / 2;
    config.query.result_bytes_max = share(4, 32 * MIB, 256 * MIB);
    config.query.metadata_cache_bytes = bytes(16, 8, 1 << 10);
    config.query.token_cache_bytes = bytes(32, 4, 256);
    config.query.promql.result_cache_bytes = bytes(64, 2, 256);
    let left = config.memory.0.saturating_sub(IDLE_BYTES + shares(&config));
    let samples = (left / SAMPLES_PARTS).clamp(SAMPLES_BYTES_MIN, SAMPLES_BYTES_MAX);
    config.query.promql.sample_cache_bytes = usize::try_from(samples).unwrap_or(usize::MAX);
    config
}

/// The budgets that are given away, of all that stays in memory.
fn shares(config: &Config) -> u64 {
    let shares = [
        config.server.inflight_bytes_max,
        config.store.compaction.memory_bytes,
        config.query.memory_bytes,
        config.query.metadata_cache_bytes,
        config.query.token_cache_bytes,
        config.query.promql.result_cache_bytes,
        config.store.cache.memory_bytes,
    ];
    let of_store = [config.store.head_bytes, config.store.wal_queue_bytes];
    shares.into_iter().map(|bytes| bytes as u64).chain(of_store).sum()
}

/// The memory of this process as the system sees it, at most [`FRESH`] ago: every request asks.
#[derive(Debug)]
pub(crate) struct ProcessMemory {
    started: Instant,
    /// Milliseconds after the start until which `bytes` is fresh.
    fresh_until_ms: AtomicU64,
    /// 0 = the system does not tell.
    bytes: AtomicU64,
}

const FRESH: Duration = Duration::from_millis(5);

impl ProcessMemory {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), fresh_until_ms: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }
}

impl MemoryGauge for ProcessMemory {
    fn resident_bytes(&self) -> Option<u64> {
        let now_ms = self.started.elapsed().as_millis() as u64;
        if now_ms >= self.fresh_until_ms.load(Ordering::Relaxed) {
            self.fresh_until_ms.store(now_ms + FRESH.as_millis() as u64, Ordering::Relaxed);
            self.bytes.store(resident().unwrap_or(0), Ordering::Relaxed);
        }
        Some(self.bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }
}

/// `VmRSS` of `/proc/self/status` (`man 5 proc`).
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let check = |text: &str, bytes: u64| assert_eq!(text.parse(), Ok(Memory(bytes)), "{text}");
        check("512MiB", 512 * MIB);
        check("512 mib", 512 * MIB);
        check("2g", 2 << 30);
        check("1.5GiB", 1_536 * MIB);
        check("600mb", 600_000_000);
        check("536870912", 512 * MIB);
        let fails = |text: &str, want: &str| {
            let error = text.parse::<Memory>().unwrap_err();
            assert!(error.contains(want), "{error}");
        };
        fails("100MiB", "less than 256MiB");
        fails("lots", "must begin with a number");
        fails("5 parsecs", "KiB, MiB or GiB");
        fails("", "must begin with a number");
        for memory in [Memory(512 * MIB), Memory(1_000_000_001)] {
            assert_eq!(memory.to_string().parse(), Ok(memory));
        }
    }

    /// What can be counted fits, with room for what cannot.
    #[test]
    fn shares_fit_into_the_whole() {
        for mib in [256_u64, 300, 512, 1_024, 4_096, 65_536] {
            let config = Config::with(Memory(mib * MIB));
            let sum = IDLE_BYTES + shares(&config) + config.query.promql.sample_cache_bytes as u64;
            assert!(sum <= mib * MIB, "{mib} MiB: {} are given away", sum / MIB);
            assert!(config.query.query_memory_bytes <= config.query.memory_bytes);
            assert!(config.server.body_bytes_max <= config.server.inflight_bytes_max);
        }
        assert_eq!(Config::with(Memory(512 * MIB)).store.cache.memory_bytes as u64, 16 * MIB);
        assert_eq!(Config::with(Memory(65_536 * MIB)).store.cache.memory_bytes as u64, 512 * MIB);
    }

    #[test]
    fn of_a_machine_a_half_is_taken() {
        assert_eq!(Memory::of_machine(200 * 10 * MIB), Memory(1_000 * MIB));
        assert_eq!(Memory::of_machine(64 << 30), Memory(4 << 30));
        assert_eq!(Memory::of_machine(100 * MIB), Memory(256 * MIB));
    }

    #[test]
    fn this_process_holds_something() {
        assert!(ProcessMemory::new().resident_bytes().unwrap() > MIB);
    }
}
