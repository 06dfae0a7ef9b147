//! `isinglass plugin bench`: what a row costs in the sandbox.
//!
//! Times are thread CPU times of calls as a server makes them, epochs on, the copy of the columns
//! and of the answer included. The same columns shown to a plugin that looks at nothing tell which
//! part of it is the border.
//!
//! | file | is |
//! |---|---|
//! | `functions.rs` | functions, which are called |
//! | `made_up.rs` | what is shown where there are no cases |

mod functions;
mod made_up;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use indicatif::HumanBytes;
use isinglass_chain::inspect::WantedColumn;
use isinglass_chain::rehearsal::{Player, Rehearsal};
use isinglass_chain::{Budget, World};
use isinglass_model::columns::{Columns, Encoding, Shape};
use serde_json::{Value, json};

use super::manifest::Project;
use super::test::{self, Samples};

/// Keeps every row and looks at none.
const NOOP: &[u8] = include_bytes!("../../../../../plugins/dist/noop.wasm");

/// CPU time that is spent on each size of batch, and rounds of which the quickest counts.
const NANOS_PER_ROUND: f64 = 60e6;
const ROUNDS: usize = 7;
const CALLS_MAX: u64 = 20_000;

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// The folder of a plugin, or a component
    #[arg(value_name = "FOLDER|FILE", default_value = ".")]
    pub path: PathBuf,
    /// Rows of a batch, several with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1_000, 10_000])]
    pub rows: Vec<u32>,
    /// Its configuration, as JSON; of a folder that of the first case with rows
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// What it may use, as in a binding, as JSON; of a folder what plugin.toml says
    #[arg(long, value_name = "JSON")]
    pub budget: Option<String>,
}

/// A component, and what it is shown.
struct Subject {
    component: PathBuf,
    config: Value,
    budget: Budget,
    samples: Samples,
    rows_of: &'static str,
}

/// Measures and tells.
pub(super) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    ensure!(args.rows.iter().all(|rows| (1..=10_000).contains(rows)), "--rows must be 1 to 10000");
    let subject = subject(args)?;
    let rehearsal = test::open(&subject.component, &[subject.config.clone()], subject.budget)?;
    let player = rehearsal.player(0).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}, a {}; {}", player.plugin(), rehearsal.world().as_str(), subject.rows_of)?;
    let mark = mark(rehearsal.world());
    let names = player.functions().iter().map(|function| function.name.len());
    let width = names.max().unwrap_or(0).max(8);
    writeln!(out, "\n{:<width$}  {:>7}  {:>12}  {:>12}{mark}", "", "rows", "ns a row", "the border")?;
    let mut line = |of: &str, rows: u32, whole: f64, border: f64| {
        writeln!(out, "{of:<width$}  {rows:>7}  {whole:>12.1}  {border:>12.1}")
    };
    match rehearsal.world() {
        World::Function => functions::measure(player, &subject.samples.calls, &args.rows, &mut line)?,
        world => measure(player, world, &subject, &args.rows, &mut line)?,
    }
    let stats = player.stats();
    let (memory, memory_max) =
        (HumanBytes(stats.memory_bytes), HumanBytes(subject.budget.memory_bytes_max.into()));
    writeln!(
        out,
        "\nmemory of an instance: {memory} of {memory_max}; {} calls over the soft limit of {} ms",
        stats.slow_calls, subject.budget.cpu_soft_ms
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Takes what was measured, to print it: of what, rows, nanoseconds a row, those of the border.
type Line<'a> = &'a mut dyn FnMut(&str, u32, f64, f64) -> std::io::Result<()>;

/// Shows it batches of every shape that it wants.
fn measure(
    player: Player<'_>,
    world: World,
    subject: &Subject,
    sizes: &[u32],
    line: Line<'_>,
) -> anyhow::Result<()> {
    let columns = player.columns();
    let noop = noop(&columns)?;
    let border = noop.player(0).map_err(|error| anyhow::anyhow!("{error}"))?;
    let wanted = |shape| columns.iter().any(|column| column.shape == shape);
    let shown = |shape| world != World::Transformer || shape != Shape::Samples;
    for sample in subject.samples.rows.iter().filter(|sample| wanted(sample.shape()) && shown(sample.shape()))
    {
        for rows in sizes {
            let batch: Box<dyn Columns> = match world {
                World::Transformer => sample.editable(*rows as usize)?,
                _ => sample.repeated(*rows as usize)?,
            };
            let whole = nanos_a_row(player, *rows, || call(player, world, &*batch))?;
            let border = nanos_a_row(border, *rows, || call(border, World::Validator, &*batch))?;
            line(super::check::name_of(sample.shape()), *rows, whole, border)?;
        }
    }
    Ok(())
}

/// What the plugins that ship take, from `docs/performance.md`, for comparison.
fn mark(world: World) -> &'static str {
    match world {
        World::Validator => "    (validate, which ships: 31 a span)",
        World::Deriver => "    (span-metrics, which ships: 33 a span)",
        World::Transformer | World::Limiter | World::Function => "",
    }
}

