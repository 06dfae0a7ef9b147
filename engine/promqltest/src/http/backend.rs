//! A server as a back end.

use tokio::runtime::{Builder, Runtime};

use super::client::{Client, Window};
use super::write::{Protocol, requests};
use crate::backend::{Answer, Backend, LoadedSeries};

/// A server that is asked over HTTP, by callers that wait.
#[derive(Debug)]
pub struct HttpBackend {
    client: Client,
    runtime: Runtime,
    protocol: Protocol,
    tenants: Option<Tenants>,
}

/// Names of tenants that had no data yet.
#[derive(Debug)]
struct Tenants {
    prefix: String,
    used: u64,
}

impl HttpBackend {
    /// A server with tenants: each [`clear`](Backend::clear) goes on with a new one, named
    /// `prefix-N`.
    ///
    /// # Errors
    ///
    /// No threads or sockets, in words.
    pub fn with_tenants(client: Client, prefix: impl Into<String>) -> Result<Self, String> {
        let tenants = Tenants { prefix: prefix.into(), used: 0 };
        let mut backend = Self { tenants: Some(tenants), ..Self::new(client)? };
        backend.clear()?;
        Ok(backend)
    }

    /// A server that cannot forget.
    ///
    /// # Errors
    ///
    /// No threads or sockets, in words.
    pub fn new(client: Client) -> Result<Self, String> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|fault| fault.to_string())?;
        Ok(Self { client, runtime, protocol: Protocol::V2, tenants: None })
    }

    /// Sends by this version of remote write from now on; the first is 2.0.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The client that it asks with.
    pub fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Backend for HttpBackend {
    fn clear(&mut self) -> Result<(), String> {
        let Some(tenants) = &mut self.tenants else {
            return Err("this server has no tenants, so that it cannot forget".to_owned());
        };
        tenants.used += 1;
        self.client.set_tenant(format!("{}-{}", tenants.prefix, tenants.used));
        Ok(())
    }

    fn load(&mut self, series: &[LoadedSeries]) -> Result<(), String> {
        for request in requests(series, self.protocol)? {
            self.runtime.block_on(self.client.write(&request))?;
        }
        Ok(())
    }

    fn instant(&mut self, query: &str, time_ms: i64) -> Answer {
        self.runtime.block_on(self.client.instant(query, time_ms))
    }

    fn range(&mut self, query: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Answer {
        self.runtime.block_on(self.client.range(query, Window { start_ms, end_ms, step_ms }))
    }
}
