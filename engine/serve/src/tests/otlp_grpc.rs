//! OTLP over gRPC, with tonic's client as senders have it.

use bytes::{Buf, BufMut};
use isinglass_testkit::otlp;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::rpc;

/// Hands bytes through.
#[derive(Debug, Clone, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

async fn client(fixture: &Fixture) -> Grpc<Channel> {
    let url = format!("http://{}", fixture.server.addresses().otlp_grpc);
    Grpc::new(Endpoint::new(url).unwrap().connect().await.unwrap())
}

async fn export(
    client: &mut Grpc<Channel>,
    service: &str,
    metadata: &[(&'static str, &str)],
    body: Vec<u8>,
) -> Result<Response<Bytes>, Status> {
    let mut request = Request::new(Bytes::from(body));
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    client.ready().await.unwrap();
    let path = format!("/opentelemetry.proto.collector.{service}/Export").parse().unwrap();
    client.unary(request, path, Raw).await
}

const TRACES: &str = "trace.v1.TraceService";

fn traces(fixture: &Fixture, ids: &[[u8; 8]]) -> Vec<u8> {
    let at = fixture.now_unix_nanos;
    let spans: Vec<_> = ids
        .iter()
        .map(|id| otlp::Span { span_id: id.to_vec(), ..otlp::Span::server("GET /", at, at + 1) })
        .collect();
    otlp::traces(&[otlp::text("service.name", "shop")], &spans)
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_plain_and_compressed() {
    let fixture = Fixture::start().await;
    let mut plain = client(&fixture).await;
    let answer = export(&mut plain, TRACES, &[], traces(&fixture, &[[1; 8]])).await.unwrap();
    assert_eq!(answer.metadata().get("x-isinglass-durability").unwrap(), "sync");
    assert!(answer.get_ref().is_empty());
    for (id, encoding) in [(2, CompressionEncoding::Gzip), (3, CompressionEncoding::Zstd)] {
        let mut compressed = client(&fixture).await.send_compressed(encoding).accept_compressed(encoding);
        export(&mut compressed, TRACES, &[("x-scope-orgid", "acme")], traces(&fixture, &[[id; 8]]))
            .await
            .unwrap();
    }
    let at = fixture.now_unix_nanos;
    let logs = otlp::logs(&[], &[otlp::LogRecord::new(at, "hello")]);
    export(&mut plain, "logs.v1.LogsService", &[], logs).await.unwrap();
    assert_eq!(fixture.rows("default", "select count(*) n from spans").await, json!([{ "n": 1 }]));
    assert_eq!(fixture.rows("acme", "select count(*) n from spans").await, json!([{ "n": 2 }]));
    assert_eq!(fixture.rows("default", "select body from logs").await, json!([{ "body": "hello" }]));
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_success_and_errors() {
    let fixture = Fixture::start().await;
    let mut client = client(&fixture).await;
    let answer = export(&mut client, TRACES, &[], traces(&fixture, &[[1; 8], [0; 8]])).await.unwrap();
    let partial = rpc::ExportResponse::decode(answer.into_inner()).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected, 1);
    assert!(partial.error_message.contains("invalid_span_id"), "{}", partial.error_message);
    let mut check =
        async |service: &str, metadata: &[(&'static str, &str)], body: &[u8], code: Code, part: &str| {
            let status = export(&mut client, service, metadata, body.to_vec()).await.unwrap_err();
            assert_eq!(status.code(), code, "{status}");
            assert!(status.message().contains(part), "{status}");
        };
    check(TRACES, &[], b"\x0a\xff", Code::InvalidArgument, "").await;
    check(TRACES, &[("x-scope-orgid", "a/b")], b"", Code::InvalidArgument, "X-Scope-OrgID").await;
    check(TRACES, &[("grpc-encoding", "br")], b"", Code::Unimplemented, "br").await;
    check("profiles.v1.ProfilesService", &[], b"", Code::Unimplemented, "ProfilesService").await;
    fixture.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_rate_says_when_to_come_back() {
    let limits = json!({ "rate-limit": { "items_per_second": 1, "items_burst": 2 } });
    let fixture = Fixture::with(ServeConfig::default(), limits).await;
    let mut client = client(&fixture).await;
    export(&mut client, TRACES, &[], traces(&fixture, &[[1; 8], [2; 8]])).await.unwrap();
    let status = export(&mut client, TRACES, &[], traces(&fixture, &[[3; 8], [4; 8]])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let details = rpc::Status::decode(status.details()).unwrap();
    assert_eq!(details.code, 8);
    let retry = rpc::RetryInfo::decode(details.details[0].value.clone()).unwrap().retry_delay.unwrap();
    assert!(retry.seconds > 0 || retry.nanos > 0);
    fixture.stop().await;
}