fn subject(args: &BenchArgs) -> anyhow::Result<Subject> {
    let parsed = |text: &Option<String>, flag: &str| -> anyhow::Result<Option<Value>> {
        text.as_deref().map(serde_json::from_str).transpose().with_context(|| format!("{flag} is not JSON"))
    };
    let config = parsed(&args.config, "--config")?;
    let budget = parsed(&args.budget, "--budget")?.map(serde_json::from_value::<Budget>).transpose()?;
    if args.path.is_dir() {
        let project = Project::open(&args.path)?;
        let mut samples = test::samples(&project)?;
        return Ok(Subject {
            component: project.component(),
            config: config.or(samples.config.take()).unwrap_or_default(),
            budget: budget.unwrap_or_else(|| project.budget()),
            samples,
            rows_of: "rows of its cases, repeated",
        });
    }
    Ok(Subject {
        component: args.path.clone(),
        config: config.unwrap_or_else(|| json!({})),
        budget: budget.unwrap_or_default(),
        samples: Samples { rows: made_up::rows()?, ..Samples::default() },
        rows_of: "made-up rows: 20 services, 10 names, 3 severities",
    })
}

/// The plugin that looks at nothing, asking for the same columns.
fn noop(columns: &[WantedColumn]) -> anyhow::Result<Rehearsal> {
    let file = Scratch::with(NOOP)?;
    let wanted = |column: &WantedColumn| {
        let encoding = match column.encoding {
            Encoding::Values => "values",
            Encoding::Dictionary => "dictionary",
            Encoding::Lengths => "lengths",
        };
        let optional = if column.optional { " optional" } else { "" };
        format!("{} {} {encoding}{optional}", super::check::name_of(column.shape), column.name)
    };
    let columns: Vec<_> = columns.iter().map(wanted).collect();
    test::open(&file.0, &[json!({ "columns": columns })], Budget::default())
}

/// A file that is removed again.
struct Scratch(PathBuf);

impl Scratch {
    fn with(bytes: &[u8]) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("isinglass-noop-{}.wasm", std::process::id()));
        std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// The quickest of several rounds, after one that warms up.
fn nanos_a_row(player: Player<'_>, rows: u32, call: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let round = |calls: u64| -> anyhow::Result<f64> {
        let before = player.stats().cpu_seconds;
        for _ in 0..calls {
            call()?;
        }
        Ok((player.stats().cpu_seconds - before) * 1e9 / calls as f64)
    };
    let a_call = round(3)?.max(1.0);
    let calls = ((NANOS_PER_ROUND / a_call) as u64).clamp(1, CALLS_MAX);
    let mut quickest = f64::INFINITY;
    for _ in 0..ROUNDS {
        quickest = quickest.min(round(calls)?);
    }
    Ok(quickest / f64::from(rows))
}

fn call(player: Player<'_>, world: World, batch: &dyn Columns) -> anyhow::Result<()> {
    let now = test::NOW;
    let failed = match world {
        World::Validator => player.validate(batch, now).err(),
        World::Limiter => player.limit(batch, now).err(),
        World::Deriver => player.derive(batch, now).err(),
        World::Transformer => player.edits(batch, now).err(),
        World::Function => bail!("functions are called, not shown rows"),
    };
    match failed {
        None => Ok(()),
        Some(fault) => bail!("it failed: {fault}"),
    }
}
