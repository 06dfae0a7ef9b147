//! Commands that a running server carries out: `install`, `list`, `log`, `remove`, `replay`, `rollback`.
//!
//! | file | is |
//! |---|---|
//! | `client.rs` | asking the server |
//! | `show.rs` | what it answered, as text |
//! | `replay.rs`, `replay_shown.rs` | `replay` and its report |

mod client;
mod replay;
mod replay_shown;
mod show;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use client::Client;
pub use replay::ReplayArgs;
pub(super) use replay::replay;

/// The server that is asked.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// Main address of the server
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4319")]
    pub server: Url,
}

/// What to install, and for whom.
#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    /// The component
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Its name in metrics, logs and errors; by default that of the file
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// For this tenant only; can be given several times
    #[arg(long, value_name = "TENANT")]
    pub tenant: Vec<String>,
    /// Shown this signal only: metrics, logs or traces; can be given several times
    #[arg(long, value_name = "SIGNAL")]
    pub signal: Vec<String>,
    /// Its configuration, as JSON
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub config: String,
    /// What becomes of a batch when it fails; by default what suits its world
    #[arg(long, value_name = "POLICY")]
    pub on_error: Option<String>,
    /// What it may use, as in a binding, as JSON
    #[arg(long, value_name = "JSON")]
    pub budget: Option<String>,
    /// What the names of its functions begin with
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Where
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Which plugin.
#[derive(Debug, Clone, Args)]
pub struct NamedArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Where
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What to list.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Installs a component; the next request is shown to it.
pub(super) async fn install(args: &InstallArgs) -> anyhow::Result<ExitCode> {
    let component =
        std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(args)?,
    };
    let path = format!("/api/plugins/{name}");
    let query = [("binding", Value::Object(binding(args)?).to_string())];
    let client = Client::new(&args.server.server)?;
    let answer = client.ask(Method::PUT, &path, &query, component).await?;
    say(&show::installed(&answer))
}

/// Name of the file, without what a build adds to it.
fn name_of(args: &InstallArgs) -> anyhow::Result<String> {
    let stem = args.file.file_stem().and_then(|stem| stem.to_str());
    let name = stem.map(|stem| stem.to_ascii_lowercase().replace(['_', '.', ' '], "-"));
    match name.filter(|name| !name.is_empty()) {
        Some(name) => Ok(name),
        None => {
            bail!("{} has no name that a plugin could have: give it one with --name", args.file.display())
        }
    }
}

fn binding(args: &InstallArgs) -> anyhow::Result<Map<String, Value>> {
    let mut binding = Map::new();
    let json_of = |text: &str, flag: &str| {
        serde_json::from_str::<Value>(text).with_context(|| format!("{flag} is not JSON: {text}"))
    };
    binding.insert("config".to_owned(), json_of(&args.config, "--config")?);
    if let Some(budget) = &args.budget {
        binding.insert("budget".to_owned(), json_of(budget, "--budget")?);
    }
    for (key, values) in [("for_tenants", &args.tenant), ("signals", &args.signal)] {
        if !values.is_empty() {
            binding.insert(key.to_owned(), json!(values));
        }
    }
    for (key, value) in [("on_error", &args.on_error), ("prefix", &args.prefix)] {
        if let Some(value) = value {
            binding.insert(key.to_owned(), json!(value));
        }
    }
    Ok(binding)
}

/// Lists the chain in use.
pub(super) async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let answer = Client::new(&args.server.server)?.ask(Method::GET, "/api/plugins", &[], Vec::new()).await?;
    let text = if args.json { serde_json::to_string_pretty(&answer)? + "\n" } else { show::list(&answer) };
    say(&text)
}

/// Prints what a plugin logged last.
pub(super) async fn log(args: &NamedArgs) -> anyhow::Result<ExitCode> {
    say(&show::log(&of_name(args, Method::GET, "/log").await?))
}

/// Takes an installed plugin away.
pub(super) async fn remove(args: &NamedArgs) -> anyhow::Result<ExitCode> {
    of_name(args, Method::DELETE, "").await?;
    say(&format!("{} removed\n", args.name))
}

/// Goes back to what was installed before.
pub(super) async fn roll_back(args: &NamedArgs) -> anyhow::Result<ExitCode> {
    say(&show::installed(&of_name(args, Method::POST, "/rollback").await?))
}

async fn of_name(args: &NamedArgs, method: Method, what: &str) -> anyhow::Result<Value> {
    let path = format!("/api/plugins/{}{what}", args.name);
    Client::new(&args.server.server)?.ask(method, &path, &[], Vec::new()).await
}

fn say(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
