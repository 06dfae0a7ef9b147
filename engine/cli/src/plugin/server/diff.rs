//! What a plugin that is tried out would have done, beside what was done.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use comfy_table::{Table, presets};
use reqwest::Method;
use serde_json::Value;

use super::client::Client;
use super::{ServerArgs, say};

/// Of which plugin, and of when.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Of this tenant's data
    #[arg(long, value_name = "TENANT")]
    pub tenant: Option<String>,
    /// How far to look back, at most to when it was installed
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    pub since: Duration,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Where
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Asks for it and prints it.
pub(in crate::plugin) async fn diff(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let path = format!("/api/plugins/{}/diff", args.name);
    let query = [("since_ms", args.since.as_millis().to_string())];
    let client = Client::of_tenant(&args.server.server, args.tenant.as_ref())?;
    let answer = client.ask(Method::GET, &path, &query, Vec::new()).await?;
    say(&if args.json { serde_json::to_string_pretty(&answer)? + "\n" } else { shown(&answer) })
}

fn shown(answer: &Value) -> String {
    let mut out = String::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = UNIX_EPOCH + Duration::from_millis(answer["since_unix_ms"].as_u64().unwrap_or_default());
    let plugin = |of: &Value| format!("{}, {}", text(&of["plugin"]), text(&of["digest"]));
    // Writing into a text cannot fail.
    let _ = writeln!(
        out,
        "{}: {}, a {} that is tried out{}; since {}, tenant {}",
        text(&answer["name"]),
        plugin(answer),
        text(&answer["world"]),
        if answer["installed"] == true { "" } else { " no longer" },
        humantime::format_rfc3339_seconds(time),
        text(&answer["tenant"]),
    );
    let live = &answer["live"];
    let _ = match live.is_null() {
        true => writeln!(out, "live: nothing has this name"),
        false => writeln!(out, "live: {}", plugin(live)),
    };
    signals(&mut out, answer);
    groups(&mut out, answer);
    derived(&mut out, answer);
    out
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn signals(out: &mut String, answer: &Value) {
    if array(&answer["signals"]).next().is_none() {
        let _ = writeln!(out, "it was shown nothing");
    }
    for signal in array(&answer["signals"]) {
        let count = |key: &str| signal[key].as_u64().unwrap_or_default();
        let _ = write!(out, "{}: {} items", signal["signal"].as_str().unwrap_or_default(), count("seen"));
        let parts = [
            ("refused", "would be refused"),
            ("newly_refused", "of them kept now"),
            ("dropped", "would be dropped"),
            ("newly_kept", "refused now and would be kept"),
            ("failed", "it failed over"),
            ("skipped", "it was not shown, being too far behind"),
        ];
        for (key, words) in parts.into_iter().filter(|(key, _)| count(key) > 0) {
            let _ = write!(out, "; {} {words}", count(key));
        }
        out.push('\n');
    }
}

fn groups(out: &mut String, answer: &Value) {
    if array(&answer["groups"]).next().is_none() {
        return;
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["", "SIGNAL", "SENDER", "REASON", "LIVE", "FIELD", "ITEMS", "OF SENDER"]);
    for group in array(&answer["groups"]) {
        let text = |key: &str| group[key].as_str().unwrap_or_default().to_owned();
        let share = group["share_of_sender"].as_f64().map(|share| format!("{:.1} %", share * 100.0));
        table.add_row([
            text("what"),
            text("signal"),
            text("sender"),
            text("reason"),
            text("live"),
            text("field"),
            group["items"].to_string(),
            share.unwrap_or_default(),
        ]);
    }
    out.push('\n');
    for line in table.lines() {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let left_out = answer["groups_left_out"].as_u64().unwrap_or_default();
    if left_out > 0 {
        let _ = writeln!(out, "and {left_out} more: select * from shadow");
    }
    for group in array(&answer["groups"]) {
        examples(out, group);
    }
}

fn examples(out: &mut String, group: &Value) {
    let text = |of: &Value, key: &str| of[key].as_str().map(|text| one_line(text, 400));
    for (at, example) in array(&group["examples"]).enumerate() {
        if at == 0 {
            let words = ["what", "sender", "reason", "field"].map(|key| text(group, key).unwrap_or_default());
            let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
            let _ = writeln!(out, "\n{}, for example", words.join(" "));
        }
        if let Some(message) = text(example, "message") {
            let _ = writeln!(out, "  {message}");
        }
        let (before, after) = (text(example, "before"), text(example, "after"));
        if before.is_some() || after.is_some() {
            let none = || "(nothing)".to_owned();
            let _ = writeln!(out, "  {} -> {}", before.unwrap_or_else(none), after.unwrap_or_else(none));
        }
        if let Some(item) = text(example, "item") {
            let _ = writeln!(out, "    {item}");
        }
    }
}

fn derived(out: &mut String, answer: &Value) {
    for (at, metric) in array(&answer["derived"]).enumerate() {
        if at == 0 {
            let _ = writeln!(out, "\nit would have added");
        }
        let value = metric["value"].as_f64().unwrap_or_default();
        let name = metric["metric"].as_str().unwrap_or_default();
        let _ = writeln!(out, "  {name}: {value} in {} series", metric["series"]);
    }
}

/// At most so many characters of a text, without line breaks.
fn one_line(text: &str, chars_max: usize) -> String {
    let shown: String = text.chars().take(chars_max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(chars_max).is_some() { shown + "..." } else { shown }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_told_in_lines() {
        let group = json!({
            "what": "refused", "signal": "traces", "sender": "shop", "reason": "service_denied", "live": "kept",
            "items": 5, "share_of_sender": 0.25, "examples": [{ "message": "no \"shop\"", "item": "{}\n" }],
        });
        let changed = json!({
            "what": "changed", "signal": "traces", "sender": "shop", "live": "kept", "field": "attributes['user']",
            "items": 2, "share_of_sender": null, "examples": [{ "before": "ann" }],
        });
        let answer = json!({
            "name": "deny", "tenant": "default", "plugin": "deny@1", "digest": "sha256:00", "world": "validator",
            "installed": true, "since_unix_ms": 0, "live": null, "groups_left_out": 3,
            "signals": [{ "signal": "traces", "seen": 20, "refused": 5, "newly_refused": 4 }],
            "groups": [group, changed], "derived": [{ "metric": "calls", "value": 3.0, "series": 2 }],
        });
        let text = shown(&answer);
        for wanted in [
            "deny: deny@1, sha256:00, a validator that is tried out; since 1970-01-01T00:00:00Z, tenant default\n",
            "live: nothing has this name\n",
            "traces: 20 items; 5 would be refused; 4 of them kept now\n",
            "and 3 more: select * from shadow\n",
            "refused shop service_denied, for example\n  no \"shop\"\n    {} \n",
            "changed shop attributes['user'], for example\n  ann -> (nothing)\n",
            "it would have added\n  calls: 3 in 2 series\n",
        ] {
            assert!(text.contains(wanted), "{wanted:?} in\n{text}");
        }
        let row = text.lines().find(|line| line.starts_with(" refused")).unwrap();
        let columns: Vec<_> = row.split_whitespace().collect();
        assert_eq!(columns, ["refused", "traces", "shop", "service_denied", "kept", "5", "25.0", "%"]);
    }
}
