//! How far it is, and what came of it.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use isinglass_store::backup::{Manifest, Progress, Restored};

use super::RestoreArgs;

/// How often a terminal is told, and how often anything else that collects standard error.
const EVERY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Tells on standard error how far it is.
pub(super) struct Screen {
    what: &'static str,
    told: Option<Instant>,
    terminal: bool,
}

impl Screen {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, told: None, terminal: std::io::stderr().is_terminal() }
    }

    pub(super) fn show(&mut self, progress: Progress) {
        let every = if self.terminal { EVERY.0 } else { EVERY.1 };
        let now = Instant::now();
        if self.told.is_some_and(|told| now - told < every) {
            return;
        }
        self.told = Some(now);
        let line = line(self.what, progress);
        // Who closed it does not want to know.
        let _ = match self.terminal {
            true => write!(std::io::stderr(), "\r\x1b[K{line}"),
            false => writeln!(std::io::stderr(), "{line}"),
        };
    }

    /// Takes the line away again.
    pub(super) fn end(&mut self) {
        if self.terminal && self.told.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn line(what: &str, progress: Progress) -> String {
    let Progress { bytes: copied, known_bytes, of_bytes, .. } = progress;
    // The log comes on top of what the tables have.
    let all = of_bytes.max(copied + known_bytes);
    let known =
        if known_bytes > 0 { format!(", {} there already", bytes(known_bytes)) } else { String::new() };
    format!("{what}: {} of {} copied{known}", bytes(copied), bytes(all))
}

pub(super) fn bytes(count: u64) -> String {
    HumanBytes(count).to_string()
}

pub(super) fn backed_up(dest: &str, manifest: &Manifest, progress: Progress) -> String {
    format!(
        "{dest} has everything up to record {} of the log: {}, {} objects with {} copied, {} with {} there already",
        manifest.wal.up_to,
        contents(manifest),
        progress.objects,
        bytes(progress.bytes),
        progress.known,
        bytes(progress.known_bytes),
    )
}

pub(super) fn restored(args: &RestoreArgs, restored: &Restored) -> String {
    let folder = args.data_dir.display();
    let at = args.url.as_ref().map(|url| format!(", store.url = {url:?}")).unwrap_or_default();
    format!(
        "{folder} has everything up to record {} of the log: {}, {} objects with {}, all with their checksums\n\
         start it with: isinglass serve --data-dir {folder}{at}",
        restored.manifest.wal.up_to,
        contents(&restored.manifest),
        restored.progress.objects,
        bytes(restored.progress.bytes),
    )
}

fn contents(manifest: &Manifest) -> String {
    let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    format!(
        "{} tables with {rows} rows, {} files of the log",
        manifest.tables.len(),
        manifest.wal.files.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_how_much() {
        let progress = Progress { bytes: 3 << 20, of_bytes: 9 << 20, ..Progress::default() };
        assert_eq!(line("backup", progress), "backup: 3.00 MiB of 9.00 MiB copied");
        let progress = Progress { known_bytes: 8 << 20, ..progress };
        assert_eq!(line("backup", progress), "backup: 3.00 MiB of 11.00 MiB copied, 8.00 MiB there already");
    }
}
