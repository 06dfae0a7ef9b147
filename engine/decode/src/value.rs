//! OTLP attributes and their values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use isinglass_model::limits::HardCaps;
use isinglass_model::reason::code;

use crate::item::{Fault, Stop};
use crate::json_text::{write_f64, write_i64, write_string};
use crate::wire::{self, Reader, WireError};

/// An `AnyValue` that was opened but not walked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Any<'a> {
    Empty,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    Bytes(&'a [u8]),
    /// JSON text that was checked.
    Json(&'a str),
    Array(Reader<'a>),
    List(Reader<'a>),
}

impl<'a> Any<'a> {
    /// Opens a value.
    #[inline]
    pub(crate) fn read(mut reader: Reader<'a>) -> Result<Self, WireError> {
        let mut any = Self::Empty;
        while let Some(field) = reader.next()? {
            any = match field.number {
                1 => Self::Text(field.bytes()?),
                2 => Self::Bool(field.varint()? != 0),
                3 => Self::Int(field.int64()?),
                4 => Self::Double(field.double()?),
                5 => Self::Array(field.message()?),
                6 => Self::List(field.message()?),
                7 => Self::Bytes(field.bytes()?),
                _ => any,
            };
        }
        Ok(any)
    }

    /// The value as JSON text.
    pub(crate) fn write_json(self, out: &mut Vec<u8>) -> Result<(), Stop> {
        self.write_json_at(out, 0)
    }

    fn write_json_at(self, out: &mut Vec<u8>, depth: usize) -> Result<(), Stop> {
        match self {
            Self::Empty => out.extend_from_slice(b"null"),
            Self::Text(text) => write_string(out, utf8(text, "an attribute value")?),
            Self::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Self::Int(value) => write_i64(out, value),
            Self::Double(value) => write_f64(out, value),
            Self::Bytes(bytes) => {
                out.push(b'"');
                out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
                out.push(b'"');
            }
            Self::Json(text) => out.extend_from_slice(text.as_bytes()),
            Self::Array(values) => write_array(out, values, depth)?,
            Self::List(pairs) => write_object(out, pairs, depth)?,
        }
        Ok(())
    }

    /// The value as a label has it: text without quotes, anything else as JSON.
    pub(crate) fn write_label(self, out: &mut Vec<u8>) -> Result<(), Stop> {
        match self {
            Self::Empty => {}
            Self::Text(text) => out.extend_from_slice(utf8(text, "an attribute value")?.as_bytes()),
            Self::Double(value) => out.extend_from_slice(label_number(value).as_bytes()),
            Self::Bytes(bytes) => out.extend_from_slice(STANDARD.encode(bytes).as_bytes()),
            other => other.write_json(out)?,
        }
        Ok(())
    }
}

/// A number as a Go program writes it into a label: no trailing `.0`, and an
/// exponent only where it is very large or very small.
fn label_number(value: f64) -> String {
    match value {
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        _ if value != 0.0 && !(1e-6..1e21).contains(&value.abs()) => {
            let text = format!("{value:e}");
            if text.contains("e-") { text } else { text.replace('e', "e+") }
        }
        _ => value.to_string(),
    }
}

fn write_array(out: &mut Vec<u8>, mut values: Reader<'_>, depth: usize) -> Result<(), Stop> {
    check_depth(&values, depth)?;
    out.push(b'[');
    let mut first = true;
    while let Some(field) = values.next()? {
        if field.number == 1 {
            if !first {
                out.push(b',');
            }
            first = false;
            Any::read(field.message()?)?.write_json_at(out, depth + 1)?;
        }
    }
    out.push(b']');
    Ok(())
}

fn write_object(out: &mut Vec<u8>, mut pairs: Reader<'_>, depth: usize) -> Result<(), Stop> {
    check_depth(&pairs, depth)?;
    out.push(b'{');
    let mut first = true;
    while let Some(field) = pairs.next()? {
        if field.number == 1 {
            if !first {
                out.push(b',');
            }
            first = false;
            let (key, value) = key_value(field.message()?)?;
            write_string(out, utf8(key, "an attribute key")?);
            out.push(b':');
            value.write_json_at(out, depth + 1)?;
        }
    }
    out.push(b'}');
    Ok(())
}

/// A `KeyValue`.
#[inline]
pub(crate) fn key_value(reader: Reader<'_>) -> Result<(&[u8], Any<'_>), WireError> {
    match usual_key_value(reader.bytes()) {
        Some(pair) => Ok(pair),
        None => any_key_value(reader),
    }
}

/// A key and a text as nearly every sender writes them: in this order, both
/// shorter than 128 bytes, nothing else.
#[inline]
fn usual_key_value(bytes: &[u8]) -> Option<(&[u8], Any<'_>)> {
    const KEY_TAG: u8 = 0x0a;
    const VALUE_TAG: u8 = 0x12;
    const TEXT_TAG: u8 = 0x0a;
    let [KEY_TAG, key_len @ ..0x80, rest @ ..] = bytes else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*key_len))?;
    let [VALUE_TAG, value_len @ ..0x80, TEXT_TAG, text_len, text @ ..] = rest else { return None };
    let whole = usize::from(*text_len) == text.len() && usize::from(*value_len) == text.len() + 2;
    whole.then_some((key, Any::Text(text)))
}

fn any_key_value(mut reader: Reader<'_>) -> Result<(&[u8], Any<'_>), WireError> {
    let mut key: &[u8] = &[];
    let mut value = Any::Empty;
    while let Some(field) = reader.next()? {
        match field.number {
            1 => key = field.bytes()?,
            2 => value = Any::read(field.message()?)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Nesting is bounded, as in every protobuf reader.
fn check_depth(reader: &Reader<'_>, depth: usize) -> Result<(), WireError> {
    let max = HardCaps::DEFAULT.value_depth_max;
    if depth >= max { Err(reader.fault(wire::Fault::Depth(max))) } else { Ok(()) }
}

/// Text that must be UTF-8.
#[inline]
pub(crate) fn utf8<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str, Fault> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| not_utf8(bytes, what))
}

#[cold]
pub(crate) fn not_utf8(bytes: &[u8], what: &str) -> Fault {
    let at = simdutf8::compat::from_utf8(bytes).err().map_or(0, |error| error.valid_up_to());
    Fault::new(code::INVALID_UTF8, format!("{what} is not UTF-8 at byte {at}: {:?}", excerpt(bytes)))
}

/// The beginning of some bytes, for messages.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).into_owned();
    if bytes.len() > 64 { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    fn json(any: Any<'_>) -> String {
        let mut out = Vec::new();
        any.write_json(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_as_json_and_as_labels() {
        let mut list = Writer::default();
        for value in [1, 2] {
            let any = list.open(1);
            list.varint_field(3, value);
            list.close(any);
        }
        let array = Reader::new(list.as_bytes());
        let cases: [(Any<'_>, &str, &str); 11] = [
            (Any::Empty, "null", ""),
            (Any::Text(b"200"), "\"200\"", "200"),
            (Any::Int(200), "200", "200"),
            (Any::Double(200.0), "200.0", "200"),
            (Any::Double(1e21), "1e+21", "1e+21"),
            (Any::Double(-2.5e-9), "-2.5e-9", "-2.5e-9"),
            (Any::Double(123_456_789.5), "123456789.5", "123456789.5"),
            (Any::Double(f64::INFINITY), "\"Infinity\"", "+Inf"),
            (Any::Bool(true), "true", "true"),
            (Any::Bytes(&[1, 2]), "\"AQI=\"", "AQI="),
            (Any::Array(array), "[1,2]", "[1,2]"),
        ];
        for (any, as_json, as_label) in cases {
            assert_eq!(json(any), as_json);
            let mut out = Vec::new();
            any.write_label(&mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), as_label);
        }
    }

    #[test]
    fn long_and_short_pairs_read_alike() {
        for len in [0, 1, 121, 122, 125, 126, 127, 128, 300] {
            let text = "x".repeat(len);
            let mut pair = Writer::default();
            pair.bytes_field(1, text.as_bytes());
            let any = pair.open(2);
            pair.bytes_field(1, text.as_bytes());
            pair.close(any);
            let (key, value) = key_value(Reader::new(pair.as_bytes())).unwrap();
            assert!(key == text.as_bytes() && json(value) == format!("{text:?}"), "{len}");
            // a second text in the value: the last one counts
            let mut value = Writer::default();
            value.bytes_field(1, text.as_bytes());
            value.bytes_field(1, b"last");
            let mut pair = Writer::default();
            pair.bytes_field(1, b"k");
            pair.bytes_field(2, value.as_bytes());
            assert_eq!(json(key_value(Reader::new(pair.as_bytes())).unwrap().1), "\"last\"");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| {
            let mut any = Writer::default();
            let mut open = Vec::new();
            for _ in 0..levels {
                open.push(any.open(5));
                open.push(any.open(1));
            }
            for open in open.into_iter().rev() {
                any.close(open);
            }
            let bytes = any.into_bytes();
            Any::read(Reader::new(&bytes)).unwrap().write_json(&mut Vec::new())
        };
        assert!(nested(64).is_ok());
        assert!(matches!(nested(65), Err(Stop::Wire(error)) if error.fault == wire::Fault::Depth(64)));
    }
}
