//! JSON to protobuf, so that there is one reader for both.
//!
//! Protobuf's JSON mapping as OTLP has it: names in lowerCamelCase or as in the
//! .proto file, ids as hex, 64-bit integers as text or numbers, enumerations by
//! name or number, unknown fields ignored, `null` as absent. What is zero by
//! default is not written, as no protobuf writer would.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Field, Message, Type};
use crate::error::DecodeError;
use crate::wire::{Writer, zigzag};

/// What is written so far, and where the reader stands.
#[derive(Default)]
pub(crate) struct Json {
    pub(crate) out: Writer,
    path: Vec<Step>,
}

#[derive(Clone, Copy)]
enum Step {
    Field(&'static str),
    Index(usize),
}

/// Writes `body`, a message as JSON, as protobuf.
pub(crate) fn transcode(
    what: &'static str,
    message: &'static Message,
    body: &[u8],
) -> Result<Vec<u8>, DecodeError> {
    Json::read(what, body, |json, reader| reader.deserialize_map(Fields { message, json }))
}

impl Json {
    /// Runs `read` over the whole of `body` and gives what it wrote. An error
    /// names the path that `read` was at.
    pub(crate) fn read<'de>(
        what: &'static str,
        body: &'de [u8],
        read: impl FnOnce(
            &mut Self,
            &mut serde_json::Deserializer<serde_json::de::SliceRead<'de>>,
        ) -> serde_json::Result<()>,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut json = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(body);
        let result = read(&mut json, &mut reader).and_then(|()| reader.end());
        match result {
            Ok(()) => Ok(json.out.into_bytes()),
            Err(error) => Err(json.malformed(what, body, &error)),
        }
    }

    fn malformed(&self, what: &'static str, body: &[u8], error: &serde_json::Error) -> DecodeError {
        let line_start = match error.line() {
            0 | 1 => 0,
            line => memchr::memchr_iter(b'\n', body).nth(line - 2).map_or(0, |at| at + 1),
        };
        let offset =
            (error.line() > 0).then(|| (line_start + error.column().saturating_sub(1)).min(body.len()));
        DecodeError::Malformed { what, fault: error.to_string(), path: self.path(), offset }
    }

    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Field(name) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                }
                Step::Index(index) => {
                    path.push('[');
                    path.push_str(&index.to_string());
                    path.push(']');
                }
            }
        }
        path
    }

    /// Goes into a field; [`Json::leave`] after it was read without error.
    pub(crate) fn enter(&mut self, name: &'static str) {
        self.path.push(Step::Field(name));
    }

    /// Goes into an element of a list.
    pub(crate) fn enter_index(&mut self, index: usize) {
        self.path.push(Step::Index(index));
    }

    pub(crate) fn leave(&mut self) {
        self.path.pop();
    }
}

/// The fields of a message, written to where the writer stands.
struct Fields<'j> {
    message: &'static Message,
    json: &'j mut Json,
}

impl<'de> Visitor<'de> for Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.message.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(known) = map.next_key_seed(Name(self.message))? {
            let Some(field) = known else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            self.json.enter(field.name);
            map.next_value_seed(Content { field, json: &mut *self.json })?;
            self.json.leave();
        }
        Ok(())
    }
}

/// The name of a field: `None` if the message has none of this name.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.named(name))
    }
}

/// The content of a field: one value, a list, or null.
struct Content<'j> {
    field: &'static Field,
    json: &'j mut Json,
}

impl<'de> DeserializeSeed<'de> for Content<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.field.many {
            deserializer.deserialize_any(List { field: self.field, json: self.json })
        } else {
            Single { field: self.field, json: self.json, element: false }.read(deserializer)
        }
    }
}

