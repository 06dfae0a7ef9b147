//! `isinglass plugin replay`: deriving again from what a server has stored.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::client::Client;
use super::{ServerArgs, replay_shown, say};

/// How often the server is asked how far it is.
const PAUSE: Duration = Duration::from_millis(250);

/// What to derive again, with what.
#[derive(Debug, Clone, Args)]
pub struct ReplayArgs {
    /// Name of the plugin
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The first moment: 2026-01-02T03:04:05Z, milliseconds since 1970, or so long ago: -2h
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: String,
    /// The first moment that is not wanted
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    pub to: String,
    /// Whose rows; without it those of `default`
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// Compare with what is stored, and write nothing
    #[arg(long)]
    pub diff: bool,
    /// Say what would be replaced, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Another component in the place of the plugin's
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Another configuration in the place of the plugin's, as JSON
    #[arg(long, value_name = "JSON")]
    pub config: Option<String>,
    /// What another component may use, as in a binding, as JSON
    #[arg(long, value_name = "JSON")]
    pub budget: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Where
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Has it done, shows how far it is, and prints the report. With `--diff` the exit code is 1 if
/// something differs.
pub(in crate::plugin) async fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let component = match &args.file {
        Some(file) => std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?,
        None => Vec::new(),
    };
    let writes = !(args.diff || args.dry_run);
    let mut query = vec![("from", args.from.clone()), ("to", args.to.clone()), ("write", writes.to_string())];
    for (key, value) in [("config", &args.config), ("budget", &args.budget)] {
        query.extend(value.as_ref().map(|value| (key, value.clone())));
    }
    let mut client = Client::new(&args.server.server)?;
    client.tenant.clone_from(&args.tenant);
    let path = format!("/api/plugins/{}/replay", args.name);
    let begun = client.ask(Method::POST, &path, &query, component).await?;
    let path = format!("{path}/{}", begun["replay"]);
    let ended = tokio::select! {
        ended = end(&client, &path) => ended?,
        _ = tokio::signal::ctrl_c() => {
            client.ask(Method::DELETE, &path, &[], Vec::new()).await?;
            bail!("the replay was cancelled; what is stored is as it was, unless it was being committed");
        }
    };
    let report = &ended["report"];
    if !report.is_object() {
        bail!("{}", ended["error"]["message"].as_str().unwrap_or("the replay failed without a reason"));
    }
    let text = match (args.json, args.dry_run) {
        (true, _) => serde_json::to_string_pretty(report)? + "\n",
        (false, true) => replay_shown::dry_run(report),
        (false, false) => replay_shown::report(report),
    };
    let code = say(&text)?;
    let differs = args.diff && replay_shown::differs(report);
    Ok(if differs { ExitCode::FAILURE } else { code })
}

/// Waits for its end, and shows how far it is.
async fn end(client: &Client, path: &str) -> anyhow::Result<Value> {
    let shows = std::io::stderr().is_terminal();
    loop {
        let status = client.ask(Method::GET, path, &[], Vec::new()).await?;
        let running = status["state"] == "running";
        if shows {
            let line = replay_shown::progress(&status);
            eprint_line(&line, !running);
        }
        if !running {
            return Ok(status);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn eprint_line(line: &str, last: bool) {
    use std::io::Write as _;
    // Whether anybody sees it does not matter.
    let end = if last { "\n" } else { "" };
    let _ = write!(std::io::stderr().lock(), "\r{line}{end}");
}
