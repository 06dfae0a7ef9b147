//! Reading a run back through SQL.

use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, bail};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_schema::DataType;
use reqwest::{StatusCode, Url};
use serde_json::{Value, json};

use super::compare::Found;
use super::plan::{METRIC, Plan, SERVICE, Signal, Step, content_of_span, content_of_value};
use super::write::of_tenant;

/// A query that takes longer has failed.
const QUERY_MAX: Duration = Duration::from_secs(60);

/// Asks one server.
#[derive(Debug, Clone)]
pub(super) struct Reader {
    http: reqwest::Client,
    server: Url,
    tenant: Option<String>,
}

impl Reader {
    pub(super) fn new(http: reqwest::Client, server: Url, tenant: Option<String>) -> Self {
        Self { http, server, tenant }
    }

    /// Every row of the run in a range of steps. Waits until the server has read its log.
    pub(super) async fn rows(
        &self,
        plan: &Plan,
        signal: Signal,
        range: Range<Step>,
    ) -> anyhow::Result<Vec<Found>> {
        let mut rows = Vec::new();
        for batch in self.ask(&query(plan, signal, range), "strong").await? {
            rows.extend(found(signal, &batch)?);
        }
        Ok(rows)
    }

    /// How many items of a step can be seen at this moment.
    pub(super) async fn visible(&self, plan: &Plan, signal: Signal, step: Step) -> anyhow::Result<usize> {
        let batches = self.ask(&query(plan, signal, step..step + 1), "available").await?;
        Ok(batches.iter().map(RecordBatch::num_rows).sum())
    }

    async fn ask(&self, query: &str, consistency: &str) -> anyhow::Result<Vec<RecordBatch>> {
        let body = json!({ "query": query, "format": "arrow", "consistency": consistency });
        let request = self.http.post(self.server.join("api/sql")?).timeout(QUERY_MAX).json(&body);
        let response = of_tenant(request, self.tenant.as_deref()).send().await.context("ask the server")?;
        let status = response.status();
        let bytes = response.bytes().await.context("read the server's answer")?;
        if status == StatusCode::BAD_REQUEST && no_such_metric(&bytes) {
            return Ok(Vec::new());
        }
        if !status.is_success() {
            bail!("the server answered {status}: {:.300}", String::from_utf8_lossy(&bytes).trim());
        }
        decode(Buffer::from(bytes.to_vec()))
    }
}

/// A metric that nobody has written is no table.
fn no_such_metric(body: &[u8]) -> bool {
    let message = serde_json::from_slice::<Value>(body).ok();
    let message = message.as_ref().and_then(|error| error["error"]["message"].as_str());
    message.is_some_and(|message| message.contains(METRIC) && message.contains("not found"))
}

fn query(plan: &Plan, signal: Signal, steps: Range<Step>) -> String {
    let (run, from, to) = (plan.run(), moment(plan.start_ms(steps.start)), moment(plan.start_ms(steps.end)));
    let times = format!("time >= '{from}' AND time < '{to}'");
    match signal {
        Signal::Metrics => {
            format!("SELECT time, item, value FROM metrics.{METRIC} WHERE run = '{run}' AND {times}")
        }
        Signal::Logs => format!(
            "SELECT time, body FROM logs WHERE service = '{SERVICE}' AND stream_label(stream, 'run') = '{run}' AND {times}"
        ),
        Signal::Spans => format!(
            "SELECT time, trace_id, span_id, name, duration FROM spans \
             WHERE service = '{SERVICE}' AND json_text(resource['verify.run']) = '{run}' AND {times}"
        ),
    }
}

/// RFC 3339.
pub(super) fn moment(unix_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(unix_ms).unwrap_or_default());
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

fn decode(mut bytes: Buffer) -> anyhow::Result<Vec<RecordBatch>> {
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while let Some(batch) = decoder.decode(&mut bytes).context("the server's rows cannot be read")? {
        batches.push(batch);
    }
    decoder.finish().context("the server's rows end too early")?;
    Ok(batches)
}

fn found(signal: Signal, batch: &RecordBatch) -> anyhow::Result<Vec<Found>> {
    let time = column(batch, "time", &DataType::Int64)?;
    let times = time.as_primitive::<Int64Type>();
    let text = |name| column(batch, name, &DataType::Utf8);
    let rows = 0..batch.num_rows();
    let row = |at: usize, item, content| Found { time_nanos: times.value(at), item, content };
    Ok(match signal {
        Signal::Metrics => {
            let (items, values) = (text("item")?, column(batch, "value", &DataType::Float64)?);
            let (items, values) = (items.as_string::<i32>(), values.as_primitive::<Float64Type>());
            let content =
                |at| if values.is_null(at) { String::new() } else { content_of_value(values.value(at)) };
            rows.map(|at| row(at, items.value(at).parse().ok(), content(at))).collect()
        }
        Signal::Logs => {
            let bodies = text("body")?;
            let bodies = bodies.as_string::<i32>();
            rows.map(|at| row(at, None, bodies.value(at).to_owned())).collect()
        }
        Signal::Spans => {
            let (traces, spans, names) = (text("trace_id")?, text("span_id")?, text("name")?);
            let (traces, spans) = (traces.as_string::<i32>(), spans.as_string::<i32>());
            let durations = column(batch, "duration", &DataType::Int64)?;
            let (names, durations) = (names.as_string::<i32>(), durations.as_primitive::<Int64Type>());
            let content =
                |at| content_of_span(traces.value(at), spans.value(at), names.value(at), durations.value(at));
            rows.map(|at| row(at, None, content(at))).collect()
        }
    })
}

fn column(batch: &RecordBatch, name: &str, as_type: &DataType) -> anyhow::Result<ArrayRef> {
    let column = batch.column_by_name(name).ok_or_else(|| anyhow!("the answer has no column {name}"))?;
    arrow_cast::cast(column, as_type).with_context(|| format!("the column {name} is {}", column.data_type()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_metric_is_no_rows() {
        let body =
            |message: &str| json!({ "error": { "kind": "malformed", "message": message } }).to_string();
        assert!(no_such_metric(
            body("table 'isinglass.metrics.isinglass_verify_value' not found").as_bytes()
        ));
        assert!(!no_such_metric(body("table 'isinglass.public.logs' not found").as_bytes()));
        assert!(!no_such_metric(b"bad gateway"));
    }

    #[test]
    fn times_are_those_of_the_steps() {
        let plan = Plan::new("a", 10_000).unwrap();
        let text = query(&plan, Signal::Logs, 170_000_000..170_000_006);
        let times = "time >= '2023-11-14T22:13:20.000Z' AND time < '2023-11-14T22:14:20.000Z'";
        assert!(text.contains(times) && text.contains("'a.10000ms'"), "{text}");
    }
}
