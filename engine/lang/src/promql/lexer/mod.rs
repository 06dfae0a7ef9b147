//! A text in tokens.
//!
//! What a character means depends on the bracket around it: inside braces there are no
//! keywords, inside `[…]` only durations and arithmetic, as in the lexer of Prometheus,
//! whose error texts these are.

mod bracket;
mod scan;
mod string;

use bracket::Bracket;

use super::ast::{BinaryOp, Span};
use super::error::ParseError;
use super::limits::Limits;
use super::token::{Keyword, Kind, Token};

/// Tokens of a text. The last one is [`Kind::End`], or [`Kind::Failed`] and then there is an error.
#[derive(Debug)]
pub(super) struct Lexed {
    pub(super) tokens: Vec<Token>,
    pub(super) error: Option<ParseError>,
}

/// Splits a text.
///
/// # Errors
/// Only where the text has more tokens than the limit; what is no token ends the list, so
/// that the parser can find a mistake before it.
pub(super) fn lex(text: &str, limits: &Limits) -> Result<Lexed, ParseError> {
    let mut lexer = Lexer::new(text);
    loop {
        if lexer.tokens.len() > limits.tokens_max {
            let message = format!("the query has more than {} tokens", limits.tokens_max);
            return Err(ParseError::new(text, Span { start: lexer.start, end: text.len() }, message));
        }
        match lexer.step() {
            Ok(()) if lexer.done => return Ok(Lexed { tokens: lexer.tokens, error: None }),
            Ok(()) => {}
            Err(message) => {
                let span = Span { start: lexer.start, end: text.len() };
                lexer.tokens.push(Token { kind: Kind::Failed, span });
                let error = Some(ParseError::new(text, span, message));
                return Ok(Lexed { tokens: lexer.tokens, error });
            }
        }
    }
}

type Step = Result<(), String>;

/// What is open around the next character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Braces,
    Bracket(Bracket),
}

