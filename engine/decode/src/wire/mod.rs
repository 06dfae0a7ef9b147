//! Protobuf on the wire: fields one by one, nothing copied, no object made.
//!
//! Lenient where the format is (unknown fields, groups, any order, packed or
//! not) and exact where it is not: a fault carries the byte it was found at,
//! and [`crate::schema`] turns that into a field's name.

use std::fmt;

mod writer;

pub(crate) use writer::{Writer, zigzag};

/// Groups within groups; nobody has sent one since 2008.
const GROUP_DEPTH_MAX: usize = 16;

/// Items of one request. An item takes two bytes at least, and tens in a batch:
/// this bounds the batch, and no real sender comes near it.
pub(crate) const ITEMS_MAX: usize = 4 << 20;

/// A fault in the framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireError {
    /// Byte of the body.
    pub(crate) offset: usize,
    pub(crate) fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A number, length or fixed field goes beyond the end.
    Truncated { need: u64, have: usize },
    /// More than ten bytes, or more than 64 bits.
    VarintTooLong,
    /// Field number 0, or over 2^29.
    FieldNumber(u64),
    /// Wire types 6 and 7.
    WireType(u8),
    /// A known field of another wire type.
    Mismatch { wanted: &'static str },
    /// A group ends that did not begin, or does not end.
    Group,
    /// Groups or values nested too deep.
    Depth(usize),
    /// More items than one request may have.
    TooMany,
    /// More symbols than one request may have.
    TooManySymbols,
    /// A field of another message than the content type says.
    Foreign { is: &'static str, said: &'static str },
    /// A symbol table that does not begin with the empty text.
    FirstSymbol,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { need, have } => write!(f, "{need} bytes are declared and {have} are left"),
            Self::VarintTooLong => f.write_str("a varint is longer than 64 bits"),
            Self::FieldNumber(number) => write!(f, "{number} is no field number"),
            Self::WireType(wire_type) => write!(f, "{wire_type} is no wire type"),
            Self::Mismatch { wanted } => write!(f, "the field is not {wanted}"),
            Self::Group => f.write_str("a group does not end where it should"),
            Self::Depth(max) => write!(f, "nested deeper than {max}"),
            Self::TooMany => write!(f, "more than {ITEMS_MAX} items"),
            Self::TooManySymbols => f.write_str("too many symbols"),
            Self::Foreign { is, said } => write!(f, "a field of {is}, but the content type says {said}"),
            Self::FirstSymbol => f.write_str("the first symbol must be empty: 0 refers to nothing"),
        }
    }
}

/// A message, or what is left of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of the end in the body.
    end: usize,
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
    /// Offset of its tag in the body.
    pub(crate) offset: usize,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Reader<'a>),
}

impl<'a> Reader<'a> {
    /// A whole body.
    pub(crate) fn new(body: &'a [u8]) -> Self {
        Self { rest: body, end: body.len() }
    }

    /// What is left to read.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Offset of the next byte in the body.
    pub(crate) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// A fault at the next byte.
    pub(crate) fn fault(&self, fault: Fault) -> WireError {
        WireError { offset: self.offset(), fault }
    }

    /// Checks that one more item may be added to `items`.
    #[inline]
    pub(crate) fn check_room(&self, items: usize) -> Result<(), WireError> {
        if items < ITEMS_MAX { Ok(()) } else { Err(self.fault(Fault::TooMany)) }
    }

