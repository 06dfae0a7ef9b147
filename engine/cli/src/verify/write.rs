//! Writing a step over the protocols that everybody sends: remote write 1.0, Loki push,
//! OTLP over HTTP.

use std::time::Duration;

use anyhow::Context as _;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::plan::{METRIC, Plan, SERVICE, Signal, Step, span_name};

/// A server that does not answer for so long is asked again.
const ATTEMPT_MAX: Duration = Duration::from_secs(10);
/// Pauses between attempts double from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// What the server said in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    Acknowledged,
    /// Nothing that could be relied on, as long as it was asked.
    Unknown(String),
    Refused(String),
}

/// Sends steps to one server.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    http: reqwest::Client,
    server: Url,
    otlp: Url,
    tenant: Option<String>,
    retry_for: Duration,
}

impl Writer {
    pub(super) fn new(
        http: reqwest::Client,
        (server, otlp): (Url, Url),
        tenant: Option<String>,
        retry_for: Duration,
    ) -> Self {
        Self { http, server, otlp, tenant, retry_for }
    }

    /// Sends the items of a step until the server has answered. All attempts carry the same
    /// batch key, so that an answer that was lost on its way does not store them twice.
    pub(super) async fn send(&self, plan: &Plan, signal: Signal, step: Step) -> Sent {
        let until = Instant::now() + self.retry_for;
        let mut pause = PAUSES.0;
        loop {
            let (fault, wait) = match self.attempt(plan, signal, step).await {
                Ok(Answer::Sent(sent)) => return sent,
                Ok(Answer::Later(fault, wait)) => (fault, wait),
                Err(error) => (format!("{error:#}"), None),
            };
            let next = Instant::now() + wait.unwrap_or(pause);
            if next >= until {
                return Sent::Unknown(fault);
            }
            tokio::time::sleep_until(next).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn attempt(&self, plan: &Plan, signal: Signal, step: Step) -> anyhow::Result<Answer> {
        let request = match signal {
            Signal::Metrics => self.remote_write(plan, step)?,
            Signal::Logs => self.http.post(self.server.join("loki/api/v1/push")?).json(&logs(plan, step)),
            Signal::Spans => self.http.post(self.otlp.join("v1/traces")?).json(&spans(plan, step)),
        };
        let key = format!("verify/{}/{signal}/{step}", plan.run());
        let request = request.timeout(ATTEMPT_MAX).header("X-Isinglass-Batch-Key", key);
        answer(of_tenant(request, self.tenant.as_deref()).send().await?).await
    }

    fn remote_write(&self, plan: &Plan, step: Step) -> anyhow::Result<RequestBuilder> {
        let body = snap::raw::Encoder::new().compress_vec(&samples(plan, step).encode_to_vec());
        let request = self.http.post(self.server.join("api/v1/write")?);
        let request =
            request.header(CONTENT_TYPE, "application/x-protobuf").header(CONTENT_ENCODING, "snappy");
        let request = request.header("X-Prometheus-Remote-Write-Version", "0.1.0");
        Ok(request.body(body.context("compress samples")?))
    }
}

/// The request on behalf of a tenant.
pub(super) fn of_tenant(request: RequestBuilder, tenant: Option<&str>) -> RequestBuilder {
    match tenant {
        Some(tenant) => request.header("X-Scope-OrgID", tenant),
        None => request,
    }
}

enum Answer {
    Sent(Sent),
    /// Not now; after how long, if the server says.
    Later(String, Option<Duration>),
}

async fn answer(response: Response) -> anyhow::Result<Answer> {
    let status = response.status();
    let wait = response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
    let text = response.text().await?;
    if status.is_success() {
        return Ok(Answer::Sent(match rejected(&text) {
            Some(fault) => Sent::Refused(fault),
            None => Sent::Acknowledged,
        }));
    }
    let fault = format!("{status}: {:.300}", text.trim());
    let later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    Ok(if later {
        Answer::Later(fault, wait.map(Duration::from_secs))
    } else {
        Answer::Sent(Sent::Refused(fault))
    })
}

/// What OTLP says of items that it did not take, in an answer that is a success.
fn rejected(text: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(text).ok()?;
    let partial = answer.get("partialSuccess")?;
    let rejected =
        partial.get("rejectedSpans").map(|n| n.as_str().map_or_else(|| n.to_string(), str::to_owned));
    rejected.filter(|n| n != "0").map(|n| format!("{n} spans rejected: {partial}"))
}

fn samples(plan: &Plan, step: Step) -> WriteRequest {
    let series = (0..Signal::Metrics.items()).map(|item| {
        let label = |name: &str, value: &str| Label { name: name.to_owned(), value: value.to_owned() };
        TimeSeries {
            // Sorted, as the protocol wants.
            labels: vec![
                label("__name__", METRIC),
                label("item", &item.to_string()),
                label("run", plan.run()),
            ],
            samples: vec![Sample { value: plan.value(step, item), timestamp: plan.start_ms(step) }],
        }
    });
    WriteRequest { timeseries: series.collect() }
}

fn logs(plan: &Plan, step: Step) -> Value {
    let time = |item| plan.time_nanos(Signal::Logs, step, item).to_string();
    let lines = (0..Signal::Logs.items()).map(|item| json!([time(item), plan.line(step, item)]));
    json!({ "streams": [{
        "stream": { "service_name": SERVICE, "run": plan.run() },
        "values": lines.collect::<Vec<_>>(),
    }] })
}

fn spans(plan: &Plan, step: Step) -> Value {
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let span = |item: u32| {
        let start = plan.time_nanos(Signal::Spans, step, item);
        let parent = if item == 0 { String::new() } else { plan.span_id(step, 0) };
        json!({
            "traceId": plan.trace_id(step),
            "spanId": plan.span_id(step, item),
            "parentSpanId": parent,
            "name": span_name(item),
            "kind": 1,
            "startTimeUnixNano": start.to_string(),
            "endTimeUnixNano": (start + plan.duration_nanos(step, item)).to_string(),
        })
    };
    json!({ "resourceSpans": [{
        "resource": { "attributes": [attribute("service.name", SERVICE), attribute("verify.run", plan.run())] },
        "scopeSpans": [{ "spans": (0..Signal::Spans.items()).map(span).collect::<Vec<_>>() }],
    }] })
}

/// `prometheus.WriteRequest`, as far as it is used here.
#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_were_not_taken_are_no_success() {
        assert_eq!(rejected("{}"), None);
        assert_eq!(rejected(""), None);
        assert_eq!(rejected(r#"{"partialSuccess":{}}"#), None);
        assert_eq!(rejected(r#"{"partialSuccess":{"rejectedSpans":"0"}}"#), None);
        assert!(rejected(r#"{"partialSuccess":{"rejectedSpans":"2"}}"#).unwrap().starts_with("2 spans"));
        assert!(rejected(r#"{"partialSuccess":{"rejectedSpans":2}}"#).unwrap().starts_with("2 spans"));
    }
}