struct Lexer<'a> {
    text: &'a str,
    /// Next byte.
    at: usize,
    /// First byte of the token at hand.
    start: usize,
    tokens: Vec<Token>,
    parens: usize,
    within: Within,
    done: bool,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, start: 0, tokens: Vec::new(), parens: 0, within: Within::Nothing, done: false }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn push(&mut self, kind: Kind) -> Step {
        self.tokens.push(Token { kind, span: Span { start: self.start, end: self.at } });
        self.start = self.at;
        Ok(())
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.start = self.at;
    }

    /// Reads one token, or one comment.
    fn step(&mut self) -> Step {
        self.skip_spaces();
        if let Within::Bracket(bracket) = self.within {
            return self.in_bracket(bracket);
        }
        if self.peek() == Some('#') {
            return self.comment();
        }
        if self.within == Within::Braces { self.in_braces() } else { self.outside() }
    }

    fn comment(&mut self) -> Step {
        let rest = self.rest();
        self.at += rest.find(['\n', '\r']).unwrap_or(rest.len());
        self.start = self.at;
        Ok(())
    }

    fn end(&mut self) -> Step {
        if self.parens > 0 {
            return Err("unclosed left parenthesis".into());
        }
        if matches!(self.within, Within::Bracket(_)) {
            return Err("unclosed left bracket".into());
        }
        self.done = true;
        self.push(Kind::End)
    }

    fn outside(&mut self) -> Step {
        let Some(first) = self.next() else { return self.end() };
        match first {
            '[' => {
                self.within = Within::Bracket(Bracket::default());
                self.push(Kind::LeftBracket)
            }
            ']' => Err("unexpected right bracket ']'".into()),
            ':' => self.word(),
            _ => self.common(first),
        }
    }

    /// What is the same outside and inside `[…]` once a number was seen there.
    fn common(&mut self, first: char) -> Step {
        match first {
            '(' => {
                self.parens += 1;
                self.push(Kind::LeftParen)
            }
            ')' => self.right_paren(),
            '{' => {
                self.within = Within::Braces;
                self.push(Kind::LeftBrace)
            }
            ',' => self.push(Kind::Comma),
            '@' => self.push(Kind::At),
            '"' | '\'' | '`' => self.string(first),
            '0'..='9' => self.number(),
            '.' if self.peek().is_some_and(|next| next.is_ascii_digit()) => self.number(),
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            '=' | '!' | '<' | '>' => self.comparison(first),
            _ => match arithmetic(first) {
                Some(op) => self.push(Kind::Operator(op)),
                None => Err(format!("unexpected character: {}", char_quoted(Some(first)))),
            },
        }
    }

    fn right_paren(&mut self) -> Step {
        let Some(parens) = self.parens.checked_sub(1) else {
            // The bracket itself counts as read.
            self.start = self.at;
            return Err("unexpected right parenthesis ')'".into());
        };
        self.parens = parens;
        self.push(Kind::RightParen)
    }

    fn comparison(&mut self, first: char) -> Step {
        let kind = match (first, self.peek()) {
            ('=', Some('=')) => BinaryOp::Equal,
            ('=', Some('~')) => return Err("unexpected character after '=': '~'".into()),
            ('=', _) => return self.push(Kind::Equal),
            ('!', Some('=')) => BinaryOp::NotEqual,
            ('!', other) => return Err(format!("unexpected character after '!': {}", char_quoted(other))),
            ('<', Some('=')) => BinaryOp::LessOrEqual,
            ('<', Some('/')) => BinaryOp::TrimUpper,
            ('>', Some('=')) => BinaryOp::GreaterOrEqual,
            ('>', Some('/')) => BinaryOp::TrimLower,
            ('<', _) => return self.push(Kind::Operator(BinaryOp::Less)),
            _ => return self.push(Kind::Operator(BinaryOp::Greater)),
        };
        self.at += 1;
        self.push(Kind::Operator(kind))
    }

    /// A word whose first character was read.
    fn word(&mut self) -> Step {
        let rest = self.rest();
        let length = rest.find(|c| !is_word_char(c) && c != ':').unwrap_or(rest.len());
        self.at += length;
        let kind = match Kind::of_word(&self.text[self.start..self.at]) {
            // Metrics of these names are older than the modifiers.
            Kind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)
                if !self.rest().trim_start_matches([' ', '\t', '\n', '\r']).starts_with('(') =>
            {
                Kind::Identifier
            }
            kind => kind,
        };
        self.push(kind)
    }

    /// A number or duration whose first character was read.
    fn number(&mut self) -> Step {
        let scanned = scan::scan(&self.text[self.start..]);
        self.at = self.start + scanned.bytes;
        match scanned.kind {
            Some(kind) => self.push(kind),
            None => {
                let read = super::quoted(&self.text[self.start..self.at]);
                Err(format!("bad number or duration syntax: {read}"))
            }
        }
    }

    fn string(&mut self, quote: char) -> Step {
        self.at += string::length(self.rest(), quote)?;
        self.push(Kind::Text)
    }

    fn in_braces(&mut self) -> Step {
        let Some(first) = self.next() else { return Err("unexpected end of input inside braces".into()) };
        match first {
            'a'..='z' | 'A'..='Z' | '_' => {
                let rest = self.rest();
                self.at += rest.find(|c| !is_word_char(c)).unwrap_or(rest.len());
                self.push(Kind::Identifier)
            }
            ',' => self.push(Kind::Comma),
            '"' | '\'' | '`' => self.string(first),
            '=' if self.take('~') => self.push(Kind::Matches),
            '=' => self.push(Kind::Equal),
            '!' if self.take('~') => self.push(Kind::NotMatches),
            '!' if self.take('=') => self.push(Kind::Operator(BinaryOp::NotEqual)),
            '!' => {
                let next = char_quoted(self.peek());
                Err(format!("unexpected character after '!' inside braces: {next}"))
            }
            '{' => Err("unexpected left brace '{'".into()),
            '}' => {
                self.within = Within::Nothing;
                self.push(Kind::RightBrace)
            }
            other => Err(format!("unexpected character inside braces: {}", char_quoted(Some(other)))),
        }
    }
}

fn is_word_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

fn arithmetic(char: char) -> Option<BinaryOp> {
    Some(match char {
        '+' => BinaryOp::Add,
        '-' => BinaryOp::Sub,
        '*' => BinaryOp::Mul,
        '/' => BinaryOp::Div,
        '%' => BinaryOp::Mod,
        '^' => BinaryOp::Pow,
        _ => return None,
    })
}

/// A character in single quotes; the end of the text shows as the character of a broken one.
fn char_quoted(char: Option<char>) -> String {
    let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
    match char {
        '"' => "'\"'".into(),
        '\'' => "'\\''".into(),
        _ => format!("'{}'", super::quoted(char.encode_utf8(&mut [0; 4])).trim_matches('"')),
    }
}