struct List<'j> {
    field: &'static Field,
    json: &'j mut Json,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list for {:?}", self.field.name)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let packs = !matches!(self.field.ty, Type::Text | Type::Bytes | Type::Id | Type::Message(_));
        let open = packs.then(|| self.json.out.open(self.field.number));
        for index in 0.. {
            self.json.enter_index(index);
            let element = Element(Single { field: self.field, json: &mut *self.json, element: true });
            if list.next_element_seed(element)?.is_none() {
                self.json.leave();
                break;
            }
            self.json.leave();
        }
        match open {
            Some(open) if self.json.out.is_empty_since(open) => self.json.out.cancel(open),
            Some(open) => self.json.out.close(open),
            None => {}
        }
        Ok(())
    }
}

struct Element<'j>(Single<'j>);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.read(deserializer)
    }
}

/// One value.
struct Single<'j> {
    field: &'static Field,
    json: &'j mut Json,
    /// In a list: zeros are written, and numbers are packed.
    element: bool,
}

impl Single<'_> {
    fn read<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.field.ty {
            Type::Double => self.double(<&RawValue>::deserialize(deserializer)?.get()),
            _ => deserializer.deserialize_any(self),
        }
    }

    /// A double from its own text: serde_json's reader of numbers may be off by
    /// the last bit, and a value must not depend on the format it came in.
    fn double<E: de::Error>(self, text: &str) -> Result<(), E> {
        match text.as_bytes() {
            b"null" => self.visit_unit(),
            [b'"', name @ .., b'"'] => self.visit_str(str::from_utf8(name).map_err(E::custom)?),
            [b'-' | b'0'..=b'9', ..] => match text.parse() {
                Ok(value) => self.visit_f64(value),
                Err(_) => Err(self.wrong("other text")),
            },
            _ => Err(self.wrong("no number")),
        }
    }

    fn varint(self, value: u64) {
        let out = &mut self.json.out;
        match self.element {
            true => out.varint(value),
            false if value != 0 || self.field.presence => out.varint_field(self.field.number, value),
            false => {}
        }
    }

    fn fixed64(self, value: u64) {
        let out = &mut self.json.out;
        match self.element {
            true => out.raw(&value.to_le_bytes()),
            false if value != 0 || self.field.presence => out.fixed64_field(self.field.number, value),
            false => {}
        }
    }

    fn fixed32(self, value: u32) {
        if value != 0 || self.field.presence {
            self.json.out.fixed32_field(self.field.number, value);
        }
    }

    fn bytes(self, bytes: &[u8]) {
        if !bytes.is_empty() || self.element || self.field.presence {
            self.json.out.bytes_field(self.field.number, bytes);
        }
    }

    fn integer<E: de::Error>(self, value: i128) -> Result<(), E> {
        let name = self.field.name;
        let range = |fits: bool| {
            if fits { Ok(()) } else { Err(E::custom(format_args!("{value} is out of range for {name:?}"))) }
        };
        match self.field.ty {
            Type::Int32 | Type::Enum(_) => {
                range(i32::try_from(value).is_ok())?;
                self.varint((value as i64).cast_unsigned());
            }
            Type::Int64 => {
                range(i64::try_from(value).is_ok())?;
                self.varint((value as i64).cast_unsigned());
            }
            Type::Uint32 => {
                range(u32::try_from(value).is_ok())?;
                self.varint(value as u64);
            }
            Type::Uint64 => {
                range(u64::try_from(value).is_ok())?;
                self.varint(value as u64);
            }
            Type::Sint32 => {
                range(i32::try_from(value).is_ok())?;
                self.varint(zigzag(value as i64));
            }
            Type::Sint64 => {
                range(i64::try_from(value).is_ok())?;
                self.varint(zigzag(value as i64));
            }
            Type::Fixed32 => {
                range(u32::try_from(value).is_ok())?;
                self.fixed32(value as u32);
            }
            Type::Fixed64 => {
                range(u64::try_from(value).is_ok())?;
                self.fixed64(value as u64);
            }
            Type::Sfixed64 => {
                range(i64::try_from(value).is_ok())?;
                self.fixed64((value as i64).cast_unsigned());
            }
            Type::Double => self.fixed64((value as f64).to_bits()),
            _ => return Err(self.wrong("a number")),
        }
        Ok(())
    }

    fn wrong<E: de::Error>(&self, got: &str) -> E {
        E::custom(format_args!("{got} where {} is expected for {:?}", self.wanted(), self.field.name))
    }

    fn wanted(&self) -> &'static str {
        match self.field.ty {
            Type::Text => "text",
            Type::Bytes => "base64 text",
            Type::Id => "hex text",
            Type::Bool => "true or false",
            Type::Enum(_) => "a name or number",
            Type::Double => "a number",
            Type::Message(_) => "an object",
            _ => "a whole number",
        }
    }
}

