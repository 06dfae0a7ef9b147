//! What a sender is told of the items that were not kept.

use std::time::Duration;

use isinglass_model::batch::Decoded;
use isinglass_model::counts::{RejectedItem, Rejections, truncate_text};
use isinglass_model::reason::{self, code};
use serde_json::Value;

use crate::error::IngestError;
use crate::request::{Fault, Outcome};

/// Bytes by which an item is named.
const NAME_BYTES_MAX: usize = 160;

/// Reasons that pass by themselves: what is active now goes idle.
const PASSING: [&str; 3] = [code::STREAM_LIMIT, code::LIVE_TRACES_EXCEEDED, code::TRACE_TOO_LARGE];

/// When trying again may help, as Tempo says.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// One entry per reason; each names its first item.
pub(crate) fn faults(rejections: &Rejections) -> Vec<Fault> {
    let first = |reason: &str| rejections.items().iter().find(|item| item.reason == reason);
    rejections
        .by_reason()
        .iter()
        .filter(|(reason, _)| !reason::is_dropped(reason))
        .take(Outcome::FAULTS_MAX)
        .map(|(reason, items)| Fault {
            reason: reason.clone(),
            message: first(reason).map(sentence).unwrap_or_default(),
            items: *items,
        })
        .collect()
}

/// The error of a request of which nothing is left, if something of it may be taken later:
/// then it is refused whole, so that its sender can send it again. Where something is left,
/// that is stored, and what is over the limit counts as any other item that was refused.
pub(crate) fn all_over_a_limit(decoded: &Decoded) -> Option<IngestError> {
    if decoded.kept() > 0 {
        return None;
    }
    let rejections = &decoded.rejections;
    let passing = PASSING.into_iter().find(|reason| rejections.by_reason().contains_key(*reason))?;
    let first = rejections.items().iter().find(|item| item.reason == passing);
    let message = first.map_or_else(|| passing.to_owned(), |item| item.message.clone());
    Some(IngestError::OverLimit { reason: passing.into(), message, retry_after: RETRY_AFTER })
}

/// What is wrong, and with which item.
fn sentence(item: &RejectedItem) -> String {
    match name_of(&item.item) {
        Some(name) if !item.message.contains(&name) => format!("{}, in {name}", item.message),
        _ => item.message.clone(),
    }
}

/// How a person would find the item: the series, the span, or the stream of a line. Items are
/// JSON text: rows of tables, or messages of a protocol.
fn name_of(item: &str) -> Option<String> {
    let item: Value = serde_json::from_str(item).ok()?;
    let text = |keys: &[&str]| keys.iter().find_map(|key| item.get(key)?.as_str());
    let mut name = if let Some(series) = text(&["series"]) {
        format!("series {series}")
    } else if let Some(labels) = item.get("labels").and_then(Value::as_array) {
        format!("series {}", pairs(labels))
    } else if let Some(trace) = text(&["trace_id", "traceId"]).filter(|_| text(&["name"]).is_some()) {
        let (span, name) = (text(&["span_id", "spanId"])?, text(&["name"])?);
        format!("span {span} {name:?} of trace {trace}")
    } else {
        format!("stream {}", text(&["stream"])?)
    };
    truncate_text(&mut name, NAME_BYTES_MAX);
    Some(name)
}

/// Labels as remote write has them.
fn pairs(labels: &[Value]) -> String {
    let pair = |label: &Value| {
        let text = |key| label.get(key).and_then(Value::as_str).unwrap_or_default();
        format!("{}={:?}", text("name"), text("value"))
    };
    let pairs: Vec<String> = labels.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_named_as_a_person_would_look_for_them() {
        for (item, name) in [
            (r#"{"series":"up{a=\"b\"}","time_ms":1}"#, Some(r#"series up{a="b"}"#)),
            (r#"{"labels":[{"name":"__name__","value":"up"}]}"#, Some(r#"series {__name__="up"}"#)),
            (r#"{"trace_id":"0a","span_id":"0b","name":"GET"}"#, Some(r#"span 0b "GET" of trace 0a"#)),
            (r#"{"traceId":"0a","spanId":"0b","name":"GET"}"#, Some(r#"span 0b "GET" of trace 0a"#)),
            (r#"{"stream":"{app=\"x\"}","body":"line","trace_id":"0a"}"#, Some(r#"stream {app="x"}"#)),
            (r#"{"body":"line"}"#, None),
            (r#"{"withheld":"no transformer has seen it"}"#, None),
            ("{\"cut", None),
        ] {
            assert_eq!(name_of(item).as_deref(), name, "{item}");
        }
        let long = format!(r#"{{"series":"{}"}}"#, "x".repeat(1_000));
        assert_eq!(name_of(&long).unwrap().len(), NAME_BYTES_MAX);
    }
}
