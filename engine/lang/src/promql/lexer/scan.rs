//! How far a number or a duration reaches.

use super::super::token::Kind;

/// What stands at the start of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    /// A number, a duration, or neither.
    pub(super) kind: Option<Kind>,
    /// Bytes read; of neither, those that an error shows.
    pub(super) bytes: usize,
}

/// Reads a number as Go writes them, without fractions of hexadecimal ones, or a duration.
/// Whether the digits make sense is asked when their value is needed.
pub(super) fn scan(text: &str) -> Scanned {
    let mut cursor = Cursor { bytes: text.as_bytes(), at: 0 };
    if cursor.number() {
        return Scanned { kind: Some(Kind::Number), bytes: cursor.at };
    }
    if cursor.duration() {
        return Scanned { kind: Some(Kind::Duration), bytes: cursor.at };
    }
    // The character after a unit belongs to what is shown.
    let mut bytes = cursor.at.min(text.len());
    while !text.is_char_boundary(bytes) {
        bytes += 1;
    }
    Scanned { kind: None, bytes }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| set.contains(&byte));
        self.at += usize::from(found);
        found
    }

    fn digits(&mut self, hex: bool) -> bool {
        let from = self.at;
        while self.digit(hex) {}
        self.at > from
    }

    fn digit(&mut self, hex: bool) -> bool {
        let found = self
            .peek()
            .is_some_and(|byte| if hex { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() });
        self.at += usize::from(found);
        found
    }

    fn word_follows(&self) -> bool {
        self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    fn number(&mut self) -> bool {
        let hex = self.accept(b"0") && self.accept(b"xX");
        if hex {
            self.accept(b"_");
        }
        self.accept(b".");
        self.digit(hex);
        let (mut dot, mut exponent) = (false, false);
        loop {
            if self.accept(b".") {
                if dot || hex || self.accept(b"_.") {
                    return false;
                }
                dot = true;
            } else if self.accept(b"eE") {
                if exponent || self.exponent_is_broken() {
                    return false;
                }
                exponent = true;
            } else if self.accept(b"_") {
                if self.accept(b"._eE") || self.peek().is_none() {
                    return false;
                }
            } else if !self.digits(hex) {
                return !self.word_follows();
            }
        }
    }

    fn exponent_is_broken(&mut self) -> bool {
        self.accept(b"+-");
        self.accept(b"._eE") || self.peek().is_none()
    }

    /// The rest of a duration whose first digits were read.
    fn duration(&mut self) -> bool {
        if !self.accept(b"smhdwy") {
            return false;
        }
        // `ms`; units that do not exist are found when the value is needed.
        self.accept(b"s");
        while self.digits(false) {
            if !self.accept(b"smhdw") {
                return false;
            }
            self.accept(b"s");
        }
        if self.word_follows() {
            self.at += 1;
            return false;
        }
        true
    }
}
