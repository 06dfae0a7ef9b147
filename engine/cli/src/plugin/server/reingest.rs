//! Refused items through the chain again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::client::Client;
use super::{ServerArgs, say};

/// Which, and whether it is meant.
#[derive(Debug, Clone, Args)]
pub struct ReingestArgs {
    /// Which rows of the table `rejected`: a condition of SQL
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: String,
    /// Of this tenant's data
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// Only say what would become of them
    #[arg(long)]
    pub dry_run: bool,
    /// So many rows at most that were not stored before, the oldest
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where
    #[command(flatten)]
    pub server: ServerArgs,
}

/// What became of them so far.
#[derive(Debug, Default)]
struct Sums {
    stored: u64,
    dropped: u64,
    already: u64,
    rejected: BTreeMap<String, u64>,
    unusable: BTreeMap<String, u64>,
    /// Stored or dropped by answers that broke off: the next one has the same rows once more.
    carried: u64,
}

impl Sums {
    fn add(&mut self, answer: &Value) {
        let number = |key: &str| answer[key].as_u64().unwrap_or_default();
        self.stored += number("stored");
        self.dropped += number("dropped");
        if !answer["stopped"].is_null() {
            self.carried += number("stored") + number("dropped");
            return;
        }
        self.already += number("already").saturating_sub(std::mem::take(&mut self.carried));
        for (key, sums) in [("rejected", &mut self.rejected), ("unusable", &mut self.unusable)] {
            for (reason, items) in answer[key].as_object().into_iter().flatten() {
                *sums.entry(reason.clone()).or_default() += items.as_u64().unwrap_or_default();
            }
        }
    }
}

impl Sums {
    /// Rows that an answer said something of, but for those that were stored before.
    fn tried(&self) -> u64 {
        let others = self.rejected.values().chain(self.unusable.values());
        self.stored + self.dropped + others.sum::<u64>()
    }

    fn rows(&self) -> u64 {
        self.tried() + self.already
    }
}

/// Sends them and says what became of them.
pub(in crate::plugin) async fn reingest(args: &ReingestArgs) -> anyhow::Result<ExitCode> {
    let client = Client::of_tenant(&args.server.server, args.tenant.as_ref())?;
    let progress = ProgressBar::new(0);
    progress.set_style(ProgressStyle::with_template("{pos} of {len} rows  {per_sec}  {msg}")?);
    let (mut sums, mut after) = (Sums::default(), None::<String>);
    loop {
        let left = args.limit.map(|limit| limit.saturating_sub(sums.tried()));
        if left == Some(0) {
            break;
        }
        let query = question(args, after.as_ref(), left);
        let answer = client.ask_until_taken(Method::POST, "/api/rejected/reingest", &query).await?;
        if let Some(total) = answer["total"].as_u64() {
            progress.set_length(args.limit.map_or(total, |limit| limit.min(total)));
        }
        sums.add(&answer);
        progress.set_position(sums.rows());
        progress.set_message(format!("{} stored", sums.stored));
        let next = answer["next_after"].as_str().map(str::to_owned);
        let again = !answer["stopped"].is_null();
        match next {
            None => break,
            Some(next) if Some(&next) == after.as_ref() && !again && args.limit.is_none() => {
                bail!("the server does not get beyond {next}")
            }
            Some(next) => after = Some(next),
        }
    }
    progress.finish_and_clear();
    say(&if args.json { as_json(&sums, args.dry_run)? } else { shown(&sums, args.dry_run) })
}

fn question(args: &ReingestArgs, after: Option<&String>, limit: Option<u64>) -> Vec<(&'static str, String)> {
    let mut query = vec![("where", args.condition.clone()), ("dry_run", args.dry_run.to_string())];
    query.extend(after.map(|after| ("after", after.clone())));
    query.extend(limit.map(|limit| ("limit", limit.to_string())));
    query
}

fn as_json(sums: &Sums, dry_run: bool) -> anyhow::Result<String> {
    let answer = json!({
        "dry_run": dry_run, "rows": sums.rows(), "stored": sums.stored, "dropped": sums.dropped,
        "already": sums.already, "rejected": sums.rejected, "unusable": sums.unusable,
    });
    Ok(serde_json::to_string_pretty(&answer)? + "\n")
}

fn shown(sums: &Sums, dry_run: bool) -> String {
    let (would, stay) = if dry_run { ("would be ", "would stay") } else { ("", "stay") };
    let mut out = format!("{} rows: {} {would}stored", sums.rows(), sums.stored);
    // Writing into a text cannot fail.
    if sums.dropped > 0 {
        let _ = write!(out, ", {} {would}dropped by a transformer", sums.dropped);
    }
    if sums.already > 0 {
        let _ = write!(out, ", {} were stored before", sums.already);
    }
    out.push('\n');
    for (reason, items) in &sums.rejected {
        let _ = writeln!(out, "{items} are refused again and {stay} in rejected: {reason}");
    }
    for (fault, items) in &sums.unusable {
        let why = match fault.as_str() {
            "withheld" => "their text was withheld, because no transformer had seen it",
            "cut" => "they are longer than what rejected keeps of an item",
            _ => "they were refused before they were read, or by a release that kept less of them",
        };
        let _ = writeln!(out, "{items} cannot be sent again: {why}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_them_is_told_in_lines() {
        let mut sums = Sums::default();
        let busy = json!({ "message": "busy", "retry_after_ms": 10 });
        sums.add(&json!({ "stored": 3, "dropped": 1, "already": 2, "stopped": busy }));
        let answer = json!({
            "stored": 1, "already": 6, "stopped": null,
            "rejected": { "service_denied": 2 }, "unusable": { "cut": 1 },
        });
        sums.add(&answer);
        let told = shown(&sums, false);
        assert_eq!(
            told,
            "10 rows: 4 stored, 1 dropped by a transformer, 2 were stored before\n\
             2 are refused again and stay in rejected: service_denied\n\
             1 cannot be sent again: they are longer than what rejected keeps of an item\n"
        );
        assert!(shown(&sums, true).starts_with("10 rows: 4 would be stored"));
    }
}
