//! HTTP/2 streams that break at any of their frames, and connections that flood: nothing of
//! a broken request is stored, and other senders notice nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, SendStream};
use isinglass_testkit::load;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_util::io::InspectWriter;

use crate::harness::{Server, grpc, now_nanos};

/// Payload of a DATA frame, the largest that every peer takes.
const FRAME_BYTES: usize = 16 << 10;
/// Spans of about a mebibyte.
const SPANS: usize = 3_000;
/// What a connection that floods may cost in memory.
const FLOOD_COST_MIB: f64 = 64.0;
/// A flood ends when the server ends it, or here.
const FLOOD_BYTES: usize = 64 << 20;

const PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// An export of a mebibyte as gRPC frames it.
fn export() -> Bytes {
    let body = load::traces(7, SPANS, now_nanos() - 1_000_000_000);
    let mut message = vec![0];
    message.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    message.extend_from_slice(&body);
    assert!(message.len() > 1 << 20, "{} bytes", message.len());
    message.into()
}

/// Bytes that were written to a socket.
type Written = Arc<AtomicUsize>;

/// A client's connection. It ends with the client, when the server has had enough of it, or
/// when its task is aborted.
struct Connection {
    client: SendRequest<Bytes>,
    task: tokio::task::JoinHandle<()>,
    written: Written,
}

async fn connect(server: &Server) -> Connection {
    let tcp = TcpStream::connect(&server.addresses().otlp_grpc).await.unwrap();
    let written = Written::default();
    let counted = InspectWriter::new(tcp, {
        let written = Arc::clone(&written);
        move |bytes: &[u8]| {
            written.fetch_add(bytes.len(), Ordering::Relaxed);
        }
    });
    let (client, connection) = h2::client::handshake(counted).await.unwrap();
    Connection { client, task: tokio::spawn(async move { drop(connection.await) }), written }
}

fn request() -> http::Request<()> {
    let request = http::Request::post(format!("http://isinglass{PATH}"));
    request.header("content-type", "application/grpc").header("te", "trailers").body(()).unwrap()
}

/// Sends some frames of a message, until they are on the wire: what only waits is dropped by a
/// reset. The stream stays open.
async fn send_frames(stream: &mut SendStream<Bytes>, message: &Bytes, frames: usize, written: &Written) {
    let bytes = message.len().min(frames * FRAME_BYTES);
    let mut rest = message.slice(..bytes);
    while !rest.is_empty() {
        let frame = rest.split_to(rest.len().min(FRAME_BYTES));
        stream.reserve_capacity(frame.len());
        while stream.capacity() < frame.len() {
            std::future::poll_fn(|context| stream.poll_capacity(context)).await.unwrap().unwrap();
        }
        stream.send_data(frame, false).unwrap();
    }
    while written.load(Ordering::Relaxed) < bytes {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn resident_mib(server: &Server) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
}

/// Another sender is answered, and what it sent is all there is.
async fn check_others(server: &Server, seed: u64, stored: u64) {
    let body = load::traces(seed, 10, now_nanos() - 1_000_000_000);
    let answer = grpc::export(&server.addresses().otlp_grpc, None, "traces", body);
    tokio::time::timeout(Duration::from_secs(30), answer).await.expect("an answer").unwrap();
    assert_eq!(server.client().count("spans").await, stored);
}

/// Streams that are reset after any of their frames, also the last, as long as none of them
/// says that it is the last.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_reset_at_any_frame_leaves_nothing() {
    let server = Server::start();
    let message = export();
    let frames = message.len().div_ceil(FRAME_BYTES);
    for sent in 0..=frames {
        // Many resets on one connection end it.
        let Connection { client, written, .. } = connect(&server).await;
        let (answer, mut stream) = client.ready().await.unwrap().send_request(request(), false).unwrap();
        send_frames(&mut stream, &message, sent, &written).await;
        stream.send_reset(Reason::CANCEL);
        assert!(answer.await.is_err(), "after {sent} frames");
    }
    check_others(&server, 1, 10).await;

    let Connection { client, written, .. } = connect(&server).await;
    let (answer, mut stream) = client.ready().await.unwrap().send_request(request(), false).unwrap();
    send_frames(&mut stream, &message, frames, &written).await;
    stream.send_data(Bytes::new(), true).unwrap();
    assert!(answer.await.unwrap().status().is_success());
    assert_eq!(server.client().count("spans").await, 10 + SPANS as u64, "whole, it is stored once");
    assert_eq!(server.panics(), Vec::<String>::new());
}

