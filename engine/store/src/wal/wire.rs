//! Little-endian integers, checked.

use crate::StoreError;

/// Reads from the front of some bytes. Every length is checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], StoreError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| {
            StoreError::damaged(
                "record",
                format!("{count} bytes wanted at {}, {} there", self.at, self.rest()),
            )
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, StoreError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, StoreError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, StoreError> {
        self.array().map(u32::from_le_bytes)
    }

    /// A length or a count.
    pub(crate) fn len32(&mut self) -> Result<usize, StoreError> {
        self.u32().map(|len| len as usize)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, StoreError> {
        self.array().map(i32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, StoreError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, StoreError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Result<u128, StoreError> {
        self.array().map(u128::from_le_bytes)
    }

    pub(crate) fn text(&mut self, bytes: usize) -> Result<&'a str, StoreError> {
        std::str::from_utf8(self.take(bytes)?)
            .map_err(|error| StoreError::damaged("record", format!("text at {}: {error}", self.at)))
    }

    /// A text with a 16-bit length.
    pub(crate) fn text16(&mut self) -> Result<&'a str, StoreError> {
        let len = self.u16()?;
        self.text(usize::from(len))
    }

    /// An unsigned LEB128.
    pub(crate) fn varint(&mut self) -> Result<u64, StoreError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(StoreError::damaged("record", format!("varint at {} does not end", self.at)))
    }
}

/// A length that must fit 32 bits; what is longer is refused before it comes here.
pub(crate) fn put_len32(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// A text with a 16-bit length, cut at a character boundary if it is longer.
pub(crate) fn put_text16(out: &mut Vec<u8>, text: &str) {
    let end = (0..=text.len().min(usize::from(u16::MAX))).rev().find(|at| text.is_char_boundary(*at));
    let text = &text[..end.unwrap_or(0)];
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// An unsigned LEB128.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Small numbers of either sign into small unsigned ones.
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The way back.
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints() {
        for value in [0, 1, 127, 128, 300, u64::MAX / 2, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.varint().unwrap(), value);
            assert_eq!(reader.rest(), 0);
        }
        assert!(Reader::new(&[0xff; 20]).varint().is_err());
        for value in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn texts_are_cut_at_characters() {
        let mut out = Vec::new();
        put_text16(&mut out, &"é".repeat(40_000));
        let text = Reader::new(&out).text16().unwrap();
        assert_eq!(text.len(), 65_534);
    }
}
