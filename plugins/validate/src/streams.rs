//! Labels of log streams: how long they are, and which must be there.

use isinglass_plugin::{Dictionary, Verdicts};

use crate::limits::Limits;
use crate::messages::quoted;
use crate::reason;

/// A fault of a stream: its code and the sentence about it.
type Fault = (&'static str, String);

/// Refuses the rows of streams with a label too long or without one that must be there. Each
/// distinct stream is read once, and most batches have none that is long enough to be read.
pub(crate) fn check(streams: Dictionary<'_>, limits: &Limits, verdicts: &mut Verdicts) {
    let shortest = limits.label_name_bytes_max.min(limits.label_value_bytes_max) as usize;
    let fault_of = |text: &str| match limits.stream_labels_required.is_empty() && text.len() <= shortest {
        true => None,
        false => fault(text, limits),
    };
    let faults = streams.per_distinct(fault_of);
    if faults.iter().all(Option::is_none) {
        return;
    }
    for (row, key) in streams.keys().iter().enumerate() {
        if let Some((code, message)) = &faults[*key as usize]
            && streams.validity().is_valid(row)
        {
            verdicts.refuse(row, code, || message.clone());
        }
    }
}

fn fault(text: &str, limits: &Limits) -> Option<Fault> {
    let (name_max, value_max) = (limits.label_name_bytes_max, limits.label_value_bytes_max);
    for Label { name, value_bytes } in labels(text) {
        let (shown, got) = (quoted(name), name.len());
        if got > name_max as usize {
            let message =
                format!("label name {shown} has {got} bytes, the limit is {name_max} (label_name_bytes_max)");
            return Some((reason::LABEL_NAME_TOO_LONG, message));
        }
        if value_bytes > value_max as usize {
            let message = format!(
                "the value of label {shown} has {value_bytes} bytes, the limit is {value_max} (label_value_bytes_max)"
            );
            return Some((reason::LABEL_VALUE_TOO_LONG, message));
        }
    }
    let missing = |required: &&String| labels(text).all(|label| label.name != **required);
    let missing: Vec<String> =
        limits.stream_labels_required.iter().filter(missing).map(|name| quoted(name)).collect();
    (!missing.is_empty()).then(|| {
        let missing = missing.join(", ");
        let message = format!("the stream has no label {missing} (stream_labels_required)");
        (reason::MISSING_ENFORCED_LABELS, message)
    })
}

/// A label of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Label<'a> {
    name: &'a str,
    value_bytes: usize,
}

/// The labels of `{a="b", c="d"}`, as the engine writes it.
fn labels(text: &str) -> impl Iterator<Item = Label<'_>> {
    let mut rest = text.strip_prefix('{').unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, after) = rest.trim_start_matches([',', ' ']).split_once("=\"")?;
        let (value_bytes, taken) = value(after.as_bytes());
        rest = after.get(taken..).unwrap_or_default();
        Some(Label { name, value_bytes })
    })
}

/// Bytes of a quoted value without its escapes, and those until behind its closing quote.
fn value(text: &[u8]) -> (usize, usize) {
    let (mut bytes, mut at) = (0, 0);
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'"' => return (bytes, at + 1),
            b'\\' if text.get(at + 1) == Some(&b'x') => 4,
            b'\\' => 2,
            _ => 1,
        };
        bytes += 1;
    }
    (bytes, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_as_they_were_written() {
        let label = |name, value_bytes| Label { name, value_bytes };
        let read = |text| labels(text).collect::<Vec<_>>();
        assert_eq!(read(r#"{app="shop", path="a\"b\\\n\x01c"}"#), [label("app", 4), label("path", 7)]);
        assert_eq!(read(r#"{a="=\", b", c="é"}"#), [label("a", 5), label("c", 2)]);
        assert_eq!(read("{}"), []);
        assert_eq!(read(""), []);
    }
}
