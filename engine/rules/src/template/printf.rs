//! `printf`: the verbs and flags of Go's `fmt` that values of templates can have.

use super::number::{exponential, fixed, general, shortest};
use super::value::Value;

/// A verb with what stands between it and its `%`.
#[derive(Debug, Clone, Copy, Default)]
struct Verb {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    verb: char,
}

/// Writes `args` as `format` says. Mistakes are written into the text, as Go does.
pub(super) fn format(format: &str, args: &[Value], bytes_max: usize) -> Result<String, String> {
    let mut written = String::new();
    let mut rest = format;
    let mut next = 0;
    while let Some(percent) = rest.find('%') {
        written.push_str(&rest[..percent]);
        let (verb, bytes) = read(&rest[percent + 1..]);
        rest = &rest[percent + 1 + bytes..];
        if verb.width.max(verb.precision.unwrap_or(0)) > bytes_max || written.len() > bytes_max {
            return Err(format!("result is longer than {bytes_max} bytes"));
        }
        match verb.verb {
            '\0' => written.push_str("%!(NOVERB)"),
            '%' => written.push('%'),
            name => {
                match args.get(next) {
                    Some(value) => written.push_str(&verb.write(value)),
                    None => written.push_str(&format!("%!{name}(MISSING)")),
                }
                next += 1;
            }
        }
    }
    written.push_str(rest);
    if let Some(more) = args.get(next..).filter(|more| !more.is_empty()) {
        let more: Vec<_> = more.iter().map(|value| format!("{}={value}", value.type_name())).collect();
        written.push_str(&format!("%!(EXTRA {})", more.join(", ")));
    }
    Ok(written)
}

/// A verb and the bytes it stands in.
fn read(text: &str) -> (Verb, usize) {
    let mut verb = Verb::default();
    let flags = text.bytes().take_while(|byte| b"+-# 0".contains(byte)).count();
    for flag in text.bytes().take(flags) {
        match flag {
            b'+' => verb.plus = true,
            b'-' => verb.minus = true,
            b'#' => verb.sharp = true,
            b' ' => verb.space = true,
            _ => verb.zero = true,
        }
    }
    let (width, mut at) = digits(text, flags);
    verb.width = width;
    if text[at..].starts_with('.') {
        let (precision, end) = digits(text, at + 1);
        verb.precision = Some(precision);
        at = end;
    }
    match text[at..].chars().next() {
        Some(name) => ((Verb { verb: name, ..verb }), at + name.len_utf8()),
        None => (verb, at),
    }
}

fn digits(text: &str, start: usize) -> (usize, usize) {
    let bytes = text[start..].bytes().take_while(u8::is_ascii_digit).count();
    let number = &text[start..start + bytes];
    (if bytes == 0 { 0 } else { number.parse().unwrap_or(usize::MAX) }, start + bytes)
}

impl Verb {
    fn write(&self, value: &Value) -> String {
        let text = match (value, self.verb) {
            (value, 'T') => Some(value.type_name().to_owned()),
            (Value::Nil, _) => Some(if self.verb == 'v' { "<nil>".into() } else { self.mismatch(value) }),
            (Value::Float(float), _) => return self.float(*float),
            (Value::Duration(_) | Value::Time(_), 's' | 'v') => Some(value.to_string()),
            (Value::Int(int) | Value::Duration(int), _) => return self.int(*int, value),
            (Value::Bool(_), 't' | 'v') => Some(value.to_string()),
            (Value::Text(text), _) => self.text(text),
            (Value::Bool(_), _) => None,
            (value, 'v' | 's') => Some(value.to_string()),
            _ => None,
        };
        self.padded(&text.unwrap_or_else(|| self.mismatch(value)), false)
    }

    fn mismatch(&self, value: &Value) -> String {
        if *value == Value::Nil {
            return format!("%!{}(<nil>)", self.verb);
        }
        format!("%!{}({}={value})", self.verb, value.type_name())
    }

    fn text(&self, text: &str) -> Option<String> {
        let cut: String = match self.precision {
            Some(chars) => text.chars().take(chars).collect(),
            None => text.to_owned(),
        };
        match self.verb {
            'v' if self.sharp => Some(isinglass_lang::promql::quoted(&cut)),
            's' | 'v' => Some(cut),
            'q' if self.sharp && !cut.contains('`') => Some(format!("`{cut}`")),
            'q' => Some(isinglass_lang::promql::quoted(&cut)),
            'x' => Some(cut.bytes().map(|byte| format!("{byte:02x}")).collect()),
            'X' => Some(cut.bytes().map(|byte| format!("{byte:02X}")).collect()),
            _ => None,
        }
    }

