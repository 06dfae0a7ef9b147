//! How the object store of the tables is reached.

use std::time::Duration;

use object_store::{BackoffConfig, RetryConfig};
use serde::{Deserialize, Serialize};

/// What a URL does not say. Credentials are no part of it: they come from the environment
/// or from the machine's role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectsConfig {
    /// Address of the service if it is not the provider's own, `http://minio:9000`.
    pub endpoint: String,
    /// Region of an S3 bucket; else `AWS_REGION`, else `us-east-1`.
    pub region: String,
    /// Whether the bucket stands in the path of an S3 request, and not in its host name.
    pub path_style: bool,
    /// Whether the endpoint may be reached without TLS.
    pub allow_http: bool,
    /// A request is given up after so long.
    pub request_timeout_ms: u64,
    /// How often a request that failed is tried again; the pause before each is random and
    /// grows from 0.1 to at most 10 s.
    pub retries_max: usize,
    /// No further try begins so long after the first.
    pub retry_timeout_ms: u64,
}

impl Default for ObjectsConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            region: String::new(),
            path_style: true,
            allow_http: false,
            request_timeout_ms: 30_000,
            retries_max: 8,
            retry_timeout_ms: 60_000,
        }
    }
}

impl ObjectsConfig {
    /// An operation ends at the latest after `retry_timeout_ms + request_timeout_ms` and a
    /// pause.
    pub(super) fn retry(&self) -> RetryConfig {
        RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(10),
                base: 2.0,
            },
            max_retries: self.retries_max,
            retry_timeout: Duration::from_millis(self.retry_timeout_ms),
        }
    }
}
