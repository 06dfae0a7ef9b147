//! The few protobuf messages that go back to OTLP senders, by hand: the
//! generated crates would bring every OTLP message along.

use bytes::Bytes;
use isinglass_decode::Protocol;
use prost::Message;
use serde_json::{Value, json};

use crate::problem::{Problem, one_line};

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Status {
    #[prost(int32, tag = "1")]
    pub code: i32,
    #[prost(string, tag = "2")]
    pub message: String,
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct Delay {
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

impl Status {
    /// What OTLP senders are told. `RetryInfo` is there exactly when sending the
    /// same batch again can help: without it they must not repeat a
    /// RESOURCE_EXHAUSTED.
    pub(crate) fn of(problem: &Problem) -> Self {
        let details = problem.retry_after.map(|after| {
            let delay = Delay {
                seconds: i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
                nanos: after.subsec_nanos().cast_signed(),
            };
            let value = RetryInfo { retry_delay: Some(delay) }.encode_to_vec().into();
            Any { type_url: RETRY_INFO.to_owned(), value }
        });
        Self {
            code: problem.kind.grpc_code(),
            message: one_line(&problem.message),
            details: details.into_iter().collect(),
        }
    }

    pub(crate) fn encode_to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// The JSON mapping of protobuf, for senders of OTLP JSON.
    pub(crate) fn as_json(&self) -> Value {
        let details: Vec<Value> = self
            .details
            .iter()
            .filter_map(|any| RetryInfo::decode(any.value.clone()).ok()?.retry_delay)
            .map(|delay| json!({ "@type": RETRY_INFO, "retryDelay": delay.as_json_text() }))
            .collect();
        let mut status = json!({ "code": self.code, "message": self.message });
        if !details.is_empty() {
            status["details"] = Value::Array(details);
        }
        status
    }
}

impl Delay {
    /// `1s`, `0.250s`: as the JSON mapping has it.
    fn as_json_text(self) -> String {
        match self.nanos {
            0 => format!("{}s", self.seconds),
            nanos => format!("{}.{nanos:09}s", self.seconds),
        }
    }
}

/// `Export{Trace,Logs,Metrics}ServiceResponse`, which differ in names only:
/// field 1 is the partial success.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

/// `Export…PartialSuccess`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub rejected: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

impl ExportResponse {
    pub(crate) fn encode_to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// The JSON mapping; 64-bit integers are text there.
    pub(crate) fn as_json(&self, protocol: Protocol) -> Value {
        let Some(partial) = &self.partial_success else { return json!({}) };
        let name = match protocol {
            Protocol::OtlpTraces => "rejectedSpans",
            Protocol::OtlpLogs | Protocol::LokiPush => "rejectedLogRecords",
            Protocol::OtlpMetrics | Protocol::RemoteWrite1 | Protocol::RemoteWrite2 => "rejectedDataPoints",
        };
        json!({ "partialSuccess": { name: partial.rejected.to_string(), "errorMessage": partial.error_message } })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use isinglass_model::ErrorKind;

    use super::*;

    #[test]
    fn retry_info_only_where_retrying_helps() {
        let limited = Problem {
            retry_after: Some(Duration::from_millis(1_250)),
            ..Problem::new(ErrorKind::RateLimited, "over\nthe rate")
        };
        assert_eq!(
            Status::of(&limited).as_json(),
            json!({ "code": 8, "message": "over the rate", "details": [
                { "@type": RETRY_INFO, "retryDelay": "1.250000000s" }
            ] })
        );
        assert_eq!(Status::of(&Problem::too_large("big")).as_json(), json!({ "code": 8, "message": "big" }));
        assert!(Status::of(&Problem::unavailable("later")).details[0].type_url.ends_with("RetryInfo"));
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let response = ExportResponse {
            partial_success: Some(PartialSuccess { rejected: 3, error_message: "no".into() }),
        };
        assert_eq!(&response.encode_to_bytes()[..], b"\x0a\x06\x08\x03\x12\x02no");
        assert_eq!(ExportResponse::default().encode_to_bytes().len(), 0);
        assert_eq!(
            response.as_json(Protocol::OtlpLogs),
            json!({ "partialSuccess": { "rejectedLogRecords": "3", "errorMessage": "no" } })
        );
    }
}
