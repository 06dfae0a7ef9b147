//! Rejected items as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use isinglass_model::counts::ITEM_BYTES_MAX;

use super::{Field, Message, Type, camel_of};
use crate::json_text::{write_f64, write_i64, write_string};
use crate::wire::{Reader, Value, unzigzag};

/// A message as protobuf's JSON mapping writes it: lowerCamelCase, 64-bit
/// integers as text, ids as hex. Broken UTF-8 shows as U+FFFD, unknown fields
/// are left out, and writing ends soon after [`ITEM_BYTES_MAX`] bytes.
pub(crate) fn to_json(message: &'static Message, reader: Reader<'_>) -> String {
    let mut out = Vec::new();
    write_message(&mut out, message, reader, 0);
    String::from_utf8(out).unwrap_or_default()
}

fn write_message(out: &mut Vec<u8>, message: &'static Message, reader: Reader<'_>, depth: usize) {
    out.push(b'{');
    let mut first = true;
    for known in message.fields {
        write_field(out, known, reader, depth, &mut first);
    }
    out.push(b'}');
}

/// All occurrences of one field: the elements of a list, or the last value.
fn write_field(
    out: &mut Vec<u8>,
    known: &'static Field,
    mut reader: Reader<'_>,
    depth: usize,
    first: &mut bool,
) {
    let start = out.len();
    let mut count = 0;
    let mut value_at = start;
    while let Ok(Some(field)) = reader.next() {
        if field.number != known.number || out.len() > ITEM_BYTES_MAX || depth > super::DEPTH_MAX {
            continue;
        }
        if count == 0 {
            if !*first {
                out.push(b',');
            }
            *first = false;
            write_string(out, &camel_of(known.name));
            out.push(b':');
            value_at = out.len();
            if known.many {
                out.push(b'[');
            }
        } else if !known.many {
            out.truncate(value_at);
        }
        count += 1;
        match field.value {
            Value::Bytes(packed) if known.many && known.ty.packs() => write_packed(out, known.ty, packed),
            value => {
                if known.many {
                    separate(out);
                }
                write_value(out, known.ty, value, depth);
            }
        }
    }
    if count > 0 && known.many {
        out.push(b']');
    }
}

impl Type {
    fn packs(self) -> bool {
        !matches!(self, Self::Text | Self::Bytes | Self::Id | Self::Message(_))
    }
}

fn write_packed(out: &mut Vec<u8>, ty: Type, mut packed: Reader<'_>) {
    while !packed.is_empty() && out.len() <= ITEM_BYTES_MAX {
        let value = match ty {
            Type::Fixed64 | Type::Sfixed64 | Type::Double => packed.fixed64().map(Value::Fixed64),
            Type::Fixed32 => packed.fixed32().map(Value::Fixed32),
            _ => packed.varint().map(Value::Varint),
        };
        let Ok(value) = value else { return };
        separate(out);
        write_value(out, ty, value, 0);
    }
}

/// A comma before every element of a list but the first. Occurrences cannot be
/// counted for this: a packed one may be empty.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}

fn write_value(out: &mut Vec<u8>, ty: Type, value: Value<'_>, depth: usize) {
    match (ty, value) {
        (Type::Message(message), Value::Bytes(inner)) => write_message(out, message, inner, depth + 1),
        (Type::Text, Value::Bytes(text)) => write_string(out, &String::from_utf8_lossy(cut(&text))),
        (Type::Bytes, Value::Bytes(bytes)) => write_string(out, &STANDARD.encode(cut(&bytes))),
        (Type::Id, Value::Bytes(bytes)) => write_string(out, &hex::encode(cut(&bytes))),
        (Type::Bool, Value::Varint(value)) => {
            out.extend_from_slice(if value != 0 { b"true" } else { b"false" })
        }
        (Type::Enum(names), Value::Varint(value)) => match names.iter().find(|(_, n)| *n == value as i32) {
            Some((name, _)) => write_string(out, name),
            None => write_i64(out, i64::from(value as i32)),
        },
        (Type::Int32, Value::Varint(value)) => write_i64(out, i64::from(value as i32)),
        (Type::Uint32, Value::Varint(value)) => write_i64(out, i64::from(value as u32)),
        (Type::Sint32, Value::Varint(value)) => write_i64(out, unzigzag(value)),
        (Type::Fixed32, Value::Fixed32(value)) => write_i64(out, i64::from(value)),
        (Type::Int64, Value::Varint(value)) => write_string(out, &value.cast_signed().to_string()),
        (Type::Uint64, Value::Varint(value)) => write_string(out, &value.to_string()),
        (Type::Sint64, Value::Varint(value)) => write_string(out, &unzigzag(value).to_string()),
        (Type::Fixed64, Value::Fixed64(value)) => write_string(out, &value.to_string()),
        (Type::Sfixed64, Value::Fixed64(value)) => write_string(out, &value.cast_signed().to_string()),
        (Type::Double, Value::Fixed64(value)) => write_f64(out, f64::from_bits(value)),
        // Refused by `verify` before anything is written.
        _ => out.extend_from_slice(b"null"),
    }
}

/// No more of a value than could be kept.
fn cut<'a>(reader: &Reader<'a>) -> &'a [u8] {
    let bytes = reader.bytes();
    &bytes[..bytes.len().min(ITEM_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::super::{EXPONENTIAL_HISTOGRAM_DATA_POINT, SPAN};
    use super::*;
    use crate::wire::Writer;

    #[test]
    fn a_span() {
        let mut span = Writer::default();
        span.bytes_field(1, &[0xab; 3]);
        span.bytes_field(5, b"bad \xff");
        span.varint_field(6, 2);
        span.fixed64_field(7, 1);
        for value in ["x", "y"] {
            let attribute = span.open(9);
            span.bytes_field(1, b"k");
            let any = span.open(2);
            span.bytes_field(1, value.as_bytes());
            span.close(any);
            span.close(attribute);
        }
        let text = to_json(&SPAN, Reader::new(span.as_bytes()));
        let wanted = concat!(
            r#"{"traceId":"ababab","name":"bad "#,
            "\u{fffd}",
            r#"","kind":"SPAN_KIND_SERVER","startTimeUnixNano":"1","#,
            r#""attributes":[{"key":"k","value":{"stringValue":"x"}},{"key":"k","value":{"stringValue":"y"}}]}"#
        );
        assert_eq!(text, wanted);
    }

    #[test]
    fn packed_lists_and_a_bound() {
        let mut point = Writer::default();
        let positive = point.open(8);
        point.bytes_field(2, &[1, 2, 3]);
        point.varint_field(2, 4);
        point.close(positive);
        let text = to_json(&EXPONENTIAL_HISTOGRAM_DATA_POINT, Reader::new(point.as_bytes()));
        assert_eq!(text, r#"{"positive":{"bucketCounts":["1","2","3","4"]}}"#);

        let mut point = Writer::default();
        let positive = point.open(8);
        point.bytes_field(2, &[]);
        point.bytes_field(2, &[1, 2]);
        point.bytes_field(2, &[]);
        point.varint_field(2, 3);
        point.close(positive);
        let text = to_json(&EXPONENTIAL_HISTOGRAM_DATA_POINT, Reader::new(point.as_bytes()));
        assert_eq!(text, r#"{"positive":{"bucketCounts":["1","2","3"]}}"#, "empty packed occurrences");

        let mut span = Writer::default();
        span.bytes_field(5, &vec![b'x'; 10 << 20]);
        assert!(to_json(&SPAN, Reader::new(span.as_bytes())).len() < ITEM_BYTES_MAX + 100);
    }
}
