//! What stands between operators.

use super::super::ast::{Call, Expr, ExprKind, Number, Span};
use super::super::duration::parse_duration;
use super::super::token::{Kind, Token};
use super::super::{functions, number, quoted, unquote};
use super::{Node, Parsed, Parser};

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Parsed<Node> {
        match self.kind() {
            Kind::Number | Kind::Duration => {
                let (number, span) = self.number();
                self.node(ExprKind::Number(number), span, 0)
            }
            Kind::Text => {
                let token = self.next();
                let text = unquote::unquoted(self.written(token));
                self.node(ExprKind::Text(text), token.span, 0)
            }
            Kind::LeftParen => self.paren(),
            Kind::Aggregate(op) if self.aggregation_follows() => self.aggregate(op),
            Kind::Identifier if self.ahead(1).kind == Kind::LeftParen => self.call(),
            Kind::Keyword(word) if word.is_function() && self.ahead(1).kind == Kind::LeftParen => self.call(),
            _ => {
                let expr = self.selector()?;
                Ok(Node { expr, depth: 1 })
            }
        }
    }

    /// The value of the number or duration that is next.
    pub(super) fn number(&mut self) -> (Number, Span) {
        let token = self.next();
        let duration = token.kind == Kind::Duration;
        let value = if duration {
            parse_duration(self.written(token)).map(|millis| millis as f64 / 1_000.0)
        } else {
            number::parse(self.written(token))
        };
        let value = value.unwrap_or_else(|message| {
            self.note(token.span, message);
            0.0
        });
        (Number { value, duration }, token.span)
    }

    fn paren(&mut self) -> Parsed<Node> {
        let open = self.next();
        let inner = self.expression(0)?;
        let close = self.expect(Kind::RightParen)?;
        let span = Span { start: open.span.start, end: close.span.end };
        self.node(ExprKind::Paren(Box::new(inner.expr)), span, inner.depth)
    }

    fn call(&mut self) -> Parsed<Node> {
        let name = self.next();
        let (args, depth) = self.arguments()?;
        let span = Span { start: name.span.start, end: self.behind() };
        let Some(function) = functions::find(self.written(name)) else {
            let message = format!("unknown function with name {}", quoted(self.written(name)));
            self.note(name.span, message);
            // Stands in for the call: the note keeps the tree from being used.
            return self.node(ExprKind::Number(Number { value: 0.0, duration: false }), span, depth);
        };
        self.node(ExprKind::Call(Call { function, args }), span, depth)
    }

    /// `(a, b)`, and the depth of the deepest.
    pub(super) fn arguments(&mut self) -> Parsed<(Vec<Expr>, usize)> {
        self.expect(Kind::LeftParen)?;
        let (mut args, mut depth) = (Vec::new(), 0);
        if self.take(Kind::RightParen).is_some() {
            return Ok((args, depth));
        }
        loop {
            let arg = self.expression(0)?;
            depth = depth.max(arg.depth);
            args.push(arg.expr);
            let Some(comma) = self.take(Kind::Comma) else { break };
            if !self.expression_follows() {
                self.trailing_comma(comma)?;
                break;
            }
        }
        self.expect(Kind::RightParen)?;
        Ok((args, depth))
    }

    fn trailing_comma(&mut self, comma: Token) -> Parsed<()> {
        if self.kind() == Kind::Failed {
            return Err(self.unexpected());
        }
        self.note(comma.span, "trailing commas not allowed in function call args");
        Ok(())
    }

    fn expression_follows(&self) -> bool {
        use super::super::ast::BinaryOp::{Add, And, Or, Sub, Unless};
        match self.kind() {
            Kind::Operator(op) => matches!(op, Add | Sub | And | Or | Unless),
            Kind::Keyword(word) => word.is_metric_name(),
            Kind::RightParen
            | Kind::RightBrace
            | Kind::LeftBracket
            | Kind::RightBracket
            | Kind::Comma
            | Kind::Colon
            | Kind::Equal
            | Kind::Matches
            | Kind::NotMatches
            | Kind::At
            | Kind::End
            | Kind::Failed => false,
            _ => true,
        }
    }
}
