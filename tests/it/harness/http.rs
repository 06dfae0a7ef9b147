//! Requests over HTTP and what comes back.

use std::time::Duration;

use isinglass_testkit::remote_write;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value, json};

use super::server::Addresses;

/// A row of an answer.
pub(crate) type Row = Map<String, Value>;

/// A client for one tenant.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    addresses: Addresses,
    tenant: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Fails the test unless the status is one of 2xx.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        self
    }
}

impl Client {
    pub(crate) fn new(addresses: &Addresses) -> Self {
        // The server closes idle connections; do not race it.
        let http = reqwest::Client::builder().timeout(Duration::from_secs(60)).no_proxy();
        let http = http.pool_idle_timeout(Duration::from_secs(5)).build().unwrap();
        Self { http, addresses: addresses.clone(), tenant: None }
    }

    /// The same client for another tenant; any text, also bad ones.
    pub(crate) fn tenant(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self.clone() }
    }

    pub(crate) fn http_address(&self) -> &str {
        &self.addresses.http
    }

    /// Any request on the main port; `Err` if the connection broke.
    pub(crate) async fn try_post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        self.send(&self.addresses.http, path, headers, body).await
    }

    /// Any POST on the main port.
    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        self.try_post(path, headers, body).await.unwrap()
    }

    /// Any POST on the OTLP port; `Err` if the connection broke.
    pub(crate) async fn try_otlp(
        &self,
        signal: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        self.send(&self.addresses.otlp_http, &format!("v1/{signal}"), headers, body).await
    }

    /// OTLP as protobuf without compression.
    pub(crate) async fn otlp(&self, signal: &str, body: Vec<u8>) -> Answer {
        self.try_otlp(signal, &[(CONTENT_TYPE.as_str(), "application/x-protobuf")], body).await.unwrap()
    }

    /// OTLP as JSON.
    pub(crate) async fn otlp_json(&self, signal: &str, body: &Value) -> Answer {
        let headers = [(CONTENT_TYPE.as_str(), "application/json")];
        self.try_otlp(signal, &headers, serde_json::to_vec(body).unwrap()).await.unwrap()
    }

    /// Prometheus remote write 1.0 of an encoded request.
    pub(crate) async fn try_remote_write(&self, request: &[u8]) -> Result<Answer, reqwest::Error> {
        let headers = [
            (CONTENT_TYPE.as_str(), "application/x-protobuf"),
            (CONTENT_ENCODING.as_str(), "snappy"),
            ("x-prometheus-remote-write-version", "0.1.0"),
        ];
        self.try_post("api/v1/write", &headers, remote_write::snappy(request)).await
    }

    /// Prometheus remote write 1.0 of an encoded request.
    pub(crate) async fn remote_write(&self, request: &[u8]) -> Answer {
        self.try_remote_write(request).await.unwrap()
    }

    /// Loki push as snappy protobuf.
    pub(crate) async fn loki(&self, request: &[u8]) -> Answer {
        let headers =
            [(CONTENT_TYPE.as_str(), "application/x-protobuf"), (CONTENT_ENCODING.as_str(), "snappy")];
        self.post("loki/api/v1/push", &headers, remote_write::snappy(request)).await
    }

    async fn send(
        &self,
        address: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.post(format!("http://{address}/{path}")).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.finish(request).await
    }

    /// A GET on the main port.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.finish(self.http.get(format!("http://{}/{path}", self.addresses.http))).await.unwrap()
    }

    async fn finish(&self, mut request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Answer { status, headers, body: answer.bytes().await?.to_vec() })
    }

    /// A statement, whatever comes of it. It sees all that was acknowledged before, also
    /// while a server that was just started reads its log.
    pub(crate) async fn ask(&self, query: &str) -> Answer {
        let body =
            json!({ "query": query, "format": "json", "consistency": "strong" }).to_string().into_bytes();
        self.post("api/sql", &[(CONTENT_TYPE.as_str(), "application/json")], body).await
    }

    /// The rows of a statement that must succeed.
    pub(crate) async fn sql(&self, query: &str) -> Vec<Row> {
        let answer = self.ask(query).await;
        assert_eq!(answer.status, 200, "{query}\n{}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {}", answer.text()))
    }

    /// The single cell of a statement.
    pub(crate) async fn cell(&self, query: &str) -> Value {
        let rows = self.sql(query).await;
        assert!(rows.len() == 1 && rows[0].len() == 1, "{query}: {rows:?}");
        rows[0].values().next().unwrap().clone()
    }

    /// The single number of a statement; null = 0.
    pub(crate) async fn number(&self, query: &str) -> f64 {
        match self.cell(query).await {
            Value::Null => 0.0,
            Value::String(text) => text.parse().unwrap(),
            value => value.as_f64().unwrap_or_else(|| panic!("{query}: {value}")),
        }
    }

    /// `select count(*) from <from>`
    pub(crate) async fn count(&self, from: &str) -> u64 {
        self.number(&format!("select count(*) from {from}")).await as u64
    }

    /// Everything received so far is in committed tables afterwards.
    pub(crate) async fn flush(&self) {
        self.post("api/admin/flush", &[], Vec::new()).await.ok();
    }

    /// Adds up the lines of a metric of the server whose labels contain all of `labels`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.get("metrics").await.ok().text();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        let wanted = lines.filter(|rest| rest.starts_with(['{', ' ']));
        let wanted = wanted.filter(|rest| labels.iter().all(|label| rest.contains(label)));
        wanted.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}
