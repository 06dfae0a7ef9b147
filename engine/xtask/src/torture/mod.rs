//! The scenarios, one after the other, and their table.

mod disk;
mod errors;
mod inside;
mod kills;
mod replay;
mod second;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::client::{Audit, Ledger, agent};
use crate::server::Site;

/// How to torture.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A tenth or less of everything.
    #[arg(long)]
    quick: bool,
    /// Only the scenarios whose names contain this.
    #[arg(long)]
    only: Option<String>,
    /// The server to torture.
    #[arg(long, default_value = "target/release/isinglass")]
    binary: PathBuf,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where data goes; a folder on a real disk.
    #[arg(long, default_value = "target/torture")]
    folder: PathBuf,
}

/// What scenarios share.
pub(crate) struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    quick: bool,
    seed: u64,
}

/// What became of a scenario.
#[derive(Debug, Default, Clone)]
pub(crate) struct Outcome {
    runs: u64,
    /// Distinct places at which something went wrong on purpose.
    points: u64,
    acknowledged: u64,
    audit: Audit,
    worst_restart: Duration,
    /// What else was checked, or why nothing was.
    note: String,
    skipped: bool,
    /// What else was promised and did not hold.
    broken: Vec<String>,
}

type Scenario = (&'static str, fn(&Bench) -> anyhow::Result<Outcome>);

const SCENARIOS: [Scenario; 10] = [
    ("kill at a system call", kills::sweep),
    ("sync fails once", errors::sync_fails),
    ("no space at a call", errors::no_space),
    ("sync takes 2 s", errors::slow_sync),
    ("disk full", disk::full),
    ("replay in little memory", replay::in_little_memory),
    ("second server", second::refused),
    ("power cuts (simulated disk)", inside::power_cuts),
    ("kills (simulated disk)", inside::kills),
    ("deaths at requests (simulated store)", inside::requests),
];

/// Whether nothing was lost.
pub(crate) fn run(args: &Args) -> anyhow::Result<bool> {
    let binary = args.binary.canonicalize();
    let binary = binary.with_context(|| format!("{}: build it first", args.binary.display()))?;
    std::fs::create_dir_all(&args.folder)?;
    let bench = Bench { binary, folder: args.folder.canonicalize()?, quick: args.quick, seed: args.seed };
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let mut rows = Vec::new();
    for (name, scenario) in SCENARIOS.into_iter().filter(|(name, _)| wanted(name)) {
        eprintln!("== {name}");
        let start = Instant::now();
        let outcome = scenario(&bench).with_context(|| name)?;
        rows.push((name, outcome, start.elapsed()));
    }
    if rows.is_empty() {
        bail!("no scenario has {:?} in its name", args.only);
    }
    Ok(report(&rows))
}

fn report(rows: &[(&str, Outcome, Duration)]) -> bool {
    println!(
        "| scenario | runs | distinct points | acknowledged items | lost | doubled | from nowhere | worst restart | took | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut good = true;
    for (name, row, took) in rows {
        let Audit { lost, doubled, strange } = row.audit;
        let broken = row.broken.iter().map(|what| format!("**{what}**"));
        let notes: Vec<String> =
            std::iter::once(row.note.clone()).filter(|note| !note.is_empty()).chain(broken).collect();
        let restart = row.worst_restart.as_secs_f64();
        println!(
            "| {name} | {} | {} | {} | {lost} | {doubled} | {strange} | {restart:.1} s | {:.0} s | {} |",
            row.runs,
            row.points,
            row.acknowledged,
            took.as_secs_f64(),
            if row.skipped { format!("skipped: {}", row.note) } else { notes.join("; ") }
        );
        good &= lost + doubled + strange == 0 && row.broken.is_empty();
    }
    good
}

impl Bench {
    /// An empty folder for a scenario.
    fn folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn site(&self, folder: &Path, config: &str) -> anyhow::Result<Site> {
        Site::new(&self.binary, folder, config)
    }
}

impl Outcome {
    fn skipped(why: impl Into<String>) -> Self {
        Self { skipped: true, note: why.into(), ..Self::default() }
    }

    /// Starts the server as it is, audits, and notes how long it took.
    fn audit(&mut self, site: &Site, ledger: &Ledger) -> anyhow::Result<()> {
        let mut server = site.start(&[])?;
        let Some(took) = server.wait_ready(site)? else { bail!("it does not start:\n{}", site.log()) };
        self.worst_restart = self.worst_restart.max(took);
        let found = ledger.audit(site, &agent(Duration::from_secs(120)));
        let Some(found) = found else { bail!("no answer to the audit:\n{}", site.log()) };
        if found.lost + found.doubled + found.strange > 0 {
            eprintln!("{found:?} in {}", site.data_dir.display());
        }
        self.audit.lost = self.audit.lost.max(found.lost);
        self.audit.doubled = self.audit.doubled.max(found.doubled);
        self.audit.strange = self.audit.strange.max(found.strange);
        self.acknowledged = ledger.acknowledged();
        server.kill();
        Ok(())
    }
}

/// Whether a program can be run.
fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}
