//! What connections have to keep to, and how a server starts and stops.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::Listeners;

fn impatient() -> ServeConfig {
    ServeConfig {
        header_timeout_ms: 200,
        body_timeout_ms: 200,
        drain_timeout_ms: 300,
        ..ServeConfig::default()
    }
}

/// Everything the server says until it closes.
async fn until_closed(fixture: &Fixture, first_words: &[u8]) -> String {
    let mut stream = TcpStream::connect(fixture.server.addresses().listen).await.unwrap();
    stream.write_all(first_words).await.unwrap();
    let mut said = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut said));
    read.await.expect("the server closes").unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test]
async fn a_busy_port_is_named_with_its_flag() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let any = || "127.0.0.1:0".to_owned();
    let config =
        ServeConfig { listen: any(), otlp_grpc: address.clone(), otlp_http: any(), ..ServeConfig::default() };
    let error = Listeners::bind(&config).await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen on {address} (--otlp-grpc)")), "{error}");
    assert!(error.contains("another process uses the port"), "{error}");
    let config = ServeConfig { listen: "nonsense".to_owned(), ..config };
    let error = Listeners::bind(&config).await.unwrap_err().to_string();
    assert!(error.contains("--listen") && error.contains("HOST:PORT"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_cut_off() {
    let fixture = Fixture::with(impatient(), json!({})).await;
    assert_eq!(until_closed(&fixture, b"").await, "");
    assert_eq!(until_closed(&fixture, b"PRI * HT").await, "");
    assert_eq!(until_closed(&fixture, b"GET / HTTP/1.1\r\nHost: x\r\nX-").await, "");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_end_is_a_timeout() {
    let fixture = Fixture::with(impatient(), json!({})).await;
    let said = until_closed(
        &fixture,
        b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 9\r\n\r\nab",
    )
    .await;
    assert!(said.starts_with("HTTP/1.1 504") && said.contains("2 bytes had arrived"), "{said}");
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_open_requests_but_not_forever() {
    let config = ServeConfig { body_timeout_ms: 60_000, ..impatient() };
    let fixture = Fixture::with(config, json!({})).await;
    let mut open = TcpStream::connect(fixture.server.addresses().listen).await.unwrap();
    let head = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 9\r\n\r\nab";
    open.write_all(head).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let begun = Instant::now();
    let address = fixture.server.addresses().listen;
    fixture.stop().await;
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(5), "{took:?}");
    assert!(TcpStream::connect(address).await.is_err());
}
