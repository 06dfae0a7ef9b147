//! Tests over whole bodies.

mod json_lines;
mod logs;
mod loki;
mod metrics;
mod properties;
mod proto;
mod remote_write;
mod remote_write_2;
mod resolver;
mod rows;
mod traces;

use isinglass_model::ErrorKind;
use isinglass_model::batch::Decoded;

use crate::{Context, DecodeError, Format, LogsConfig, Protocol, decode};
use resolver::Series;

/// The arrival time of every request here: 2023-11-14 22:13:20.
const NOW: i64 = 1_700_000_000_000_000_000;

/// Decodes a body and checks the books.
fn read(
    protocol: Protocol,
    format: Format,
    body: &[u8],
    series: &mut Series,
) -> Result<Decoded, DecodeError> {
    read_with(&LogsConfig::default(), protocol, format, body, series)
}

fn read_with(
    logs: &LogsConfig,
    protocol: Protocol,
    format: Format,
    body: &[u8],
    series: &mut Series,
) -> Result<Decoded, DecodeError> {
    let mut context = Context { logs, now_unix_nanos: NOW, resolver: series };
    let decoded = decode(protocol, format, body, &mut context)?;
    assert_eq!(decoded.received, decoded.kept() + decoded.rejections.total());
    for item in decoded.rejections.items() {
        let json = serde_json::from_str::<serde_json::Value>(&item.item);
        assert!(json.is_ok() || item.item.len() >= 60 << 10, "{}", item.item);
        assert_eq!(item.signal, protocol.signal());
        assert!(!item.message.is_empty());
    }
    Ok(decoded)
}

/// Decodes protobuf.
fn protobuf(protocol: Protocol, body: &[u8]) -> Decoded {
    read(protocol, Format::Protobuf, body, &mut Series::default()).unwrap()
}

/// Decodes JSON.
fn json(protocol: Protocol, body: &str) -> Decoded {
    read(protocol, Format::Json, body.as_bytes(), &mut Series::default()).unwrap()
}

/// `reason` and number of every rejection.
fn rejected(decoded: &Decoded) -> Vec<(&str, u64)> {
    decoded.rejections.by_reason().iter().map(|(reason, count)| (&**reason, *count)).collect()
}

#[test]
fn a_body_over_the_cap_is_too_large() {
    let body = vec![0; (64 << 20) + 1];
    let error = read(Protocol::OtlpLogs, Format::Protobuf, &body, &mut Series::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn a_body_of_too_many_items_is_too_large() {
    let samples = [0x12, 0].repeat((4 << 20) + 1);
    let label = proto::message().bytes(1, "__name__").bytes(2, "up");
    let series = [proto::message().nested(1, label).build(), samples].concat();
    let body = proto::message().bytes(1, series).build();
    let error = read(Protocol::RemoteWrite1, Format::Protobuf, &body, &mut Series::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "remote write: more than 4194304 items in one request");
}

#[test]
fn an_empty_body_is_an_empty_request() {
    for protocol in [
        Protocol::OtlpTraces,
        Protocol::OtlpLogs,
        Protocol::OtlpMetrics,
        Protocol::RemoteWrite1,
        Protocol::RemoteWrite2,
        Protocol::LokiPush,
    ] {
        let decoded = protobuf(protocol, &[]);
        assert_eq!((decoded.received, decoded.logs.is_none(), decoded.spans.is_none()), (0, true, true));
    }
}

#[test]
fn remote_write_is_not_spoken_in_json() {
    for (protocol, text) in [
        (Protocol::RemoteWrite1, "remote write is not taken as JSON"),
        (Protocol::RemoteWrite2, "remote write 2.0 is not taken as JSON"),
    ] {
        let error = read(protocol, Format::Json, b"{}", &mut Series::default()).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Unsupported, text));
    }
}
