//! Tokens to a tree: recursive descent, operators by precedence.
//!
//! The grammar is that of Prometheus 3.14 with all experimental syntax, its errors are those
//! that the first mistake makes there. A mistake in what is said, such as an unknown function,
//! is noted and reading goes on: an earlier note wins over what comes later.

mod aggregate;
mod binary;
mod bracket;
mod durations;
mod expr;
mod labels;
mod modifier;
mod primary;
mod selector;

use super::ast::{Expr, ExprKind, Selector, Span};
use super::error::ParseError;
use super::lexer::{self, Lexed};
use super::limits::Limits;
use super::token::{Keyword, Kind, Token};

/// Why reading stopped.
#[derive(Debug)]
struct Fault {
    span: Span,
    message: String,
    /// Says only what is unexpected: what is around it may say where.
    bare: bool,
}

impl Fault {
    /// Adds what was being read, unless something closer did.
    fn within(mut self, context: &str, expected: &str) -> Self {
        if self.bare {
            self.message.push_str(" in ");
            self.message.push_str(context);
            if !expected.is_empty() {
                self.message.push_str(", expected ");
                self.message.push_str(expected);
            }
            self.bare = false;
        }
        self
    }
}

type Parsed<T> = Result<T, Fault>;

/// A part of the tree and its depth.
struct Node {
    expr: Expr,
    depth: usize,
}

struct Parser<'a> {
    text: &'a str,
    lexed: Lexed,
    limits: &'a Limits,
    /// Index of the next token.
    at: usize,
    /// How deep the recursion is.
    nesting: usize,
    /// The first mistake that did not stop the reading.
    noted: Option<Fault>,
}

/// Reads a whole text as an expression, types unchecked.
pub(super) fn expression(text: &str, limits: &Limits) -> Result<Expr, ParseError> {
    whole(text, limits, |parser| {
        if parser.kind() == Kind::End {
            let message = "no expression found in input".into();
            return Err(Fault { span: Span::default(), message, bare: false });
        }
        parser.expression(0).map(|node| node.expr)
    })
}

/// Reads a whole text as an instant selector.
pub(super) fn selector(text: &str, limits: &Limits) -> Result<(Selector, Span), ParseError> {
    let expr = whole(text, limits, Parser::selector)?;
    match expr.kind {
        ExprKind::Selector(selector) => Ok((selector, expr.span)),
        _ => Err(ParseError::new(text, expr.span, "no selector found in input")),
    }
}

/// Reads a whole text as the name and labels of a series, by label.
pub(super) fn metric(text: &str, limits: &Limits) -> Result<Vec<(String, String)>, ParseError> {
    whole(text, limits, Parser::metric)
}

fn whole<'a, T>(
    text: &'a str,
    limits: &'a Limits,
    read: impl FnOnce(&mut Parser<'a>) -> Parsed<T>,
) -> Result<T, ParseError> {
    limits.check_text(text)?;
    let lexed = lexer::lex(text, limits)?;
    let mut parser = Parser { text, lexed, limits, at: 0, nesting: 0, noted: None };
    let read = read(&mut parser)
        .and_then(|read| if parser.kind() == Kind::End { Ok(read) } else { Err(parser.unexpected()) });
    let fault = match (parser.noted.take(), read) {
        (None, Ok(read)) => return Ok(read),
        (Some(noted), _) => noted,
        (None, Err(fault)) => fault,
    };
    Err(ParseError::new(text, fault.span, fault.message))
}

impl Parser<'_> {
    fn token(&self) -> Token {
        self.ahead(0)
    }

    /// The token `n` after the next; behind the last one it is the last.
    fn ahead(&self, n: usize) -> Token {
        let tokens = &self.lexed.tokens;
        let end = Token { kind: Kind::End, span: Span { start: self.text.len(), end: self.text.len() } };
        tokens.get(self.at + n).or(tokens.last()).copied().unwrap_or(end)
    }

    fn kind(&self) -> Kind {
        self.token().kind
    }

    /// The next token, which is then behind.
    fn next(&mut self) -> Token {
        let token = self.token();
        if !matches!(token.kind, Kind::End | Kind::Failed) {
            self.at += 1;
        }
        token
    }

    fn take(&mut self, kind: Kind) -> Option<Token> {
        (self.kind() == kind).then(|| self.next())
    }

    fn take_keyword(&mut self, keyword: Keyword) -> Option<Token> {
        self.take(Kind::Keyword(keyword))
    }

    fn expect(&mut self, kind: Kind) -> Parsed<Token> {
        self.take(kind).ok_or_else(|| self.unexpected())
    }

    /// Where the token before the next one ends.
    fn behind(&self) -> usize {
        let before = self.at.checked_sub(1).and_then(|before| self.lexed.tokens.get(before));
        before.map_or(0, |token| token.span.end)
    }

    fn written(&self, token: Token) -> &str {
        token.text(self.text)
    }

    /// The next token cannot stand here.
    fn unexpected(&self) -> Fault {
        let token = self.token();
        if let (Kind::Failed, Some(error)) = (token.kind, &self.lexed.error) {
            return Fault { span: error.span, message: error.message.clone(), bare: false };
        }
        Fault { span: token.span, message: format!("unexpected {}", token.described(self.text)), bare: true }
    }

    fn unexpected_in(&self, context: &str, expected: &str) -> Fault {
        self.unexpected().within(context, expected)
    }

    /// Notes a mistake that need not stop the reading.
    fn note(&mut self, span: Span, message: impl Into<String>) {
        if self.noted.is_none() {
            self.noted = Some(Fault { span, message: message.into(), bare: false });
        }
    }

    /// Runs something one level further inside.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting >= self.limits.nesting_max {
            return Err(self.too_deep(self.token().span, self.limits.nesting_max));
        }
        self.nesting += 1;
        let read = read(self);
        self.nesting -= 1;
        read
    }

    fn too_deep(&self, span: Span, limit: usize) -> Fault {
        let message = format!("the query is nested deeper than {limit} levels");
        Fault { span, message, bare: false }
    }

    /// One more level on top of parts that are `below` deep.
    fn level(&self, span: Span, below: usize) -> Parsed<usize> {
        let limit = self.limits.depth_max;
        if below >= limit {
            return Err(self.too_deep(span, limit));
        }
        Ok(below + 1)
    }

    fn node(&self, kind: ExprKind, span: Span, below: usize) -> Parsed<Node> {
        let depth = self.level(span, below)?;
        Ok(Node { expr: Expr { kind, span }, depth })
    }
}
