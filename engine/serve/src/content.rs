//! Content types and encodings: what each path takes, and 415 for the rest.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use isinglass_decode::{Compression, Format, Protocol};

use crate::problem::Problem;

/// How an OTLP/HTTP sender wrote its request; it gets its answer the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtlpEncoding {
    Protobuf,
    Json,
}

impl OtlpEncoding {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }

    pub(crate) fn format(self) -> Format {
        match self {
            Self::Protobuf => Format::Protobuf,
            Self::Json => Format::Json,
        }
    }
}

/// A content type taken apart: `text/plain; charset=utf-8` is `text/plain` with
/// one parameter. All lower case but parameter values.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContentType {
    pub essence: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    /// The content type of a request, if it names one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = String::from_utf8_lossy(headers.get(CONTENT_TYPE)?.as_bytes()).into_owned();
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters = parts
            .filter_map(|part| part.split_once('='))
            .map(|(k, v)| (k.trim().to_ascii_lowercase(), v.trim().trim_matches('"').to_owned()))
            .collect();
        Some(Self { essence, parameters })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn essence(headers: &HeaderMap) -> Option<String> {
    ContentType::of(headers).map(|content_type| content_type.essence)
}

fn refuse(what: &str, got: Option<&str>, takes: &str) -> Problem {
    let got = got.map_or_else(|| "none".to_owned(), |got| format!("{got:?}"));
    Problem::unsupported(format!("{what} {got} is not taken here; send {takes}"))
}

/// The encoding header, lower case; `None` without one or for `identity`.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let text = String::from_utf8_lossy(headers.get(CONTENT_ENCODING)?.as_bytes()).trim().to_ascii_lowercase();
    (!text.is_empty() && text != "identity").then_some(text)
}

/// The encoding of an OTLP/HTTP request.
pub(crate) fn otlp_encoding(headers: &HeaderMap) -> Result<OtlpEncoding, Problem> {
    match essence(headers).as_deref() {
        Some("application/x-protobuf") => Ok(OtlpEncoding::Protobuf),
        Some("application/json") => Ok(OtlpEncoding::Json),
        other => Err(refuse("content type", other, "application/x-protobuf or application/json")),
    }
}

/// The compression of an OTLP/HTTP request.
pub(crate) fn otlp_compression(headers: &HeaderMap) -> Result<Compression, Problem> {
    match encoding(headers).as_deref() {
        None => Ok(Compression::None),
        Some("gzip") => Ok(Compression::Gzip),
        Some("zstd") => Ok(Compression::Zstd),
        other => Err(refuse("content encoding", other, "gzip, zstd or identity")),
    }
}

/// The version of a remote-write request, which is always protobuf in a snappy
/// block. A missing content type, `proto` or encoding counts as that of version 1.0, as
/// in Prometheus. `X-Prometheus-Remote-Write-Version` decides nothing: the
/// specification leaves that to the content type.
pub(crate) fn remote_write(headers: &HeaderMap) -> Result<Protocol, Problem> {
    const TAKES: &str = "application/x-protobuf with proto=prometheus.WriteRequest (remote write 1.0) \
                         or proto=io.prometheus.write.v2.Request (2.0)";
    let content_type = ContentType::of(headers);
    if let Some(other) = content_type.as_ref().filter(|of| of.essence != "application/x-protobuf") {
        return Err(refuse("content type", Some(&other.essence), TAKES));
    }
    let protocol = match content_type.as_ref().and_then(|of| of.parameter("proto")) {
        None | Some("prometheus.WriteRequest") => Protocol::RemoteWrite1,
        Some("io.prometheus.write.v2.Request") => Protocol::RemoteWrite2,
        other => return Err(refuse("protobuf message", other, TAKES)),
    };
    match encoding(headers).as_deref() {
        None | Some("snappy") => Ok(protocol),
        other => Err(refuse("content encoding", other, "snappy")),
    }
}

/// Checks a Loki push. Protobuf is always snappy, with or without the header,
/// as in Loki.
pub(crate) fn loki_push(headers: &HeaderMap) -> Result<(Format, Compression), Problem> {
    let encoding = encoding(headers);
    match essence(headers).as_deref() {
        Some("application/x-protobuf") => match encoding.as_deref() {
            None | Some("snappy") => Ok((Format::Protobuf, Compression::Snappy)),
            other => Err(refuse("content encoding", other, "snappy")),
        },
        Some("application/json") => match encoding.as_deref() {
            None => Ok((Format::Json, Compression::None)),
            Some("gzip") => Ok((Format::Json, Compression::Gzip)),
            other => Err(refuse("content encoding", other, "gzip or identity")),
        },
        other => Err(refuse("content type", other, "application/x-protobuf or application/json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(content_type: &str, content_encoding: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        if !content_encoding.is_empty() {
            headers.insert(CONTENT_ENCODING, content_encoding.parse().unwrap());
        }
        headers
    }

    fn check<T: std::fmt::Debug>(got: Result<T, Problem>, want: Result<&str, &str>) {
        match (&got, want) {
            (Ok(value), Ok(shown)) => assert_eq!(format!("{value:?}"), shown),
            (Err(problem), Err(part)) => {
                assert_eq!(problem.status(), 415);
                assert!(problem.message.contains(part), "{}", problem.message);
            }
            _ => panic!("{got:?}, want {want:?}"),
        }
    }

    #[test]
    fn remote_write_takes_two_versions() {
        let check =
            |content_type, encoding, want| check(remote_write(&headers(content_type, encoding)), want);
        let (v1, v2) = (Ok("RemoteWrite1"), Ok("RemoteWrite2"));
        check("application/x-protobuf", "snappy", v1);
        check("application/x-protobuf; proto=prometheus.WriteRequest", "snappy", v1);
        check("", "", v1);
        check("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", v2);
        check("Application/X-Protobuf; Proto=\"io.prometheus.write.v2.Request\"", "", v2);
        check(
            "application/x-protobuf;proto=io.prometheus.write.v3.Request",
            "snappy",
            Err("v2.Request (2.0)"),
        );
        check("application/x-protobuf;proto=", "snappy", Err("prometheus.WriteRequest (remote write 1.0)"));
        check("application/x-protobuf;proto=io.prometheus.write.v2.Request", "zstd", Err("send snappy"));
        check("application/json", "snappy", Err("\"application/json\""));
        check("application/x-protobuf", "zstd", Err("send snappy"));
    }

    #[test]
    fn loki_takes_snappy_protobuf_and_plain_or_gzipped_json() {
        let check = |content_type, encoding, want| check(loki_push(&headers(content_type, encoding)), want);
        check("application/x-protobuf", "", Ok("(Protobuf, Snappy)"));
        check("application/x-protobuf", "snappy", Ok("(Protobuf, Snappy)"));
        check("application/json; charset=utf-8", "", Ok("(Json, None)"));
        check("Application/JSON", "GZIP", Ok("(Json, Gzip)"));
        check("application/json", "snappy", Err("gzip or identity"));
        check("text/plain", "", Err("application/json"));
        check("", "", Err("content type none"));
    }

    #[test]
    fn otlp_takes_protobuf_and_json() {
        check(otlp_encoding(&headers("application/x-protobuf", "")), Ok("Protobuf"));
        check(otlp_encoding(&headers("application/json", "")), Ok("Json"));
        check(otlp_encoding(&headers("application/grpc", "")), Err("application/grpc"));
        check(otlp_compression(&headers("", "identity")), Ok("None"));
        check(otlp_compression(&headers("", "zstd")), Ok("Zstd"));
        check(otlp_compression(&headers("", "br")), Err("\"br\""));
    }
}
