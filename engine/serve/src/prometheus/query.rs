//! `query` and `query_range`.

use std::time::Duration;

use axum::response::Response;
use isinglass_promql::Value;
use isinglass_query::{PromqlAnswer, PromqlRequest, PromqlTime};

use super::call::Call;
use super::envelope::{Notes, TRUNCATED, json};
use super::failure::Failure;
use super::number::write_seconds;
use super::stream;
use super::value::QueryBody;

/// Points of a series that a range query may ask for.
const POINTS_MAX: i128 = 11_000;

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
    if range_ns / i128::from(step_ns) > POINTS_MAX {
        return Err(Failure::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)",
        ));
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
    let turn = call.app.queries.enter().await?;
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
    let stats = stats.written(&answer, time);
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
    /// `all`: samples of each step too.
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
    fn written(self, answer: &PromqlAnswer, time: PromqlTime) -> Vec<u8> {
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
        let last = format!("\"totalQueryableSamples\":{samples},\"peakSamples\":{peak}}}}}");
        out.extend_from_slice(last.as_bytes());
        out
    }
}

/// A time and a value.
const SAMPLE_BYTES: usize = 16;