    /// The bytes read since `from`, an earlier state of this reader.
    pub(crate) fn since(&self, from: &Self) -> &'a [u8] {
        &from.rest[..from.rest.len() - self.rest.len()]
    }

    /// The next field; groups are skipped.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let before = *self;
            let tag = self.varint()?;
            let number = match u32::try_from(tag >> 3) {
                Ok(number @ 1..0x2000_0000) => number,
                _ => return Err(before.fault(Fault::FieldNumber(tag >> 3))),
            };
            let value = match tag & 7 {
                0 => self.varint().map(Value::Varint),
                1 => self.fixed64().map(Value::Fixed64),
                2 => self.delimited().map(Value::Bytes),
                5 => self.fixed32().map(Value::Fixed32),
                3 => {
                    self.skip_group(number)?;
                    continue;
                }
                4 => return Err(before.fault(Fault::Group)),
                other => return Err(before.fault(Fault::WireType(other as u8))),
            };
            return match value {
                Ok(value) => Ok(Some(Field { number, value, offset: before.offset() })),
                // Where the field begins, which lies in it even if it ends there.
                Err(error) => Err(before.fault(error.fault)),
            };
        }
    }

    /// A varint.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            if at == 9 && *byte > 1 {
                return Err(self.fault(Fault::VarintTooLong));
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(self.fault(Fault::Truncated { need: self.rest.len() as u64 + 1, have: self.rest.len() }))
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(self.fault(Fault::Truncated { need: 8, have: self.rest.len() }));
        };
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(self.fault(Fault::Truncated { need: 4, have: self.rest.len() }));
        };
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// A length and that many bytes.
    #[inline]
    pub(crate) fn delimited(&mut self) -> Result<Self, WireError> {
        let before = *self;
        let need = self.varint()?;
        let split = usize::try_from(need).ok().and_then(|len| self.rest.split_at_checked(len));
        let Some((bytes, rest)) = split else {
            return Err(before.fault(Fault::Truncated { need, have: self.rest.len() }));
        };
        self.rest = rest;
        Ok(Self { rest: bytes, end: self.offset() })
    }

    /// Skips the leading run of fields with this one-byte tag of a
    /// length-delimited field.
    #[inline]
    pub(crate) fn skip_run(&mut self, tag: u8) -> Result<(), WireError> {
        while self.rest.first() == Some(&tag) {
            self.rest = &self.rest[1..];
            self.delimited()?;
        }
        Ok(())
    }

    fn skip_group(&mut self, number: u32) -> Result<(), WireError> {
        let mut open = [0; GROUP_DEPTH_MAX];
        let mut depth = 1;
        open[0] = number;
        while depth > 0 {
            let before = *self;
            let tag = self.varint()?;
            let number = (tag >> 3) as u32;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.fixed64()?),
                2 => drop(self.delimited()?),
                5 => drop(self.fixed32()?),
                3 if depth == GROUP_DEPTH_MAX => return Err(before.fault(Fault::Depth(GROUP_DEPTH_MAX))),
                3 => {
                    open[depth] = number;
                    depth += 1;
                }
                4 if open[depth - 1] == number => depth -= 1,
                4 => return Err(before.fault(Fault::Group)),
                other => return Err(before.fault(Fault::WireType(other as u8))),
            }
        }
        Ok(())
    }
}

impl<'a> Field<'a> {
    #[cold]
    fn mismatch(&self, wanted: &'static str) -> WireError {
        WireError { offset: self.offset, fault: Fault::Mismatch { wanted } }
    }

    /// The fault that this field is there at all.
    #[cold]
    pub(crate) fn foreign(&self, is: &'static str, said: &'static str) -> WireError {
        WireError { offset: self.offset, fault: Fault::Foreign { is, said } }
    }

    /// A nested message, or text or bytes with their place.
    #[inline]
    pub(crate) fn message(&self) -> Result<Reader<'a>, WireError> {
        match self.value {
            Value::Bytes(reader) => Ok(reader),
            _ => Err(self.mismatch("length-delimited")),
        }
    }

    /// Text or bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> Result<&'a [u8], WireError> {
        self.message().map(|reader| reader.rest)
    }

    #[inline]
    pub(crate) fn varint(&self) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.mismatch("a varint")),
        }
    }

    /// `int32` and enumerations: the low 32 bits, as protobuf has it.
    #[inline]
    pub(crate) fn int32(&self) -> Result<i32, WireError> {
        self.varint().map(|value| value as i32)
    }

    #[inline]
    pub(crate) fn int64(&self) -> Result<i64, WireError> {
        self.varint().map(u64::cast_signed)
    }

    #[inline]
    pub(crate) fn sint32(&self) -> Result<i32, WireError> {
        self.varint().map(|value| unzigzag(value) as i32)
    }

    #[inline]
    pub(crate) fn fixed64(&self) -> Result<u64, WireError> {
        match self.value {
            Value::Fixed64(value) => Ok(value),
            _ => Err(self.mismatch("64 bits fixed")),
        }
    }

    #[inline]
    pub(crate) fn fixed32(&self) -> Result<u32, WireError> {
        match self.value {
            Value::Fixed32(value) => Ok(value),
            _ => Err(self.mismatch("32 bits fixed")),
        }
    }

    #[inline]
    pub(crate) fn double(&self) -> Result<f64, WireError> {
        self.fixed64().map(f64::from_bits)
    }

    /// A repeated varint, packed or not: each value goes to `each`.
    pub(crate) fn varints(&self, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self.value {
            Value::Varint(value) => each(value),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    each(packed.varint()?);
                }
            }
            _ => return Err(self.mismatch("a varint or packed")),
        }
        Ok(())
    }

    /// A repeated 64-bit field, packed or not.
    pub(crate) fn fixed64s(&self, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self.value {
            Value::Fixed64(value) => each(value),
            Value::Bytes(mut packed) => {
                while !packed.is_empty() {
                    each(packed.fixed64()?);
                }
            }
            _ => return Err(self.mismatch("64 bits fixed or packed")),
        }
        Ok(())
    }
}

