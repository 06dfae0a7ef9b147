//! Reports of replays as text.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use comfy_table::{Table, presets};
use serde_json::Value;

/// Series that differ and are listed.
const SHOWN_MAX: usize = 20;

/// One line about how far it is.
pub(super) fn progress(status: &Value) -> String {
    let number = |key: &str| status[key].as_f64().unwrap_or_default();
    let (from, to, at) = (number("from_ms"), number("to_ms"), number("at_ms"));
    let share = ((at - from) / (to - from).max(1.0)).clamp(0.0, 1.0);
    format!("{:3.0} % up to {}, {} rows", 100.0 * share, time(&status["at_ms"]), status["rows"])
}

/// Whether anything differs.
pub(super) fn differs(report: &Value) -> bool {
    let count = |key: &str| report["series"][key].as_u64().unwrap_or_default();
    count("different") + count("only_stored") + count("only_replayed") > 0 || report["reconciled"] != true
}

/// What would be replaced.
pub(super) fn dry_run(report: &Value) -> String {
    let of = &report["provenance"];
    let mut out = head(of);
    let _ = writeln!(
        out,
        "would put {} samples in the place of {} that are stored; counters that run across the end would be replaced to theirs",
        of["samples"], report["stored_samples"]
    );
    out
}

/// All of it.
pub(super) fn report(report: &Value) -> String {
    let mut out = head(&report["provenance"]);
    let series = &report["series"];
    let _ = writeln!(
        out,
        "series: {} with the same samples, {} with the same increase, {} different, {} only stored, {} only replayed\n",
        series["identical"],
        series["equal"],
        series["different"],
        series["only_stored"],
        series["only_replayed"]
    );
    metrics(report, &mut out);
    differences(report, &mut out);
    for reason in report["reasons"].as_array().into_iter().flatten() {
        let _ = writeln!(out, "  {}", reason.as_str().unwrap_or_default());
    }
    let written = &report["written"];
    if written.is_object() {
        let (version, removed, added) = (&written["version"], &written["removed"], &written["added"]);
        let _ = writeln!(
            out,
            "written: {added} samples in the place of {removed}, as version {version} of samples"
        );
        for table in ["histograms", "exemplars"] {
            let of = &written[table];
            if of.is_object() {
                let _ = writeln!(
                    out,
                    "         {} {table} in the place of {}, as version {}",
                    of["added"], of["removed"], of["version"]
                );
            }
        }
    }
    out
}

fn head(of: &Value) -> String {
    let text = |key: &str| of[key].as_str().unwrap_or("?").to_owned();
    let mut out = format!(
        "{}: {}, {}\nconfiguration {}\nfrom {} to {}\n",
        text("name"),
        text("plugin"),
        text("digest"),
        text("config_digest"),
        time(&of["from_ms"]),
        time(&of["to_ms"])
    );
    if of["to_ms"].as_i64() > of["asked_to_ms"].as_i64() {
        let _ = writeln!(
            out,
            "  ({} was asked for: counters run across it, and end where this does)",
            time(&of["asked_to_ms"])
        );
    }
    for (kind, source) in of["sources"].as_object().into_iter().flatten() {
        let version =
            source["version"].as_i64().map_or_else(|| "unflushed".to_owned(), |version| version.to_string());
        let _ = writeln!(
            out,
            "read {} {kind}, version {version}, {} of them twice",
            source["rows"], source["duplicates"]
        );
    }
    for table in ["samples", "histograms", "exemplars"] {
        if table == "samples" || of[table].as_u64().is_some_and(|rows| rows > 0) {
            let _ = writeln!(out, "made {} {table}, {}", of[table], text(&format!("{table}_digest")));
        }
    }
    out
}

fn metrics(report: &Value, out: &mut String) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["METRIC", "ROSE BY, STORED", "REPLAYED", ""]);
    for metric in report["metrics"].as_array().into_iter().flatten() {
        let number = |key: &str| metric[key].to_string();
        let (stored, replayed) = (metric["stored"].as_f64(), metric["replayed"].as_f64());
        let differs_by = replayed.unwrap_or_default() - stored.unwrap_or_default();
        let verdict = match metric["equal"] == true {
            true => "equal".to_owned(),
            false if differs_by == 0.0 && metric["native"].is_object() => native(&metric["native"]),
            false => format!("differs by {differs_by}"),
        };
        let name = metric["name"].as_str().unwrap_or_default().to_owned();
        table.add_row([name, number("stored"), number("replayed"), verdict]);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    out.push_str(&lines.join("\n"));
    let reconciled = report["reconciled"] == true;
    out.push_str(if reconciled { "\n\nreconciled\n" } else { "\n\nnot reconciled\n" });
}

