//! `isinglass plugin bench`: what a row costs in the sandbox.
//!
//! Times are thread CPU times of calls as a server makes them, epochs on, the copy of the columns
//! and of the answer included. The same columns shown to a plugin that looks at nothing tell which
//! part of it is the border.

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
use super::test::{self, Sample};

/// Keeps every row and looks at none.
const NOOP: &[u8] = include_bytes!("../../../../plugins/dist/noop.wasm");

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
    samples: Vec<Sample>,
    rows_of: &'static str,
}

/// Measures and tells.
pub(super) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    ensure!(args.rows.iter().all(|rows| (1..=10_000).contains(rows)), "--rows must be 1 to 10000");
    let subject = subject(args)?;
    let rehearsal = test::open(&subject.component, &[subject.config.clone()], subject.budget)?;
    let player = rehearsal.player(0).map_err(|error| anyhow::anyhow!("{error}"))?;
    let columns = player.columns();
    let noop = noop(&columns)?;
    let border = noop.player(0).map_err(|error| anyhow::anyhow!("{error}"))?;

    let mut out = std::io::stdout().lock();
    writeln!(out, "{}, a {}; {}", player.plugin(), rehearsal.world().as_str(), subject.rows_of)?;
    let mark = mark(rehearsal.world());
    writeln!(out, "\n{:<8}  {:>7}  {:>12}  {:>12}{mark}", "", "rows", "ns a row", "the border")?;
    for sample in
        subject.samples.iter().filter(|sample| columns.iter().any(|column| column.shape == sample.shape()))
    {
        for rows in &args.rows {
            let batch = sample.repeated(*rows as usize)?;
            let whole = nanos_a_row(player, rehearsal.world(), &*batch, *rows)?;
            let border = nanos_a_row(border, World::Validator, &*batch, *rows)?;
            let shape = super::check::name_of(sample.shape());
            writeln!(out, "{shape:<8}  {rows:>7}  {whole:>12.1}  {border:>12.1}")?;
        }
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
        let (of_case, samples) = test::samples(&project)?;
        return Ok(Subject {
            component: project.component(),
            config: config.unwrap_or(of_case),
            budget: budget.unwrap_or_else(|| project.budget()),
            samples,
            rows_of: "rows of its cases, repeated",
        });
    }
    Ok(Subject {
        component: args.path.clone(),
        config: config.unwrap_or_else(|| json!({})),
        budget: budget.unwrap_or_default(),
        samples: made_up()?,
        rows_of: "made-up rows: 20 services, 10 names, 3 severities",
    })
}

/// Rows where there are no cases.
fn made_up() -> anyhow::Result<Vec<Sample>> {
    let rows = |row: fn(usize) -> Value| {
        let rows = (0..200).map(|at| toml::Table::try_from(row(at)));
        rows.collect::<Result<Vec<_>, _>>()
    };
    Ok(vec![
        Sample::new(
            Shape::Spans,
            rows(|at| {
                json!({
                    "service": format!("service-{}", at % 20),
                    "name": format!("operation-{}", at / 20),
                    "duration": at * 1_000_003,
                    "kind": "server",
                    "attributes": { "http.request.method": "GET", "http.route": "/cart", "user.tier": "gold" },
                })
            })?,
        )?,
        Sample::new(
            Shape::Logs,
            rows(|at| {
                json!({
                    "service": format!("service-{}", at % 20),
                    "severity": (["info", "warn", "error"])[at % 3],
                    "body": format!("order {at} was taken and will be sent to the address that was given"),
                    "attributes": { "user.tier": "gold" },
                })
            })?,
        )?,
        Sample::new(Shape::Samples, rows(|at| json!({ "value": at }))?)?,
        Sample::new(
            Shape::Series,
            rows(
                |at| json!({ "labels": { "__name__": "requests_total", "job": format!("job-{}", at % 20), "instance": at.to_string() } }),
            )?,
        )?,
    ])
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
fn nanos_a_row(player: Player<'_>, world: World, batch: &dyn Columns, rows: u32) -> anyhow::Result<f64> {
    let round = |calls: u64| -> anyhow::Result<f64> {
        let before = player.stats().cpu_seconds;
        for _ in 0..calls {
            call(player, world, batch)?;
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
        World::Transformer | World::Function => bail!("a {} cannot be measured yet", world.as_str()),
    };
    match failed {
        None => Ok(()),
        Some(fault) => bail!("it failed: {fault}"),
    }
}