/// Undoes the zigzag of `sint32` and `sint64`.
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(bytes: &[u8]) -> (usize, String) {
        let mut reader = Reader::new(bytes);
        loop {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) => return (0, "none".into()),
                Err(error) => return (error.offset, error.fault.to_string()),
            }
        }
    }

    #[test]
    fn fields_of_every_wire_type() {
        let bytes =
            [&[0x08, 0x96, 0x01][..], &[0x11, 1, 0, 0, 0, 0, 0, 0, 0], &[0x1a, 1, 7], &[0x25, 2, 0, 0, 0]];
        let bytes = bytes.concat();
        let mut reader = Reader::new(&bytes);
        let mut next = || reader.next().unwrap().unwrap();
        assert_eq!(next().varint(), Ok(150));
        assert_eq!(next().fixed64(), Ok(1));
        let text = next();
        assert_eq!((text.bytes(), text.offset), (Ok(&[7][..]), 12));
        assert_eq!(text.message().unwrap().offset(), 14);
        assert_eq!(next().fixed32(), Ok(2));
        assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn groups_are_skipped() {
        assert_eq!(fault(&[0x0b, 0x13, 0x08, 1, 0x14, 0x0c, 0x08, 1]), (0, "none".into()));
        assert_eq!(fault(&[0x0b, 0x14]), (1, "a group does not end where it should".into()));
        assert_eq!(fault(&[0x0c]), (0, "a group does not end where it should".into()));
        assert_eq!(fault(&[0x0b; 40]), (16, "nested deeper than 16".into()));
    }

    #[test]
    fn faults_name_their_byte() {
        assert_eq!(fault(&[0x08, 1, 0x0a, 5, 1]), (2, "5 bytes are declared and 1 are left".into()));
        assert_eq!(fault(&[0x08]), (0, "1 bytes are declared and 0 are left".into()));
        assert_eq!(fault(&[0x00, 1]), (0, "0 is no field number".into()));
        assert_eq!(fault(&[0x0e, 1]), (0, "6 is no wire type".into()));
        assert_eq!(
            fault(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]),
            (0, "a varint is longer than 64 bits".into())
        );
        assert_eq!(fault(&[0x09, 1]), (0, "8 bytes are declared and 1 are left".into()));
    }

    proptest! {
        #[test]
        fn writer_and_reader_agree(number in 1..0x2000_0000_u32, value: u64, bytes: Vec<u8>) {
            let mut writer = Writer::default();
            writer.varint_field(number, value);
            writer.bytes_field(number, &bytes);
            let mut reader = Reader::new(writer.as_bytes());
            let field = reader.next().unwrap().unwrap();
            prop_assert_eq!((field.number, field.varint()), (number, Ok(value)));
            prop_assert_eq!(reader.next().unwrap().unwrap().bytes(), Ok(&bytes[..]));
            prop_assert!(reader.next().unwrap().is_none());
        }

        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            fault(&bytes);
        }

        #[test]
        fn zigzag_is_undone(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }
}