/// The same with the whole connection gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_at_any_frame_leaves_nothing() {
    let server = Server::start();
    let message = export();
    let frames = message.len().div_ceil(FRAME_BYTES);
    for sent in 0..=frames {
        let Connection { client, task, written } = connect(&server).await;
        let (_answer, mut stream) = client.ready().await.unwrap().send_request(request(), false).unwrap();
        send_frames(&mut stream, &message, sent, &written).await;
        task.abort();
    }
    check_others(&server, 1, 10).await;
    assert_eq!(server.panics(), Vec::<String>::new());
}

/// CVE-2023-44487: streams that are opened and reset at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rapid_resets_cost_little() {
    let server = Server::start();
    check_others(&server, 1, 10).await;
    let before = resident_mib(&server);
    let Connection { client, .. } = connect(&server).await;
    for _ in 0..50_000 {
        // Until the server ends the connection.
        let Ok(mut ready) = client.clone().ready().await else { break };
        let Ok((_, mut stream)) = ready.send_request(request(), false) else { break };
        stream.send_reset(Reason::CANCEL);
    }
    check_others(&server, 2, 20).await;
    let cost = resident_mib(&server) - before;
    assert!(cost < FLOOD_COST_MIB, "{cost} MiB");
}

/// A frame header of HTTP/2 (RFC 9113, 4.1) and its payload.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend_from_slice(&[kind, flags]);
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Header fields as literals that nobody remembers (RFC 7541, 6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// What every request of these tests begins with.
fn opening(end_headers: bool) -> Vec<u8> {
    const HEADERS: u8 = 1;
    const SETTINGS: u8 = 4;
    let headers = fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "isinglass"),
        (":path", PATH),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]);
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frame(HEADERS, if end_headers { 4 } else { 0 }, 1, &headers));
    bytes
}

/// Writes `part` again and again; how many bytes the server took before it ended that.
async fn flood(server: &Server, opening: &[u8], part: &[u8]) -> usize {
    let mut tcp = TcpStream::connect(&server.addresses().otlp_grpc).await.unwrap();
    tcp.write_all(opening).await.unwrap();
    let mut taken = 0;
    let patience = Duration::from_secs(20);
    let writing = async {
        while taken < FLOOD_BYTES && tcp.write_all(part).await.is_ok() {
            taken += part.len();
        }
    };
    // A server that takes nothing more, and says nothing, is no worse off.
    let _ = tokio::time::timeout(patience, writing).await;
    taken
}

async fn check_flood(what: &str, opening: &[u8], part: &[u8], bytes_max: usize) {
    let server = Server::start();
    check_others(&server, 1, 10).await;
    let before = resident_mib(&server);
    let (taken, ()) = tokio::join!(flood(&server, opening, part), check_others(&server, 2, 20));
    assert!(taken <= bytes_max, "{what}: {taken} bytes were taken");
    check_others(&server, 3, 30).await;
    let cost = resident_mib(&server) - before;
    assert!(cost < FLOOD_COST_MIB, "{what}: {cost} MiB");
    assert_eq!(server.panics(), Vec::<String>::new());
}

/// CVE-2024-27316: headers that never end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_an_end_are_cut_off() {
    const CONTINUATION: u8 = 9;
    let field = fields(&[("x-filler", &"x".repeat(100))]);
    let part = frame(CONTINUATION, 0, 1, &field.repeat(FRAME_BYTES / field.len()));
    // What the kernel holds on both sides comes on top of the bound on headers.
    check_flood("CONTINUATION", &opening(false), &part, 16 << 20).await;
}

/// CVE-2019-9518: frames without content.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_without_content_cost_little() {
    const DATA: u8 = 0;
    let part = frame(DATA, 0, 1, &[]).repeat(1_000);
    check_flood("empty DATA", &opening(true), &part, FLOOD_BYTES + part.len()).await;
}
