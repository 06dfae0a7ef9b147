//! Real sockets, a real engine in a temporary folder.

mod connections;
mod otlp_grpc;
mod otlp_http;
mod plain;
mod prometheus;
mod promql_in_sql;
mod remote_read;
mod remote_write_2;
mod sql;

use std::sync::Arc;

use bytes::Bytes;
use isinglass_chain::{ChainConfig, LiveChain};
use isinglass_ingest::{Ingest, IngestConfig, LogsConfig};
use isinglass_model::Clock;
use isinglass_model::clock::SystemClock;
use isinglass_query::{QueryConfig, QueryEngine};
use isinglass_store::StoreConfig;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{Listeners, NoRules, Reloads, RulesView, ServeConfig, Server, start_on_with};

/// A running server and its folder.
struct Fixture {
    server: Server,
    ingest: Ingest,
    http: reqwest::Client,
    now_unix_nanos: u64,
    _dir: tempfile::TempDir,
}

/// What a server answered.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Fixture {
    async fn start() -> Self {
        Self::with(ServeConfig::default(), json!({})).await
    }

    /// With settings of the front door, and of plugins by name.
    async fn with(config: ServeConfig, plugins: Value) -> Self {
        Self::with_all(config, plugins, QueryConfig::default()).await
    }

    async fn with_all(config: ServeConfig, plugins: Value, query: QueryConfig) -> Self {
        Self::with_everything(config, plugins, query, Arc::new(NoRules)).await
    }

    async fn with_rules(rules: Arc<dyn RulesView>) -> Self {
        Self::with_everything(ServeConfig::default(), json!({}), QueryConfig::default(), rules).await
    }

    async fn with_everything(
        config: ServeConfig,
        plugins: Value,
        query: QueryConfig,
        rules: Arc<dyn RulesView>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let any = || "127.0.0.1:0".to_owned();
        let config = ServeConfig { listen: any(), otlp_grpc: any(), otlp_http: any(), ..config };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let plugins =
            ChainConfig { config: serde_json::from_value(plugins).unwrap(), ..ChainConfig::default() };
        let chain = Arc::new(LiveChain::fixed(plugins.clone(), Arc::clone(&clock)).unwrap());
        let store = StoreConfig { data_dir: dir.path().to_owned(), ..StoreConfig::default() };
        let ingest =
            Ingest::start(store, chain, IngestConfig::default(), LogsConfig::default(), Arc::clone(&clock))
                .await
                .unwrap();
        let query = QueryEngine::new(ingest.store().clone(), query).unwrap();
        let now_unix_nanos = clock.now_unix_nanos().unsigned_abs();
        let listeners = Listeners::bind(&config).await.unwrap();
        let server = start_on_with(
            listeners,
            &config,
            ingest.clone(),
            query,
            clock,
            Reloads { rules, ..Reloads::none() },
        );
        Self { server, ingest, http: reqwest::Client::new(), now_unix_nanos, _dir: dir }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.server.addresses().listen))
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> RequestBuilder {
        with_headers(self.request(Method::POST, path), headers).body(body)
    }

    fn otlp(&self, path: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> RequestBuilder {
        let url = format!("http://{}{path}", self.server.addresses().otlp_http);
        with_headers(self.http.post(url), headers).body(body)
    }

    /// Rows of a query of a tenant.
    async fn rows(&self, tenant: &str, query: &str) -> Value {
        let request = self.post(
            "/api/sql",
            &[("content-type", "application/sql"), ("x-scope-orgid", tenant)],
            query.to_owned(),
        );
        let answer = send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn stop(self) {
        self.server.stop().await;
        self.ingest.close().await.unwrap();
    }
}

fn with_headers(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
}

async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.unwrap(),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
