//! Answers of a server as text.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{Table, presets};
use serde_json::Value;

use super::when;

/// One line about what is installed now.
pub(super) fn installed(answer: &Value) -> String {
    let text = |key: &str| answer[key].as_str().unwrap_or("?");
    let mut line = format!("{}: {}, a {}, {}", text("name"), text("plugin"), text("world"), text("digest"));
    let tenants = texts(&answer["for_tenants"]);
    if !tenants.is_empty() {
        // Writing into a text cannot fail.
        let _ = write!(line, ", for {}", tenants.join(", "));
    }
    let conditions = when::shown(&answer["when"]);
    if !conditions.is_empty() {
        let _ = write!(line, ", when {conditions}");
    }
    if answer["shadow"] == true {
        line += ", tried out: nothing is done as it says";
    }
    line + "\n"
}

/// A table of the chain.
pub(super) fn list(answer: &Value) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header([
        "NAME", "PLUGIN", "WORLD", "SOURCE", "SIGNALS", "TENANTS", "WHEN", "CALLS", "FAILURES", "CPU S",
    ]);
    for plugin in answer["plugins"].as_array().into_iter().flatten() {
        let text = |key: &str| plugin[key].as_str().unwrap_or_default().to_owned();
        let all = |values: Vec<String>| if values.is_empty() { "all".to_owned() } else { values.join(",") };
        table.add_row([
            text("name"),
            text("plugin"),
            text("world") + if plugin["shadow"] == true { " (shadow)" } else { "" },
            text("source"),
            all(texts(&plugin["signals"])),
            all(texts(&plugin["for_tenants"])),
            Some(when::shown(&plugin["when"])).filter(|when| !when.is_empty()).unwrap_or("always".to_owned()),
            plugin["calls"].to_string(),
            plugin["failures"].to_string(),
            format!("{:.2}", plugin["cpu_seconds"].as_f64().unwrap_or_default()),
        ]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.join("\n") + "\n"
}

/// A line each.
pub(super) fn log(answer: &Value) -> String {
    let mut out = String::new();
    for line in answer["lines"].as_array().into_iter().flatten() {
        let millis = line["unix_ms"].as_u64().unwrap_or_default();
        let time = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(millis));
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let tenant = Some(text("tenant")).filter(|tenant| !tenant.is_empty());
        let tenant = tenant.map(|tenant| format!("[{tenant}] ")).unwrap_or_default();
        let _ = writeln!(out, "{time} {:<7} {tenant}{}", text("level"), text("message"));
    }
    out
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_lines() {
        let plugin = json!({
            "name": "deny", "plugin": "deny-service@0.1.0", "world": "validator", "digest": "sha256:0a",
            "source": "installed", "signals": ["traces"], "for_tenants": ["acme"], "calls": 7,
            "failures": 0, "cpu_seconds": 0.125, "when": { "service": ["pay-*"] },
        });
        assert_eq!(
            installed(&plugin),
            "deny: deny-service@0.1.0, a validator, sha256:0a, for acme, when service=pay-*\n"
        );
        let listed = list(&json!({ "plugins": [plugin] }));
        let columns: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            columns,
            [
                "deny",
                "deny-service@0.1.0",
                "validator",
                "installed",
                "traces",
                "acme",
                "service=pay-*",
                "7",
                "0",
                "0.12"
            ]
        );
        let line =
            json!({ "unix_ms": 1_700_000_000_000_u64, "level": "warn", "tenant": "acme", "message": "m" });
        assert_eq!(log(&json!({ "lines": [line] })), "2023-11-14T22:13:20.000Z warn    [acme] m\n");
    }
}
