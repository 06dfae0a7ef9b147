//! Protobuf as it is written: for bodies that came as JSON, and for tests.

/// Bytes that grow. Lengths of nested messages are minimal, so that a message
/// has the size any other writer would have given it.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

/// A nested message that is not finished.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    tag: usize,
    body: usize,
}

impl Writer {
    #[cfg(test)]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn tag(&mut self, number: u32, wire_type: u8) {
        self.varint(u64::from(number) << 3 | u64::from(wire_type));
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn varint_field(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.varint(value);
    }

    pub(crate) fn fixed64_field(&mut self, number: u32, value: u64) {
        self.tag(number, 1);
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn fixed32_field(&mut self, number: u32, value: u32) {
        self.tag(number, 5);
        self.raw(&value.to_le_bytes());
    }

    pub(crate) fn bytes_field(&mut self, number: u32, bytes: &[u8]) {
        self.tag(number, 2);
        self.varint(bytes.len() as u64);
        self.raw(bytes);
    }

    /// Begins a length-delimited field.
    pub(crate) fn open(&mut self, number: u32) -> Open {
        let tag = self.bytes.len();
        self.tag(number, 2);
        self.bytes.push(0);
        Open { tag, body: self.bytes.len() }
    }

    /// Ends it: the length goes in front, what was written moves if it needs
    /// more than one byte.
    pub(crate) fn close(&mut self, open: Open) {
        let mut rest = self.bytes.len() - open.body;
        let mut prefix = [0; 10];
        let mut used = 0;
        loop {
            prefix[used] = rest as u8 & 0x7f;
            rest >>= 7;
            used += 1;
            if rest == 0 {
                break;
            }
            prefix[used - 1] |= 0x80;
        }
        self.bytes.splice(open.body - 1..open.body, prefix[..used].iter().copied());
    }

    /// Whether nothing was written since `open`.
    pub(crate) fn is_empty_since(&self, open: Open) -> bool {
        self.bytes.len() == open.body
    }

    /// Takes a field back, tag and all.
    pub(crate) fn cancel(&mut self, open: Open) {
        self.bytes.truncate(open.tag);
    }
}

/// The zigzag of `sint32` and `sint64`.
pub(crate) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}
