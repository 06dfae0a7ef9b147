//! Durations in brackets and after `offset`: constants and arithmetic.

use super::super::ast::{BinaryOp, Duration, DurationExpr, DurationKind, Number, Span};
use super::super::duration::millis_of_seconds;
use super::super::token::{Keyword, Kind};
use super::expr::{POWER_OF_POW, power};
use super::{Parsed, Parser};

/// A duration expression and its depth.
struct Part {
    expr: DurationExpr,
    depth: usize,
}

impl Parser<'_> {
    /// The width of a window or the step of a subquery.
    pub(super) fn positive_duration(&mut self) -> Parsed<Duration> {
        let Part { expr, .. } = self.duration(0)?;
        let DurationKind::Number(number) = expr.kind else { return Ok(Duration::Computed(Box::new(expr))) };
        if number.value <= 0.0 || number.value.is_nan() {
            self.note(expr.span, "duration must be greater than 0");
        }
        // Anything above zero is at least the unit of time.
        Ok(Duration::Millis(millis_of_seconds(number.value).unwrap_or(0).max(1)))
    }

    /// What follows `offset`. Without brackets around it arithmetic belongs to the expression:
    /// `a offset 1m + 1` adds to `a`.
    pub(super) fn offset_duration(&mut self) -> Parsed<Duration> {
        let part = match self.kind() {
            Kind::Operator(BinaryOp::Add | BinaryOp::Sub) => self.signed_duration(Self::duration_primary)?,
            _ => self.duration_primary()?,
        };
        Ok(match part.expr.kind {
            DurationKind::Number(number) => Duration::Millis(millis_of_seconds(number.value).unwrap_or(0)),
            _ => Duration::Computed(Box::new(part.expr)),
        })
    }

    fn duration(&mut self, least: u8) -> Parsed<Part> {
        self.nested(|parser| {
            let mut left = match parser.kind() {
                Kind::Operator(BinaryOp::Add | BinaryOp::Sub) => {
                    parser.signed_duration(|parser| parser.duration(POWER_OF_POW))?
                }
                _ => parser.duration_primary()?,
            };
            while let Kind::Operator(op) = parser.kind()
                && is_arithmetic(op)
                && power(op) >= least
            {
                left = parser.duration_operation(left, op)?;
            }
            Ok(left)
        })
    }

    fn duration_operation(&mut self, left: Part, op: BinaryOp) -> Parsed<Part> {
        let sign = self.next();
        let right = self.duration(if op == BinaryOp::Pow { power(op) } else { power(op) + 1 })?;
        if matches!(right.expr.kind, DurationKind::Number(Number { value: 0.0, .. })) {
            match op {
                BinaryOp::Div => self.note(sign.span, "division by zero"),
                BinaryOp::Mod => self.note(sign.span, "modulo by zero"),
                _ => {}
            }
        }
        let span = Span { start: left.expr.span.start, end: right.expr.span.end };
        let depth = left.depth.max(right.depth);
        let kind = DurationKind::Binary(op, Box::new(left.expr), Box::new(right.expr));
        self.part(kind, span, depth)
    }

    /// A sign and what it stands before. That of a number becomes part of it, a plus is dropped.
    fn signed_duration(&mut self, operand: impl FnOnce(&mut Self) -> Parsed<Part>) -> Parsed<Part> {
        let sign = self.next();
        let negative = sign.kind == Kind::Operator(BinaryOp::Sub);
        let Part { mut expr, depth } = operand(self)?;
        let span = Span { start: sign.span.start, end: expr.span.end };
        if let DurationKind::Number(Number { value, .. }) = &mut expr.kind {
            if negative {
                *value = -*value;
            }
            expr.span = span;
            return Ok(Part { expr, depth });
        }
        if !negative {
            return Ok(Part { expr, depth });
        }
        self.part(DurationKind::Negated(Box::new(expr)), span, depth)
    }

    fn duration_primary(&mut self) -> Parsed<Part> {
        match self.kind() {
            Kind::Number | Kind::Duration => self.duration_number(),
            Kind::LeftParen => self.duration_paren(),
            Kind::Keyword(Keyword::Step) => self.duration_of_query(DurationKind::Step),
            Kind::Keyword(Keyword::Range) => self.duration_of_query(DurationKind::Range),
            Kind::Keyword(Keyword::MinOf) => self.duration_extreme(DurationKind::MinOf),
            Kind::Keyword(Keyword::MaxOf) => self.duration_extreme(DurationKind::MaxOf),
            _ => Err(self.unexpected()),
        }
    }

    fn duration_number(&mut self) -> Parsed<Part> {
        let (mut number, span) = self.number();
        if millis_of_seconds(number.value).is_none() {
            self.note(span, "duration out of range");
            number.value = 0.0;
        }
        self.part(DurationKind::Number(number), span, 0)
    }

    fn duration_paren(&mut self) -> Parsed<Part> {
        let open = self.next();
        let inner = self.duration(0)?;
        let close = self.expect(Kind::RightParen)?;
        let span = Span { start: open.span.start, end: close.span.end };
        self.part(DurationKind::Paren(Box::new(inner.expr)), span, inner.depth)
    }

    fn duration_of_query(&mut self, kind: DurationKind) -> Parsed<Part> {
        let start = self.next().span.start;
        self.expect(Kind::LeftParen)?;
        let end = self.expect(Kind::RightParen)?.span.end;
        self.part(kind, Span { start, end }, 0)
    }

    fn duration_extreme(
        &mut self,
        kind: fn(Box<DurationExpr>, Box<DurationExpr>) -> DurationKind,
    ) -> Parsed<Part> {
        let start = self.next().span.start;
        self.expect(Kind::LeftParen)?;
        let one = self.duration(0)?;
        self.expect(Kind::Comma)?;
        let other = self.duration(0)?;
        let end = self.expect(Kind::RightParen)?.span.end;
        let depth = one.depth.max(other.depth);
        self.part(kind(Box::new(one.expr), Box::new(other.expr)), Span { start, end }, depth)
    }

    fn part(&self, kind: DurationKind, span: Span, below: usize) -> Parsed<Part> {
        let depth = self.level(span, below)?;
        Ok(Part { expr: DurationExpr { kind, span }, depth })
    }
}

fn is_arithmetic(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow
    )
}
