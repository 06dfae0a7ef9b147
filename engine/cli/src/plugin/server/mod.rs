//! Commands that a running server carries out: `install`, `list`, `log`, `remove`, `rollback`,
//! `promote`, `diff`, `reingest`, `replay`.
//!
//! | file | is |
//! |---|---|
//! | `client.rs` | asking the server |
//! | `show.rs` | what it answered, as text |
//! | `source.rs` | where what is installed comes from |
//! | `when.rs` | conditions, as text |
//! | `diff.rs` | what one that is tried out would have done |
//! | `reingest.rs` | refused items through the chain again |
//! | `replay.rs`, `replay_shown.rs` | `replay` and its report |

mod client;
mod diff;
mod reingest;
mod replay;
mod replay_shown;
mod show;
mod source;
mod when;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

use client::Client;
pub use diff::DiffArgs;
pub(super) use diff::diff;
pub use reingest::ReingestArgs;
pub(super) use reingest::reingest;
pub use replay::ReplayArgs;
pub(super) use replay::replay;
use source::{Component, Source};

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
    /// The component: a file, the folder of a plugin that was built, or
    /// oci://REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "FILE")]
    pub source: Source,
    /// What minisign says of it; by default FILE.minisig, where that is there
    #[arg(long, value_name = "FILE")]
    pub signature: Option<PathBuf>,
    /// Its name in metrics, logs and errors; by default that of the file
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Try it out: it sees live traffic, and nothing is done as it says
    #[arg(long)]
    pub shadow: bool,
    /// For this tenant only; can be given several times
    #[arg(long, value_name = "TENANT")]
    pub tenant: Vec<String>,
    /// Shown this signal only: metrics, logs or traces; can be given several times
    #[arg(long, value_name = "SIGNAL")]
    pub signal: Vec<String>,
    /// Shown only items for which this holds: FIELD=PATTERN or FIELD!=PATTERN, where FIELD is
    /// service, scope, metric or resource.KEY, and * in PATTERN stands for any text; of several
    /// patterns for one field one must fit; can be given several times
    #[arg(long, value_name = "CONDITION")]
    pub when: Vec<String>,
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

/// Which plugin, where one is enforced and another tried out under the same name.
#[derive(Debug, Clone, Args)]
pub struct EitherArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The one that is tried out; without it the one that is enforced, if there is one
    #[arg(long)]
    pub shadow: bool,
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
    let Component { bytes, name, signature, budget } = args.source.read(args.signature.as_deref()).await?;
    let name = args.name.clone().or(name);
    let Some(name) = name else {
        bail!("{} has no name that a plugin could have: give it one with --name", args.source)
    };
    let mut binding = binding(args)?;
    if let Some(signature) = signature {
        binding.insert("signature".to_owned(), json!(signature));
    }
    if let Some(budget) = budget.filter(|_| args.budget.is_none()) {
        binding.insert("budget".to_owned(), json!(budget));
    }
    let path = format!("/api/plugins/{name}");
    let query = [("binding", Value::Object(binding).to_string())];
    let client = Client::new(&args.server.server)?;
    let answer = client.ask(Method::PUT, &path, &query, bytes).await?;
    say(&show::installed(&answer))
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
    if args.shadow {
        binding.insert("shadow".to_owned(), json!(true));
    }
    for (key, values) in [("for_tenants", &args.tenant), ("signals", &args.signal)] {
        if !values.is_empty() {
            binding.insert(key.to_owned(), json!(values));
        }
    }
    if !args.when.is_empty() {
        binding.insert("when".to_owned(), when::read(&args.when)?);
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
pub(super) async fn log(args: &EitherArgs) -> anyhow::Result<ExitCode> {
    say(&show::log(&of_either(args, Method::GET, "/log").await?))
}

/// Takes an installed plugin away.
pub(super) async fn remove(args: &EitherArgs) -> anyhow::Result<ExitCode> {
    let answer = of_either(args, Method::DELETE, "").await?;
    let tried = if answer["shadow"] == true { ", it was tried out" } else { "" };
    say(&format!("{} removed{tried}\n", args.name))
}

/// Enforces a plugin that was tried out.
pub(super) async fn promote(args: &NamedArgs) -> anyhow::Result<ExitCode> {
    say(&show::installed(&of_name(args, Method::POST, "/promote").await?))
}

/// Goes back to what was installed before.
pub(super) async fn roll_back(args: &NamedArgs) -> anyhow::Result<ExitCode> {
    say(&show::installed(&of_name(args, Method::POST, "/rollback").await?))
}

async fn of_either(args: &EitherArgs, method: Method, what: &str) -> anyhow::Result<Value> {
    let path = format!("/api/plugins/{}{what}", args.name);
    let query: Vec<_> = args.shadow.then(|| ("shadow", "true".to_owned())).into_iter().collect();
    Client::new(&args.server.server)?.ask(method, &path, &query, Vec::new()).await
}

async fn of_name(args: &NamedArgs, method: Method, what: &str) -> anyhow::Result<Value> {
    let path = format!("/api/plugins/{}{what}", args.name);
    Client::new(&args.server.server)?.ask(method, &path, &[], Vec::new()).await
}

fn say(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
