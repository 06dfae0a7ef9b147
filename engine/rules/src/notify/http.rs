//! Messages over HTTP.

use std::time::Duration;

use async_trait::async_trait;
use isinglass_model::tenant::Tenant;
use reqwest::header::CONTENT_TYPE;

use super::Post;

/// The header that names a tenant to Alertmanagers that have some, as Grafana Mimir's.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// Posts with a client of `reqwest`.
#[derive(Debug, Clone, Default)]
pub struct HttpPost(reqwest::Client);

impl HttpPost {
    /// Posts with this client.
    pub fn new(client: reqwest::Client) -> Self {
        Self(client)
    }

    /// Posts to the very machines that are named, past any proxy of the environment, and nowhere
    /// else: a redirect is a failure.
    ///
    /// # Errors
    /// Why there is no client.
    pub fn direct() -> Result<Self, String> {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        client.build().map(Self).map_err(|error| chain(&error))
    }
}

#[async_trait]
impl Post for HttpPost {
    async fn post(
        &self,
        url: &str,
        tenant: &Tenant,
        body: Vec<u8>,
        timeout: Duration,
    ) -> Result<u16, String> {
        let request = self.0.post(url).timeout(timeout).body(body);
        let request = request.header(CONTENT_TYPE, "application/json").header(TENANT_HEADER, tenant.as_str());
        match request.send().await {
            Ok(response) => Ok(response.status().as_u16()),
            Err(error) => Err(chain(&error)),
        }
    }
}

/// An error and its causes: `reqwest` says in its own message only what failed, not why.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
