//! As much of S3 as a probe needs, over a socket; it can be told to ignore conditions, as
//! some servers do, and to fail.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::*;

#[derive(Clone)]
struct Shared {
    objects: Objects,
    honest: bool,
    failures: Arc<AtomicU64>,
    requests: Arc<AtomicU64>,
}

pub(super) struct Server {
    address: std::net::SocketAddr,
    shared: Shared,
}

pub(super) async fn start(honest: bool) -> Server {
    let shared =
        Shared { objects: Objects::default(), honest, failures: Arc::default(), requests: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().fallback(answer).with_state(shared.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Server { address, shared }
}

impl Server {
    /// Its bucket, for which no credentials are needed.
    pub(super) fn objects(&self) -> Arc<dyn ObjectStore> {
        let options = ObjectsConfig {
            endpoint: format!("http://{}", self.address),
            allow_http: true,
            retries_max: 3,
            ..ObjectsConfig::default()
        };
        let url = "s3://bucket/tables".parse().unwrap();
        Arc::new(build::s3(&url, &options).with_skip_signature(true).build().unwrap())
    }

    /// So many requests from now on get 503.
    pub(super) fn fail_next(&self, requests: u64) {
        self.shared.failures.store(requests, Ordering::SeqCst);
    }

    pub(super) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

async fn answer(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let failing =
        shared.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if failing.is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let path = uri.path().to_owned();
    let mut objects = shared.objects.lock();
    let answered = [(header::ETAG, "\"1\""), (header::LAST_MODIFIED, "Mon, 01 Jan 2024 00:00:00 GMT")];
    match method {
        Method::PUT => {
            let create = headers.get(header::IF_NONE_MATCH).is_some();
            if create && shared.honest && objects.contains_key(&path) {
                return StatusCode::PRECONDITION_FAILED.into_response();
            }
            objects.insert(path, body);
            answered.into_response()
        }
        Method::GET => match objects.get(&path) {
            Some(content) => (answered, content.clone()).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::DELETE => {
            objects.remove(&path);
            StatusCode::NO_CONTENT.into_response()
        }
        // Deletion of many, which is how object_store deletes one.
        Method::POST => {
            let text = String::from_utf8_lossy(&body).into_owned();
            let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
            let deleted: String = keys.map(|key| format!("<Deleted><Key>{key}</Key></Deleted>")).collect();
            format!("<DeleteResult>{deleted}</DeleteResult>").into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
