//! A bound on the memory of a process.

use std::path::PathBuf;

use crate::outcome::Outcome;

/// A memory cgroup of version 1; it goes with this.
pub(crate) struct Group(PathBuf);

impl Group {
    /// One for a scenario, which is skipped where there is none.
    pub(crate) fn or_skip(bytes: u64, outcome: &mut Outcome) -> Option<Self> {
        Self::new(bytes).map_err(|why| outcome.skip(why)).ok()
    }

    /// Why there is none, if so.
    fn new(bytes: u64) -> Result<Self, String> {
        let folder = PathBuf::from(format!("/sys/fs/cgroup/memory/isinglass-torture-{}", std::process::id()));
        std::fs::create_dir(&folder).map_err(|error| format!("no memory cgroup of version 1: {error}"))?;
        let group = Self(folder);
        let limit = group.0.join("memory.limit_in_bytes");
        std::fs::write(limit, bytes.to_string()).map_err(|error| format!("no limit: {error}"))?;
        Ok(group)
    }

    /// What puts the server into it, in front of its command.
    pub(crate) fn enter(&self) -> Vec<String> {
        let script = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.0.display());
        vec!["sh".into(), "-c".into(), script]
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(std::fs::remove_dir(&self.0));
    }
}
