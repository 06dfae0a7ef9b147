//! The messages by name.
//!
//! The readers of [`crate::otlp`], [`crate::remote_write`] and [`crate::loki`]
//! know fields by number only. Whatever needs a name goes through the tables
//! here, off the hot path: bodies that came as JSON ([`transcode`]), the text of
//! rejected items ([`to_json`]), and the place of a fault ([`locate`]).

use crate::wire::{Fault, Reader, WireError};

mod json;
mod locate;
mod loki;
mod otlp;
mod remote_write;
mod transcode;

pub(crate) use json::to_json;
pub(crate) use locate::locate;
pub(crate) use loki::{ENTRY, PUSH_REQUEST};
pub(crate) use otlp::{
    EXEMPLAR as OTLP_EXEMPLAR, EXPONENTIAL_HISTOGRAM_DATA_POINT, EXPORT_LOGS, EXPORT_METRICS, EXPORT_TRACES,
    HISTOGRAM_DATA_POINT, LOG_RECORD, NUMBER_DATA_POINT, RESOURCE, SPAN, SUMMARY_DATA_POINT,
};
pub(crate) use remote_write::{
    EXEMPLAR as REMOTE_EXEMPLAR, EXEMPLAR_2 as REMOTE_EXEMPLAR_2, HISTOGRAM as REMOTE_HISTOGRAM,
    SAMPLE as REMOTE_SAMPLE, TIME_SERIES, TIME_SERIES_2, WRITE_REQUEST, WRITE_REQUEST_2,
};
pub(crate) use transcode::{Json, transcode};

/// Messages within messages: three for each of the values that may be nested,
/// and those around them.
const DEPTH_MAX: usize = 3 * isinglass_model::limits::HardCaps::DEFAULT.value_depth_max + 16;

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) number: u32,
    /// As in the .proto file, with underscores.
    pub(crate) name: &'static str,
    pub(crate) ty: Type,
    pub(crate) many: bool,
    /// Written even if it is zero: `optional`, or in a `oneof`.
    pub(crate) presence: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Type {
    Text,
    Bytes,
    /// Bytes that JSON writes as hex: trace and span ids in OTLP.
    Id,
    Bool,
    Enum(&'static [(&'static str, i32)]),
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Message(&'static Message),
}

const fn one(number: u32, name: &'static str, ty: Type) -> Field {
    Field { number, name, ty, many: false, presence: false }
}

const fn many(number: u32, name: &'static str, ty: Type) -> Field {
    Field { number, name, ty, many: true, presence: false }
}

const fn optional(number: u32, name: &'static str, ty: Type) -> Field {
    Field { number, name, ty, many: false, presence: true }
}

impl Message {
    pub(crate) fn field(&self, number: u32) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field of this name, as in the .proto file or in lowerCamelCase.
    pub(crate) fn named(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name || is_camel_of(name, field.name))
    }

    /// Reads a message for its framing alone, to the last field that this table
    /// knows: what follows a faulty item's fault has to be well-formed too.
    pub(crate) fn verify(&self, reader: Reader<'_>) -> Result<(), WireError> {
        self.verify_at(reader, 0)
    }

    fn verify_at(&self, mut reader: Reader<'_>, depth: usize) -> Result<(), WireError> {
        if depth > DEPTH_MAX {
            return Err(reader.fault(Fault::Depth(DEPTH_MAX)));
        }
        while let Some(field) = reader.next()? {
            match self.field(field.number).map(|known| (known.ty, known.many)) {
                Some((Type::Message(message), _)) => message.verify_at(field.message()?, depth + 1)?,
                Some((ty, many)) => ty.verify(&field, many)?,
                None => {}
            }
        }
        Ok(())
    }
}

impl Type {
    /// Whether a field has the wire type it must have.
    fn verify(self, field: &crate::wire::Field<'_>, many: bool) -> Result<(), WireError> {
        match self {
            Self::Text | Self::Bytes | Self::Id | Self::Message(_) => field.bytes().map(drop),
            Self::Fixed64 | Self::Sfixed64 | Self::Double if many => field.fixed64s(|_| {}),
            Self::Fixed64 | Self::Sfixed64 | Self::Double => field.fixed64().map(drop),
            Self::Fixed32 => field.fixed32().map(drop),
            _ if many => field.varints(|_| {}),
            _ => field.varint().map(drop),
        }
    }
}

/// Whether `camel` is the lowerCamelCase of `snake`.
fn is_camel_of(camel: &str, snake: &str) -> bool {
    let mut camel = camel.bytes();
    let mut snake = snake.bytes();
    while let Some(byte) = snake.next() {
        let wanted = if byte == b'_' { snake.next().map(|b| b.to_ascii_uppercase()) } else { Some(byte) };
        if camel.next() != wanted {
            return false;
        }
    }
    camel.next().is_none()
}

/// The lowerCamelCase of a name.
fn camel_of(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut rest = word.chars();
        out.extend(rest.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(rest.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(message: &'static Message, seen: &mut Vec<&'static str>, check: &mut dyn FnMut(&Message)) {
        if !seen.contains(&message.name) {
            seen.push(message.name);
            check(message);
            for field in message.fields {
                if let Type::Message(inner) = field.ty {
                    each(inner, seen, check);
                }
            }
        }
    }

    #[test]
    fn numbers_and_names_are_unique() {
        for root in
            [&EXPORT_TRACES, &EXPORT_LOGS, &EXPORT_METRICS, &WRITE_REQUEST, &WRITE_REQUEST_2, &PUSH_REQUEST]
        {
            each(root, &mut Vec::new(), &mut |message| {
                for (at, field) in message.fields.iter().enumerate() {
                    let rest = &message.fields[at + 1..];
                    assert!(
                        rest.iter().all(|other| other.number != field.number && other.name != field.name),
                        "{}.{}",
                        message.name,
                        field.name
                    );
                    assert!(is_camel_of(&camel_of(field.name), field.name), "{}", field.name);
                }
            });
        }
    }

    #[test]
    fn both_spellings_find_the_field() {
        for name in ["start_time_unix_nano", "startTimeUnixNano"] {
            assert_eq!(SPAN.named(name).map(|field| field.number), Some(7));
        }
        for name in ["startTimeUnix", "startTimeUnixNanos", "start_timeUnixNano", "StartTimeUnixNano", ""] {
            assert!(SPAN.named(name).is_none(), "{name}");
        }
    }
}
