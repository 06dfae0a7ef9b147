//! `name{a="b", "c.d"=~"e"}`.

use super::super::ast::{BinaryOp, Expr, ExprKind, MatchOp, Matcher, Selector, Span};
use super::super::token::{Kind, Token};
use super::super::{regex, unquote};
use super::{Parsed, Parser};

const MATCHING: &str = "label matching";
const NAME: &str = "__name__";

impl Parser<'_> {
    /// An instant selector without modifiers.
    pub(super) fn selector(&mut self) -> Parsed<Expr> {
        let start = self.token().span.start;
        let name = self.metric_name().map(|(name, _)| name);
        let mut matchers = Vec::new();
        if self.take(Kind::LeftBrace).is_some() {
            matchers = self.matchers()?;
        } else if name.is_none() {
            return Err(self.unexpected());
        }
        if let Some(name) = &name {
            matchers.push(Matcher { label: NAME.into(), op: MatchOp::Equal, value: name.clone() });
        }
        let selector = Selector { name, matchers, ..Selector::default() };
        Ok(Expr { kind: ExprKind::Selector(selector), span: Span { start, end: self.behind() } })
    }

    /// The name of a metric without quotes, if one is next.
    pub(super) fn metric_name(&mut self) -> Option<(String, Span)> {
        let token = self.token();
        let named = match token.kind {
            Kind::Identifier | Kind::MetricIdentifier | Kind::Aggregate(_) => true,
            Kind::Operator(op) => matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless),
            Kind::Keyword(word) => word.is_metric_name(),
            _ => false,
        };
        named.then(|| (self.written(token).to_owned(), self.next().span))
    }

    /// Matchers up to and with the closing brace.
    fn matchers(&mut self) -> Parsed<Vec<Matcher>> {
        let mut matchers = Vec::new();
        if self.take(Kind::RightBrace).is_some() {
            return Ok(matchers);
        }
        loop {
            matchers.push(self.matcher()?);
            let comma = self.take(Kind::Comma).is_some();
            if self.take(Kind::RightBrace).is_some() {
                return Ok(matchers);
            }
            if !comma {
                return Err(self.unexpected_in(MATCHING, "\",\" or \"}\""));
            }
        }
    }

    fn matcher(&mut self) -> Parsed<Matcher> {
        let token = self.token();
        let label = match token.kind {
            Kind::Identifier => self.written(token).to_owned(),
            Kind::Text => unquote::unquoted(self.written(token)),
            _ => return Err(self.unexpected_in(MATCHING, "identifier or \"}\"")),
        };
        self.next();
        let op = match self.kind() {
            Kind::Equal => MatchOp::Equal,
            Kind::Operator(BinaryOp::NotEqual) => MatchOp::NotEqual,
            Kind::Matches => MatchOp::Matches,
            Kind::NotMatches => MatchOp::NotMatches,
            // A text alone is the name of the metric.
            _ if token.kind == Kind::Text => {
                return Ok(Matcher { label: NAME.into(), op: MatchOp::Equal, value: label });
            }
            _ => return Err(self.unexpected_in(MATCHING, "label matching operator")),
        };
        self.next();
        let Some(value) = self.take(Kind::Text) else { return Err(self.unexpected_in(MATCHING, "string")) };
        Ok(self.checked(label, op, token, value))
    }

    fn checked(&mut self, label: String, op: MatchOp, from: Token, to: Token) -> Matcher {
        let value = unquote::unquoted(self.written(to));
        if matches!(op, MatchOp::Matches | MatchOp::NotMatches)
            && let Some(fault) = regex::fault_of(&value)
        {
            self.note(Span { start: from.span.start, end: to.span.end }, fault);
        }
        Matcher { label, op, value }
    }
}
