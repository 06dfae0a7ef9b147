//! Binding, accepting, and what every connection has to keep to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::config::ServeConfig;

/// Bytes of all headers of an HTTP/2 request.
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// What HTTP/1 reads at once; also the bound on its headers.
const READ_BYTES_MAX: usize = 256 << 10;
/// Requests at the same time on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// HTTP/2 receive windows: a sender of large batches is not held up by round trips.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// HTTP/2 ping; a peer that is gone is noticed after twice this time.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be had.
    #[error("cannot listen on {address} (--{flag}): {reason}{}", hint(.reason))]
    Bind {
        /// The flag that sets the address.
        flag: &'static str,
        /// The address as configured.
        address: String,
        /// What the system said.
        reason: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process uses the port, choose another one with this flag",
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        io::ErrorKind::InvalidInput => "; an address is HOST:PORT, e.g. 127.0.0.1:4319 or [::1]:4319",
        _ => "",
    }
}

/// The addresses that a server really has; they differ from the configured
/// ones where the port was 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// Everything but OTLP.
    pub listen: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
}

/// Bound sockets that nobody serves yet: bound before the store is opened, so
/// that a busy port is found in the first milliseconds and early connections
/// wait in the backlog instead of being refused.
#[derive(Debug)]
pub struct Listeners {
    pub(crate) listen: TcpListener,
    pub(crate) otlp_grpc: TcpListener,
    pub(crate) otlp_http: TcpListener,
    addresses: Addresses,
}

impl Listeners {
    /// Binds all three.
    pub async fn bind(config: &ServeConfig) -> Result<Self, ServeError> {
        let (listen, a) = bind("listen", &config.listen).await?;
        let (otlp_grpc, b) = bind("otlp-grpc", &config.otlp_grpc).await?;
        let (otlp_http, c) = bind("otlp-http", &config.otlp_http).await?;
        let addresses = Addresses { listen: a, otlp_grpc: b, otlp_http: c };
        Ok(Self { listen, otlp_grpc, otlp_http, addresses })
    }

    /// Where they are.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }
}

async fn bind(flag: &'static str, address: &str) -> Result<(TcpListener, SocketAddr), ServeError> {
    let fail = |reason| ServeError::Bind { flag, address: address.to_owned(), reason };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let local = listener.local_addr().map_err(fail)?;
    Ok((listener, local))
}

/// What connections of a listener have to keep to.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    /// Open at the same time.
    pub max: usize,
    /// For headers, and for idle HTTP/1 connections.
    pub header_timeout: Duration,
    /// Cancelled at a stop: finish what is open, take nothing new.
    pub stopping: CancellationToken,
    /// Cancelled when finishing took too long.
    pub cut_off: CancellationToken,
    /// Holds every connection task.
    pub tasks: TaskTracker,
}

/// Accepts until stopped. Returns at once after the token is cancelled and
/// closes the socket; connections then end by themselves.
pub(crate) async fn accept(listener: TcpListener, router: Router, connections: Connections) {
    let open = Arc::new(Semaphore::new(connections.max));
    let builder = Arc::new(builder(connections.header_timeout));
    loop {
        let next = async {
            // Before accepting: what is over the bound waits in the kernel's backlog.
            let permit = Arc::clone(&open).acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let accepted = tokio::select! {
            biased;
            () = connections.stopping.cancelled() => return,
            accepted = next => accepted,
        };
        match accepted {
            Some((permit, Ok((stream, _peer)))) => {
                let (builder, router) = (Arc::clone(&builder), router.clone());
                let (timeout, stopping) = (connections.header_timeout, connections.stopping.clone());
                let cut_off = connections.cut_off.clone();
                connections.tasks.spawn(async move {
                    let serving = serve_connection(stream, &builder, router, timeout, stopping);
                    cut_off.run_until_cancelled(serving).await;
                    drop(permit);
                });
            }
            Some((_, Err(error))) => pause_after(&error).await,
            None => return,
        }
    }
}

/// A failed accept concerns either that one connection or, when descriptors
/// have run out, all of them: then trying at once would only burn CPU.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(header_timeout).max_buf_size(READ_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL)
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES);
    builder
}

async fn serve_connection(
    stream: TcpStream,
    builder: &auto::Builder<TokioExecutor>,
    router: Router,
    first_request_timeout: Duration,
    stopping: CancellationToken,
) {
    // Answers are small and wait for nobody.
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let mark = Arc::clone(&asked);
    let service = TowerToHyperService::new(router.map_request(move |request: hyper::Request<_>| {
        mark.store(true, Ordering::Relaxed);
        request.map(Body::new)
    }));
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // The header timeout of HTTP/1 begins after the first bytes told it from
    // HTTP/2; a client that never says anything must not hold a connection.
    let mut silence = std::pin::pin!(tokio::time::sleep(first_request_timeout));
    let (mut watching, mut closing) = (true, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                return;
            }
            () = stopping.cancelled(), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = silence.as_mut(), if watching => {
                watching = false;
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}
