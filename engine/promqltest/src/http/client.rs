//! Requests and their replies.

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::answer::read_answer;
use super::write::{Encoded, Protocol};
use crate::backend::Answer;

/// Which tenant a request is for.
const TENANT: &str = "X-Scope-OrgID";

/// A server and how it is asked.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    tenant: Option<String>,
    lookback_ms: Option<i64>,
}

/// Times of a range query in milliseconds since the epoch, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first time.
    pub start_ms: i64,
    /// The last time.
    pub end_ms: i64,
    /// The distance of two times.
    pub step_ms: i64,
}

/// What a server says.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:9090`.
    pub fn new(base: impl Into<String>) -> Self {
        let base = base.into().trim_end_matches('/').to_owned();
        Self { http: reqwest::Client::new(), base, tenant: None, lookback_ms: None }
    }

    /// Asks for this tenant from now on.
    pub fn set_tenant(&mut self, tenant: impl Into<String>) {
        self.tenant = Some(tenant.into());
    }

    /// Sends `lookback_delta` with queries from now on; `None` leaves it to the server.
    pub fn set_lookback_ms(&mut self, lookback_ms: Option<i64>) {
        self.lookback_ms = lookback_ms;
    }

    /// Evaluates a query at a time. A server that cannot be reached is an error in the answer.
    pub async fn instant(&self, query: &str, time_ms: i64) -> Answer {
        self.query("/api/v1/query", query, vec![("time", seconds(time_ms))]).await
    }

    /// Evaluates a query at each step of a window.
    pub async fn range(&self, query: &str, window: Window) -> Answer {
        let times = vec![
            ("start", seconds(window.start_ms)),
            ("end", seconds(window.end_ms)),
            ("step", seconds(window.step_ms)),
        ];
        self.query("/api/v1/query_range", query, times).await
    }

    /// Asks for a path with parameters.
    ///
    /// # Errors
    ///
    /// A server that cannot be reached, or a broken answer.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Reply, String> {
        let url = format!("{}{path}?{}", self.base, form(parameters.iter().copied()));
        self.send(self.http.get(url)).await
    }

    /// Sends series by remote write.
    ///
    /// # Errors
    ///
    /// A server that cannot be reached, or that does not take all of it.
    pub async fn write(&self, request: &Encoded) -> Result<(), String> {
        let (kind, version) = match request.protocol {
            Protocol::V1 => ("application/x-protobuf", "0.1.0"),
            Protocol::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
        };
        let post = self.http.post(format!("{}/api/v1/write", self.base));
        let post = post.header(CONTENT_TYPE, kind).header(CONTENT_ENCODING, "snappy");
        let post = post.header("X-Prometheus-Remote-Write-Version", version);
        let reply = self.send(post.body(request.body.clone())).await?;
        match reply.status {
            200..300 => Ok(()),
            status => Err(format!("remote write: status {status}: {}", reply.body)),
        }
    }

    /// Queries are posted, for they can be longer than what fits into an address.
    async fn query(&self, path: &str, query: &str, times: Vec<(&'static str, String)>) -> Answer {
        let lookback = self.lookback_ms.map(|lookback_ms| ("lookback_delta", seconds(lookback_ms)));
        let times = times.iter().chain(&lookback).map(|(name, value)| (*name, value.as_str()));
        let body = form([("query", query)].into_iter().chain(times));
        let post = self.http.post(format!("{}{path}", self.base));
        match self.send(post.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)).await {
            Ok(reply) => read_answer(&reply.body).unwrap_or_else(|fault| {
                Answer::error(format!("status {}: {fault}: {}", reply.status, reply.body))
            }),
            Err(fault) => Answer::error(fault),
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Reply, String> {
        let request = match &self.tenant {
            Some(tenant) => request.header(TENANT, tenant),
            None => request,
        };
        let response = request.send().await.map_err(|fault| fault.to_string())?;
        let status = response.status().as_u16();
        Ok(Reply { status, body: response.text().await.map_err(|fault| fault.to_string())? })
    }
}

/// Milliseconds as the seconds of the API. Not through a float, which would round them.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03}", ms.unsigned_abs() / 1000, ms.unsigned_abs() % 1000)
}

fn form<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let pairs = parameters.into_iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_seconds() {
        for (ms, text) in [(0, "0.000"), (1, "0.001"), (-1, "-0.001"), (1_700_000_000_123, "1700000000.123")]
        {
            assert_eq!(seconds(ms), text);
        }
        assert_eq!(seconds(i64::MIN), "-9223372036854775.808");
    }

    #[test]
    fn parameters_are_escaped() {
        assert_eq!(
            form([("query", "a + {b=\"é\"}"), ("time", "1.5")]),
            "query=a%20%2B%20%7Bb%3D%22%C3%A9%22%7D&time=1.5"
        );
    }
}
