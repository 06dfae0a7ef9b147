//! The counters of a verifier for a Prometheus: `GET /metrics`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::report::{Books, metrics};

/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 16;
/// A client that has not sent its request by then is let go.
const HEADER_MAX: Duration = Duration::from_secs(10);

/// Serves until the process ends; where.
pub(super) async fn serve(address: SocketAddr, books: Arc<Mutex<Books>>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let turns = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::spawn(async move {
        loop {
            let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let books = Arc::clone(&books);
                    tokio::spawn(async move {
                        connection(stream, books).await;
                        drop(turn);
                    });
                }
                // Out of descriptors, most likely: some will come back.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok(address)
}

async fn connection(stream: TcpStream, books: Arc<Mutex<Books>>) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &books);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_MAX).keep_alive(false);
    // A client that goes away is no fault of ours.
    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
}

fn respond(request: &Request<Incoming>, books: &Mutex<Books>) -> Response<Full<Bytes>> {
    let known = request.method() == Method::GET && request.uri().path() == "/metrics";
    let (status, text) = match known {
        true => (StatusCode::OK, metrics(&books.lock())),
        false => (StatusCode::NOT_FOUND, "GET /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::super::ledger::Ledger;
    use super::*;

    #[tokio::test]
    async fn counters_are_served() {
        let books = Arc::new(Mutex::new(Books::new(Ledger::new(0, 0))));
        let address = serve(([127, 0, 0, 1], 0).into(), Arc::clone(&books)).await.unwrap();
        books.lock().checks = 7;
        let get = |path| reqwest::get(format!("http://{address}/{path}"));
        let answer = get("metrics").await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        assert!(text.contains("isinglass_verify_checks_total{result=\"read\"} 7\n"), "{text}");
        assert_eq!(get("else").await.unwrap().status(), 404);
        let taken = serve(address, books).await.unwrap_err();
        assert!(taken.to_string().contains("cannot listen on"), "{taken}");
    }
}
