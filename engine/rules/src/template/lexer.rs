//! Texts of templates cut into text and tokens of actions, by the rules of Go's `text/template`.

use std::ops::Range;

use super::error::TemplateError;

/// A token and the bytes it stands in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
    /// Whether white space stands before it: `.a.b` is one operand, `.a .b` are two.
    pub(super) spaced: bool,
}

/// Kinds of tokens.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// Text outside of actions, trimmed where `{{-` and `-}}` say so.
    Text(String),
    /// `{{`.
    Open,
    /// `}}`.
    Close,
    /// `.`.
    Dot,
    /// `.name`, without the dot.
    Field(String),
    /// `$name`, with the dollar sign.
    Variable(String),
    /// A keyword or the name of a function.
    Word(String),
    /// A text in quotes, unquoted.
    Quoted(String),
    /// An integer or a character.
    Int(i64),
    /// A number with a point or an exponent.
    Float(f64),
    Pipe,
    Left,
    Right,
    Declare,
    Assign,
    Comma,
}

type Result<T> = std::result::Result<T, TemplateError>;

/// Cuts a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut lexer = Lexer { text, at: 0, found: Vec::new() };
    lexer.run()?;
    Ok(lexer.found)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    found: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<()> {
        let mut trims = false;
        loop {
            let rest = self.rest();
            let open = rest.find("{{");
            let text = &rest[..open.unwrap_or(rest.len())];
            let next_trims = open.is_some_and(|open| opens_with_trim(&rest[open..]));
            self.push_text(text, trims, next_trims);
            self.at += text.len();
            if open.is_none() {
                return Ok(());
            }
            self.at += if next_trims { 3 } else { 2 };
            trims = self.action(if next_trims { 3 } else { 2 })?;
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push_text(&mut self, text: &str, trims_start: bool, trims_end: bool) {
        let start = if trims_start { text.trim_start_matches(is_space) } else { text };
        let text = if trims_end { start.trim_end_matches(is_space) } else { start };
        if !text.is_empty() {
            self.push(TokenKind::Text(text.into()), 0, false);
        }
    }

    fn push(&mut self, kind: TokenKind, bytes: usize, spaced: bool) {
        self.found.push(Token { kind, span: self.at..self.at + bytes, spaced });
        self.at += bytes;
    }

    /// Reads up to `}}`. True where the text behind it is to be trimmed.
    fn action(&mut self, opened: usize) -> Result<bool> {
        if let Some(trims) = self.comment()? {
            return Ok(trims);
        }
        let start = self.at - opened;
        self.found.push(Token { kind: TokenKind::Open, span: start..self.at, spaced: false });
        loop {
            let before = self.at;
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start_matches(is_space).len();
            let spaced = self.at > before;
            let rest = self.rest();
            if rest.is_empty() {
                return Err(self.fault("unclosed action"));
            }
            if spaced && rest.starts_with("-}}") {
                self.push(TokenKind::Close, 3, spaced);
                return Ok(true);
            }
            if rest.starts_with("}}") {
                self.push(TokenKind::Close, 2, spaced);
                return Ok(false);
            }
            self.token(spaced)?;
        }
    }

    /// A comment is an action of its own: `{{/* … */}}`.
    fn comment(&mut self) -> Result<Option<bool>> {
        let rest = self.rest();
        let inner = rest.trim_start_matches(is_space);
        // As upstream, white space before a comment is allowed only behind a trim marker.
        let is_comment =
            rest.starts_with("/*") || (inner.starts_with("/*") && self.text[..self.at].ends_with('-'));
        if !is_comment {
            return Ok(None);
        }
        let end = inner.find("*/").ok_or_else(|| self.fault("unclosed comment"))?;
        let behind = &inner[end + 2..];
        let skipped = self.text.len() - behind.len();
        let trimmed = behind.trim_start_matches(is_space);
        if behind.starts_with("}}") {
            self.at = skipped + 2;
            return Ok(Some(false));
        }
        if trimmed.len() < behind.len() && trimmed.starts_with("-}}") {
            self.at = self.text.len() - trimmed.len() + 3;
            return Ok(Some(true));
        }
        Err(self.fault("comment ends before closing delimiter"))
    }

    fn token(&mut self, spaced: bool) -> Result<()> {
        let rest = self.rest();
        let first = rest.chars().next().unwrap_or(' ');
        let (kind, bytes) = match first {
            '|' => (TokenKind::Pipe, 1),
            '(' => (TokenKind::Left, 1),
            ')' => (TokenKind::Right, 1),
            ',' => (TokenKind::Comma, 1),
            '=' => (TokenKind::Assign, 1),
            ':' if rest.starts_with(":=") => (TokenKind::Declare, 2),
            '"' | '`' => self.quoted(first)?,
            '\'' => self.character()?,
            '$' => {
                let name = 1 + word_bytes(&rest[1..]);
                (TokenKind::Variable(rest[..name].into()), name)
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                let name = word_bytes(&rest[1..]);
                let kind = if name == 0 { TokenKind::Dot } else { TokenKind::Field(rest[1..=name].into()) };
                (kind, 1 + name)
            }
            '0'..='9' | '.' | '+' | '-' => self.number()?,
            c if c.is_alphabetic() || c == '_' => {
                let bytes = word_bytes(rest);
                (TokenKind::Word(rest[..bytes].into()), bytes)
            }
            c => {
                let message = format!("unexpected {c:?} in command");
                return Err(self.fault(&message));
            }
        };
        self.push(kind, bytes, spaced);
        Ok(())
    }

    fn quoted(&self, quote: char) -> Result<(TokenKind, usize)> {
        let rest = self.rest();
        if quote == '`' {
            let end = rest[1..].find('`').ok_or_else(|| self.fault("unterminated raw quoted string"))?;
            return Ok((TokenKind::Quoted(rest[1..=end].into()), end + 2));
        }
        let bytes = quoted_bytes(rest).ok_or_else(|| self.fault("unterminated quoted string"))?;
        let text = unquote(&rest[1..bytes - 1]).ok_or_else(|| self.fault("invalid syntax"))?;
        Ok((TokenKind::Quoted(text), bytes))
    }

    fn character(&self) -> Result<(TokenKind, usize)> {
        let rest = self.rest();
        let bytes = quoted_bytes(rest).ok_or_else(|| self.fault("unterminated character constant"))?;
        let text = unquote(&rest[1..bytes - 1]).filter(|text| text.chars().count() == 1);
        let code = text.and_then(|text| text.chars().next());
        let code =
            code.ok_or_else(|| self.fault(&format!("malformed character constant: {}", &rest[..bytes])))?;
        Ok((TokenKind::Int(i64::from(u32::from(code))), bytes))
    }

    fn number(&self) -> Result<(TokenKind, usize)> {
        let rest = self.rest();
        let bytes = number_bytes(rest);
        let text = &rest[..bytes];
        let kind = number(text).ok_or_else(|| self.fault(&format!("bad number syntax: {text:?}")))?;
        Ok((kind, bytes))
    }

    fn fault(&self, message: &str) -> TemplateError {
        TemplateError::parse(self.text, self.at, message)
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn opens_with_trim(text: &str) -> bool {
    text.strip_prefix("{{-").is_some_and(|rest| rest.starts_with(is_space))
}

fn word_bytes(text: &str) -> usize {
    text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn number_bytes(text: &str) -> usize {
    let mut previous = ' ';
    let is_hex = text.trim_start_matches(['+', '-']).starts_with("0x");
    for (at, c) in text.char_indices() {
        let sign = matches!(c, '+' | '-') && (at == 0 || (!is_hex && matches!(previous, 'e' | 'E')));
        if !sign && !c.is_alphanumeric() && c != '.' && c != '_' {
            return at;
        }
        previous = c;
    }
    text.len()
}

/// As Go reads constants: `12`, `0x1f`, `0b11`, `0o17`, `1_000`, `1.5`, `1e3`.
fn number(text: &str) -> Option<TokenKind> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits = digits.replace('_', "").to_ascii_lowercase();
    let (radix, body) = match digits.get(..2) {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        Some(two) if two.starts_with('0') && !digits.contains(['.', 'e']) => (8, &digits[1..]),
        _ => (10, &digits[..]),
    };
    if !body.starts_with(|c: char| c.is_ascii_hexdigit() || c == '.') {
        return None;
    }
    if let Ok(int) = i64::from_str_radix(body, radix) {
        return Some(TokenKind::Int(if negative { -int } else { int }));
    }
    let is_decimal = radix == 10 && body.bytes().all(|b| b.is_ascii_digit() || b".e+-".contains(&b));
    let float: f64 = body.parse().ok().filter(|float: &f64| is_decimal && float.is_finite())?;
    Some(TokenKind::Float(if negative { -float } else { float }))
}

/// The bytes of a text up to the quote that it starts with; `None` where the line ends before.
fn quoted_bytes(text: &str) -> Option<usize> {
    let quote = text.chars().next()?;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Go's escapes. Bytes that make no UTF-8 become the replacement character.
fn unquote(inner: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next()? {
            'a' => bytes.push(0x07),
            'b' => bytes.push(0x08),
            'f' => bytes.push(0x0c),
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            'v' => bytes.push(0x0b),
            plain @ ('\\' | '"' | '\'') => bytes.push(u8::try_from(plain).ok()?),
            'x' => bytes.push(u8::try_from(code(&mut chars, 2)?).ok()?),
            'u' => push_code(&mut bytes, code(&mut chars, 4)?)?,
            'U' => push_code(&mut bytes, code(&mut chars, 8)?)?,
            _ => return None,
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn push_code(bytes: &mut Vec<u8>, code: u32) -> Option<()> {
    bytes.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}

fn code(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<u32> {
    (0..digits).try_fold(0_u32, |value, _| {
        let digit = chars.next()?.to_digit(16)?;
        value.checked_mul(16)?.checked_add(digit)
    })
}
