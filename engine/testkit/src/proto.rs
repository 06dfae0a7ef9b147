//! A protobuf writer of a hundred lines.
//!
//! Tests must be able to write what no generated code would write: a field
//! twice, a text that is not UTF-8, a length that lies.

/// A message under construction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Writer(Vec<u8>);

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

impl Writer {
    /// An empty message.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bytes written so far.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Bytes as they are, without tag or length.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// `int32`, `int64`, `uint32`, `uint64`, `bool` and enums.
    pub fn varint(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, VARINT);
        push_varint(&mut self.0, value);
        self
    }

    /// `sint32` and `sint64`.
    pub fn zigzag(&mut self, field: u32, value: i64) -> &mut Self {
        self.varint(field, ((value << 1) ^ (value >> 63)).cast_unsigned())
    }

    /// `fixed64` and `sfixed64`.
    pub fn fixed64(&mut self, field: u32, value: u64) -> &mut Self {
        self.tag(field, FIXED64);
        self.raw(&value.to_le_bytes())
    }

    /// `fixed32`.
    pub fn fixed32(&mut self, field: u32, value: u32) -> &mut Self {
        self.tag(field, FIXED32);
        self.raw(&value.to_le_bytes())
    }

    /// `double`.
    pub fn double(&mut self, field: u32, value: f64) -> &mut Self {
        self.fixed64(field, value.to_bits())
    }

    /// `bytes`, and text that need not be UTF-8.
    pub fn bytes(&mut self, field: u32, value: &[u8]) -> &mut Self {
        self.tag(field, LENGTH);
        push_varint(&mut self.0, value.len() as u64);
        self.raw(value)
    }

    /// `string`.
    pub fn text(&mut self, field: u32, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    /// A message of its own.
    pub fn message(&mut self, field: u32, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new();
        fill(&mut inner);
        self.bytes(field, &inner.0)
    }

    /// Packed `double`.
    pub fn doubles(&mut self, field: u32, values: &[f64]) -> &mut Self {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &packed)
    }

    /// Packed `fixed64`.
    pub fn fixed64s(&mut self, field: u32, values: &[u64]) -> &mut Self {
        let packed: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes(field, &packed)
    }

    /// Packed `uint64`.
    pub fn varints(&mut self, field: u32, values: &[u64]) -> &mut Self {
        let mut packed = Vec::new();
        values.iter().for_each(|value| push_varint(&mut packed, *value));
        self.bytes(field, &packed)
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        push_varint(&mut self.0, u64::from(field << 3 | wire_type));
    }
}

fn push_varint(to: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Builds one message.
pub fn message(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    fill(&mut writer);
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fill: impl FnOnce(&mut Writer), bytes: &[u8]) {
        assert_eq!(message(fill), bytes);
    }

    #[test]
    fn fields_are_those_of_the_specification() {
        check(
            |w| {
                w.varint(1, 150);
            },
            &[0x08, 0x96, 0x01],
        );
        check(
            |w| {
                w.text(2, "testing");
            },
            b"\x12\x07testing",
        );
        check(
            |w| {
                w.message(3, |w| {
                    w.varint(1, 150);
                });
            },
            &[0x1a, 0x03, 0x08, 0x96, 0x01],
        );
        check(
            |w| {
                w.zigzag(1, -1);
            },
            &[0x08, 0x01],
        );
        check(
            |w| {
                w.zigzag(1, i64::MIN);
            },
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        );
        check(
            |w| {
                w.double(1, 1.0);
            },
            &[0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
        );
        check(
            |w| {
                w.varints(4, &[3, 270]);
            },
            &[0x22, 3, 3, 0x8e, 2],
        );
    }
}
