//! A real server in a folder of its own, and senders and readers for it.
//!
//! Every test starts the binary on free ports, talks to it over sockets only,
//! and looks at nothing but its answers and its files.

pub(crate) mod alertmanager;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod outside;
pub(crate) mod reference;
pub(crate) mod registry;
pub(crate) mod server;

pub(crate) use http::{Answer, Client, Row};
pub(crate) use server::Server;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The repository. Asked at run time: a target folder may outlive the clone that
/// its binaries were built from.
pub(crate) fn root() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Nanoseconds since 1970.
pub(crate) fn now_nanos() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// Milliseconds since 1970.
pub(crate) fn now_millis() -> i64 {
    (now_nanos() / 1_000_000).cast_signed()
}

/// Asks until the answer is there, at most for `patience`.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    patience: Duration,
    mut ask: impl FnMut() -> F,
) -> T {
    let end = tokio::time::Instant::now() + patience;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < end, "not within {patience:?}: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
