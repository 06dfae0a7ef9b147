//! `isinglass plugin test`: the cases of a plugin, in the sandbox that a server uses.
//!
//! | file | is |
//! |---|---|
//! | `case.rs` | the file format of a case |
//! | `rows.rs`, `attributes.rs`, `nested.rs` | its rows as a batch |
//! | `ways.rs` | how they are cut and ordered |
//! | `answer.rs` | what the plugin says |
//! | `transformed.rs` | what transformers leave of rows |
//! | `calls.rs`, `aggregates.rs` | calls of functions |
//! | `cells.rs` | columns as values of a case |
//! | `halves.rs` | rows of derivers that wait for another one |
//! | `compare.rs` | what differs |
//! | `sample.rs` | its rows for `plugin bench` |

mod aggregates;
mod answer;
mod attributes;
mod calls;
mod case;
mod cells;
mod compare;
mod halves;
mod nested;
mod rows;
mod sample;
mod transformed;
mod ways;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::HumanBytes;
use isinglass_chain::rehearsal::{Player, Rehearsal};
use isinglass_chain::{Budget, World};
use isinglass_model::clock::SystemClock;

use super::manifest::Project;
use answer::Answer;
pub(super) use case::NOW;
use case::{Case, Wanted};
pub(super) use cells::{Cell, column};
use rows::Layout;
pub(super) use sample::{Sample, Samples, samples};

/// Components below this size are compiled in no time.
const QUICK_BYTES: u64 = 4 << 20;

/// What to test.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// The folder of the plugin
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,
    /// Seed of the random cuts and orders
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs the cases. Exit code 0: all hold, 1: some do not.
pub(super) fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let project = Project::open(&args.folder)?;
    let world = project.manifest.world.world();
    let cases = case::all(&project.folder.join("cases"), world)?;
    let rehearsal = load(&project, &cases)?;
    ensure!(
        rehearsal.world() == world,
        "plugin.toml says {}, the component is a {}: build it again",
        world.as_str(),
        rehearsal.world().as_str()
    );
    let mut out = std::io::stdout().lock();
    let mut failed = 0;
    for (at, case) in cases.iter().enumerate() {
        let name = case.path.strip_prefix(&project.folder).unwrap_or(&case.path).display();
        let faults = check(&rehearsal, at, case, &project, args.seed);
        let verdict = if faults.is_empty() { "ok  " } else { "FAIL" };
        writeln!(out, "{verdict}  {name}  {}", case.about)?;
        faults.iter().try_for_each(|fault| writeln!(out, "  {fault}"))?;
        failed += usize::from(!faults.is_empty());
    }
    writeln!(out, "{} passed, {failed} failed", cases.len() - failed)?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn load(project: &Project, cases: &[Case]) -> anyhow::Result<Rehearsal> {
    let component = project.component();
    ensure!(component.is_file(), "there is no {}: run `isinglass plugin build`", component.display());
    let configs: Vec<_> = cases.iter().map(|case| case.config.clone()).collect();
    open(&component, &configs, project.budget())
}

/// Compiles a component, or takes its code from the cache, which may take a while.
pub(super) fn open(
    component: &Path,
    configs: &[serde_json::Value],
    budget: Budget,
) -> anyhow::Result<Rehearsal> {
    let compilation = super::compilation(None);
    let bytes = std::fs::metadata(component).map_or(0, |found| found.len());
    if bytes > QUICK_BYTES {
        let (name, bytes) = (component.display(), HumanBytes(bytes));
        writeln!(
            std::io::stderr(),
            "{name} has {bytes}; only the first time it is compiled, which takes a while"
        )?;
    }
    let clock = Arc::new(SystemClock::new());
    Rehearsal::load(component, configs, budget, &compilation, clock).context("a server would not load it")
}

/// What is wrong with a case.
fn check(rehearsal: &Rehearsal, at: usize, case: &Case, project: &Project, seed: u64) -> Vec<String> {
    let player = match (rehearsal.player(at), &case.config_refused) {
        (Ok(_), Some(part)) => {
            return vec![format!("its configuration is accepted, expected a refusal with {part:?}")];
        }
        (Err(error), Some(part)) if error.to_string().contains(part) => return Vec::new(),
        (Err(error), Some(part)) => return vec![format!("{error}; expected {part:?} in it")],
        (Err(error), None) => return vec![error.to_string()],
        (Ok(player), None) => player,
    };
    let called = format!("{}@{}", project.manifest.name, project.manifest.version);
    if player.plugin() != called {
        return vec![format!("the component calls itself {}, plugin.toml {called}", player.plugin())];
    }
    checked(player, rehearsal.world(), case, seed).unwrap_or_else(|error| vec![format!("{error:#}")])
}

fn checked(player: Player<'_>, world: World, case: &Case, seed: u64) -> anyhow::Result<Vec<String>> {
    if let Wanted::Plan { admit: Some(admit), .. } = &case.wanted {
        let got =
            player.admit(admit.signal, admit.wire_bytes, case.now_unix_nanos).map_err(anyhow::Error::msg)?;
        let got: Vec<_> = got.into_iter().map(answer::take).collect();
        let differ = compare::takes(&admit.plan, &got);
        if !differ.is_empty() {
            return Ok(differ.into_iter().map(|line| format!("admit: {line}")).collect());
        }
    }
    if let Wanted::Calls(calls) = &case.wanted {
        return calls::all(player, calls, case.now_unix_nanos, seed);
    }
    let layout = Layout::of(case.shape, &case.rows, case.now_unix_nanos)?;
    let mut first: Option<Answer> = None;
    for way in ways::all(case.rows.len(), seed) {
        let answer = answer::of(player, world, case, &layout, &way.batches)
            .with_context(|| format!("rows {}", way.name))?;
        let differ = match &first {
            None => compare::wanted(&case.wanted, &answer),
            Some(first) => {
                let differ = compare::answers(first, &answer).into_iter();
                differ.map(|line| format!("{} {}: {line}", ways::DEPENDS, way.name)).collect()
            }
        };
        if !differ.is_empty() {
            return Ok(differ);
        }
        first.get_or_insert(answer);
    }
    Ok(Vec::new())
}
