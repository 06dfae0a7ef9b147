//! Asking a server about its plugins.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Method, Url};
use serde_json::Value;

/// Times that one question is put off.
const WAITS_MAX: u32 = 100;

/// A server.
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
    /// For whom; nobody in particular without it.
    pub(super) tenant: Option<String>,
}

impl Client {
    pub(super) fn new(server: &Url) -> anyhow::Result<Self> {
        // No deadline: a component with an interpreter in it compiles for a minute.
        Ok(Self { http: reqwest::Client::builder().build()?, server: server.clone(), tenant: None })
    }

    /// For questions about the data of one tenant.
    pub(super) fn of_tenant(server: &Url, tenant: Option<&String>) -> anyhow::Result<Self> {
        Ok(Self { tenant: tenant.cloned(), ..Self::new(server)? })
    }

    /// The same for a question that it may be too busy for now: then it waits, as long as it is told.
    pub(super) async fn ask_until_taken(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<Value> {
        for _ in 0..WAITS_MAX {
            let answer = self.ask(method.clone(), path, query, Vec::new()).await?;
            let Some(stopped) = answer.get("stopped").filter(|stopped| !stopped.is_null()) else {
                return Ok(answer);
            };
            let nothing = answer["stored"] == 0 && answer["dropped"] == 0;
            match stopped["retry_after_ms"].as_u64() {
                Some(ms) if nothing => tokio::time::sleep(Duration::from_millis(ms.clamp(10, 60_000))).await,
                Some(_) => return Ok(answer),
                None => bail!("{}", stopped["message"].as_str().unwrap_or("it stopped without a reason")),
            }
        }
        bail!("the server was too busy {WAITS_MAX} times");
    }

    /// What it answers; an error is what it says.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, String)],
        body: Vec<u8>,
    ) -> anyhow::Result<Value> {
        let mut url = self.server.join(path).context("--server is not a base URL")?;
        url.query_pairs_mut().extend_pairs(query);
        let mut request = self.http.request(method, url).body(body);
        if let Some(tenant) = &self.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let body = response.bytes().await.context("the server broke the answer off")?;
        let answer: Value = serde_json::from_slice(&body).map_err(|_| {
            anyhow!("the server answered {status}: {}", String::from_utf8_lossy(&body).trim())
        })?;
        if !status.is_success() {
            bail!("{}", answer["error"]["message"].as_str().unwrap_or("the server refused without a reason"));
        }
        Ok(answer)
    }

    fn unreachable(&self, error: reqwest::Error) -> anyhow::Error {
        let hint = if error.is_connect() { "; is it running? `isinglass serve` starts one" } else { "" };
        anyhow!(error).context(format!("cannot ask the server at {}{hint}", self.server))
    }
}
