//! RE2's syntax, which Prometheus' expressions have, in that of the crate `regex`.
//!
//! Where they differ: `\d`, `\s`, `\w` and `\b` are ASCII in RE2; a brace that is no
//! repetition is a brace (`/api/{id}`); in a class `[`, `&&`, `--` and `~~` are what they
//! are; `\<` is `<`; there are `\Q…\E` and octal escapes, and no `\u`, no flag `x` and no
//! repetition beyond 1,000. The rules are those of Go's `regexp/syntax`.

use std::fmt::Write as _;

const REPEAT_MAX: u32 = 1_000;

/// The same expression for the crate `regex`, or what is wrong with it.
pub(super) fn translate(expression: &str) -> Result<String, String> {
    let mut reader = Reader { rest: expression, out: String::with_capacity(expression.len() + 16) };
    while let Some(first) = reader.next() {
        match first {
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' => reader.group()?,
            '{' => reader.braces()?,
            '}' => reader.out.push_str("\\}"),
            other => reader.out.push(other),
        }
    }
    Ok(reader.out)
}

struct Reader<'a> {
    rest: &'a str,
    out: String,
}

fn ascii_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\x0C\\r ]",
        'S' => "[^\\t\\n\\x0C\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        _ => return None,
    })
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        true
    }

    fn literal(&mut self, letter: char) {
        // Writing to a text cannot fail.
        let _ = write!(self.out, "\\x{{{:X}}}", u32::from(letter));
    }

    /// What follows a backslash outside a class.
    fn escape(&mut self) -> Result<(), String> {
        let Some(letter) = self.peek() else { return Err("it ends in a backslash".into()) };
        if let Some(class) = ascii_class(letter) {
            self.next();
            self.out.push_str(class);
            return Ok(());
        }
        match letter {
            'b' | 'B' => {
                self.next();
                let _ = write!(self.out, "(?-u:\\{letter})");
            }
            'A' | 'z' => {
                self.next();
                self.out.extend(['\\', letter]);
            }
            'Q' => {
                let rest = &self.rest[1..];
                let (quoted, rest) = rest.split_once("\\E").unwrap_or((rest, ""));
                self.out.push_str(&regex::escape(quoted));
                self.rest = rest;
            }
            'p' | 'P' => self.property()?,
            _ => {
                let letter = self.escaped()?;
                self.literal(letter);
            }
        }
        Ok(())
    }

    /// `\pN`, `\p{Greek}`, `\p{^Greek}`, behind the backslash.
    fn property(&mut self) -> Result<(), String> {
        let mut negated = self.next() == Some('P');
        let name = if self.take("{") {
            let (name, rest) = self.rest.split_once('}').ok_or("a \\p{ without }")?;
            self.rest = rest;
            name.to_owned()
        } else {
            self.next().ok_or("a \\p without a name")?.to_string()
        };
        negated ^= name.starts_with('^');
        let letter = if negated { 'P' } else { 'p' };
        let _ = write!(self.out, "\\{letter}{{{}}}", name.trim_start_matches('^'));
        Ok(())
    }

    /// The character that an escape stands for, behind the backslash.
    fn escaped(&mut self) -> Result<char, String> {
        let letter = self.next().ok_or("it ends in a backslash")?;
        Ok(match letter {
            'a' => '\x07',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0B',
            'x' => self.hexadecimal()?,
            '0'..='7' => self.octal(letter)?,
            mark if mark.is_ascii_punctuation() => mark,
            other => return Err(format!("there is no escape \\{other}")),
        })
    }

    fn hexadecimal(&mut self) -> Result<char, String> {
        let wrong = "a \\x without a character's number";
        let digits = if self.take("{") {
            let (digits, rest) = self.rest.split_once('}').ok_or(wrong)?;
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or(wrong)?;
            self.rest = rest;
            digits
        };
        let number = u32::from_str_radix(digits, 16).map_err(|_| wrong)?;
        char::from_u32(number).ok_or_else(|| wrong.into())
    }

    /// Up to three octal digits. One alone would be a reference to a group.
    fn octal(&mut self, first: char) -> Result<char, String> {
        let mut number = first.to_digit(8).unwrap_or_default();
        for taken in 1..3 {
            match self.peek().and_then(|digit| digit.to_digit(8)) {
                Some(digit) => {
                    self.next();
                    number = number * 8 + digit;
                }
                None if taken == 1 && first != '0' => {
                    return Err(format!("\\{first} refers to a group, which is not supported"));
                }
                None => break,
            }
        }
        char::from_u32(number).ok_or_else(|| "an octal escape of no character".into())
    }

    /// What follows an opening parenthesis. Nobody asks for what a group captured.
    fn group(&mut self) -> Result<(), String> {
        if !self.take("?") {
            self.out.push_str("(?:");
            return Ok(());
        }
        if self.take("P<") || self.take("<") {
            let (name, rest) = self.rest.split_once('>').ok_or("a group's name without >")?;
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(format!("{name:?} is no name of a group"));
            }
            self.rest = rest;
            self.out.push_str("(?:");
            return Ok(());
        }
        self.out.push_str("(?");
        loop {
            match self.next() {
                Some(end @ (':' | ')')) => {
                    self.out.push(end);
                    return Ok(());
                }
                Some(flag @ ('i' | 'm' | 's' | 'U' | '-')) => self.out.push(flag),
                other => return Err(format!("no flag of a group: {:?}", other.unwrap_or(' '))),
            }
        }
    }

    /// A repetition, or a brace.
    fn braces(&mut self) -> Result<(), String> {
        let Some((text, least, most)) = repetition(self.rest) else {
            self.out.push_str("\\{");
            return Ok(());
        };
        if least.max(most) > REPEAT_MAX {
            return Err(format!("repetition {{{text}}} is beyond {REPEAT_MAX}"));
        }
        let _ = write!(self.out, "{{{text}}}");
        self.rest = &self.rest[text.len() + 1..];
        Ok(())
    }

    /// What follows an opening bracket.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut first = true;
        while first || self.peek() != Some(']') {
            first = false;
            self.class_item()?;
        }
        self.take("]");
        self.out.push(']');
        Ok(())
    }

    fn class_item(&mut self) -> Result<(), String> {
        if self.rest.starts_with("[:")
            && let Some(end) = self.rest.find(":]")
        {
            self.out.push_str(&self.rest[..end + 2]);
            self.rest = &self.rest[end + 2..];
            return Ok(());
        }
        let named = self.rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
        if let Some(class) = named.and_then(ascii_class) {
            self.rest = &self.rest[2..];
            self.out.push_str(class);
            return Ok(());
        }
        if matches!(named, Some('p' | 'P')) {
            self.take("\\");
            return self.property();
        }
        let from = self.class_character()?;
        self.literal(from);
        let range =
            self.rest.strip_prefix('-').is_some_and(|rest| !rest.starts_with(']') && !rest.is_empty());
        if range {
            self.take("-");
            let to = self.class_character()?;
            if to < from {
                return Err(format!("the range {from}-{to} is empty"));
            }
            self.out.push('-');
            self.literal(to);
        }
        Ok(())
    }

    fn class_character(&mut self) -> Result<char, String> {
        match self.next().ok_or("a [ without ]")? {
            '\\' => self.escaped(),
            other => Ok(other),
        }
    }
}

/// `n}`, `n,}` or `n,m}` at the start of a text: what stands before the brace, and the numbers.
fn repetition(rest: &str) -> Option<(&str, u32, u32)> {
    let (text, _) = rest.split_once('}')?;
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match text.split_once(',') {
        None => (number(text)?, 0),
        Some((least, "")) => (number(least)?, 0),
        Some((least, most)) => (number(least)?, number(most)?),
    };
    Some((text, least, most))
}
