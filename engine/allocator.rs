//! What the allocator does with memory that was freed.
//!
//! It keeps it for a second, in case it is wanted again, and a merge of files frees and wants
//! hundreds of MiB in that time: 125 MiB in use were 540 resident. Giving it back at once
//! costs 10 to 30 % more CPU time of intake (page faults). So that is done only where memory
//! is short. The allocator reads its options once, before `main`: to change one the process
//! starts itself again.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// mimalloc's own variable: milliseconds. Who sets it is obeyed.
const VARIABLE: &str = "MIMALLOC_PURGE_DELAY";

/// With less memory than this what is freed is given back at once.
const SHORT_BYTES: u64 = 1 << 30;

/// Starts the process again with the variable set if memory is short: what the machine has, or
/// the `limit` of the process. Before any thread or socket; where it does not succeed the process
/// goes on as it is.
pub(crate) fn tune(limit: u64) {
    if std::env::var_os(VARIABLE).is_some() || memory_bytes().min(limit) >= SHORT_BYTES {
        return;
    }
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(VARIABLE, "0").exec();
    // Nothing listens to logs yet.
    drop(error);
}

/// Tells what [`tune`] decided.
pub(crate) fn log() {
    let delay = std::env::var_os(VARIABLE);
    let delay = delay.as_deref().unwrap_or(OsStr::new("default")).to_string_lossy();
    tracing::debug!(memory_mib = memory_bytes() >> 20, purge_delay_ms = %delay, "allocator");
}

/// What this process may use: the machine's memory, or less by its control groups.
pub(crate) fn memory_bytes() -> u64 {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let machine = read(Path::new("/proc/meminfo")).as_deref().and_then(total).unwrap_or(u64::MAX);
    limits(&groups, &read).fold(machine, u64::min)
}

/// `MemTotal` of `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kib.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1_024)
}

/// Limits of the groups in `/proc/self/cgroup`, and of those above them (`man 7 cgroups`).
/// A container may see its own group as the root.
fn limits<'a>(groups: &'a str, read: &'a impl Fn(&Path) -> Option<String>) -> impl Iterator<Item = u64> + 'a {
    let files = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            names if names.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        Some((PathBuf::from(format!("{root}{path}")), PathBuf::from(root), file))
    });
    files.flat_map(move |(group, root, file)| {
        let above = group.ancestors().take_while(|folder| folder.starts_with(&root)).map(Path::to_owned);
        // The words `max` and the like are no limit.
        let limits = above.filter_map(|folder| read(&folder.join(file))?.trim().parse().ok());
        limits.collect::<Vec<u64>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &str, files: &[(&str, &str)], want: &[u64]) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        };
        assert_eq!(limits(groups, &read).collect::<Vec<_>>(), want, "{groups}");
    }

    #[test]
    fn limits_of_groups_and_of_those_above_are_found() {
        let two = "0::/system.slice/isinglass.service\n";
        check(
            two,
            &[("/sys/fs/cgroup/system.slice/isinglass.service/memory.max", "536870912\n")],
            &[512 << 20],
        );
        check(two, &[("/sys/fs/cgroup/system.slice/memory.max", "1024\n")], &[1_024]);
        check(two, &[("/sys/fs/cgroup/system.slice/isinglass.service/memory.max", "max\n")], &[]);
        let one = "5:cpu,cpuacct:/a\n4:memory:/a\n";
        check(
            one,
            &[("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "7"), ("/sys/fs/cgroup/cpu/a", "1")],
            &[7],
        );
        check("0::/\n", &[("/sys/fs/cgroup/memory.max", "9")], &[9]);
        check("nonsense", &[], &[]);
    }

    #[test]
    fn the_machines_memory_is_read() {
        assert_eq!(total("MemTotal:       24683112 kB\nMemFree: 1 kB\n"), Some(24_683_112 << 10));
        assert_eq!(total("MemFree: 1 kB\n"), None);
    }
}