/// Native histograms whose counts rose the same.
fn native(of: &Value) -> String {
    format!("sums {} and {}, {} in other buckets", of["stored_sum"], of["replayed_sum"], of["misplaced"])
}

fn differences(report: &Value, out: &mut String) {
    let all = report["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in all.iter().take(SHOWN_MAX) {
        let series = one["series"].as_str().unwrap_or_default();
        let what = one["what"].as_str().unwrap_or_default().replace('_', " ");
        let _ = writeln!(
            out,
            "  {what}: {series}\n    rose by {}, replayed by {}; from {} on: {} and {}",
            one["stored"],
            one["replayed"],
            time(&one["time_ms"]),
            one["stored_then"],
            one["replayed_then"]
        );
        if one["native"].is_object() {
            let _ = writeln!(out, "    {}", native(&one["native"]));
        }
    }
    if all.len() > SHOWN_MAX {
        let _ = writeln!(out, "  and more; --json has {}", all.len());
    }
}

fn time(ms: &Value) -> String {
    let ms = u64::try_from(ms.as_i64().unwrap_or_default()).unwrap_or_default();
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_is_read_from_top_to_bottom() {
        let metric = |name: &str, stored: f64, replayed: f64| json!({ "name": name, "stored": stored, "replayed": replayed, "equal": stored == replayed });
        let mut found = json!({
            "provenance": {
                "name": "span-metrics", "plugin": "span-metrics@0.1.0", "digest": "sha256:0a",
                "config_digest": "sha256:0b", "from_ms": 1_700_000_000_000_i64, "to_ms": 1_700_000_060_000_i64,
                "asked_to_ms": 1_700_000_030_000_i64, "samples": 9, "samples_digest": "xxh3:0c",
                "sources": { "spans": { "version": 3, "rows": 100, "duplicates": 0 } },
            },
            "series": { "identical": 0, "equal": 2, "different": 1, "only_stored": 0, "only_replayed": 0 },
            "metrics": [metric("calls_total", 100.0, 100.0), metric("size_total", 5.0, 7.0)],
            "differences": [{
                "series": "size_total{a=\"b\"}", "what": "different", "time_ms": 1_700_000_015_000_i64,
                "stored_then": 1.0, "replayed_then": 3.0, "stored": 5.0, "replayed": 7.0,
            }],
            "reasons": ["why"], "reconciled": false, "stored_samples": 8, "written": null,
        });
        let text = report(&found);
        for part in [
            "span-metrics: span-metrics@0.1.0, sha256:0a\n",
            "from 2023-11-14T22:13:20.000Z to 2023-11-14T22:14:20.000Z\n  (2023-11-14T22:13:50.000Z was asked for",
            "read 100 spans, version 3, 0 of them twice\n",
            "0 with the same samples, 2 with the same increase, 1 different, 0 only stored",
            "differs by 2",
            "not reconciled\n  different: size_total{a=\"b\"}\n    rose by 5.0, replayed by 7.0; from 2023-11-14T22:13:35.000Z on: 1.0 and 3.0\n  why\n",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
        assert!(differs(&found) && dry_run(&found).contains("would put 9 samples in the place of 8"));
        found["written"] = json!({ "version": 7, "removed": 8, "added": 9 });
        assert!(report(&found).ends_with("written: 9 samples in the place of 8, as version 7 of samples\n"));
        found["written"]["histograms"] = json!({ "version": 3, "removed": 1, "added": 2 });
        assert!(report(&found).ends_with("\n         2 histograms in the place of 1, as version 3\n"));
        found["provenance"]["histograms"] = json!(2);
        found["provenance"]["histograms_digest"] = json!("xxh3:0d");
        found["metrics"][0]["equal"] = json!(false);
        found["metrics"][0]["native"] = json!({ "stored_sum": 1.5, "replayed_sum": 2.5, "misplaced": 3.0 });
        let text = report(&found);
        assert!(text.contains("xxh3:0c\nmade 2 histograms, xxh3:0d\n"), "{text}");
        assert!(text.contains("sums 1.5 and 2.5, 3.0 in other buckets"), "{text}");
        let status = json!({ "from_ms": 0, "to_ms": 4_000, "at_ms": 1_000, "rows": 5 });
        assert_eq!(progress(&status), " 25 % up to 1970-01-01T00:00:01.000Z, 5 rows");
    }
}