impl<'de> Visitor<'de> for Single<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {:?}", self.wanted(), self.field.name)
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        if self.element { Err(self.wrong("null")) } else { Ok(()) }
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        match self.field.ty {
            Type::Bool => {
                self.varint(u64::from(value));
                Ok(())
            }
            _ => Err(self.wrong("a truth value")),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        match self.field.ty {
            Type::Double => {
                self.fixed64(value.to_bits());
                Ok(())
            }
            // 1e3 is a whole number too
            _ if value.fract() == 0.0 && value.abs() < 2e19 => self.integer(value as i128),
            _ => Err(self.wrong("a fraction")),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        match self.field.ty {
            Type::Text => self.bytes(text.as_bytes()),
            Type::Bytes => {
                let bytes = BASE64.decode(standard_alphabet(text)).map_err(|_| self.wrong("other text"))?;
                self.bytes(&bytes);
            }
            Type::Id => self.bytes(&id(text)),
            Type::Enum(names) => match names.iter().find(|(name, _)| *name == text) {
                Some((_, value)) => return self.integer(i128::from(*value)),
                None => {
                    let value = text.parse().map_err(|_| {
                        E::custom(format_args!("unknown name {text:?} for {:?}", self.field.name))
                    })?;
                    return self.integer(value);
                }
            },
            Type::Double => {
                let value = match text {
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    _ => text.parse().map_err(|_| self.wrong("other text"))?,
                };
                self.fixed64(f64::to_bits(value));
            }
            Type::Bool | Type::Message(_) => return Err(self.wrong("text")),
            _ => {
                let value = text.parse().map_err(|_| self.wrong("other text"))?;
                return self.integer(value);
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Type::Message(message) = self.field.ty else { return Err(self.wrong("an object")) };
        let open = self.json.out.open(self.field.number);
        Fields { message, json: &mut *self.json }.visit_map(map)?;
        self.json.out.close(open);
        Ok(())
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The URL alphabet is taken as well.
fn standard_alphabet(text: &str) -> Vec<u8> {
    let letter = |byte| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    text.bytes().map(letter).collect()
}

/// The bytes of an id. What is not hex becomes bytes of a length that no id
/// has, so that the item is rejected and not the request.
fn id(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap_or_else(|_| {
        let mut bytes = text.as_bytes().to_vec();
        if matches!(bytes.len(), 0 | 8 | 16) {
            bytes.push(b'?');
        }
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::super::{EXPORT_METRICS, EXPORT_TRACES, to_json};
    use super::*;
    use crate::wire::Reader;

    fn check(message: &'static Message, json: &str, back: &str) {
        let bytes = transcode("test", message, json.as_bytes()).unwrap();
        assert_eq!(to_json(message, Reader::new(&bytes)), back);
    }

    fn error(json: &str) -> String {
        transcode("OTLP traces", &EXPORT_TRACES, json.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn both_spellings_and_every_type() {
        let back = concat!(
            r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":{"bytesValue":"+/8="}}]},"#,
            r#""scopeSpans":[{"spans":[{"traceId":"0102","name":"n","kind":"SPAN_KIND_SERVER","#,
            r#""startTimeUnixNano":"18446744073709551615","droppedAttributesCount":3,"flags":7}]}]}]}"#
        );
        check(&EXPORT_TRACES, back, back);
        check(
            &EXPORT_TRACES,
            r#"{"resource_spans":[{"unknown":[{"x":1}],"resource":{"attributes":[{"key":"a","value":{"bytes_value":"-_8"}}]},
               "scope_spans":[{"spans":[{"trace_id":"0102","name":"n","kind":2,"parentSpanId":"","events":null,
               "start_time_unix_nano":18446744073709551615,"dropped_attributes_count":"3","flags":7.0}]}]}]}"#,
            back,
        );
    }

    #[test]
    fn zeros_are_written_only_where_presence_counts() {
        check(
            &EXPORT_METRICS,
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"","sum":{"isMonotonic":false,
               "dataPoints":[{"asInt":"0","timeUnixNano":"0"},{"asDouble":"NaN"},{"asDouble":-1e3}]},
               "histogram":{"dataPoints":[{"bucketCounts":["0",1],"explicitBounds":[]}]}}]}]}]}"#,
            concat!(
                r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"sum":{"dataPoints":[{"asInt":"0"},"#,
                r#"{"asDouble":"NaN"},{"asDouble":-1000.0}]},"#,
                r#""histogram":{"dataPoints":[{"bucketCounts":["0","1"]}]}}]}]}]}"#
            ),
        );
    }

    #[test]
    fn faults_name_path_and_place() {
        assert_eq!(
            error(r#"{"resourceSpans":[{},{"scopeSpans":[{"spans":[{"kind":"SERVER"}]}]}]}"#),
            "malformed OTLP traces: unknown name \"SERVER\" for \"kind\" at line 1 column 62 \
             in resource_spans[1].scope_spans[0].spans[0].kind at byte 61"
        );
        let at = error("{\"resourceSpans\":\n [{\"resource\": 7}]}");
        assert!(at.contains("in resource_spans[0].resource at byte 3"), "{at}");
        for (json, part) in [
            ("", "EOF while parsing"),
            ("{", "EOF while parsing"),
            ("[]", "expected an object (ExportTraceServiceRequest)"),
            (r#"{"resourceSpans":[]} x"#, "trailing characters"),
            (r#"{"resourceSpans":{}}"#, "a list for \"resource_spans\""),
            (r#"{"resourceSpans":[null]}"#, "null where an object is expected"),
            (
                r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"flags":4294967296}]}]}]}"#,
                "out of range for \"flags\"",
            ),
            (
                r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"flags":1.5}]}]}]}"#,
                "a fraction where a whole number",
            ),
        ] {
            assert!(error(json).contains(part), "{json}: {}", error(json));
        }
        let deep =
            format!("{}{}", r#"{"resourceSpans":["#, r#"{"resource":{"attributes":[{"value":"#.repeat(60));
        assert!(error(&deep).contains("recursion limit") || error(&deep).contains("EOF"), "{}", error(&deep));
    }

    /// serde_json's own reader of numbers makes 1795222980.433066 of the first.
    #[test]
    fn doubles_are_exact() {
        for text in ["1795222980.4330661", "123456789.12345679", "5e-324", "1.7976931348623157e308", "-0.1"] {
            let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asDouble":X}]}}]}]}]}"#;
            let bytes = transcode("test", &EXPORT_METRICS, json.replace('X', text).as_bytes()).unwrap();
            let value: f64 = text.parse().unwrap();
            let (tag, bits) = bytes[bytes.len() - 9..].split_at(1);
            assert_eq!((tag, bits), (&[0x21][..], &value.to_le_bytes()[..]), "{text}");
        }
        for wrong in ["true", "[]", "{}", "\"x\""] {
            let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asDouble":X}]}}]}]}]}"#;
            let error = transcode("test", &EXPORT_METRICS, json.replace('X', wrong).as_bytes()).unwrap_err();
            assert!(error.to_string().contains("a number is expected for"), "{wrong}: {error}");
        }
    }

    #[test]
    fn ids_that_are_not_hex_get_a_length_that_no_id_has() {
        assert_eq!(id("0Aff"), [0x0a, 0xff]);
        assert!(id("").is_empty());
        assert_eq!(id("0123456789abcdeg").len(), 17);
        assert_eq!(id("xyz").len(), 3);
    }
}
