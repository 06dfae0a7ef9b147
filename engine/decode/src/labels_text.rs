//! The text of a log stream's labels: read from Loki's senders, written for the
//! column `stream`.

/// Labels as `{a="b", c="d"}`, in the order they are given.
pub(crate) fn write(labels: &[(String, String)]) -> String {
    let mut out = String::from("{");
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        out.push('=');
        write_quoted(&mut out, value);
    }
    out.push('}');
    out
}

/// A quoted value, escaped as Go does it.
pub(crate) fn write_quoted(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 || c == '\u{7f}' => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Reads a stream selector, `{a="b", c="d"}`. The error says what is wrong at
/// which byte.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parser = Parser { text, at: 0 };
    let mut labels = Vec::new();
    parser.expect('{')?;
    parser.skip_space();
    while !parser.take('}') {
        if !labels.is_empty() {
            parser.expect(',')?;
            parser.skip_space();
            // a comma may end the list
            if parser.take('}') {
                break;
            }
        }
        let name = parser.name()?;
        parser.skip_space();
        parser.expect('=')?;
        parser.skip_space();
        let value = parser.quoted()?;
        parser.skip_space();
        labels.push((name, value));
    }
    parser.skip_space();
    match parser.rest() {
        "" => Ok(labels),
        _ => Err(format!("text after the closing brace at byte {}", parser.at)),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, wanted: char) -> bool {
        let taken = self.rest().starts_with(wanted);
        self.at += if taken { wanted.len_utf8() } else { 0 };
        taken
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        if self.take(wanted) { Ok(()) } else { Err(self.wrong(&format!("{wanted:?}"))) }
    }

    fn wrong(&self, wanted: &str) -> String {
        match self.rest().chars().next() {
            Some(got) => format!("{wanted} is expected at byte {}, not {got:?}", self.at),
            None => format!("{wanted} is expected at byte {}, where the text ends", self.at),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let letter =
            |at: usize, b: u8| b.is_ascii_alphabetic() || b == b'_' || (at > 0 && b.is_ascii_digit());
        let rest = self.rest().bytes();
        let len = rest.enumerate().take_while(|(at, b)| letter(*at, *b)).count();
        if len == 0 {
            return Err(self.wrong("a label name"));
        }
        let name = self.rest()[..len].to_owned();
        self.at += len;
        Ok(name)
    }

    fn quoted(&mut self) -> Result<String, String> {
        if self.take('`') {
            let Some(len) = self.rest().find('`') else { return Err("a value in ` has no end".into()) };
            let value = self.rest()[..len].to_owned();
            self.at += len + 1;
            return Ok(value);
        }
        self.expect('"')?;
        let mut value = Vec::new();
        loop {
            let rest = self.rest();
            let plain = memchr::memchr2(b'"', b'\\', rest.as_bytes()).ok_or("a quoted value has no end")?;
            value.extend_from_slice(&rest.as_bytes()[..plain]);
            self.at += plain;
            if self.take('"') {
                break;
            }
            self.at += 1;
            self.escape(&mut value)?;
        }
        String::from_utf8(value).map_err(|_| format!("the value before byte {} is not UTF-8", self.at))
    }

    /// What follows a backslash, as in Go.
    fn escape(&mut self, value: &mut Vec<u8>) -> Result<(), String> {
        let Some(kind) = self.rest().chars().next() else { return Err("a quoted value has no end".into()) };
        let plain = match kind {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '"' | '\\' | '\'' => kind as u8,
            'x' => return self.number(value, 1, 2, 16, true),
            'u' => return self.number(value, 1, 4, 16, false),
            'U' => return self.number(value, 1, 8, 16, false),
            '0'..='7' => return self.number(value, 0, 3, 8, true),
            _ => return Err(format!("unknown escape {kind:?} at byte {}", self.at)),
        };
        value.push(plain);
        self.at += 1;
        Ok(())
    }

    fn number(
        &mut self,
        value: &mut Vec<u8>,
        skip: usize,
        digits: usize,
        radix: u32,
        byte: bool,
    ) -> Result<(), String> {
        let wrong = || format!("bad number in the escape at byte {}", self.at);
        let text = self.rest().get(skip..skip + digits).ok_or_else(wrong)?;
        let number = u32::from_str_radix(text, radix).map_err(|_| wrong())?;
        if byte {
            value.push(u8::try_from(number).map_err(|_| wrong())?);
        } else {
            let c = char::from_u32(number).ok_or_else(wrong)?;
            value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.at += skip + digits;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, canonical: &str) {
        assert_eq!(write(&parse(text).unwrap()), canonical);
    }

    #[test]
    fn selectors() {
        check(r#"{}"#, "{}");
        check(r#"{a="b"}"#, r#"{a="b"}"#);
        check(r#"{ a = "b" ,c="d",} "#, r#"{a="b", c="d"}"#);
        check(r#"{a="\u00e9\n\"\\\x41\101"}"#, r#"{a="é\n\"\\AA"}"#);
        check("{a=`b\"c`}", r#"{a="b\"c"}"#);
    }

    #[test]
    fn faults_name_their_byte() {
        for (text, fault) in [
            ("", "'{' is expected at byte 0, where the text ends"),
            ("a", "'{' is expected at byte 0, not 'a'"),
            ("{a}", "'=' is expected at byte 2, not '}'"),
            ("{1a=\"b\"}", "a label name is expected at byte 1, not '1'"),
            ("{a=b}", "'\"' is expected at byte 3, not 'b'"),
            ("{a=\"b\"", "',' is expected at byte 6, where the text ends"),
            ("{a=\"b\"} x", "text after the closing brace at byte 8"),
            ("{a=\"b", "a quoted value has no end"),
            (r#"{a="\q"}"#, "unknown escape 'q' at byte 5"),
            (r#"{a="\xff"}"#, "the value before byte 9 is not UTF-8"),
        ] {
            assert_eq!(parse(text).unwrap_err(), fault, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_value_reads_back(value: String) {
            let labels = vec![("a".to_owned(), value)];
            prop_assert_eq!(parse(&write(&labels)).unwrap(), labels);
        }

        #[test]
        fn any_text_ends(text: String, tail: String) {
            let _ = parse(&text);
            let _ = parse(&format!("{{a=\"{tail}"));
        }
    }
}
