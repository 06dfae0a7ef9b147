//! Remote read: samples as they are stored, so that a Prometheus can read from here.
//!
//! ```text
//! snappy protobuf ─▶ queries ─▶ QueryEngine::promql_samples ─▶ samples.rs  one snappy message
//!                                                          └─▶ chunked.rs  frames of XOR chunks
//! ```
//!
//! Chunks hold floats only. Where an answer has native histograms, a client that also takes
//! samples gets samples.

mod chunked;
mod message;
mod samples;
mod xor;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use isinglass_lang::promql::ast::{MatchOp, Matcher};
use isinglass_promql::Sample;
use isinglass_query::{RawSeries, Turn};
use prost::Message;

use self::message::{LabelMatcher, ReadRequest, ResponseType};
use super::failure::Failure;
use super::stream;
use crate::app::App;
use crate::problem::one_line;
use crate::sender;

/// Bytes of a request, packed and unpacked.
const REQUEST_BYTES_MAX: usize = 32 << 20;
/// Samples of an answer, as many as Prometheus' `storage.remote.read-sample-limit`.
const SAMPLES_MAX: usize = 50_000_000;
/// Queries of a request; Prometheus sends one.
const QUERIES_MAX: usize = 100;

/// `POST /api/v1/read`
pub(super) async fn read(State(app): State<App>, headers: HeaderMap, body: Body) -> Response {
    match answer(&app, &headers, body).await {
        Ok(response) => response,
        Err(failure) => text(&failure),
    }
}

/// Errors are text, which is what a Prometheus logs.
fn text(failure: &Failure) -> Response {
    let mut response = Response::new(format!("{}\n", one_line(&failure.message)).into());
    // Remote read knows no 422: what cannot be answered is a bad request.
    *response.status_mut() = match failure.status() {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

async fn answer(app: &App, headers: &HeaderMap, body: Body) -> Result<Response, Failure> {
    let tenant = sender::tenant(headers)?;
    let body = app.bodies.at_most(REQUEST_BYTES_MAX).read(body, 0).await?;
    let request = decode(&body.bytes)?;
    let accepted = accepted(&request.accepted_response_types)?;
    let turn = app.queries.enter(&tenant).await?;
    let (mut results, mut samples) = (Vec::with_capacity(request.queries.len()), 0);
    for query in request.queries {
        let matchers = query.matchers.into_iter().map(matcher).collect::<Result<_, _>>()?;
        let mut found = app.query.promql_samples(&tenant, matchers, query.start_ms, query.end_ms).await?;
        samples += found.iter().map(|series| series.points.len()).sum::<usize>();
        if samples > SAMPLES_MAX {
            return Err(Failure::bad_data(format!("exceeded sample limit ({SAMPLES_MAX})")));
        }
        found.sort_unstable_by(|one, other| one.labels.cmp(&other.labels));
        results.push(found);
    }
    respond(results, &accepted, turn).await
}

fn decode(body: &[u8]) -> Result<ReadRequest, Failure> {
    let bad =
        |error: &dyn std::fmt::Display| Failure::bad_data(format!("the request cannot be read: {error}"));
    let bytes = snap::raw::decompress_len(body).map_err(|error| bad(&error))?;
    if bytes > REQUEST_BYTES_MAX {
        return Err(bad(&format_args!("it has {bytes} bytes, the limit is {REQUEST_BYTES_MAX}")));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(body).map_err(|error| bad(&error))?;
    let request = ReadRequest::decode(bytes.as_slice()).map_err(|error| bad(&error))?;
    if request.queries.len() > QUERIES_MAX {
        let count = request.queries.len();
        return Err(bad(&format_args!("it has {count} queries, the limit is {QUERIES_MAX}")));
    }
    Ok(request)
}

/// The types that both sides know, in the client's order.
fn accepted(types: &[i32]) -> Result<Vec<ResponseType>, Failure> {
    if types.is_empty() {
        return Ok(vec![ResponseType::Samples]);
    }
    let known: Vec<_> = types.iter().filter_map(|kind| ResponseType::try_from(*kind).ok()).collect();
    if known.is_empty() {
        return Err(Failure::bad_data(format!(
            "server does not support any of the requested response types: {types:?}; supported: [0, 1]"
        )));
    }
    Ok(known)
}

fn matcher(matcher: LabelMatcher) -> Result<Matcher, Failure> {
    let op = match matcher.kind {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Matches,
        3 => MatchOp::NotMatches,
        other => return Err(Failure::bad_data(format!("invalid matcher type {other}"))),
    };
    Ok(Matcher { label: matcher.name, op, value: matcher.value })
}

async fn respond(
    results: Vec<Vec<RawSeries>>,
    accepted: &[ResponseType],
    turn: Turn,
) -> Result<Response, Failure> {
    let mut kind = accepted.first().copied().unwrap_or(ResponseType::Samples);
    if kind == ResponseType::StreamedXorChunks && results.iter().flatten().any(has_histograms) {
        if !accepted.contains(&ResponseType::Samples) {
            return Err(Failure::bad_data(
                "the answer has native histograms, which are not packed into chunks; accept SAMPLES too",
            ));
        }
        kind = ResponseType::Samples;
    }
    let mut response = Response::default();
    let headers = response.headers_mut();
    match kind {
        ResponseType::Samples => {
            let packed = tokio::task::spawn_blocking(move || samples::encode(results));
            let packed = packed.await.map_err(|_| Failure::internal("packing the samples broke off"))??;
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
            *response.body_mut() = packed.into();
        }
        ResponseType::StreamedXorChunks => {
            let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            *response.body_mut() = stream::body(chunked::frames(results), turn);
        }
    }
    Ok(response)
}

fn has_histograms(series: &RawSeries) -> bool {
    series.points.iter().any(|point| matches!(point.sample, Sample::Histogram(_)))
}
