//! The process, under the names that every Prometheus client library uses.
//! What the system does not tell is left out.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::time::{ClockId, clock_gettime};

use super::engine::{counter, gauge};

/// Reads `/proc` at each scrape.
#[derive(Debug)]
pub(super) struct Process {
    start_seconds: f64,
}

impl Process {
    pub(super) fn started(now_unix_nanos: i64) -> Self {
        Self { start_seconds: now_unix_nanos as f64 / 1e9 }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let encoder = &mut encoder;
        let none = Vec::new;
        counter(encoder, "process_cpu_seconds", "User and system CPU time", [(none(), cpu_seconds())])?;
        gauge(encoder, "process_start_time_seconds", "Start, since 1970", [(none(), self.start_seconds)])?;
        if let Some(bytes) = resident_bytes() {
            gauge(encoder, "process_resident_memory_bytes", "Resident memory", [(none(), bytes)])?;
        }
        if let Some(count) = open_descriptors() {
            gauge(encoder, "process_open_fds", "Open file descriptors", [(none(), count)])?;
        }
        Ok(())
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

fn open_descriptors() -> Option<f64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        assert!(cpu_seconds() > 0.0);
        assert!(resident_bytes().unwrap() > 1e6);
        assert!(open_descriptors().unwrap() >= 3.0);
    }
}
