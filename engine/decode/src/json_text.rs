//! JSON as it is written.

/// A string with its quotes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text.as_bytes());
    out.push(b'"');
}

fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if !needs_escape(*byte) {
            continue;
        }
        out.extend_from_slice(&bytes[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend([HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A whole number.
pub(crate) fn write_i64(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// A number with its shortest digits, always told apart from a whole number;
/// what JSON has no number for is a string, as in protobuf's mapping.
pub(crate) fn write_f64(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" });
    } else {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(out, &value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn strings_read_back(value: String) {
            let text = text(|out| write_string(out, &value));
            prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        }

        #[test]
        fn numbers_read_back(whole: i64, real: f64) {
            prop_assert_eq!(text(|out| write_i64(out, whole)), whole.to_string());
            if real.is_finite() {
                let text = text(|out| write_f64(out, real));
                prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), real.to_bits());
            }
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(text(|out| write_i64(out, i64::MIN)), "-9223372036854775808");
        assert_eq!(text(|out| write_f64(out, 200.0)), "200.0");
        assert_eq!(text(|out| write_f64(out, f64::NEG_INFINITY)), "\"-Infinity\"");
        assert_eq!(text(|out| write_string(out, "a\"\\\n\u{1}é")), r#""a\"\\\n\u0001é""#);
    }
}
