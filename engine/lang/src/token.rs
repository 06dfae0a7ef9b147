//! A lexer for SQL that never fails: every byte of the text belongs to exactly
//! one token, and what cannot be understood is a [`TokenKind::Symbol`].
//!
//! It knows the quoting of DataFusion's generic dialect, because the only thing
//! that must not happen is that a quote hides structure from the gate.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// White space.
    Space,
    /// `-- …` or `/* … */`.
    Comment,
    /// A keyword or an unquoted identifier.
    Word,
    /// `"…"` or `` `…` ``.
    QuotedName,
    /// `'…'`, with its prefix letter if it has one, or `$tag$…$tag$`.
    Text,
    /// A number.
    Number,
    /// `(`, `[` or `{`.
    Open,
    /// `)`, `]` or `}`.
    Close,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// Any run of operator characters, or one character that fits nowhere.
    Symbol,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Byte offset of its first byte.
    pub start: usize,
    /// Byte offset after its last byte.
    pub end: usize,
    /// Whether a quote or comment ended with the text instead of its mark.
    pub unterminated: bool,
}

impl Token {
    /// Its bytes in the text it was read from.
    pub fn text<'a>(&self, source: &'a str) -> &'a str {
        source.get(self.start..self.end).unwrap_or_default()
    }
}

/// The tokens of a text, white space and comments included.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    /// Starts at the first byte.
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = self.rest();
        let first = *rest.first()?;
        let (kind, length) = match first {
            b if b.is_ascii_whitespace() => (TokenKind::Space, run(rest, |b| b.is_ascii_whitespace())),
            b'-' if rest.starts_with(b"--") => (TokenKind::Comment, Some(until(rest, b"\n"))),
            b'/' if rest.starts_with(b"/*") => (TokenKind::Comment, block_comment(rest)),
            b'\'' => (TokenKind::Text, quoted(rest, b'\'', false)),
            b'"' | b'`' => (TokenKind::QuotedName, quoted(rest, first, false)),
            b'$' => dollar(rest),
            b'0'..=b'9' => (TokenKind::Number, run(rest, is_number)),
            b'(' | b'[' | b'{' => (TokenKind::Open, Some(1)),
            b')' | b']' | b'}' => (TokenKind::Close, Some(1)),
            b',' => (TokenKind::Comma, Some(1)),
            b';' => (TokenKind::Semicolon, Some(1)),
            b'.' => (TokenKind::Dot, Some(1)),
            b if is_word(b) => word(rest),
            b if is_operator(b) => (TokenKind::Symbol, Some(operator(rest))),
            _ => (TokenKind::Symbol, Some(1)),
        };
        let start = self.at;
        self.at += length.unwrap_or(rest.len());
        Some(Token { kind, start, end: self.at, unterminated: length.is_none() })
    }
}

/// Bytes above 127 count as letters, so a token never ends inside a character.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'#') || byte >= 0x80
}

fn is_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'+' | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'<'
            | b'>'
            | b'='
            | b'!'
            | b'|'
            | b'&'
            | b'^'
            | b'~'
            | b'?'
            | b':'
            | b'\\'
    )
}

fn run(rest: &[u8], keep: impl Fn(u8) -> bool) -> Option<usize> {
    Some(rest.iter().position(|byte| !keep(*byte)).unwrap_or(rest.len()))
}

/// A run of operator characters, cut where a comment starts. Runs of `-`, `+`
/// and `~` are prefix operators one by one.
fn operator(rest: &[u8]) -> usize {
    if matches!(rest[0], b'-' | b'+' | b'~' | b'!') {
        return if matches!(rest.get(1), Some(b'=' | b'>' | b'~')) { 2 } else { 1 };
    }
    let mut length = 1;
    while let Some(byte) = rest.get(length) {
        let comment = rest[length..].starts_with(b"--") || rest[length..].starts_with(b"/*");
        if comment || !is_operator(*byte) || matches!(byte, b'-' | b'+' | b'~') {
            break;
        }
        length += 1;
    }
    length
}

fn until(rest: &[u8], mark: &[u8]) -> usize {
    find(rest, mark).unwrap_or(rest.len())
}

