//! OTLP over gRPC: one message in, one message out.
//!
//! The framing is done here and not by a gRPC server, because ingest wants the
//! message as it stood on the wire: a tenant's rate is checked before anything
//! is decompressed, and decompression runs where decoding runs, not on the
//! threads that serve sockets.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use isinglass_decode::{Compression, Format, Protocol};
use isinglass_ingest::Outcome;

use super::{Wire, answer, push};
use crate::app::App;
use crate::content::ContentType;
use crate::problem::Problem;

/// Compressed flag and length before each message.
const PREFIX_BYTES: usize = 5;
/// What `grpc-encoding` may be.
const ENCODINGS: &str = "identity,gzip,zstd";

/// `opentelemetry.proto.collector.trace.v1.TraceService/Export`
pub(crate) async fn traces(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    export(&app, Protocol::OtlpTraces, &headers, body).await
}

/// `opentelemetry.proto.collector.logs.v1.LogsService/Export`
pub(crate) async fn logs(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    export(&app, Protocol::OtlpLogs, &headers, body).await
}

/// `opentelemetry.proto.collector.metrics.v1.MetricsService/Export`
pub(crate) async fn metrics(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    export(&app, Protocol::OtlpMetrics, &headers, body).await
}

/// Every other path.
pub(crate) async fn unknown(uri: axum::http::Uri) -> Response {
    Problem::unsupported(format!("no such method: {}", uri.path())).into_grpc()
}

async fn export(app: &App, protocol: Protocol, headers: &HeaderMap, body: Body) -> Response {
    if !is_grpc(headers) {
        return Problem::unsupported("this port takes OTLP over gRPC; OTLP over HTTP has a port of its own")
            .into_text();
    }
    match receive(app, protocol, headers, body).await {
        Ok(outcome) => success(&outcome),
        Err(problem) => {
            let mut response = problem.into_grpc();
            response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static(ENCODINGS));
            response
        }
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    ContentType::of(headers)
        .is_some_and(|c| c.essence == "application/grpc" || c.essence == "application/grpc+proto")
}

async fn receive(app: &App, protocol: Protocol, headers: &HeaderMap, body: Body) -> Result<Outcome, Problem> {
    let encoding = encoding(headers)?;
    let deadline = timeout(headers).map_or(app.write_timeout, |asked| asked.min(app.write_timeout));
    let mut body = app.bodies.read(body, PREFIX_BYTES).await?;
    let compressed = unframe(&mut body.bytes)?;
    let compression = match (compressed, encoding) {
        (false, _) => Compression::None,
        (true, Some(compression)) => compression,
        (true, None) => {
            return Err(Problem::malformed("the message is compressed but grpc-encoding does not say how"));
        }
    };
    push(app, headers, Wire { protocol, format: Format::Protobuf, compression }, body, deadline).await
}

/// What a compressed message is compressed with; `None` = nothing is.
fn encoding(headers: &HeaderMap) -> Result<Option<Compression>, Problem> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(None),
        Some(b"gzip") => Ok(Some(Compression::Gzip)),
        Some(b"zstd") => Ok(Some(Compression::Zstd)),
        Some(other) => Err(Problem::unsupported(format!(
            "grpc-encoding {:?} is not taken here; send {ENCODINGS}",
            String::from_utf8_lossy(other)
        ))),
    }
}

/// Leaves the only message of a unary call in `body` and says whether it is
/// compressed.
fn unframe(body: &mut Bytes) -> Result<bool, Problem> {
    let Some((prefix, rest)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(Problem::malformed(format!(
            "the gRPC message ends inside its prefix, after {} bytes",
            body.len()
        )));
    };
    let [flag, length @ ..] = *prefix;
    let length = u64::from(u32::from_be_bytes(length));
    if length != rest.len() as u64 {
        return Err(Problem::malformed(format!(
            "the gRPC message declares {length} bytes and {} follow; one message is taken per call",
            rest.len()
        )));
    }
    if flag > 1 {
        return Err(Problem::malformed(format!(
            "the compressed flag of a gRPC message is 0 or 1, got {flag}"
        )));
    }
    drop(body.split_to(PREFIX_BYTES));
    Ok(flag == 1)
}

/// The sender's own deadline: at most 8 digits and a unit.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.is_empty() || number.len() > 8 {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

fn success(outcome: &Outcome) -> Response {
    let message = answer::export(outcome).encode_to_bytes();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    // A message that answers an export is at most a few hundred bytes.
    framed.put_u32(u32::try_from(message.len()).unwrap_or(0));
    framed.put(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames =
        [Ok::<_, std::convert::Infallible>(Frame::data(framed.freeze())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(Body::new(StreamBody::new(stream::iter(frames))));
    answer::headers(outcome, response.headers_mut());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_frame(body: &'static [u8], want: Result<(bool, &[u8]), &str>) {
        let mut bytes = Bytes::from_static(body);
        match (unframe(&mut bytes), want) {
            (Ok(compressed), Ok(want)) => assert_eq!((compressed, &bytes[..]), want),
            (Err(problem), Err(part)) => assert!(problem.message.contains(part), "{}", problem.message),
            (got, want) => panic!("{body:?}: {got:?}, want {want:?}"),
        }
    }

    #[test]
    fn frames() {
        check_frame(b"\0\0\0\0\0", Ok((false, b"")));
        check_frame(b"\x01\0\0\0\x02ab", Ok((true, b"ab")));
        check_frame(b"\0\0\0", Err("inside its prefix, after 3 bytes"));
        check_frame(b"\0\0\0\0\x03ab", Err("declares 3 bytes and 2 follow"));
        check_frame(b"\0\0\0\0\x01ab", Err("declares 1 bytes and 2 follow"));
        check_frame(b"\0\xff\xff\xff\xff", Err("declares 4294967295 bytes"));
        check_frame(b"\x02\0\0\0\0", Err("got 2"));
    }

    #[test]
    fn timeouts() {
        let check = |text: &str, want| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(timeout(&headers), want, "{text:?}");
        };
        check("10S", Some(Duration::from_secs(10)));
        check("250m", Some(Duration::from_millis(250)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3_600)));
        for broken in ["", "S", "10", "-1S", "123456789S", "1x", "1é"] {
            check(broken, None);
        }
    }

    #[test]
    fn encodings() {
        let check = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-encoding", HeaderValue::from_static(text));
            encoding(&headers)
        };
        assert!(matches!(check("identity"), Ok(None)));
        assert!(matches!(check("gzip"), Ok(Some(Compression::Gzip))));
        assert_eq!(check("br").unwrap_err().kind.grpc_code(), 12);
    }
}
