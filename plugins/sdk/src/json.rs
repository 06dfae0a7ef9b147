//! A reader of JSON for configurations: a few hundred bytes of text, read once
//! per instance. Small code matters more than speed.

/// Nesting of arrays and objects.
const DEPTH_MAX: usize = 32;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// `[...]`
    Array(Vec<Json>),
    /// `{...}`, in the order of the text.
    Object(Vec<(String, Json)>),
}

/// A number as it is written: `±mantissa * 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

impl Number {
    /// As an integer, if it is one that fits.
    pub(crate) fn as_i64(self) -> Option<i64> {
        let power = 10_i64.checked_pow(u32::try_from(self.exponent).ok()?)?;
        let magnitude = i64::try_from(self.mantissa).ok()?.checked_mul(power)?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    /// As a float. Exact for up to 15 digits, which is what people write.
    pub(crate) fn as_f64(self) -> f64 {
        let power = (0..self.exponent.unsigned_abs().min(400)).fold(1.0, |power, _| power * 10.0);
        let mantissa = self.mantissa as f64;
        let magnitude = if self.exponent < 0 { mantissa / power } else { mantissa * power };
        if self.negative { -magnitude } else { magnitude }
    }
}

/// Reads a text that is one JSON value. Errors name the byte.
pub(crate) fn parse(text: &str) -> Result<Json, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.at < text.len() { Err(reader.fault("more text after the value")) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err(self.fault("nested too deeply"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.text().map(Json::Text),
            Some(b'-' | b'0'..=b'9') => self.number().map(Json::Number),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Json, String> {
        let words = [("null", Json::Null), ("true", Json::Boolean(true)), ("false", Json::Boolean(false))];
        for (word, value) in words {
            if self.rest().starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.fault("a value is expected"))
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut members: Vec<(String, Json)> = Vec::new();
        self.list(b'}', |reader| {
            if reader.peek() != Some(b'"') {
                return Err(reader.fault("a key is expected"));
            }
            let key = reader.text()?;
            reader.skip_space();
            reader.expect(b':', "a colon is expected")?;
            if members.iter().any(|(known, _)| *known == key) {
                return Err(["key \"", &key, "\" occurs twice"].concat());
            }
            members.push((key, reader.value(depth + 1)?));
            Ok(())
        })?;
        Ok(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        let mut elements = Vec::new();
        self.list(b']', |reader| {
            elements.push(reader.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Json::Array(elements))
    }

    /// Elements between the bracket here and `close`.
    fn list(
        &mut self,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            element(self)?;
            self.skip_space();
            if self.peek() == Some(close) {
                self.at += 1;
                return Ok(());
            }
            self.expect(b',', "a comma or the end of the list is expected")?;
        }
    }

    fn text(&mut self) -> Result<String, String> {
        self.at += 1;
        let mut value = Vec::new();
        loop {
            let end = self.rest().iter().position(|byte| matches!(byte, b'"' | b'\\'));
            let plain = end.ok_or_else(|| self.fault("a text does not end"))?;
            value.extend_from_slice(&self.rest()[..plain]);
            self.at += plain + 1;
            if self.text.as_bytes()[self.at - 1] == b'"' {
                // Whole characters in, whole characters out.
                return String::from_utf8(value).map_err(|_| self.fault("a text is not UTF-8"));
            }
            let escaped = self.escape()?;
            value.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(b @ (b'"' | b'\\' | b'/')) => char::from(b),
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => self.unicode()?,
            _ => return Err(self.fault("an unknown escape")),
        })
    }

    fn unicode(&mut self) -> Result<char, String> {
        let mut unit = self.hex4()?;
        if (0xd800..0xdc00).contains(&unit) && self.rest().starts_with(b"\\u") {
            self.at += 2;
            let low = self.hex4()?;
            unit = 0x10000 + ((unit - 0xd800) << 10) + low.wrapping_sub(0xdc00);
        }
        char::from_u32(unit).ok_or_else(|| self.fault("an escape that is no character"))
    }

    fn hex4(&mut self) -> Result<u32, String> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            unit = unit << 4 | digit.ok_or_else(|| self.fault("four hex digits are expected"))?;
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Number, String> {
        let negative = self.take(b'-');
        let mut number = Number { negative, mantissa: 0, exponent: 0 };
        let mut digits = self.digits(&mut number, 0)?;
        if self.take(b'.') {
            digits = self.digits(&mut number, -1)?;
        }
        if digits && (self.take(b'e') || self.take(b'E')) {
            let sign = if self.take(b'-') { -1 } else { 1 };
            self.take(b'+');
            let mut exponent = Number { negative: false, mantissa: 0, exponent: 0 };
            digits = self.digits(&mut exponent, 0)?;
            number.exponent += sign * i32::try_from(exponent.mantissa.min(1_000)).unwrap_or(0);
        }
        if digits { Ok(number) } else { Err(self.fault("a digit is expected")) }
    }

    /// Reads digits into the mantissa, each of which moves the point by `step`.
    fn digits(&mut self, number: &mut Number, step: i32) -> Result<bool, String> {
        let from = self.at;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let mantissa =
                number.mantissa.checked_mul(10).and_then(|m| m.checked_add(u64::from(digit - b'0')));
            number.mantissa = mantissa.ok_or_else(|| self.fault("a number has too many digits"))?;
            number.exponent += step;
            self.at += 1;
        }
        Ok(self.at > from)
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<(), String> {
        if self.take(byte) { Ok(()) } else { Err(self.fault(what)) }
    }

    #[inline(never)]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// What is not read yet.
    fn rest(&self) -> &[u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn fault(&self, what: &str) -> String {
        format!("{what} at byte {}", self.at.min(self.text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        match parse(text) {
            Ok(Json::Number(number)) => number,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn values() {
        let text = r#" {"a": [1, true, null], "b": {"c": "x\"\u00e9\ud83d\ude00\n"}, "d": {}, "e": []} "#;
        let Ok(Json::Object(members)) = parse(text) else { panic!() };
        assert_eq!(members.len(), 4);
        assert_eq!(members[1].1, Json::Object(vec![("c".into(), Json::Text("x\"é😀\n".into()))]));
    }

    #[test]
    fn floats_are_those_of_the_compiler() {
        for (text, value) in [
            ("0.002", 0.002),
            ("-1.5e3", -1500.0),
            ("16.384", 16.384),
            ("1e-3", 0.001),
            ("10", 10.0),
            ("1E+2", 100.0),
        ] {
            assert_eq!(number(text).as_f64(), value, "{text}");
        }
        assert!(number("1e999").as_f64().is_infinite());
    }

    #[test]
    fn integers() {
        assert_eq!(number("-42").as_i64(), Some(-42));
        assert_eq!(number("6e2").as_i64(), Some(600));
        assert_eq!(number("1.5").as_i64(), None);
        assert_eq!(number("9223372036854775807").as_i64(), Some(i64::MAX));
        assert_eq!(number("9223372036854775808").as_i64(), None);
    }

    #[test]
    fn faults_name_the_byte() {
        for (text, fault) in [
            ("", "a value is expected at byte 0"),
            ("{\"a\" 1}", "a colon is expected at byte 5"),
            ("[1 2]", "a comma or the end of the list is expected at byte 3"),
            ("\"abc", "a text does not end at byte 1"),
            ("1 1", "more text after the value at byte 2"),
            ("-", "a digit is expected at byte 1"),
            ("1.", "a digit is expected at byte 2"),
            ("{\"a\":1,\"a\":2}", "key \"a\" occurs twice"),
            ("\"\\ud800\"", "an escape that is no character at byte 7"),
            ("123456789012345678901", "a number has too many digits at byte 20"),
            (&"[".repeat(100), "nested too deeply at byte 33"),
        ] {
            assert_eq!(parse(text), Err(fault.to_owned()), "{text}");
        }
    }
}