fn find(rest: &[u8], mark: &[u8]) -> Option<usize> {
    rest.windows(mark.len()).position(|window| window == mark)
}

/// `/* … */`, nested as in the generic dialect.
fn block_comment(rest: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// A quote up to its end; a doubled quote is part of it.
fn quoted(rest: &[u8], quote: u8, backslash: bool) -> Option<usize> {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' if backslash => at += 2,
            byte if byte == quote && rest.get(at + 1) == Some(&quote) => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// `$tag$ … $tag$`, or a placeholder like `$1`.
fn dollar(rest: &[u8]) -> (TokenKind, Option<usize>) {
    let tag = 1 + rest[1..].iter().position(|byte| !is_word(*byte)).unwrap_or(rest.len() - 1);
    if rest.get(tag) != Some(&b'$') {
        return (TokenKind::Word, Some(tag));
    }
    let mark = &rest[..=tag];
    (TokenKind::Text, find(&rest[mark.len()..], mark).map(|at| at + 2 * mark.len()))
}

/// A word, or text with a prefix letter: `E'…'` takes backslashes, `N`, `X`,
/// `B`, `R` and `U&` do not.
fn word(rest: &[u8]) -> (TokenKind, Option<usize>) {
    let prefix = match rest {
        [b'e' | b'E', b'\'', ..] => Some((1, true)),
        [b'n' | b'N' | b'x' | b'X' | b'b' | b'B' | b'r' | b'R', b'\'', ..] => Some((1, false)),
        [b'u' | b'U', b'&', b'\'', ..] => Some((2, false)),
        _ => None,
    };
    match prefix {
        Some((length, backslash)) => {
            (TokenKind::Text, quoted(&rest[length..], b'\'', backslash).map(|end| end + length))
        }
        None => (TokenKind::Word, run(rest, |byte| is_word(byte) || byte == b'$')),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tokens without white space, as `Kind:text`.
    fn check(text: &str, wanted: &[(TokenKind, &str)]) {
        let got: Vec<_> = Lexer::new(text)
            .filter(|token| token.kind != TokenKind::Space)
            .map(|token| (token.kind, token.text(text)))
            .collect();
        assert_eq!(got, wanted, "{text}");
    }

    #[test]
    fn kinds() {
        use TokenKind::*;
        check(
            "SELECT a.\"b c\", 'it''s' -- x\n/* y /* z */ */ +1.5e3;",
            &[
                (Word, "SELECT"),
                (Word, "a"),
                (Dot, "."),
                (QuotedName, "\"b c\""),
                (Comma, ","),
                (Text, "'it''s'"),
                (Comment, "-- x"),
                (Comment, "/* y /* z */ */"),
                (Symbol, "+"),
                (Number, "1"),
                (Dot, "."),
                (Number, "5e3"),
                (Semicolon, ";"),
            ],
        );
        check("E'a\\'b' $$x'y$$ $1", &[(Text, "E'a\\'b'"), (Text, "$$x'y$$"), (Word, "$1")]);
        check("a<=b||c", &[(Word, "a"), (Symbol, "<="), (Word, "b"), (Symbol, "||"), (Word, "c")]);
        check("---1", &[(Comment, "---1")]);
        check("- -1", &[(Symbol, "-"), (Symbol, "-"), (Number, "1")]);
        check("größe", &[(Word, "größe")]);
    }

    #[test]
    fn an_open_quote_ends_with_the_text() {
        for text in ["'abc", "\"abc", "/* abc", "$x$ abc", "'a''"] {
            let last = Lexer::new(text).last().unwrap();
            assert!(last.unterminated && last.end == text.len(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_belongs_to_one_token(text in "\\PC{0,200}") {
            let mut at = 0;
            for token in Lexer::new(&text) {
                prop_assert_eq!(token.start, at);
                prop_assert!(token.end > at && text.is_char_boundary(token.end));
                at = token.end;
            }
            prop_assert_eq!(at, text.len());
        }

        #[test]
        fn quotes_and_operators(text in "['\"`$\\-/*\\\\a1(),;. \n]{0,80}") {
            let joined: String = Lexer::new(&text).map(|token| token.text(&text)).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