    fn float(&self, value: f64) -> String {
        let text = match (self.verb, self.precision) {
            ('v' | 'g' | 'G', None) => shortest(value),
            ('v' | 'g' | 'G', Some(digits)) => general(value, digits),
            ('f' | 'F', digits) => fixed(value, digits.unwrap_or(6)),
            ('e', digits) => exponential(value, Some(digits.unwrap_or(6)), 'e'),
            ('E', digits) => exponential(value, Some(digits.unwrap_or(6)), 'E'),
            _ => return self.padded(&self.mismatch(&Value::Float(value)), false),
        };
        let text = if self.verb == 'G' { text.replace('e', "E") } else { text };
        // Go writes the sign of infinity only where it was asked for, except with %v.
        let text = text.strip_prefix('+').unwrap_or(&text);
        let signed = self.signed(text, value.is_infinite() && value > 0.0);
        self.padded(&signed, value.is_finite())
    }

    fn int(&self, int: i64, value: &Value) -> String {
        let magnitude = int.unsigned_abs();
        let digits = match self.verb {
            'd' | 'v' => magnitude.to_string(),
            'b' => format!("{magnitude:b}"),
            'o' => format!("{}{magnitude:o}", if self.sharp { "0" } else { "" }),
            'O' => format!("0o{magnitude:o}"),
            'x' => format!("{}{magnitude:x}", if self.sharp { "0x" } else { "" }),
            'X' => format!("{}{magnitude:X}", if self.sharp { "0X" } else { "" }),
            'c' | 'q' => {
                let char = u32::try_from(int).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
                let text = if self.verb == 'c' { char.to_string() } else { format!("'{char}'") };
                return self.padded(&text, false);
            }
            'U' => return self.padded(&format!("U+{magnitude:04X}"), false),
            _ => return self.padded(&self.mismatch(value), false),
        };
        let digits = match self.precision {
            Some(least) => format!("{digits:0>least$}"),
            None => digits,
        };
        let sign = if int < 0 { "-" } else { "" };
        let text = self.signed(&format!("{sign}{digits}"), false);
        self.padded(&text, self.precision.is_none())
    }

    /// With the sign that a flag asks for.
    fn signed(&self, text: &str, always: bool) -> String {
        if text.starts_with('-') || text == "NaN" && !self.plus {
            return text.to_owned();
        }
        match (self.plus || always, self.space) {
            (true, _) => format!("+{text}"),
            (false, true) => format!(" {text}"),
            (false, false) => text.to_owned(),
        }
    }

    fn padded(&self, text: &str, is_number: bool) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text.to_owned();
        }
        if self.minus {
            return format!("{text}{}", " ".repeat(missing));
        }
        if self.zero && is_number {
            let signs = usize::from(text.starts_with(['-', '+', ' ']));
            return format!("{}{}{}", &text[..signs], "0".repeat(missing), &text[signs..]);
        }
        format!("{}{text}", " ".repeat(missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, args: &[Value], written: &str) {
        assert_eq!(super::format(format, args, 1_000).unwrap(), written, "{format}");
    }

    #[test]
    fn verbs() {
        let float = Value::Float(1234.5678);
        check(
            "%.2f|%8.1f|%-8.1f|%08.1f|%+.0f",
            &[&float; 5].map(Clone::clone),
            "1234.57|  1234.6|1234.6  |001234.6|+1235",
        );
        check(
            "%g %v %.3g %e %E",
            &[&float; 5].map(Clone::clone),
            "1234.5678 1234.5678 1.23e+03 1.234568e+03 1.234568E+03",
        );
        check(
            "%d %5d %-5d| %05d %x %+d",
            &[
                Value::Int(42),
                Value::Int(42),
                Value::Int(42),
                Value::Int(-42),
                Value::Int(255),
                Value::Int(1),
            ],
            "42    42 42   | -0042 ff +1",
        );
        check(
            "%s %q %10s %-10s| %.2s %x",
            &[&Value::text("abc"); 6].map(Clone::clone),
            "abc \"abc\"        abc abc       | ab 616263",
        );
        check(
            "%t %v %s",
            &[Value::Bool(true), Value::Bool(false), Value::Duration(1_000_000_000)],
            "true false 1s",
        );
        check("%d%%", &[Value::Int(5)], "5%");
        check("%v %f", &[Value::Float(f64::INFINITY), Value::Float(f64::NAN)], "+Inf NaN");
    }

    #[test]
    fn mistakes_are_written() {
        check("%d", &[Value::Float(1.5)], "%!d(float64=1.5)");
        check("%s", &[Value::Float(1.5)], "%!s(float64=1.5)");
        check("%f", &[Value::text("x")], "%!f(string=x)");
        check("%d %d", &[Value::Int(1)], "1 %!d(MISSING)");
        check("x", &[Value::Int(1), Value::text("y")], "x%!(EXTRA int=1, string=y)");
        check("100%", &[], "100%!(NOVERB)");
        assert!(super::format("%999999d", &[Value::Int(1)], 1_000).is_err());
        assert!(super::format("%99999999999999999999d", &[Value::Int(1)], 1_000).is_err());
    }
}
