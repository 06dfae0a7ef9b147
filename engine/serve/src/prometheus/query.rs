//! `query` and `query_range`.

use std::time::Duration;

use axum::response::Response;
use isinglass_promql::{Options, Times, Value, describe};
use isinglass_query::{PromqlAnswer, PromqlRequest, PromqlTime, too_many_points};

use super::call::Call;
use super::envelope::{Notes, TRUNCATED, json};
use super::failure::Failure;
use super::number::write_seconds;
use super::stream;
use super::text::write_html;
use super::value::QueryBody;

/// `query`: an expression at one time, now if none is named.
pub(super) async fn instant(call: Call) -> Result<Response, Failure> {
    let limit = call.parameters.limit()?;
    let time_ms = match call.parameters.time_or_none("time")? {
        Some(time_ms) => time_ms,
        None => call.app.clock.now_unix_nanos().div_euclid(1_000_000),
    };
    answer(call, PromqlTime::Instant { time_ms }, limit).await
}

/// `query_range`: an expression at many times.
pub(super) async fn range(call: Call) -> Result<Response, Failure> {
    let limit = call.parameters.limit()?;
    let (start_ms, end_ms) = (call.parameters.time("start")?, call.parameters.time("end")?);
    if end_ms < start_ms {
        return Err(Failure::parameter("end", "end timestamp must not be before start time"));
    }
    let step_ns = call.parameters.duration_ns("step")?;
    // Times are milliseconds: a shorter step would stand still.
    let step_ms = step_ns / 1_000_000;
    if step_ms <= 0 {
        let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(Failure::parameter("step", reason));
    }
    let range_ns = (i128::from(end_ms) - i128::from(start_ms)) * 1_000_000;
    if range_ns / i128::from(step_ns) > i128::from(call.app.query.points_max(&call.tenant)) {
        return Err(Failure::bad_data(too_many_points(call.app.query.points_max(&call.tenant))));
    }
    answer(call, PromqlTime::Range { start_ms, end_ms, step_ms }, limit).await
}

async fn answer(call: Call, time: PromqlTime, limit: Option<usize>) -> Result<Response, Failure> {
    let parameters = &call.parameters;
    let request = PromqlRequest {
        deadline: parameters.timeout()?,
        lookback_ms: parameters.lookback_ms()?,
        strong: parameters.strong(&call.headers)?,
        fresh: parameters.flag("nocache")?,
        text: parameters.get("query").to_owned(),
        time,
    };
    let stats = Stats::of(parameters.get("stats"));
    let plan = if stats == Stats::All { plan_of(&request.text, time) } else { String::new() };
    let turn = call.app.queries.enter(&call.tenant).await?;
    let mut answer = call
        .app
        .query
        .promql(&call.tenant, request)
        .await
        .map_err(|error| Failure::of_query(&error, "query"))?;
    if let Some(limit) = limit
        && truncate(&mut answer.value, limit)
    {
        answer.warnings.push(TRUNCATED.to_owned());
    }
    let stats = stats.written(&answer, time, &plan);
    let notes = Notes { warnings: answer.warnings, infos: answer.infos };
    let body = QueryBody::new(answer.value, &stats, &notes);
    Ok(json(stream::body(body, turn)))
}

/// Whether something was cut off.
fn truncate(value: &mut Value, limit: usize) -> bool {
    match value {
        Value::Vector(series) | Value::Matrix(series) if series.len() > limit => {
            series.truncate(limit);
            true
        }
        _ => false,
    }
}

/// What the parameter `stats` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stats {
    None,
    Some,
    /// `all`: samples of each step, the plan, and what was read of files.
    All,
}

impl Stats {
    fn of(parameter: &str) -> Self {
        match parameter {
            "" => Self::None,
            "all" => Self::All,
            _ => Self::Some,
        }
    }

    /// `{"timings":{…},"samples":{…}}`. `peakSamples` counts samples of 16 bytes that fit into the
    /// memory that the query held at most. Samples are counted over all steps at once, so only a
    /// query of one step can tell its samples by step.
    fn written(self, answer: &PromqlAnswer, time: PromqlTime, plan: &str) -> Vec<u8> {
        if self == Self::None {
            return Vec::new();
        }
        let total = answer.waited + answer.evaluated;
        let timings = [
            ("evalTotalTime", answer.evaluated),
            ("resultSortTime", Duration::ZERO),
            ("queryPreparationTime", Duration::ZERO),
            ("innerEvalTime", answer.evaluated),
            ("execQueueTime", answer.waited),
            ("execTotalTime", total),
        ];
        let timings: Vec<_> =
            timings.iter().map(|(name, took)| format!("\"{name}\":{}", took.as_secs_f64())).collect();
        let mut out = format!("{{\"timings\":{{{}}},\"samples\":{{", timings.join(",")).into_bytes();
        if let (Self::All, PromqlTime::Instant { time_ms }) = (self, time) {
            out.extend_from_slice(b"\"totalQueryableSamplesPerStep\":[[");
            write_seconds(time_ms, &mut out);
            out.extend_from_slice(format!(",{}]],", answer.used.samples).as_bytes());
        }
        let (samples, peak) = (answer.used.samples, answer.used.peak_bytes.div_ceil(SAMPLE_BYTES));
        let last = format!("\"totalQueryableSamples\":{samples},\"peakSamples\":{peak}}}");
        out.extend_from_slice(last.as_bytes());
        if self == Self::All {
            out.extend_from_slice(b",\"isinglass\":");
            write_own(answer, plan, &mut out);
        }
        out.push(b'}');
        out
    }
}

/// `{"plan":"…","series":…}`: what upstream has no words for.
fn write_own(answer: &PromqlAnswer, plan: &str, out: &mut Vec<u8>) {
    let (scan, used) = (&answer.scan, &answer.used);
    out.extend_from_slice(b"{\"plan\":");
    write_html(plan, out);
    let figures = [
        ("series", scan.series),
        ("samples", scan.samples),
        ("files", scan.files),
        ("filesPruned", scan.files_pruned),
        ("rowGroups", scan.row_groups),
        ("rowGroupsPruned", scan.row_groups_pruned),
        ("rows", scan.rows),
        ("rowsPruned", scan.rows_pruned),
        ("headRows", scan.head_rows),
        ("seriesKept", scan.kept),
        ("bytesRead", scan.bytes_read),
        ("cacheHits", used.cache_hits),
        ("cacheMisses", used.cache_misses),
        ("peakBytes", used.peak_bytes as u64),
    ];
    for (name, figure) in figures {
        out.extend_from_slice(format!(",\"{name}\":{figure}").as_bytes());
    }
    let cpu = Duration::from_nanos(scan.cpu_nanos).as_secs_f64();
    out.extend_from_slice(format!(",\"cpuSeconds\":{cpu}}}").as_bytes());
}

/// What is going to be done, a line a node; nothing where that is not known, as the answer is an
/// error then.
fn plan_of(text: &str, time: PromqlTime) -> String {
    let times = match time {
        PromqlTime::Instant { time_ms } => Times::Instant(time_ms),
        PromqlTime::Range { start_ms, end_ms, step_ms } => Times::Range { start_ms, end_ms, step_ms },
    };
    describe(text, times, &Options::default(), &|_| None).map(|found| found.plan).unwrap_or_default()
}

/// A time and a value.
const SAMPLE_BYTES: usize = 16;
