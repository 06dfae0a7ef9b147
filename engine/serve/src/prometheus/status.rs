//! `status/…`, Alertmanagers, and what Prometheus has and this server has not: targets.

use std::time::{Duration, UNIX_EPOCH};

use isinglass_query::Cardinality;
use isinglass_rules::notify::ALERTS_PATH;
use serde_json::json;

use super::call::{Answer, Call};
use super::envelope::{Notes, success};
use super::failure::Failure;
use super::params::integer;
use super::text::write_html;
use crate::VERSION;

/// The version of Prometheus whose interface this is. Clients choose by it what they may ask.
const PROMETHEUS_VERSION: &str = "3.14.0";
/// Entries of a list in `status/tsdb`, if the request does not say.
const TOP: i64 = 10;
const TOP_MAX: i64 = 10_000;

fn fixed(data: &str) -> Answer {
    Ok(success(data.as_bytes(), &Notes::default()))
}

/// `status/buildinfo`. Without `features` Grafana takes it for a plain Prometheus.
pub(super) async fn build(_call: Call) -> Answer {
    fixed(&format!(
        r#"{{"version":"{PROMETHEUS_VERSION}","revision":"isinglass {VERSION}","branch":"isinglass","buildUser":"","buildDate":"","goVersion":""}}"#
    ))
}

/// `status/config`: there is no configuration of scrapes to show.
pub(super) async fn config(_call: Call) -> Answer {
    fixed(r##"{"yaml":"# Isinglass scrapes nothing and has no configuration of Prometheus.\n"}"##)
}

/// `status/flags`: settings that have a flag in Prometheus.
pub(super) async fn flags(call: Call) -> Answer {
    let config = call.app.query.config();
    let millis =
        |millis: u64| isinglass_lang::promql::format_duration(i64::try_from(millis).unwrap_or(i64::MAX));
    let flags = [
        ("query.lookback-delta", millis(config.promql.lookback_ms)),
        ("query.max-concurrency", config.concurrent_max.to_string()),
        ("query.max-samples", config.promql.samples_max.to_string()),
        ("query.timeout", millis(config.deadline_ms)),
        ("web.enable-remote-write-receiver", "true".to_owned()),
    ];
    let mut out = vec![b'{'];
    for (at, (name, value)) in flags.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_html(name, &mut out);
        out.push(b':');
        write_html(value, &mut out);
    }
    out.push(b'}');
    Ok(success(&out, &Notes::default()))
}

/// `status/runtimeinfo`.
pub(super) async fn runtime(call: Call) -> Answer {
    let clock = &call.app.clock;
    let now_ms = clock.now_unix_nanos() / 1_000_000;
    let up_ms = clock.monotonic().saturating_sub(call.app.started).as_millis();
    let rules = call.app.rules.figures();
    let (reloaded, success_ms) = (rules.reload_succeeded, rules.reload_success_at.map(|at| at / 1_000_000));
    let started = written_time(Some(now_ms.saturating_sub(i64::try_from(up_ms).unwrap_or(i64::MAX))));
    let configured = success_ms.map_or_else(|| started.clone(), |at| written_time(Some(at)));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let lost = call.app.ingest.store().stats().lost.len();
    fixed(&format!(
        r#"{{"startTime":"{started}","CWD":"","hostname":"","serverTime":"{now}","reloadConfigSuccess":{reloaded},"lastConfigTime":"{configured}","corruptionCount":{lost},"goroutineCount":0,"GOMAXPROCS":{processors},"GOMEMLIMIT":0,"GOGC":"","GODEBUG":"","storageRetention":""}}"#,
        now = written_time(Some(now_ms)),
    ))
}

/// `status/tsdb`: what the series of the tenant are made of.
pub(super) async fn tsdb(call: Call) -> Answer {
    let limit = match call.parameters.get("limit") {
        "" => TOP,
        text => integer(text)
            .ok()
            .filter(|limit| *limit > 0)
            .ok_or_else(|| Failure::bad_data("limit must be a positive number"))?,
    };
    if limit > TOP_MAX {
        return Err(Failure::bad_data(format!("limit must not exceed {TOP_MAX}")));
    }
    let _turn = call.app.queries.enter(&call.tenant).await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let found = call.app.query.promql_cardinality(&call.tenant, limit).await?;
    Ok(success(&of_cardinality(&found), &Notes::default()))
}

/// Chunks are Prometheus' own; there are none here.
fn of_cardinality(found: &Cardinality) -> Vec<u8> {
    let (min, max) = found.head_time_ms.unwrap_or((i64::MAX, i64::MIN));
    let head = format!(
        r#"{{"headStats":{{"numSeries":{},"numLabelPairs":{},"chunkCount":0,"minTime":{min},"maxTime":{max}}}"#,
        found.series, found.label_pairs
    );
    let mut out = head.into_bytes();
    for (name, list) in [
        ("seriesCountByMetricName", &found.series_by_metric),
        ("labelValueCountByLabelName", &found.values_by_label),
        ("memoryInBytesByLabelName", &found.bytes_by_label),
        ("seriesCountByLabelValuePair", &found.series_by_pair),
    ] {
        out.extend_from_slice(format!(",\"{name}\":[").as_bytes());
        for (at, (name, count)) in list.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",{\"name\":" } else { b"{\"name\":" });
            write_html(name, &mut out);
            out.extend_from_slice(format!(",\"value\":{count}}}").as_bytes());
        }
        out.push(b']');
    }
    out.push(b'}');
    out
}

/// `status/walreplay`.
pub(super) async fn replay(call: Call) -> Answer {
    let current = u8::from(!call.app.ingest.store().is_replaying());
    fixed(&json!({ "min": 0, "max": 1, "current": current }).to_string())
}

/// `targets`: nothing is scraped.
pub(super) async fn targets(_call: Call) -> Answer {
    fixed(r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#)
}

/// `targets/metadata`: nothing is scraped.
pub(super) async fn target_metadata(_call: Call) -> Answer {
    fixed("[]")
}

/// `scrape_pools`: nothing is scraped.
pub(super) async fn scrape_pools(_call: Call) -> Answer {
    fixed(r#"{"scrapePools":[]}"#)
}

/// `alertmanagers`: those of the configuration; nobody looks whether they are there.
pub(super) async fn alertmanagers(call: Call) -> Answer {
    let known = call.app.rules.figures().alertmanagers.into_iter();
    let known = known.map(|one| format!("{}{ALERTS_PATH}", one.url.trim_end_matches('/')));
    let active: Vec<_> = known.map(|url| json!({ "url": url })).collect();
    fixed(&json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] }).to_string())
}

/// RFC 3339 with as many decimals as there are; what never was is Go's zero time.
fn written_time(time_ms: Option<i64>) -> String {
    // Years beyond 9999 cannot be written.
    let time_ms =
        time_ms.and_then(|time_ms| u64::try_from(time_ms).ok()).filter(|ms| *ms < 253_402_300_800_000);
    let Some(time_ms) = time_ms else { return "0001-01-01T00:00:00Z".to_owned() };
    let text = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(time_ms)).to_string();
    let digits = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    // Without decimals there is nothing to cut.
    format!("{}Z", if time_ms.is_multiple_of(1_000) { &text[..19] } else { digits })
}
