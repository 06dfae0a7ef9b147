//! `isinglass plugin check`: what a component is, and whether a server would load it.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use indicatif::HumanBytes;
use isinglass_chain::Budget;
use isinglass_chain::inspect::{Inspection, WantedColumn, inspect};
use isinglass_model::ErrorKind;
use isinglass_model::clock::SystemClock;
use isinglass_model::columns::{Encoding, Shape};
use isinglass_model::functions::{FunctionSignature, Volatility};
use serde_json::{Value, json};

/// Exit code where a server would refuse the component.
const REFUSED: u8 = 1;
/// Where there is nothing to look at.
const CANNOT_LOOK: u8 = 2;

/// What to look at.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The component
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Its configuration, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub config: String,
    /// What it may use, as in a binding, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub budget: String,
    /// Keep the machine code in this data folder, so that its server need not compile it
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Looks and tells. Exit code 0: a server would load it, 1: it would not, 2: cannot look.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = serde_json::from_str(&args.config).context("--config is not JSON")?;
    let budget: Budget = serde_json::from_str(&args.budget).context("--budget is none")?;
    let compilation = super::compilation(args.data_dir.as_deref());
    let found = match inspect(&args.file, &config, budget, &compilation, Arc::new(SystemClock::new())) {
        Ok(found) => found,
        Err(error) => {
            writeln!(std::io::stderr(), "error: {error}")?;
            let unseen = matches!(error.kind(), ErrorKind::NotFound);
            return Ok(ExitCode::from(if unseen { CANNOT_LOOK } else { REFUSED }));
        }
    };
    let report =
        if args.json { serde_json::to_string_pretty(&as_json(&found))? + "\n" } else { text(&found) };
    std::io::stdout().lock().write_all(report.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn text(found: &Inspection) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing into a text cannot fail.
        let _ = writeln!(out, "{name:<9}{value}");
    };
    line("plugin", format!("{}, a {}", found.plugin, found.world.as_str()));
    line("digest", format!("sha256:{}", found.digest));
    let (bytes, bytes_max) = (HumanBytes(found.bytes), HumanBytes(found.bytes_max));
    line("size", format!("{bytes} of {bytes_max}, compiled in {:.2} s", found.compiled.as_secs_f64()));
    let (memory, memory_max) = (HumanBytes(found.memory_bytes), HumanBytes(found.memory_bytes_max));
    line("memory", format!("{memory} of {memory_max} after its start"));
    line("imports", listed(&found.imports));
    for shape in [Shape::Samples, Shape::Series, Shape::Logs, Shape::Spans] {
        let of_shape: Vec<_> = found.columns.iter().filter(|column| column.shape == shape).collect();
        if !of_shape.is_empty() {
            let columns: Vec<_> = of_shape.into_iter().map(column).collect();
            line(name_of(shape), listed(&columns));
        }
    }
    if !found.metrics.is_empty() {
        let metrics: Vec<_> = found.metrics.iter().map(|metric| metric.name.clone()).collect();
        line("writes", listed(&metrics));
    }
    for function in &found.functions {
        line("function", signature(function));
    }
    if !found.config_schema.is_empty() {
        line("config", found.config_schema.clone());
    }
    out
}

/// A function as it is declared.
fn signature(function: &FunctionSignature) -> String {
    let arguments: Vec<_> = function.arguments.iter().map(|ty| ty.as_str()).collect();
    let kind = kind(function);
    format!("{}({}) -> {}, {kind}", function.name, arguments.join(", "), function.returns.as_str())
}

fn kind(function: &FunctionSignature) -> &'static str {
    if function.aggregate { "aggregate" } else { "scalar" }
}

fn listed(all: &[String]) -> String {
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn column(column: &WantedColumn) -> String {
    let how = match column.encoding {
        Encoding::Values => "",
        Encoding::Dictionary => " as dictionary",
        Encoding::Lengths => " as lengths",
    };
    let optional = if column.optional { ", if there" } else { "" };
    format!("{}{how}{optional}", column.name)
}

pub(super) fn name_of(shape: Shape) -> &'static str {
    match shape {
        Shape::Samples => "samples",
        Shape::Series => "series",
        Shape::Logs => "logs",
        Shape::Spans => "spans",
    }
}

fn as_json(found: &Inspection) -> Value {
    let encoding = |encoding| match encoding {
        Encoding::Values => "values",
        Encoding::Dictionary => "dictionary",
        Encoding::Lengths => "lengths",
    };
    let column = |column: &WantedColumn| {
        json!({
            "shape": name_of(column.shape),
            "name": column.name,
            "encoding": encoding(column.encoding),
            "optional": column.optional,
        })
    };
    let function = |function: &FunctionSignature| {
        json!({
            "name": function.name,
            "kind": kind(function),
            "arguments": function.arguments.iter().map(|ty| ty.as_str()).collect::<Vec<_>>(),
            "returns": function.returns.as_str(),
            "volatility": match function.volatility {
                Volatility::Immutable => "immutable",
                Volatility::Stable => "stable",
                Volatility::Volatile => "volatile",
            },
            "help": function.help,
        })
    };
    json!({
        "plugin": found.plugin,
        "world": found.world.as_str(),
        "digest": format!("sha256:{}", found.digest),
        "bytes": found.bytes,
        "bytes_max": found.bytes_max,
        "compile_seconds": found.compiled.as_secs_f64(),
        "memory_bytes": found.memory_bytes,
        "memory_bytes_max": found.memory_bytes_max,
        "imports": found.imports,
        "columns": found.columns.iter().map(column).collect::<Vec<_>>(),
        "metrics": found.metrics.iter().map(|metric| &metric.name).collect::<Vec<_>>(),
        "functions": found.functions.iter().map(function).collect::<Vec<_>>(),
        // What is not JSON was refused.
        "config_schema": serde_json::from_str::<Value>(&found.config_schema).unwrap_or(Value::Null),
    })
}
